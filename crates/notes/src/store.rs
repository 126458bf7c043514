//! Every SQL statement about notes. Private to this crate.
//!
//! Must stay true: each statement names the organisation, although the database confines it anyway, so that the planner
//! knows its tenant; reads that filter go through q_notes, where every operator may use its index; what is judged before
//! it is changed is held (locked) first, so that what was judged is what is changed.

use std::collections::HashMap;

use crm_kernel::{
    Deleted, Error, Expected, ListQuery, NoteId, Position, Result, Timestamp,
    page::{COUNT_BOUND, CUSTOM_SORT},
};
use crm_tenancy::{
    Counted, Entity, Expect, Limited, Matching, Standing, Tx, cost,
    custom_fields::{in_rank, ranked},
    patched, seek, seek_id,
};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, IntoSql, NullableExpressionMethods, OptionalExtension, QueryDsl, Queryable,
    Selectable, SelectableHelper, dsl::now, sql_types::Bool,
};
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    fields::{FIELDS, VIEW},
    model::{NewNote, Note, NoteChanges, RelatedType},
    schema::{crm_notes as notes, q_notes},
};

pub(crate) const NOTE: Entity = Entity { name: "note", table: "crm_notes" };

type Rows<'a> = q_notes::BoxedQuery<'a, diesel::pg::Pg>;

/// What decides about a change of a note, locked until the transaction ends.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = notes, check_for_backend(diesel::pg::Pg))]
pub(crate) struct Held {
    pub(crate) related_to_type: Option<RelatedType>,
    pub(crate) related_to_id: Option<Uuid>,
    version: i32,
}

pub(crate) async fn get(tx: &mut Tx, id: NoteId) -> Result<Note> {
    let living = everything(tx).filter(q_notes::id.eq(id)).filter(q_notes::deleted_at.is_null());
    living.select(Note::as_select()).first(tx).await.expect_one(NOTE)
}

pub(crate) async fn get_with_deleted(tx: &mut Tx, id: NoteId) -> Result<Note> {
    everything(tx).filter(q_notes::id.eq(id)).select(Note::as_select()).first(tx).await.expect_one(NOTE)
}

pub(crate) async fn get_many(tx: &mut Tx, ids: &[NoteId]) -> Result<Vec<Note>> {
    everything(tx).filter(q_notes::id.eq_any(ids)).select(Note::as_select()).load(tx).await.expect_any(NOTE)
}

/// Up to one record more than the page holds, each with the key of a custom field it may be sorted by.
pub(crate) async fn list(tx: &mut Tx, query: &ListQuery) -> Result<Vec<(Note, String)>> {
    let wanted = usize::from(query.limit) + 1;
    if query.custom_sort.is_some() {
        let ranks = ranked(tx, VIEW, FIELDS, query, wanted).await?;
        let ids: Vec<NoteId> = ranks.iter().map(|rank| NoteId(rank.id)).collect();
        return Ok(in_rank(ranks, get_many(tx, &ids).await?, |note| note.id.uuid()));
    }
    part(tx, query, wanted).await
}

async fn part(tx: &mut Tx, query: &ListQuery, wanted: usize) -> Result<Vec<(Note, String)>> {
    let ids = |tx: &Tx, query: &ListQuery| Ok(Limited::new(ordered(tx, query)?.select(q_notes::id), wanted));
    cost::settle(tx, FIELDS, query, ids).await?;
    let rows = ordered(tx, query)?;
    let rows: Vec<Note> = Limited::new(rows.select(Note::as_select()), wanted).load(tx).await.expect_any(NOTE)?;
    Ok(rows.into_iter().map(|note| (note, String::new())).collect())
}

/// The rows, in the order that was asked for. No order has records without a value.
fn ordered<'a>(tx: &Tx, query: &ListQuery) -> Result<Rows<'a>> {
    let rows = narrowed(tx, query);
    let in_bin = query.deleted == Deleted::Only;
    let rows = match query.sort.field.name {
        "is_pinned" => seek!(rows, query, q_notes::is_pinned, q_notes::id, bool),
        "updated_at" => {
            seek!(rows.filter(q_notes::in_bin.eq(in_bin)), query, q_notes::updated_at_key, q_notes::id, Timestamp)
        }
        "last_activity_at" => {
            seek!(rows.filter(q_notes::in_bin.eq(in_bin)), query, q_notes::last_activity_key, q_notes::id, Timestamp)
        }
        _ => seek_id!(rows, query, q_notes::id),
    };
    Ok(rows)
}

/// Where a record stands in the order of `field`; the key is the database's own, so that both sides compare alike.
pub(crate) fn position((note, custom_key): &(Note, String), field: &str) -> Position {
    let key = match field {
        "is_pinned" => json!(note.is_pinned),
        CUSTOM_SORT => serde_json::from_str(custom_key).unwrap_or_default(),
        "updated_at" => json!(note.updated_at),
        "last_activity_at" => json!(note.last_activity_at),
        _ => Value::Null,
    };
    Position::new(key, note.id)
}

pub(crate) async fn count(tx: &mut Tx, query: &ListQuery) -> Result<i64> {
    let rows = |tx: &Tx| narrowed(tx, query).select(q_notes::id).limit(COUNT_BOUND + 1);
    cost::settle(tx, FIELDS, query, |tx, _| Ok(Counted(rows(tx)))).await?;
    Counted(rows(tx)).get_result(tx).await.expect_any(NOTE)
}

pub(crate) async fn insert(tx: &mut Tx, new: &NewNote) -> Result<Note> {
    let id = diesel::insert_into(notes::table).values(new).returning(notes::id).get_result(tx).await.expect_one(NOTE)?;
    get(tx, id).await
}

/// All of them with one statement, in this order. Each says its id.
pub(crate) async fn insert_all(tx: &mut Tx, new: &[NewNote]) -> Result<Vec<Note>> {
    let made: Vec<NoteId> =
        diesel::insert_into(notes::table).values(new).returning(notes::id).get_results(tx).await.expect_any(NOTE)?;
    let mut found: HashMap<NoteId, Note> = get_many(tx, &made).await?.into_iter().map(|note| (note.id, note)).collect();
    let in_order: Option<Vec<Note>> = new.iter().map(|new| found.remove(&new.id?)).collect();
    in_order.ok_or_else(|| Error::internal("a record that was made is not there"))
}

/// Locks a living note that the caller may change and whose version is expected; otherwise says why not.
pub(crate) async fn hold(tx: &mut Tx, id: NoteId, expected: &Expected) -> Result<Held> {
    let this = notes::table.find((tx.organization_id(), id)).filter(notes::deleted_at.is_null());
    let held: Option<Held> = this.select(Held::as_select()).for_no_key_update().first(tx).await.optional().expect_any(NOTE)?;
    match held {
        Some(held) if expected.accepts(held.version) => Ok(held),
        _ => Err(why_not(tx, id, expected).await?),
    }
}

/// Changes a note that is held.
pub(crate) async fn update(tx: &mut Tx, id: NoteId, changes: &NoteChanges) -> Result<Note> {
    let custom_fields = patched!(notes::custom_fields.nullable(), changes.custom_fields).assume_not_null();
    let changed: NoteId = diesel::update(notes::table.find((tx.organization_id(), id)))
        .set((changes, notes::custom_fields.eq(custom_fields)))
        .returning(notes::id)
        .get_result(tx)
        .await
        .expect_one(NOTE)?;
    get(tx, changed).await
}

pub(crate) async fn delete(tx: &mut Tx, id: NoteId, expected: &Expected) -> Result<()> {
    let this = notes::table.find((tx.organization_id(), id)).filter(notes::deleted_at.is_null());
    let this = this.filter(expected.is_any().into_sql::<Bool>().or(notes::version.eq_any(expected.versions())));
    let gone: Option<NoteId> = diesel::update(this)
        .set(notes::deleted_at.eq(now))
        .returning(notes::id)
        .get_result(tx)
        .await
        .optional()
        .expect_any(NOTE)?;
    if gone.is_some() { Ok(()) } else { Err(why_not(tx, id, expected).await?) }
}

/// Brings a record back from the bin; a record that is not in it stays as it is.
pub(crate) async fn restore(tx: &mut Tx, id: NoteId) -> Result<Note> {
    let this = notes::table.find((tx.organization_id(), id)).filter(notes::deleted_at.is_not_null());
    let none = None::<Timestamp>;
    let back: Option<NoteId> = diesel::update(this)
        .set(notes::deleted_at.eq(none))
        .returning(notes::id)
        .get_result(tx)
        .await
        .optional()
        .expect_any(NOTE)?;
    let note = get_with_deleted(tx, id).await?;
    // Untouched: it lives already, which is well for those who may change it, or the database refused.
    let refused = back.is_none() && (note.deleted_at.is_some() || !standing(tx, &note).changeable_by(tx.role()));
    if refused { Err(Error::forbidden("your role may not restore this note")) } else { Ok(note) }
}

async fn why_not(tx: &mut Tx, id: NoteId, expected: &Expected) -> Result<Error> {
    let seen = get_with_deleted(tx, id).await.map(|note| standing(tx, &note));
    // Nothing forbids it now, so somebody was faster between the two looks: that is what stale means.
    Ok(Standing::refusal(seen, tx, NOTE, expected)?.unwrap_or(Error::Stale(NOTE.name)))
}

fn standing(tx: &Tx, note: &Note) -> Standing {
    Standing::of(tx, note.deleted_at, note.version, &[note.owner_id, note.created_by_id])
}

fn everything<'a>(tx: &Tx) -> Rows<'a> {
    q_notes::table.filter(q_notes::organization_id.eq(tx.organization_id())).into_boxed()
}

fn narrowed<'a>(tx: &Tx, query: &ListQuery) -> Rows<'a> {
    let condition = query.filter.condition();
    let rows = match query.deleted {
        Deleted::Exclude => everything(tx).filter(q_notes::deleted_at.is_null()),
        Deleted::Only => everything(tx).filter(q_notes::deleted_at.is_not_null()),
    };
    let rows = if seek::by_times(&condition) { rows.filter(q_notes::in_bin.eq(query.deleted == Deleted::Only)) } else { rows };
    rows.filter(Matching::new(tx, VIEW, &condition))
}
