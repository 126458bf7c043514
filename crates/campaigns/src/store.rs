//! Every SQL statement about campaigns. Private to this crate.
//!
//! Must stay true: each statement names the organisation, although the database confines it anyway, so that the planner
//! knows its tenant; reads that filter go through q_campaigns, where every operator may use its index; what is judged before
//! it is changed is held (locked) first, so that what was judged is what is changed.

use std::collections::HashMap;

use crm_kernel::{
    CampaignId, Date, Deleted, Error, Expected, ListQuery, Money, OrganizationId, Position, Result, Timestamp,
    page::{COUNT_BOUND, CUSTOM_SORT},
};
use crm_tenancy::{
    Counted, Entity, Expect, Limited, Matching, Standing, Tx, cost,
    custom_fields::{in_rank, ranked},
    patched, seek,
    seek::{NoDate, Phase},
    seek_id, seek_nullable,
};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, IntoSql, NullableExpressionMethods, OptionalExtension, QueryDsl, Queryable,
    Selectable, SelectableHelper, dsl::now, sql_types::Bool,
};
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};

use crate::{
    fields::{FIELDS, VIEW},
    model::{Campaign, CampaignChanges, CampaignStatus, NewCampaign},
    schema::{crm_campaigns as campaigns, organizations, q_campaigns},
};

pub(crate) const CAMPAIGN: Entity = Entity { name: "campaign", table: "crm_campaigns" };
const ORGANIZATION: Entity = Entity { name: "organization", table: "organizations" };

type Rows<'a> = q_campaigns::BoxedQuery<'a, diesel::pg::Pg>;

/// A campaign beside the organisation's currency, in which its amounts are.
type Found = (Campaign, Option<String>);

/// What decides about a change of a campaign, locked until the transaction ends.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = campaigns, check_for_backend(diesel::pg::Pg))]
pub(crate) struct Held {
    pub(crate) status: CampaignStatus,
    pub(crate) start_date: Option<Date>,
    pub(crate) end_date: Option<Date>,
    version: i32,
}

#[diesel::dsl::auto_type(no_type_alias)]
fn own_currency(organization: OrganizationId) -> _ {
    organizations::table.filter(organizations::id.eq(organization)).select(organizations::default_currency).single_value()
}

fn shown((campaign, currency): Found) -> Campaign {
    campaign.shown(currency.as_deref().unwrap_or_default())
}

pub(crate) async fn get(tx: &mut Tx, id: CampaignId) -> Result<Campaign> {
    let living = everything(tx).filter(q_campaigns::id.eq(id)).filter(q_campaigns::deleted_at.is_null());
    let found = living.select((Campaign::as_select(), own_currency(tx.organization_id()))).first(tx).await;
    found.expect_one(CAMPAIGN).map(shown)
}

pub(crate) async fn get_with_deleted(tx: &mut Tx, id: CampaignId) -> Result<Campaign> {
    let all = everything(tx).filter(q_campaigns::id.eq(id));
    all.select((Campaign::as_select(), own_currency(tx.organization_id()))).first(tx).await.expect_one(CAMPAIGN).map(shown)
}

pub(crate) async fn get_many(tx: &mut Tx, ids: &[CampaignId]) -> Result<Vec<Campaign>> {
    let all = everything(tx).filter(q_campaigns::id.eq_any(ids));
    let found: Vec<Found> =
        all.select((Campaign::as_select(), own_currency(tx.organization_id()))).load(tx).await.expect_any(CAMPAIGN)?;
    Ok(found.into_iter().map(shown).collect())
}

/// Up to one record more than the page holds, each with the name it may be sorted by.
pub(crate) async fn list(tx: &mut Tx, query: &ListQuery) -> Result<Vec<(Campaign, String)>> {
    let wanted = usize::from(query.limit) + 1;
    if query.custom_sort.is_some() {
        let ranks = ranked(tx, VIEW, FIELDS, query, wanted).await?;
        let ids: Vec<CampaignId> = ranks.iter().map(|rank| CampaignId(rank.id)).collect();
        return Ok(in_rank(ranks, get_many(tx, &ids).await?, |campaign| campaign.id.uuid()));
    }
    let mut found = Vec::new();
    for phase in Phase::of(query) {
        let missing = wanted - found.len();
        if missing > 0 {
            found.extend(part(tx, query, *phase, missing).await?);
        }
    }
    Ok(found)
}

async fn part(tx: &mut Tx, query: &ListQuery, phase: Phase, wanted: usize) -> Result<Vec<(Campaign, String)>> {
    let ids = |tx: &Tx, query: &ListQuery| Ok(Limited::new(ordered(tx, query, phase)?.select(q_campaigns::id), wanted));
    cost::settle(tx, FIELDS, query, ids).await?;
    let columns = (Campaign::as_select(), own_currency(tx.organization_id()), q_campaigns::name_key);
    let rows = ordered(tx, query, phase)?.select(columns);
    let found: Vec<(Campaign, Option<String>, String)> = Limited::new(rows, wanted).load(tx).await.expect_any(CAMPAIGN)?;
    Ok(found.into_iter().map(|(campaign, currency, name_key)| (shown((campaign, currency)), name_key)).collect())
}

/// The rows of one phase, in the order that was asked for.
fn ordered<'a>(tx: &Tx, query: &ListQuery, phase: Phase) -> Result<Rows<'a>> {
    let rows = narrowed(tx, query);
    let in_bin = query.deleted == Deleted::Only;
    let rows = match query.sort.field.name {
        "name" => seek!(rows, query, q_campaigns::name_key, q_campaigns::id, String),
        "start_date" => seek_nullable!(rows, query, phase, q_campaigns::start_key, NoDate, q_campaigns::id, Date),
        "end_date" => seek_nullable!(rows, query, phase, q_campaigns::end_key, NoDate, q_campaigns::id, Date),
        "budget" => seek_nullable!(rows, query, phase, q_campaigns::budget_key, i64::MAX, q_campaigns::id, i64),
        "updated_at" => {
            seek!(rows.filter(q_campaigns::in_bin.eq(in_bin)), query, q_campaigns::updated_at_key, q_campaigns::id, Timestamp)
        }
        "last_activity_at" => {
            seek!(rows.filter(q_campaigns::in_bin.eq(in_bin)), query, q_campaigns::last_activity_key, q_campaigns::id, Timestamp)
        }
        _ => seek_id!(rows, query, q_campaigns::id),
    };
    Ok(rows)
}

/// Where a record stands in the order of `field`; the key is the database's own, so that both sides compare alike.
pub(crate) fn position((campaign, name_key): &(Campaign, String), field: &str) -> Position {
    let key = match field {
        "name" => json!(name_key),
        "start_date" => json!(campaign.start_date),
        "end_date" => json!(campaign.end_date),
        "budget" => json!(campaign.budget.as_ref().map(Money::thousandths)),
        CUSTOM_SORT => serde_json::from_str(name_key).unwrap_or_default(),
        "updated_at" => json!(campaign.updated_at),
        "last_activity_at" => json!(campaign.last_activity_at),
        _ => Value::Null,
    };
    Position::new(key, campaign.id)
}

pub(crate) async fn count(tx: &mut Tx, query: &ListQuery) -> Result<i64> {
    let rows = |tx: &Tx| narrowed(tx, query).select(q_campaigns::id).limit(COUNT_BOUND + 1);
    cost::settle(tx, FIELDS, query, |tx, _| Ok(Counted(rows(tx)))).await?;
    Counted(rows(tx)).get_result(tx).await.expect_any(CAMPAIGN)
}

/// The currency of the organisation's amounts.
pub(crate) async fn currency(tx: &mut Tx) -> Result<String> {
    let own = organizations::table.filter(organizations::id.eq(tx.organization_id()));
    own.select(organizations::default_currency).first(tx).await.expect_one(ORGANIZATION)
}

pub(crate) async fn insert(tx: &mut Tx, new: &NewCampaign) -> Result<Campaign> {
    let made = diesel::insert_into(campaigns::table).values(new).returning(campaigns::id);
    let id = made.get_result(tx).await.expect_one(CAMPAIGN)?;
    get(tx, id).await
}

/// All of them with one statement, in this order. Each says its id.
pub(crate) async fn insert_all(tx: &mut Tx, new: &[NewCampaign]) -> Result<Vec<Campaign>> {
    let made: Vec<CampaignId> =
        diesel::insert_into(campaigns::table).values(new).returning(campaigns::id).get_results(tx).await.expect_any(CAMPAIGN)?;
    let mut found: HashMap<CampaignId, Campaign> =
        get_many(tx, &made).await?.into_iter().map(|campaign| (campaign.id, campaign)).collect();
    let in_order: Option<Vec<Campaign>> = new.iter().map(|new| found.remove(&new.id?)).collect();
    in_order.ok_or_else(|| Error::internal("a record that was made is not there"))
}

/// Locks a living campaign that the caller may change and whose version is expected; otherwise says why not.
pub(crate) async fn hold(tx: &mut Tx, id: CampaignId, expected: &Expected) -> Result<Held> {
    let this = campaigns::table.find((tx.organization_id(), id)).filter(campaigns::deleted_at.is_null());
    let held: Option<Held> =
        this.select(Held::as_select()).for_no_key_update().first(tx).await.optional().expect_any(CAMPAIGN)?;
    match held {
        Some(held) if expected.accepts(held.version) => Ok(held),
        _ => Err(why_not(tx, id, expected).await?),
    }
}

/// Changes a campaign that is held.
pub(crate) async fn update(tx: &mut Tx, id: CampaignId, changes: &CampaignChanges) -> Result<Campaign> {
    let changed: CampaignId = diesel::update(campaigns::table.find((tx.organization_id(), id)))
        .set((
            changes,
            campaigns::target_audience.eq(patched!(campaigns::target_audience, changes.target_audience)),
            campaigns::goals.eq(patched!(campaigns::goals, changes.goals)),
            campaigns::custom_fields.eq(patched!(campaigns::custom_fields.nullable(), changes.custom_fields).assume_not_null()),
        ))
        .returning(campaigns::id)
        .get_result(tx)
        .await
        .expect_one(CAMPAIGN)?;
    get(tx, changed).await
}

pub(crate) async fn delete(tx: &mut Tx, id: CampaignId, expected: &Expected) -> Result<()> {
    let this = campaigns::table.find((tx.organization_id(), id)).filter(campaigns::deleted_at.is_null());
    let this = this.filter(expected.is_any().into_sql::<Bool>().or(campaigns::version.eq_any(expected.versions())));
    let gone: Option<CampaignId> = diesel::update(this)
        .set(campaigns::deleted_at.eq(now))
        .returning(campaigns::id)
        .get_result(tx)
        .await
        .optional()
        .expect_any(CAMPAIGN)?;
    if gone.is_some() { Ok(()) } else { Err(why_not(tx, id, expected).await?) }
}

/// Brings a record back from the bin; a record that is not in it stays as it is.
pub(crate) async fn restore(tx: &mut Tx, id: CampaignId) -> Result<Campaign> {
    let this = campaigns::table.find((tx.organization_id(), id)).filter(campaigns::deleted_at.is_not_null());
    let none = None::<Timestamp>;
    let back: Option<CampaignId> = diesel::update(this)
        .set(campaigns::deleted_at.eq(none))
        .returning(campaigns::id)
        .get_result(tx)
        .await
        .optional()
        .expect_any(CAMPAIGN)?;
    let campaign = get_with_deleted(tx, id).await?;
    // Untouched: it lives already, which is well for those who may change it, or the database refused.
    let refused = back.is_none() && (campaign.deleted_at.is_some() || !standing(tx, &campaign).changeable_by(tx.role()));
    if refused { Err(Error::forbidden("your role may not restore this campaign")) } else { Ok(campaign) }
}

/// Refuses who may not change a living campaign, and with that its members.
pub(crate) async fn require_changeable(tx: &mut Tx, id: CampaignId) -> Result<()> {
    let seen = get(tx, id).await.map(|campaign| standing(tx, &campaign));
    match Standing::refusal(seen, tx, CAMPAIGN, &Expected::Any)? {
        Some(refusal) => Err(refusal),
        None => Ok(()),
    }
}

async fn why_not(tx: &mut Tx, id: CampaignId, expected: &Expected) -> Result<Error> {
    let seen = get_with_deleted(tx, id).await.map(|campaign| standing(tx, &campaign));
    // Nothing forbids it now, so somebody was faster between the two looks: that is what stale means.
    Ok(Standing::refusal(seen, tx, CAMPAIGN, expected)?.unwrap_or(Error::Stale(CAMPAIGN.name)))
}

fn standing(tx: &Tx, campaign: &Campaign) -> Standing {
    Standing::of(tx, campaign.deleted_at, campaign.version, &[campaign.owner_id, campaign.created_by_id])
}

fn everything<'a>(tx: &Tx) -> Rows<'a> {
    q_campaigns::table.filter(q_campaigns::organization_id.eq(tx.organization_id())).into_boxed()
}

fn narrowed<'a>(tx: &Tx, query: &ListQuery) -> Rows<'a> {
    let condition = query.filter.condition();
    let rows = match query.deleted {
        Deleted::Exclude => everything(tx).filter(q_campaigns::deleted_at.is_null()),
        Deleted::Only => everything(tx).filter(q_campaigns::deleted_at.is_not_null()),
    };
    let rows =
        if seek::by_times(&condition) { rows.filter(q_campaigns::in_bin.eq(query.deleted == Deleted::Only)) } else { rows };
    rows.filter(Matching::new(tx, VIEW, &condition))
}
