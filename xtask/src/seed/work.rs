//! What the files do not tell and a working day needs: campaigns, products and lines, projects, notes, tasks, rates, and when a deal
//! rots. Through the services of the nouns, in the name of the organisation's owner.
//!
//! Must stay true: no deal's amount changes, because its lines sum up to it; everything after the deals is one transaction apart from
//! what setting a rate or a stage is by itself, and its notes are the sign that it is there.

use std::collections::HashSet;

use anyhow::{Context as _, Result};
use crm_campaigns::{BulkCampaigns, CampaignContactChanges, MemberStatus};
use crm_deals::{
    ExchangeRates, LineItemsRequest, NewExchangeRate, PgExchangeRates, PgPipelines, PgProducts, PipelineChanges, Pipelines,
    Products,
};
use crm_kernel::{CampaignId, ContactId, DealId, Expected};
use crm_notes::BulkNotes;
use crm_tasks::BulkTasks;
use crm_tenancy::Tx;
use crm_tenancy::bulk::Noun;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use tokio_postgres::Client;

use crate::import::door::{Door, shown_once};
use crate::progress::{say, seconds};
use crate::seed::data::Data;
use crate::seed::ids;
use crate::seed::people::People;
use crate::seed::texts;

/// Won deals that were closed from this day on say what was sold; the files end with the year.
const LINES_FROM: &str = "2017-12-25";
/// How far a contact of the campaign has come; weights are repetitions.
const REACHED: [MemberStatus; 10] = [
    MemberStatus::Delivered,
    MemberStatus::Delivered,
    MemberStatus::Delivered,
    MemberStatus::Opened,
    MemberStatus::Opened,
    MemberStatus::Opened,
    MemberStatus::Clicked,
    MemberStatus::Clicked,
    MemberStatus::Clicked,
    MemberStatus::Bounced,
];
/// After how many days a deal in these stages of the default pipeline is too old.
const ROTTING: [(&str, i32); 4] = [("prospecting", 30), ("qualification", 45), ("proposal", 30), ("negotiation", 21)];

/// Where it is put.
pub struct Work<'a> {
    pub admin: &'a Client,
    pub door: &'a Door,
    pub people: &'a People,
    pub data: &'a Data,
}

/// The campaign that deals name as the one they came of.
pub fn campaign_id() -> CampaignId {
    CampaignId(ids::of("campaign", texts::CAMPAIGN, datetime!(2017-08-21 0:00 UTC)))
}

/// The sign that all of it is there.
pub fn sign(seeded_at: OffsetDateTime) -> String {
    ids::of("note", "0", seeded_at).to_string()
}

impl Work<'_> {
    /// The campaigns that are missing. Gives how many.
    pub async fn add_campaigns(&self) -> Result<usize> {
        let planned = ids::of("campaign", texts::FAIR, self.people.seeded_at);
        let day = |days| (self.people.seeded_at + Duration::days(days)).date().to_string();
        let owner = self.people.id_of("Dustin Brinkmann")?;
        let mut campaigns = vec![
            json!({"id": campaign_id(), "name": texts::CAMPAIGN, "description": texts::CAMPAIGN_TEXT, "campaign_type": "email",
                   "status": "active", "start_date": "2017-09-01", "end_date": "2017-10-31", "budget": "12000.00",
                   "actual_cost": "11350.00", "owner_id": owner, "tags": ["gtx", "launch"]}),
            json!({"id": planned, "name": texts::FAIR, "description": texts::FAIR_TEXT, "campaign_type": "event",
                   "start_date": day(60), "end_date": day(62), "budget": "25000.00", "owner_id": owner, "tags": ["fair"]}),
        ];
        let all: Vec<&str> = campaigns.iter().filter_map(|row| row["id"].as_str()).collect();
        let present = self
            .found(
                "SELECT id::text FROM crm_campaigns WHERE organization_id = $1::text::uuid AND id = ANY ($2::text[]::uuid[])",
                &all,
            )
            .await?;
        campaigns.retain(|row| row["id"].as_str().is_some_and(|id| !present.contains(id)));
        let count = campaigns.len();
        if count > 0 {
            let mut tx = self.begin().await?;
            BulkCampaigns::create_all(&mut tx, typed(&campaigns)?).await.map_err(shown_once)?;
            tx.commit().await.map_err(shown_once)?;
        }
        Ok(count)
    }

    /// Everything else, unless it is there. Records that it is about and that are in the bin by now are left alone.
    pub async fn add_the_rest(&self, companies: &[Value], deals: &[Value]) -> Result<usize> {
        let notes = "SELECT id::text FROM crm_notes WHERE organization_id = $1::text::uuid AND id = ANY ($2::text[]::uuid[])";
        if !self.found(notes, &[&sign(self.people.seeded_at)]).await?.is_empty() {
            return Ok(0);
        }
        let begun = std::time::Instant::now();
        self.set_rates().await?;
        self.let_rot().await?;
        let products = self.add_products().await?;
        let companies = self.living("crm_companies", companies, "true").await?;
        // A demo that was seeded before offers had an amount keeps them as they were.
        let deals = self.living("crm_deals", deals, "(amount IS NOT NULL OR stage = 'qualification')").await?;
        let mut tx = self.begin().await?;
        let members = self.add_members(&mut tx).await?;
        let lines = self.add_lines(&mut tx, &products, &deals).await?;
        let projects = self.add_projects(&mut tx, &deals).await?;
        let notes = texts::notes(self.people, &companies, &deals)?;
        let tasks = texts::tasks(self.people, self.data, &companies, &deals, &projects)?;
        BulkNotes::create_all(&mut tx, typed(&notes)?).await.map_err(shown_once).context("notes")?;
        BulkTasks::create_all(&mut tx, typed(&tasks)?).await.map_err(shown_once).context("tasks")?;
        tx.commit().await.map_err(shown_once)?;
        let (projects, notes, tasks) = (projects.len(), notes.len(), tasks.len());
        let took = seconds(begun.elapsed());
        say(&format!(
            "  {members} members of a campaign, {lines} lines, {projects} projects, {notes} notes, {tasks} tasks in {took}\n"
        ));
        Ok(products.len() + members + lines + projects + notes + tasks)
    }

    async fn begin(&self) -> Result<Tx> {
        self.door.db().begin(&self.door.context()).await.map_err(shown_once)
    }

    async fn found(&self, query: &str, ids: &[&str]) -> Result<HashSet<String>> {
        let rows = self.admin.query(query, &[&self.people.organization_id, &ids]).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// Those of these rows that nobody has deleted or changed, and that are so.
    async fn living(&self, table: &str, rows: &[Value], condition: &str) -> Result<Vec<Value>> {
        let ids: Vec<&str> = rows.iter().filter_map(|row| row["id"].as_str()).collect();
        let query = format!(
            "SELECT id::text FROM {table}
              WHERE organization_id = $1::text::uuid AND id = ANY ($2::text[]::uuid[]) AND deleted_at IS NULL AND version = 1
                AND {condition}"
        );
        let found = self.found(&query, &ids).await?;
        Ok(rows.iter().filter(|row| row["id"].as_str().is_some_and(|id| found.contains(id))).cloned().collect())
    }

    /// Of June 2026, the newest in the public series; see docs/DEMO-DATA.md.
    async fn set_rates(&self) -> Result<()> {
        let rates = json!([{"currency": "EUR", "valid_on": "2026-06-01", "rate": "1.15154307"},
                           {"currency": "JPY", "valid_on": "2026-06-01", "rate": "0.00622007"}]);
        let rates: Vec<NewExchangeRate> = serde_json::from_value(rates)?;
        PgExchangeRates::new(self.door.db()).set(&self.door.context(), &rates).await.map_err(shown_once)?;
        Ok(())
    }

    /// Stages keep what somebody has said of them already.
    async fn let_rot(&self) -> Result<()> {
        let (pipelines, context) = (PgPipelines::new(self.door.db()), self.door.context());
        let list = pipelines.list(&context).await.map_err(shown_once)?;
        let default = list.data.into_iter().find(|pipeline| pipeline.is_default).context("no pipeline is the default")?;
        let stage = |stage: crm_deals::Stage| {
            let rots = ROTTING.iter().find(|(key, _)| *key == stage.key).map(|(_, days)| *days);
            crm_deals::NewStage {
                rotting_days: stage.rotting_days.or(rots),
                key: stage.key,
                label: stage.label,
                outcome: stage.outcome,
                probability: Some(stage.probability),
                forecast_category: stage.forecast_category,
            }
        };
        let stages = Some(default.stages.into_iter().map(stage).collect());
        let changes = PipelineChanges { stages, ..PipelineChanges::default() };
        pipelines.update(&context, default.id, &Expected::Any, &changes).await.map_err(shown_once)?;
        Ok(())
    }

    /// Those of the files that are missing, by their numbers: name and id of each.
    async fn add_products(&self) -> Result<Vec<(String, String)>> {
        let (service, context) = (PgProducts::new(self.door.db()), self.door.context());
        let mut products = Vec::new();
        for product in &self.data.products {
            let sku = product.name.to_uppercase().replace(' ', "-");
            let query = "SELECT id::text FROM crm_products
                          WHERE organization_id = $1::text::uuid AND sku = ANY ($2::text[]) AND deleted_at IS NULL";
            let present = self.found(query, &[&sku]).await?.into_iter().next();
            let id = match present {
                Some(id) => id,
                None => {
                    let new = json!({"name": product.name, "sku": sku, "description": format!("{} series", product.series),
                                     "unit_price": format!("{}.00", product.sales_price), "currency": "USD"});
                    service.create(&context, serde_json::from_value(new)?).await.map_err(shown_once)?.id.to_string()
                }
            };
            products.push((product.name.clone(), id));
        }
        Ok(products)
    }

    /// Everybody whom the campaign could reach, and how far each has come; then it is over.
    async fn add_members(&self, tx: &mut Tx) -> Result<usize> {
        let query = "SELECT contact.id::text FROM crm_contacts AS contact
                       JOIN crm_campaigns AS campaign USING (organization_id)
                      WHERE organization_id = $1::text::uuid AND campaign.id = ANY ($2::text[]::uuid[]) AND campaign.status = 'active'
                        AND campaign.deleted_at IS NULL AND contact.deleted_at IS NULL AND contact.email LIKE '%.example'";
        let id = campaign_id();
        let mut contacts: Vec<String> = self.found(query, &[&id.to_string()]).await?.into_iter().collect();
        contacts.sort();
        if contacts.is_empty() {
            return Ok(0);
        }
        let members: Vec<ContactId> = contacts.iter().map(|id| Ok(id.parse()?)).collect::<Result<_>>()?;
        let added = crm_campaigns::within::add_contacts(tx, id, &members).await.map_err(shown_once)?;
        for (contact, name) in members.iter().zip(&contacts) {
            let status = REACHED.get(ids::draw("reached", name, REACHED.len())).copied();
            let changes = CampaignContactChanges { status };
            crm_campaigns::within::update_member(tx, id, *contact, &Expected::Any, &changes).await.map_err(shown_once)?;
        }
        let over = serde_json::from_value(json!({"status": "completed"}))?;
        crm_campaigns::within::update(tx, id, &Expected::Any, &over).await.map_err(shown_once)?;
        Ok(added.added)
    }

    /// What was offered to a company and what the last won ones sold: one of the product, at the price of the deal.
    async fn add_lines(&self, tx: &mut Tx, products: &[(String, String)], deals: &[Value]) -> Result<usize> {
        let mut count = 0;
        for deal in deals {
            let is_open = deal["stage"] == "prospecting" && deal["company_id"].is_string();
            let is_recent = deal["stage"] == "closed_won" && deal["actual_close_date"].as_str() >= Some(LINES_FROM);
            let product = products.iter().find(|(name, _)| deal.pointer("/custom_fields/product") == Some(&json!(name)));
            let (true, Some((_, product)), Some(price)) = (is_open || is_recent, product, deal["amount"].as_str()) else {
                continue;
            };
            let lines = json!({"data": [{"product_id": product, "quantity": "1", "unit_price": price}]});
            let lines: LineItemsRequest = serde_json::from_value(lines)?;
            let id: DealId = text(deal, "id")?.parse()?;
            crm_deals::within::replace_line_items(tx, id, &Expected::Any, &lines).await.map_err(shown_once)?;
            count += 1;
        }
        Ok(count)
    }

    /// Of the largest of the last won deals, each from its deal. Gives their ids.
    async fn add_projects(&self, tx: &mut Tx, deals: &[Value]) -> Result<Vec<(String, Value)>> {
        let mut made = Vec::new();
        for (project, deal) in texts::projects(self.people, deals)? {
            let id: DealId = text(&deal, "id")?.parse()?;
            let key = text(&project, "id")?.to_owned();
            let has_begun =
                project.get("start_date").and_then(Value::as_str) <= Some(moment(self.people, 0, 0).date().to_string().as_str());
            let made_now =
                crm_projects::within::create_of_deal(tx, id, serde_json::from_value(project)?).await.map_err(shown_once)?;
            if has_begun {
                let begun = serde_json::from_value(json!({"project_status": "in_progress"}))?;
                crm_projects::within::update(tx, made_now.id, &Expected::Any, &begun).await.map_err(shown_once)?;
            }
            made.push((key, deal));
        }
        Ok(made)
    }
}

pub fn text<'v>(row: &'v Value, key: &str) -> Result<&'v str> {
    row[key].as_str().with_context(|| format!("a row of the demo has no {key}"))
}

fn typed<T: DeserializeOwned>(rows: &[Value]) -> Result<Vec<T>> {
    rows.iter().map(|row| Ok(serde_json::from_value(row.clone())?)).collect()
}

/// A moment of the day of the seeding, so many days later.
pub fn moment(people: &People, days: i64, hour: i64) -> OffsetDateTime {
    people.seeded_at.replace_time(time::Time::MIDNIGHT) + Duration::days(days) + Duration::hours(hour)
}
