//! Every SQL statement about contacts. Private to this crate.
//!
//! Must stay true: each statement names the organisation, although the database confines it anyway, so that the planner
//! knows its tenant; reads that filter go through q_contacts, where every operator may use its index.

use std::collections::HashMap;

use crm_kernel::{
    ContactId, Deleted, Error, Expected, ListQuery, Position, Result, Timestamp,
    page::{COUNT_BOUND, CUSTOM_SORT},
};
use crm_tenancy::{
    Counted, Entity, Expect, Limited, Matching, Standing, Tx, cost,
    custom_fields::{in_rank, ranked},
    patched, seek,
    seek::Phase,
    seek_id, seek_nullable,
};
use diesel::{
    BoolExpressionMethods, CombineDsl, ExpressionMethods, IntoSql, JoinOnDsl, NullableExpressionMethods, OptionalExtension,
    QueryDsl, SelectableHelper,
    dsl::now,
    sql_types::{Bool, Text},
};
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    contact_points::ContactPointKind,
    fields::{FIELDS, VIEW},
    model::{Contact, ContactChanges, NewContact},
    schema::{crm_contact_points as points, crm_contacts as contacts, organizations, q_contacts},
};

pub(crate) const CONTACT: Entity = Entity { name: "contact", table: "crm_contacts" };
const ORGANIZATION: Entity = Entity { name: "organization", table: "organizations" };

diesel::define_sql_function! {
    /// As the database writes texts into its key columns.
    fn lower(text: Text) -> Text;
}

type Rows<'a> = q_contacts::BoxedQuery<'a, diesel::pg::Pg>;

pub(crate) async fn get(tx: &mut Tx, id: ContactId) -> Result<Contact> {
    let living = everything(tx).filter(q_contacts::id.eq(id)).filter(q_contacts::deleted_at.is_null());
    living.select(Contact::as_select()).first(tx).await.expect_one(CONTACT)
}

pub(crate) async fn get_with_deleted(tx: &mut Tx, id: ContactId) -> Result<Contact> {
    everything(tx).filter(q_contacts::id.eq(id)).select(Contact::as_select()).first(tx).await.expect_one(CONTACT)
}

pub(crate) async fn get_many(tx: &mut Tx, ids: &[ContactId]) -> Result<Vec<Contact>> {
    everything(tx).filter(q_contacts::id.eq_any(ids)).select(Contact::as_select()).load(tx).await.expect_any(CONTACT)
}

/// Up to one record more than the page holds, each with the name it is sorted by.
pub(crate) async fn list(tx: &mut Tx, query: &ListQuery) -> Result<Vec<(Contact, String)>> {
    let wanted = usize::from(query.limit) + 1;
    if query.custom_sort.is_some() {
        let ranks = ranked(tx, VIEW, FIELDS, query, wanted).await?;
        let ids: Vec<ContactId> = ranks.iter().map(|rank| ContactId(rank.id)).collect();
        return Ok(in_rank(ranks, get_many(tx, &ids).await?, |contact| contact.id.uuid()));
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

async fn part(tx: &mut Tx, query: &ListQuery, phase: Phase, wanted: usize) -> Result<Vec<(Contact, String)>> {
    let ids = |tx: &Tx, query: &ListQuery| Ok(Limited::new(ordered(tx, query, phase)?.select(q_contacts::id), wanted));
    cost::settle(tx, FIELDS, query, ids).await?;
    let rows = ordered(tx, query, phase)?;
    Limited::new(rows.select((Contact::as_select(), q_contacts::name_key)), wanted).load(tx).await.expect_any(CONTACT)
}

/// The rows of one phase, in the order that was asked for.
fn ordered<'a>(tx: &Tx, query: &ListQuery, phase: Phase) -> Result<Rows<'a>> {
    let rows = narrowed(tx, query);
    let in_bin = query.deleted == Deleted::Only;
    let rows = match query.sort.field.name {
        "last_name" => seek!(rows, query, q_contacts::name_key, q_contacts::id, String),
        "lead_score" => seek_nullable!(rows, query, phase, q_contacts::lead_score_key, i64::MAX, q_contacts::id, i64),
        "updated_at" => {
            seek!(rows.filter(q_contacts::in_bin.eq(in_bin)), query, q_contacts::updated_at_key, q_contacts::id, Timestamp)
        }
        "last_activity_at" => {
            seek!(rows.filter(q_contacts::in_bin.eq(in_bin)), query, q_contacts::last_activity_key, q_contacts::id, Timestamp)
        }
        _ => seek_id!(rows, query, q_contacts::id),
    };
    Ok(rows)
}

/// Where a record stands in the order of `field`; the key is the database's own, so that both sides compare alike.
pub(crate) fn position((contact, name_key): &(Contact, String), field: &str) -> Position {
    let key = match field {
        "last_name" => json!(name_key),
        "lead_score" => json!(contact.lead_score),
        CUSTOM_SORT => serde_json::from_str(name_key).unwrap_or_default(),
        "updated_at" => json!(contact.updated_at),
        "last_activity_at" => json!(contact.last_activity_at),
        _ => Value::Null,
    };
    Position::new(key, contact.id)
}

pub(crate) async fn count(tx: &mut Tx, query: &ListQuery) -> Result<i64> {
    let rows = |tx: &Tx| narrowed(tx, query).select(q_contacts::id).limit(COUNT_BOUND + 1);
    cost::settle(tx, FIELDS, query, |tx, _| Ok(Counted(rows(tx)))).await?;
    Counted(rows(tx)).get_result(tx).await.expect_any(CONTACT)
}

/// The organisation's country, if it has said it.
pub(crate) async fn country(tx: &mut Tx) -> Result<Option<String>> {
    let own = organizations::table.filter(organizations::id.eq(tx.organization_id()));
    own.select(organizations::country).first(tx).await.expect_one(ORGANIZATION)
}

pub(crate) async fn insert(tx: &mut Tx, new: &NewContact) -> Result<Contact> {
    let id = diesel::insert_into(contacts::table).values(new).returning(contacts::id).get_result(tx).await.expect_one(CONTACT)?;
    get(tx, id).await
}

/// All of them with one statement, in this order. Each says its id.
pub(crate) async fn insert_all(tx: &mut Tx, new: &[NewContact]) -> Result<Vec<Contact>> {
    let made: Vec<ContactId> =
        diesel::insert_into(contacts::table).values(new).returning(contacts::id).get_results(tx).await.expect_any(CONTACT)?;
    let mut found: HashMap<ContactId, Contact> =
        get_many(tx, &made).await?.into_iter().map(|contact| (contact.id, contact)).collect();
    let in_order: Option<Vec<Contact>> = new.iter().map(|new| found.remove(&new.id?)).collect();
    in_order.ok_or_else(|| Error::internal("a record that was made is not there"))
}

/// Up to two of the living contacts that have this address, whatever its case, as their own one or among further ones. Asked of the tables,
/// whose indexes may answer what is equal, and not of the view, which puts their times beside them.
pub(crate) async fn with_email(tx: &mut Tx, email: &str) -> Result<Vec<Uuid>> {
    let organization = tx.organization_id();
    let living = || contacts::table.filter(contacts::organization_id.eq(organization)).filter(contacts::deleted_at.is_null());
    let own = living().filter(contacts::email_key.eq(lower(email).nullable())).select(contacts::id);
    let theirs = contacts::organization_id.eq(points::organization_id).and(contacts::id.eq(points::contact_id));
    let of_list = points::table
        .inner_join(contacts::table.on(theirs))
        .filter(points::organization_id.eq(organization))
        .filter(points::kind.eq(ContactPointKind::Email))
        .filter(points::value_key.eq(lower(email)))
        .filter(contacts::deleted_at.is_null())
        .select(contacts::id);
    own.union(of_list).limit(2).load(tx).await.expect_any(CONTACT)
}

pub(crate) async fn update(tx: &mut Tx, id: ContactId, expected: &Expected, changes: &ContactChanges) -> Result<Contact> {
    let this = contacts::table.find((tx.organization_id(), id)).filter(contacts::deleted_at.is_null());
    let this = this.filter(expected.is_any().into_sql::<Bool>().or(contacts::version.eq_any(expected.versions())));
    let changed = diesel::update(this)
        .set((
            changes,
            contacts::social_profiles.eq(patched!(contacts::social_profiles, changes.social_profiles)),
            contacts::preferences.eq(patched!(contacts::preferences, changes.preferences)),
            contacts::custom_fields.eq(patched!(contacts::custom_fields.nullable(), changes.custom_fields).assume_not_null()),
        ))
        .returning(contacts::id)
        .get_result(tx)
        .await;
    done(tx, id, expected, changed).await
}

pub(crate) async fn delete(tx: &mut Tx, id: ContactId, expected: &Expected) -> Result<()> {
    let this = contacts::table.find((tx.organization_id(), id)).filter(contacts::deleted_at.is_null());
    let this = this.filter(expected.is_any().into_sql::<Bool>().or(contacts::version.eq_any(expected.versions())));
    let gone: Option<ContactId> = diesel::update(this)
        .set(contacts::deleted_at.eq(now))
        .returning(contacts::id)
        .get_result(tx)
        .await
        .optional()
        .expect_any(CONTACT)?;
    if gone.is_some() { Ok(()) } else { Err(why_not(tx, id, expected).await?) }
}

/// Brings a record back from the bin; a record that is not in it stays as it is.
pub(crate) async fn restore(tx: &mut Tx, id: ContactId) -> Result<Contact> {
    let this = contacts::table.find((tx.organization_id(), id)).filter(contacts::deleted_at.is_not_null());
    let none = None::<Timestamp>;
    let back: Option<ContactId> = diesel::update(this)
        .set(contacts::deleted_at.eq(none))
        .returning(contacts::id)
        .get_result(tx)
        .await
        .optional()
        .expect_any(CONTACT)?;
    let contact = get_with_deleted(tx, id).await?;
    // Untouched: it lives already, which is well for those who may change it, or the database refused.
    let refused = back.is_none() && (contact.deleted_at.is_some() || !standing(tx, &contact).changeable_by(tx.role()));
    if refused { Err(Error::forbidden("your role may not restore this contact")) } else { Ok(contact) }
}

/// What forbids changing the record, asked before its new values are judged.
pub(crate) async fn refusal(tx: &mut Tx, id: ContactId, expected: &Expected) -> Result<Option<Error>> {
    let seen = get_with_deleted(tx, id).await.map(|contact| standing(tx, &contact));
    Standing::refusal(seen, tx, CONTACT, expected)
}

fn standing(tx: &Tx, contact: &Contact) -> Standing {
    Standing::of(tx, contact.deleted_at, contact.version, &[contact.owner_id, contact.created_by_id])
}

async fn why_not(tx: &mut Tx, id: ContactId, expected: &Expected) -> Result<Error> {
    // Nothing forbids it now, so somebody was faster between the two looks: that is what stale means.
    Ok(refusal(tx, id, expected).await?.unwrap_or(Error::Stale(CONTACT.name)))
}

async fn done(tx: &mut Tx, id: ContactId, expected: &Expected, changed: diesel::QueryResult<ContactId>) -> Result<Contact> {
    match changed.optional().expect_any(CONTACT)? {
        Some(id) => get(tx, id).await,
        None => Err(why_not(tx, id, expected).await?),
    }
}

fn everything<'a>(tx: &Tx) -> Rows<'a> {
    q_contacts::table.filter(q_contacts::organization_id.eq(tx.organization_id())).into_boxed()
}

fn narrowed<'a>(tx: &Tx, query: &ListQuery) -> Rows<'a> {
    let condition = query.filter.condition();
    let rows = match query.deleted {
        Deleted::Exclude => everything(tx).filter(q_contacts::deleted_at.is_null()),
        Deleted::Only => everything(tx).filter(q_contacts::deleted_at.is_not_null()),
    };
    let rows = if seek::by_times(&condition) { rows.filter(q_contacts::in_bin.eq(query.deleted == Deleted::Only)) } else { rows };
    rows.filter(Matching::new(tx, VIEW, &condition))
}
