//! Making contacts members of a campaign, many at a time: named by their ids, or as the audience that a filter of contacts describes.
//!
//! Must stay true: adding is one statement for each step, whoever is a member already stays as they are, and nobody who opted out is
//! added (the guard of the database holds that while they opt out); each step is a transaction of its own, so that nobody who opts out
//! waits longer than one takes.

use std::collections::{HashMap, HashSet};

use crm_kernel::{CampaignId, ContactId, Error, Field, Filter, Result};
use crm_tenancy::{Counted, Expect, Matching, Tx, cost};
use diesel::{ExpressionMethods, Insertable, IntoSql, QueryDsl, dsl::not, sql_types};
use diesel_async::RunQueryDsl;
use serde::{Deserialize, Serialize};

use crate::{
    member_store::MEMBER,
    schema::{crm_campaign_contacts as members, q_contacts},
    store,
};

/// How many contacts one call adds at most.
pub const MOST_ADDED: i64 = 100_000;
/// How many contacts may be named by their ids.
pub const MOST_IDS: usize = 1_000;
/// How many contacts one step adds; how long it holds them is measured in the README.
pub const STEP: usize = 2_000;
/// Ids that are named for one reason.
const NAMED: usize = 10;

type Contacts<'a> = q_contacts::BoxedQuery<'a, diesel::pg::Pg>;

/// Whom a filter of contacts describes.
#[derive(Debug, Clone)]
pub struct Audience {
    /// The filter, in the words of contacts.
    pub filter: Filter,
    /// The fields of contacts: a refusal of what would cost too much says which of them have an index.
    pub fields: &'static [Field],
}

/// What became of the contacts that were to be added.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct MembersAdded {
    /// How many are members now that were not.
    pub added: usize,
    /// How many were members already; they stay as they are.
    pub already_members: usize,
    /// How many opted out: they are not added, and unsubscribed where they are a member from before.
    pub opted_out: usize,
    /// How many are no living contacts of the organisation.
    pub not_found: usize,
    /// The first ten of those that opted out.
    pub opted_out_ids: Vec<ContactId>,
    /// The first ten of those that were not found.
    pub not_found_ids: Vec<ContactId>,
}

impl MembersAdded {
    /// Together with what became of others.
    pub fn and(&mut self, others: Self) {
        self.added += others.added;
        self.already_members += others.already_members;
        self.opted_out += others.opted_out;
        self.not_found += others.not_found;
        let named = |ids: &mut Vec<ContactId>, more: Vec<ContactId>| {
            ids.extend(more);
            ids.truncate(NAMED);
        };
        named(&mut self.opted_out_ids, others.opted_out_ids);
        named(&mut self.not_found_ids, others.not_found_ids);
    }
}

/// How many contacts the audience has, counted up to one more than may be added. What would read too much is refused.
pub(crate) async fn size(tx: &mut Tx, audience: &Audience) -> Result<i64> {
    let rows = |tx: &Tx| described(tx, audience).select(q_contacts::id).limit(MOST_ADDED + 1);
    let condition = audience.filter.condition();
    let statement = Counted(rows(tx));
    cost::require_affordable(tx, audience.fields, &condition, statement).await?;
    let size = Counted(rows(tx)).get_result(tx).await.expect_any(MEMBER)?;
    if size > MOST_ADDED {
        let message = format!("more than {MOST_ADDED} contacts match: narrow the filter");
        return Err(Error::invalid("/filter", "too_many", message));
    }
    Ok(size)
}

/// Adds the contacts of the audience that come next behind `after`, and says behind whom to go on: behind nobody when it was the last step.
pub(crate) async fn step(
    tx: &mut Tx,
    campaign: CampaignId,
    audience: &Audience,
    after: Option<ContactId>,
) -> Result<(MembersAdded, Option<ContactId>)> {
    let rows = described(tx, audience);
    let rows = match after {
        Some(after) => rows.filter(q_contacts::id.lt(after)),
        None => rows,
    };
    let next = rows.select(q_contacts::id).order(q_contacts::id.desc()).limit(i64::try_from(STEP).unwrap_or(i64::MAX));
    let contacts: Vec<ContactId> = next.load(tx).await.expect_any(MEMBER)?;
    let added = add(tx, campaign, &contacts).await?;
    Ok((added, contacts.last().copied().filter(|_| contacts.len() == STEP)))
}

/// Adds these contacts.
pub(crate) async fn add(tx: &mut Tx, campaign: CampaignId, contacts: &[ContactId]) -> Result<MembersAdded> {
    store::require_changeable(tx, campaign).await?;
    let mut seen = HashSet::new();
    let asked: Vec<ContactId> = contacts.iter().copied().filter(|id| seen.insert(*id)).collect();
    if asked.is_empty() {
        return Ok(MembersAdded::default());
    }
    let chosen = living(tx)
        .filter(q_contacts::id.eq_any(&asked))
        .filter(not(q_contacts::opted_out))
        .select((campaign.into_sql::<sql_types::Uuid>(), q_contacts::id));
    let added: HashSet<ContactId> = chosen
        .insert_into(members::table)
        .into_columns((members::campaign_id, members::contact_id))
        .on_conflict_do_nothing()
        .returning(members::contact_id)
        .get_results(tx)
        .await
        .expect_any(MEMBER)?
        .into_iter()
        .collect();
    let left: Vec<ContactId> = asked.into_iter().filter(|id| !added.contains(id)).collect();
    let mut result = MembersAdded { added: added.len(), ..MembersAdded::default() };
    if !left.is_empty() {
        result.and(left_out(tx, &left).await?);
    }
    Ok(result)
}

/// Why these were not added: asked behind the change, so that it tells of those too who opted out meanwhile. Who is there and did not opt
/// out was a member already. Not asked of the members: by then they may be a hundred times as many as these.
async fn left_out(tx: &mut Tx, left: &[ContactId]) -> Result<MembersAdded> {
    let found = living(tx).filter(q_contacts::id.eq_any(left)).select((q_contacts::id, q_contacts::opted_out));
    let found: HashMap<ContactId, bool> = found.load::<(ContactId, bool)>(tx).await.expect_any(MEMBER)?.into_iter().collect();
    let mut result = MembersAdded::default();
    for id in left {
        match found.get(id) {
            Some(false) => result.already_members += 1,
            Some(true) => result.and(MembersAdded { opted_out: 1, opted_out_ids: vec![*id], ..MembersAdded::default() }),
            None => result.and(MembersAdded { not_found: 1, not_found_ids: vec![*id], ..MembersAdded::default() }),
        }
    }
    Ok(result)
}

fn living<'a>(tx: &Tx) -> Contacts<'a> {
    let own = q_contacts::table.filter(q_contacts::organization_id.eq(tx.organization_id()));
    own.filter(q_contacts::deleted_at.is_null()).into_boxed()
}

fn described<'a>(tx: &Tx, audience: &Audience) -> Contacts<'a> {
    living(tx).filter(Matching::new(tx, "q_contacts", &audience.filter.condition()))
}
