//! Related records embedded in an answer: `include=company,owner`.
//!
//! Domain crates do not know each other, so this is where their records meet.
//! Must stay true: one call per relation for the whole page, never one per row; a deleted parent is shown as deleted; a token that
//! may not read the related records gets no answer with them in it.

use std::collections::{HashMap, HashSet};

use crm_kernel::{Context, Result};
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{caller::Caller, services::Services};

/// A way from one record to another.
#[derive(Debug, Clone, Copy)]
pub struct Relation {
    /// What it is called, in `include` and in the answer.
    pub name: &'static str,
    /// The field that holds the id.
    pub key: &'static str,
    /// What is there.
    pub target: Target,
}

/// What a relation leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A company.
    Company,
    /// A contact.
    Contact,
    /// A deal.
    Deal,
    /// A campaign.
    Campaign,
    /// A member of the organisation.
    Member,
}

impl Target {
    /// What the policy and narrowed tokens call it.
    #[must_use]
    pub fn entity(self) -> &'static str {
        match self {
            Self::Company => "company",
            Self::Contact => "contact",
            Self::Deal => "deal",
            Self::Campaign => "campaign",
            Self::Member => "member",
        }
    }
}

/// Puts the related record, or null, under the relation's name in every record.
///
/// # Errors
/// `Forbidden` when the caller's token may not read them, and those of the service that holds the related records.
pub async fn embed(services: &Services, caller: &Caller, relation: &Relation, records: &mut [Map<String, Value>]) -> Result<()> {
    let id_of =
        |record: &Map<String, Value>| record.get(relation.key).and_then(Value::as_str).and_then(|text| text.parse::<Uuid>().ok());
    let ids: HashSet<Uuid> = records.iter().filter_map(id_of).collect();
    may_read(services, caller, relation.target, &ids)?;
    let found = if ids.is_empty() { HashMap::new() } else { fetch(services, &caller.context, relation.target, &ids).await? };
    for record in records {
        let related = id_of(record).and_then(|id| found.get(&id).cloned()).unwrap_or(Value::Null);
        record.insert(relation.name.to_owned(), related);
    }
    Ok(())
}

/// One by one only where the token speaks of single records.
fn may_read(services: &Services, caller: &Caller, target: Target, ids: &HashSet<Uuid>) -> Result<()> {
    if caller.reach().is_by_record() {
        return ids.iter().try_for_each(|id| caller.may_read(services, target.entity(), Some(*id)));
    }
    caller.may_read(services, target.entity(), None)
}

async fn fetch(services: &Services, context: &Context, target: Target, ids: &HashSet<Uuid>) -> Result<HashMap<Uuid, Value>> {
    match target {
        Target::Company => {
            let ids: Vec<_> = ids.iter().copied().map(crm_kernel::CompanyId).collect();
            by_id(services.companies.get_many(context, &ids).await?, |company| company.id.uuid())
        }
        Target::Contact => {
            let ids: Vec<_> = ids.iter().copied().map(crm_kernel::ContactId).collect();
            by_id(services.contacts.get_many(context, &ids).await?, |contact| contact.id.uuid())
        }
        Target::Deal => {
            let ids: Vec<_> = ids.iter().copied().map(crm_kernel::DealId).collect();
            by_id(services.deals.get_many(context, &ids).await?, |deal| deal.id.uuid())
        }
        Target::Campaign => {
            let ids: Vec<_> = ids.iter().copied().map(crm_kernel::CampaignId).collect();
            by_id(services.campaigns.get_many(context, &ids).await?, |campaign| campaign.id.uuid())
        }
        Target::Member => {
            let ids: Vec<_> = ids.iter().copied().map(crm_kernel::UserId).collect();
            by_id(services.members.get_many(context, &ids).await?, |member| member.user_id.uuid())
        }
    }
}

fn by_id<T: Serialize>(records: Vec<T>, id: fn(&T) -> Uuid) -> Result<HashMap<Uuid, Value>> {
    let pair = |record: T| Ok((id(&record), serde_json::to_value(&record).map_err(crm_kernel::Error::internal)?));
    records.into_iter().map(pair).collect()
}
