//! Lists in the order of an indexed custom field: which records come next, found in the order that the database keeps.
//!
//! Must stay true: the planner judges every statement before it runs; every piece of SQL is a text of this module or a name that a
//! `fields.rs` declares; every value is a bind parameter; the order is that of the keys, then of the ids, so that a cursor names one place.

use std::collections::BTreeMap;

use crm_kernel::{Condition, CustomField, Deleted, Direction, Error, Field, ListQuery, Position, Result};
use diesel::{
    QueryResult,
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{BigInt, Integer, Nullable, Text, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use serde_json::Value;
use uuid::Uuid;

use super::store::CUSTOM_FIELD;
use crate::{Expect, Matching, Tx, cost};

/// Where a record stands in the order.
#[derive(Debug, Clone, PartialEq)]
pub struct Rank {
    /// The record.
    pub id: Uuid,
    /// Its key as JSON; null when it has no value.
    pub key: Value,
}

/// Up to so many records of the view that are what the query asks for, in the order of its custom field: those with a value, then
/// those without. `fields` are the noun's.
///
/// # Errors
/// `TooCostly` when it would read too much; when the database cannot be asked.
pub async fn ranked(
    tx: &mut Tx,
    view: &'static str,
    fields: &'static [Field],
    query: &ListQuery,
    wanted: usize,
) -> Result<Vec<Rank>> {
    let after = query.after.as_ref();
    let mut found = Vec::new();
    if after.is_none_or(|after| !after.key.is_null()) {
        found.extend(part(tx, view, fields, query, Phase::Valued, wanted).await?);
    }
    if found.len() < wanted {
        let missing = wanted - found.len();
        found.extend(part(tx, view, fields, query, Phase::Empty, missing).await?);
    }
    Ok(found)
}

/// The key behind which a page begins.
#[derive(Debug)]
enum After {
    Number(i64),
    Text(String),
}

/// The records in the order of their ranks, each with its key as JSON; one that went meanwhile is left out.
pub fn in_rank<T>(ranks: Vec<Rank>, records: Vec<T>, id: impl Fn(&T) -> Uuid) -> Vec<(T, String)> {
    let mut found: BTreeMap<Uuid, T> = records.into_iter().map(|record| (id(&record), record)).collect();
    ranks.into_iter().filter_map(|rank| found.remove(&rank.id).map(|record| (record, rank.key.to_string()))).collect()
}

/// One of the two parts of the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Records with a value.
    Valued,
    /// Records without one.
    Empty,
}

/// The statement that finds the records of one part, in their order.
#[derive(Debug)]
pub struct Ranking {
    view: &'static str,
    organization: Uuid,
    field: Uuid,
    generation: i32,
    numeric: bool,
    phase: Phase,
    direction: Direction,
    deleted: Deleted,
    after: Option<(After, Uuid)>,
    condition: Matching<()>,
    wanted: i64,
}

async fn part(
    tx: &mut Tx,
    view: &'static str,
    fields: &'static [Field],
    query: &ListQuery,
    phase: Phase,
    wanted: usize,
) -> Result<Vec<Rank>> {
    let Some(ranking) = Ranking::of(tx, view, query, phase, wanted)? else { return Ok(Vec::new()) };
    // Without a filter, what is read for nothing on the way to the records without a value are those that have one, and no others.
    let (judged, most) = match phase {
        Phase::Empty if query.filter.condition() == Condition::default() => (Phase::Valued, usize::MAX),
        phase => (phase, wanted),
    };
    let nowhere = || Error::internal("an order by a custom field without that field");
    cost::settle(tx, fields, query, |tx, query| Ranking::of(tx, view, query, judged, most)?.ok_or_else(nowhere)).await?;
    let rows: Vec<(Uuid, Option<i64>, Option<String>)> = ranking.load(tx).await.expect_any(CUSTOM_FIELD)?;
    let rank = |(id, number, text): (Uuid, Option<i64>, Option<String>)| {
        let key = number.map(Value::from).or(text.map(Value::from)).unwrap_or_default();
        Rank { id, key }
    };
    Ok(rows.into_iter().map(rank).collect())
}

impl Ranking {
    /// Up to so many records of the view; none when the query is in no such order.
    ///
    /// # Errors
    /// `Malformed` when the cursor holds another kind of value.
    pub fn of(tx: &Tx, view: &'static str, query: &ListQuery, phase: Phase, wanted: usize) -> Result<Option<Self>> {
        let Some(field) = &query.custom_sort else { return Ok(None) };
        let Some(generation) = field.ordered else { return Ok(None) };
        let after = query.after.as_ref().filter(|after| after.key.is_null() == (phase == Phase::Empty));
        let after = match after {
            Some(after) if phase == Phase::Valued => Some((key(field, after)?, after.id)),
            Some(after) => Some((After::Number(0), after.id)),
            None => None,
        };
        let condition: Condition = query.filter.condition();
        Ok(Some(Self {
            view,
            organization: tx.organization_id().uuid(),
            field: field.id.uuid(),
            generation,
            numeric: field.field_type.is_numeric(),
            phase,
            direction: query.sort.direction,
            deleted: query.deleted,
            after,
            condition: Matching::new(tx, view, &condition),
            wanted: i64::try_from(wanted).unwrap_or(i64::MAX),
        }))
    }
}

impl Query for Ranking {
    type SqlType = (SqlUuid, Nullable<BigInt>, Nullable<Text>);
}

impl QueryId for Ranking {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl QueryFragment<Pg> for Ranking {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.unsafe_to_cache_prepared();
        match self.phase {
            Phase::Valued => self.valued(out.reborrow())?,
            Phase::Empty => self.empty(out.reborrow())?,
        }
        out.push_sql(match self.deleted {
            Deleted::Exclude => ".deleted_at IS NULL AND ",
            Deleted::Only => ".deleted_at IS NOT NULL AND ",
        });
        self.condition.walk_ast(out.reborrow())?;
        match (self.phase, self.direction) {
            (Phase::Valued, Direction::Ascending) => out.push_sql(" ORDER BY kept.key, kept.record_id"),
            (Phase::Valued, Direction::Descending) => out.push_sql(" ORDER BY kept.key DESC, kept.record_id DESC"),
            (Phase::Empty, direction) => {
                out.push_sql(" ORDER BY ");
                self.column(&mut out, "id")?;
                out.push_sql(if direction == Direction::Ascending { "" } else { " DESC" });
            }
        }
        out.push_sql(" LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.wanted)
    }
}

impl Ranking {
    fn column<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>, name: &str) -> QueryResult<()> {
        out.push_identifier(self.view)?;
        out.push_sql(".");
        out.push_identifier(name)
    }

    /// From the values to the records: the index of the values gives the order.
    fn valued<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(if self.numeric {
            "SELECT kept.record_id, kept.key, NULL::text FROM (SELECT record_id, number_key AS key"
        } else {
            "SELECT kept.record_id, NULL::bigint, kept.key FROM (SELECT record_id, text_key AS key"
        });
        self.values(&mut out)?;
        out.push_sql(if self.numeric {
            " AND number_key IS NOT NULL) AS kept JOIN "
        } else {
            " AND text_key IS NOT NULL) AS kept JOIN "
        });
        out.push_identifier(self.view)?;
        out.push_sql(" ON ");
        self.column(&mut out, "organization_id")?;
        out.push_sql(" = ");
        out.push_bind_param::<SqlUuid, _>(&self.organization)?;
        out.push_sql(" AND ");
        self.column(&mut out, "id")?;
        out.push_sql(" = kept.record_id WHERE ");
        if let Some((key, id)) = &self.after {
            out.push_sql(if self.direction == Direction::Ascending {
                "(kept.key, kept.record_id) > ("
            } else {
                "(kept.key, kept.record_id) < ("
            });
            self.key(&mut out, key)?;
            out.push_sql(", ");
            out.push_bind_param::<SqlUuid, _>(id)?;
            out.push_sql(") AND ");
        }
        out.push_identifier(self.view)
    }

    fn empty<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT ");
        self.column(&mut out, "id")?;
        out.push_sql(", NULL::bigint, NULL::text FROM ");
        out.push_identifier(self.view)?;
        out.push_sql(" WHERE ");
        self.column(&mut out, "organization_id")?;
        out.push_sql(" = ");
        out.push_bind_param::<SqlUuid, _>(&self.organization)?;
        out.push_sql(" AND NOT EXISTS (SELECT");
        self.values(&mut out)?;
        out.push_sql(if self.numeric {
            " AND number_key IS NOT NULL AND record_id = "
        } else {
            " AND text_key IS NOT NULL AND record_id = "
        });
        self.column(&mut out, "id")?;
        out.push_sql(") AND ");
        if let Some((_, id)) = &self.after {
            self.column(&mut out, "id")?;
            out.push_sql(if self.direction == Direction::Ascending { " > " } else { " < " });
            out.push_bind_param::<SqlUuid, _>(id)?;
            out.push_sql(" AND ");
        }
        out.push_identifier(self.view)
    }

    fn values<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(" FROM q_custom_values WHERE organization_id = ");
        out.push_bind_param::<SqlUuid, _>(&self.organization)?;
        out.push_sql(" AND field_id = ");
        out.push_bind_param::<SqlUuid, _>(&self.field)?;
        out.push_sql(" AND generation = ");
        out.push_bind_param::<Integer, _>(&self.generation)
    }

    fn key<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>, key: &'b After) -> QueryResult<()> {
        match key {
            After::Number(number) => out.push_bind_param::<BigInt, _>(number),
            After::Text(text) => out.push_bind_param::<Text, _>(text),
        }
    }
}

impl<C> diesel::RunQueryDsl<C> for Ranking {}

/// What the cursor holds, as the field's values are ordered.
fn key(field: &CustomField, after: &Position) -> Result<After> {
    if field.field_type.is_numeric() { after.key().map(After::Number) } else { after.key().map(After::Text) }
}
