//! What becomes of each account and each opportunity: rows for the import, keys as the columns are called.
//!
//! Must stay true: nothing is invented. What the files do not say stays empty; what is derived follows a rule that
//! docs/DEMO-DATA.md states.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result};
use crm_kernel::{Date, Timestamp, slug::slugify};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use crate::seed::data::{Account, Data, Opportunity, SourceStage};
use crate::seed::ids;
use crate::seed::people::People;

/// The files and the people, with what both nouns ask again and again found once.
pub struct Records<'a> {
    data: &'a Data,
    people: &'a People,
    /// By account; those without one are not in it.
    dealings: HashMap<&'a str, Vec<&'a Opportunity>>,
}

impl<'a> Records<'a> {
    pub fn new(data: &'a Data, people: &'a People) -> Self {
        let mut dealings: HashMap<&str, Vec<&Opportunity>> = HashMap::new();
        for opportunity in &data.opportunities {
            if let Some(account) = &opportunity.account {
                dealings.entry(account).or_default().push(opportunity);
            }
        }
        Self { data, people, dealings }
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
        let ids = self.company_ids();
        let mut opportunities: Vec<&Opportunity> = self.data.opportunities.iter().collect();
        opportunities.sort_by_key(|opportunity| self.created_at(opportunity));
        opportunities.into_iter().map(|opportunity| self.deal(&ids, opportunity)).collect()
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

    fn deal(&self, ids: &HashMap<&str, String>, opportunity: &Opportunity) -> Result<Value> {
        let created_at = self.created_at(opportunity);
        let (stage, probability) = stage(opportunity.deal_stage);
        let agent = self.people.id_of(&opportunity.sales_agent)?;
        Ok(json!({
            "id": ids::of("deal", &opportunity.opportunity_id, created_at).to_string(),
            "name": name(opportunity),
            "company_id": opportunity.account.as_deref().map(|account| known(ids, account)).transpose()?,
            "amount": opportunity.close_value,
            "currency": "USD",
            "stage": stage,
            "probability": probability,
            "actual_close_date": opportunity.close_date,
            "owner_id": agent,
            "created_by_id": agent,
            "custom_fields": custom_fields(self.data, opportunity)?,
            "created_at": Timestamp(created_at),
            "updated_at": Timestamp(opportunity.close_date.map_or(created_at, midnight)),
        }))
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
    // The list price is what the seller may hope for, not what was agreed: it must not enter sums of amounts.
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
