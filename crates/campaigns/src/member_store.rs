//! Every SQL statement about one member of a campaign, and about lists of them. Many are added in `audience.rs`.
//!
//! Must stay true: a member is unsubscribed by its contact's opting out and in no other way, the contact before its members: so whoever
//! opts out and whoever unsubscribes wait for each other, and never both.

use crm_kernel::{CampaignContactId, CampaignId, ContactId, Error, Expected, Filter, ListQuery, Result, page::COUNT_BOUND};
use crm_tenancy::{Counted, Entity, Expect, Matching, Tx, cost, seek_id};
use diesel::{ExpressionMethods, QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;

use crate::{
    fields::{MEMBER_FIELDS, MEMBER_VIEW},
    member::{CampaignContact, CampaignContactChanges, MemberStatus},
    schema::{crm_campaign_contacts as members, q_campaign_contacts as q_members},
    store,
};

pub(crate) const MEMBER: Entity = Entity { name: "campaign member", table: "crm_campaign_contacts" };

/// How many members one statement takes away.
const STEP: i64 = 5_000;

type Rows<'a> = q_members::BoxedQuery<'a, diesel::pg::Pg>;

diesel::define_sql_function! {
    /// Opts the contact of a member out, if there is such a member.
    #[sql_name = "app.unsubscribe_member"]
    fn unsubscribe_member(campaign: diesel::sql_types::Uuid, contact: diesel::sql_types::Uuid) -> diesel::sql_types::Bool;
}

pub(crate) async fn get(tx: &mut Tx, campaign: CampaignId, contact: ContactId) -> Result<CampaignContact> {
    let this = everything(tx).filter(q_members::campaign_id.eq(campaign)).filter(q_members::contact_id.eq(contact));
    this.select(CampaignContact::as_select()).first(tx).await.expect_one(MEMBER)
}

/// Up to one member more than the page holds.
pub(crate) async fn list(tx: &mut Tx, query: &ListQuery) -> Result<Vec<CampaignContact>> {
    cost::settle(tx, MEMBER_FIELDS, query, |tx, query| Ok(ordered(tx, query))).await?;
    ordered(tx, query).select(CampaignContact::as_select()).load(tx).await.expect_any(MEMBER)
}

pub(crate) async fn count(tx: &mut Tx, query: &ListQuery) -> Result<i64> {
    let rows = |tx: &Tx| narrowed(tx, &query.filter).select(q_members::id).limit(COUNT_BOUND + 1);
    cost::settle(tx, MEMBER_FIELDS, query, |tx, _| Ok(Counted(rows(tx)))).await?;
    Counted(rows(tx)).get_result(tx).await.expect_any(MEMBER)
}

/// Changes a member whose version is expected; otherwise says why not.
pub(crate) async fn update(
    tx: &mut Tx,
    campaign: CampaignId,
    contact: ContactId,
    expected: &Expected,
    changes: &CampaignContactChanges,
) -> Result<CampaignContact> {
    let seen = get(tx, campaign, contact).await?;
    store::require_changeable(tx, campaign).await?;
    let next = changes.status.unwrap_or(seen.status);
    if next == MemberStatus::Unsubscribed && seen.status != next {
        if !expected.accepts(seen.version) {
            return Err(Error::Stale(MEMBER.name));
        }
        let unsubscribed = diesel::select(unsubscribe_member(campaign, contact)).get_result::<bool>(tx).await;
        unsubscribed.expect_any(MEMBER)?;
        let after = get(tx, campaign, contact).await?;
        // Somebody changed it between the two looks, which is well unless this was not to happen.
        let is_as_expected = expected.is_any() || after.version == seen.version + 1;
        return if is_as_expected { Ok(after) } else { Err(Error::Stale(MEMBER.name)) };
    }
    let this = members::table.find((tx.organization_id(), seen.id));
    let columns = (members::status, members::version);
    let (status, version): (MemberStatus, i32) = this.select(columns).for_no_key_update().first(tx).await.expect_one(MEMBER)?;
    if !expected.accepts(version) {
        return Err(Error::Stale(MEMBER.name));
    }
    if !status.may_become(next) {
        let message = format!("a member that is {status} does not become {next}");
        return Err(Error::invalid("/status", "member_status_order", message));
    }
    diesel::update(this).set(members::status.eq(next)).execute(tx).await.expect_any(MEMBER)?;
    get(tx, campaign, contact).await
}

/// Takes up to one step of the members that match out of the campaign, and says how many they were and whether there may be more.
pub(crate) async fn remove(tx: &mut Tx, campaign: CampaignId, filter: &Filter) -> Result<(usize, bool)> {
    store::require_changeable(tx, campaign).await?;
    let rows = |tx: &Tx| narrowed(tx, filter).filter(q_members::campaign_id.eq(campaign)).select(q_members::id);
    let statement = rows(tx).order(q_members::id).limit(STEP);
    cost::require_affordable(tx, MEMBER_FIELDS, &filter.condition(), statement).await?;
    let found: Vec<CampaignContactId> = rows(tx).order(q_members::id).limit(STEP).load(tx).await.expect_any(MEMBER)?;
    let own = members::table.filter(members::organization_id.eq(tx.organization_id()));
    let gone = diesel::delete(own.filter(members::id.eq_any(&found))).execute(tx).await.expect_any(MEMBER)?;
    Ok((gone, i64::try_from(found.len()).unwrap_or(STEP) >= STEP))
}

fn ordered<'a>(tx: &Tx, query: &ListQuery) -> Rows<'a> {
    seek_id!(narrowed(tx, &query.filter), query, q_members::id).limit(i64::from(query.limit) + 1)
}

fn everything<'a>(tx: &Tx) -> Rows<'a> {
    q_members::table.filter(q_members::organization_id.eq(tx.organization_id())).into_boxed()
}

fn narrowed<'a>(tx: &Tx, filter: &Filter) -> Rows<'a> {
    everything(tx).filter(Matching::new(tx, MEMBER_VIEW, &filter.condition()))
}
