//! Every SQL statement of the queue of letters: calls of its functions, which alone may touch its table.
//!
//! Must stay true: fixed texts, all values bound.
#![allow(clippy::disallowed_methods, reason = "fixed texts that call functions of identity; see the module's rule")]

use crm_kernel::Result;
use diesel::{
    QueryableByName, sql_query,
    sql_types::{Bool, Integer, Jsonb, Nullable, Text, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::Value;
use uuid::Uuid;

use super::{Claimed, Letter};
use crate::expect::error;

#[derive(QueryableByName)]
struct ClaimedRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Text)]
    recipient: String,
    #[diesel(sql_type = Text)]
    locale: String,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    secret_id: Option<Uuid>,
    #[diesel(sql_type = Jsonb)]
    details: Value,
    #[diesel(sql_type = Integer)]
    attempts: i32,
    #[diesel(sql_type = Bool)]
    gave_up: bool,
    #[diesel(sql_type = Nullable<Text>)]
    last_error: Option<String>,
}

#[derive(QueryableByName)]
struct GaveUp {
    #[diesel(sql_type = Bool)]
    gave_up: bool,
}

pub(super) async fn claim(connection: &mut AsyncPgConnection, limit: i32, lease_seconds: i32) -> Result<Claimed> {
    let query = sql_query(
        "SELECT id, kind, recipient, locale, secret_id, details, attempts, gave_up, last_error FROM identity.claim_letters($1, $2)",
    );
    let rows: Vec<ClaimedRow> =
        query.bind::<Integer, _>(limit).bind::<Integer, _>(lease_seconds).load(connection).await.map_err(error)?;
    let mut claimed = Claimed::default();
    for row in rows {
        let letter = Letter {
            id: row.id,
            kind: row.kind,
            recipient: row.recipient,
            locale: row.locale,
            secret_id: row.secret_id,
            details: row.details,
            attempts: row.attempts,
        };
        if row.gave_up {
            claimed.given_up.push((letter, row.last_error.unwrap_or_default()));
        } else {
            claimed.letters.push(letter);
        }
    }
    Ok(claimed)
}

pub(super) async fn sent(connection: &mut AsyncPgConnection, id: Uuid) -> Result<()> {
    let query = sql_query("SELECT identity.letter_sent($1)").bind::<SqlUuid, _>(id);
    query.execute(connection).await.map(|_| ()).map_err(error)
}

pub(super) async fn failed(connection: &mut AsyncPgConnection, id: Uuid, reason: &str, retryable: bool) -> Result<bool> {
    let query = sql_query("SELECT identity.letter_failed($1, $2, $3) AS gave_up");
    let query = query.bind::<SqlUuid, _>(id).bind::<Text, _>(reason).bind::<Bool, _>(retryable);
    query.get_result(connection).await.map(|row: GaveUp| row.gave_up).map_err(error)
}
