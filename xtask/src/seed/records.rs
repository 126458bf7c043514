//! What becomes of each account and each opportunity: rows for the import, keys as the columns are called.
//!
//! Must stay true: stages, owners, dates and what was earned are those of the files; what is derived follows a rule that
//! docs/DEMO-DATA.md states.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result};
use crm_kernel::{Date, Timestamp, slug::slugify};
use serde_json::{Map, Value, json};
use time::macros::date;
use time::{Duration, OffsetDateTime};

use crate::seed::data::{Account, Data, Opportunity, SourceStage};
use crate::seed::people::People;
use crate::seed::{contacts, ids, work};

/// The product that the demo's campaign is about, and when it ran.
const CAMPAIGN_PRODUCT: &str = "GTX Plus Pro";
const CAMPAIGN_BEGAN: time::Date = date!(2017 - 09 - 01);
const CAMPAIGN_ENDED: time::Date = date!(2017 - 10 - 31);
/// Of its product's deals of that time every so many-th came of it.
const CAMPAIGN_SHARE: usize = 4;

/// The files and the people, with what both nouns ask again and again found once.
pub struct Records<'a> {
    data: &'a Data,
    people: &'a People,
    /// By account; those without one are not in it.
    dealings: HashMap<&'a str, Vec<&'a Opportunity>>,
    /// How long each of those that were won or lost has taken.
    closing_days: Vec<Duration>,
}

impl<'a> Records<'a> {
    pub fn new(data: &'a Data, people: &'a People) -> Self {
        let mut dealings: HashMap<&str, Vec<&Opportunity>> = HashMap::new();
        for opportunity in &data.opportunities {
            if let Some(account) = &opportunity.account {
                dealings.entry(account).or_default().push(opportunity);
            }
        }
        let took = |each: &Opportunity| Some(each.close_date?.0 - each.engage_date?.0);
        let closing_days = data.opportunities.iter().filter_map(took).collect();
        Self { data, people, dealings, closing_days }
    }

    /// Every account as a company, those without a parent first.
    pub fn companies(&self) -> Result<Vec<Value>> {
        let ids = self.company_ids();
        let mut accounts: Vec<&Account> = self.data.accounts.iter().collect();
        accounts.sort_by_key(|account| account.subsidiary_of.is_some());
        accounts.into_iter().map(|account| self.company(&ids, account)).collect()
    }

    /// Every opportunity as a deal, oldest first, so that the log tells them in that order too.
    pub fn deals(&self) -> Result<Vec<Value>> {
        let companies: HashMap<String, Value> =
            self.companies()?.into_iter().filter_map(|row| Some((row.get("name")?.as_str()?.to_owned(), row))).collect();
        let mut opportunities: Vec<&Opportunity> = self.data.opportunities.iter().collect();
        opportunities.sort_by_key(|opportunity| self.created_at(opportunity));
        opportunities.into_iter().map(|opportunity| self.deal(&companies, opportunity)).collect()
    }

    fn company_ids(&self) -> HashMap<&'a str, String> {
        let id = |account: &Account| ids::of("company", &account.name, self.first_contact(account)).to_string();
        self.data.accounts.iter().map(|account| (account.name.as_str(), id(account))).collect()
    }

    fn company(&self, ids: &HashMap<&str, String>, account: &Account) -> Result<Value> {
        let dealings = self.dealings_with(account);
        Ok(json!({
            "id": known(ids, &account.name)?,
            "name": account.name,
            "slug": slugify(&account.name, "company"),
            "industry": account.sector,
            "company_size": company_size(account.employees),
            "billing_address": {"country": account.country()?},
            "annual_revenue": account.revenue()?.to_plain_string(),
            "employee_count": account.employees,
            "company_status": company_status(dealings),
            "parent_id": account.subsidiary_of.as_deref().map(|parent| known(ids, parent)).transpose()?,
            "owner_id": self.people.id_of(main_agent(dealings).with_context(|| format!("nobody deals with {}", account.name))?)?,
            "custom_fields": {"year_established": account.year_established},
            "created_at": Timestamp(self.first_contact(account)),
        }))
    }

    fn deal(&self, companies: &HashMap<String, Value>, opportunity: &Opportunity) -> Result<Value> {
        let company = opportunity.account.as_deref();
        let company = company.map(|account| companies.get(account).with_context(|| format!("no account is called {account}")));
        let company = company.transpose()?;
        let created_at = self.created_at(opportunity);
        let (stage, probability) = stage(opportunity.deal_stage);
        let agent = self.people.id_of(&opportunity.sales_agent)?;
        Ok(json!({
            "id": ids::of("deal", &opportunity.opportunity_id, created_at).to_string(),
            "name": name(opportunity),
            "company_id": company.map(|company| &company["id"]),
            "primary_contact_id": company.map(|company| contacts::buyer(company, &opportunity.opportunity_id)).transpose()?,
            "campaign_id": came_of_campaign(opportunity).then(|| work::campaign_id().to_string()),
            "amount": self.amount(opportunity)?,
            "currency": "USD",
            "stage": stage,
            "probability": probability,
            "expected_close_date": self.expected_close_date(opportunity)?,
            "actual_close_date": opportunity.close_date,
            "owner_id": agent,
            "created_by_id": agent,
            "custom_fields": custom_fields(self.data, opportunity)?,
            "created_at": Timestamp(created_at),
            "updated_at": Timestamp(opportunity.close_date.map_or(created_at, midnight)),
        }))
    }

    /// What was earned, or what is asked for: who is prospecting has sent an offer at the list price.
    fn amount(&self, opportunity: &Opportunity) -> Result<Option<String>> {
        if opportunity.deal_stage == SourceStage::Prospecting {
            return Ok(Some(format!("{}.00", self.data.list_price(&opportunity.product)?)));
        }
        Ok(opportunity.close_value.clone())
    }

    /// As many days after it began as one of the closed opportunities, drawn by chance, has taken. Where the files say when it began,
    /// nobody has said when it would end.
    fn expected_close_date(&self, opportunity: &Opportunity) -> Result<Option<Date>> {
        if opportunity.deal_stage != SourceStage::Prospecting {
            return Ok(None);
        }
        let place = ids::draw("model", &opportunity.opportunity_id, self.closing_days.len());
        let days = self.closing_days.get(place).context("no opportunity was ever closed")?;
        let day = self.people.seeded_at.date().checked_add(*days).context("beyond all dates")?;
        Ok(Some(Date(day)))
    }

    fn created_at(&self, opportunity: &Opportunity) -> OffsetDateTime {
        opportunity.engage_date.map_or(self.people.seeded_at, midnight)
    }

    /// The first engagement with the account, so that no company is younger than its deals.
    fn first_contact(&self, account: &Account) -> OffsetDateTime {
        let dates = self.dealings_with(account).iter().filter_map(|opportunity| opportunity.engage_date);
        dates.min().map_or(self.people.seeded_at, midnight)
    }

    fn dealings_with(&self, account: &Account) -> &[&'a Opportunity] {
        self.dealings.get(account.name.as_str()).map(Vec::as_slice).unwrap_or_default()
    }
}

fn came_of_campaign(opportunity: &Opportunity) -> bool {
    let engaged = opportunity.engage_date.is_some_and(|date| (CAMPAIGN_BEGAN..=CAMPAIGN_ENDED).contains(&date.0));
    engaged && opportunity.product == CAMPAIGN_PRODUCT && ids::draw("campaign", &opportunity.opportunity_id, CAMPAIGN_SHARE) == 0
}

fn known<'b>(ids: &'b HashMap<&str, String>, account: &str) -> Result<&'b str> {
    ids.get(account).map(String::as_str).with_context(|| format!("no account is called {account}"))
}

/// Stage and probability, as the pipeline that every organisation begins with has them.
fn stage(source: SourceStage) -> (&'static str, u8) {
    match source {
        SourceStage::Prospecting => ("prospecting", 10),
        SourceStage::Engaging => ("qualification", 25),
        SourceStage::Won => ("closed_won", 100),
        SourceStage::Lost => ("closed_lost", 0),
    }
}

fn name(opportunity: &Opportunity) -> String {
    match &opportunity.account {
        Some(account) => format!("{} for {account}", opportunity.product),
        None => format!("{} (no account yet)", opportunity.product),
    }
}

fn custom_fields(data: &Data, opportunity: &Opportunity) -> Result<Value> {
    let mut fields = Map::new();
    fields.insert("opportunity_id".into(), json!(opportunity.opportunity_id));
    fields.insert("product".into(), json!(opportunity.product));
    if let Some(date) = opportunity.engage_date {
        fields.insert("engaged_on".into(), json!(date));
    }
    // The list price is what the seller may hope for, not what was agreed: it is not an amount until it was offered.
    if opportunity.close_value.is_none() {
        fields.insert("expected_amount".into(), json!(format!("{}.00", data.list_price(&opportunity.product)?)));
    }
    Ok(Value::Object(fields))
}

fn midnight(date: Date) -> OffsetDateTime {
    date.0.midnight().assume_utc()
}

fn company_status(dealings: &[&Opportunity]) -> &'static str {
    if dealings.iter().any(|opportunity| opportunity.deal_stage == SourceStage::Won) {
        return "customer";
    }
    if dealings.is_empty() { "lead" } else { "prospect" }
}

fn company_size(employees: i32) -> &'static str {
    match employees {
        ..50 => "startup",
        50..250 => "small",
        250..1000 => "medium",
        _ => "enterprise",
    }
}

/// The agent with the most of these opportunities; of several, the first by name.
fn main_agent<'a>(dealings: &[&'a Opportunity]) -> Option<&'a str> {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for opportunity in dealings {
        *counts.entry(&opportunity.sales_agent).or_default() += 1;
    }
    counts.into_iter().min_by_key(|(_, count)| Reverse(*count)).map(|(agent, _)| agent)
}
