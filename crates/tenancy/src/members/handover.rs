//! Handing over what a member had, in steps that each end long before the statement timeout.
//!
//! Must stay true: fixed texts, all values bound; the steps of one handover are one transaction and carry one operation id. They
//! call functions that return tables, for which Diesel has no typed call.
#![allow(clippy::disallowed_methods, reason = "fixed texts that call table functions; see the module's rule")]

use crm_kernel::{Result, Role, UserId};
use diesel::{
    QueryableByName, sql_query,
    sql_types::{BigInt, Integer, Nullable, Text, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{
    model::{Led, OwnedCollection, ReassignedCollection},
    store::MEMBER,
};
use crate::{Expect, Tx};

/// Records of one statement.
const STEP: i32 = 500;

#[derive(QueryableByName)]
struct OwnedRow {
    #[diesel(sql_type = Text)]
    collection: String,
    #[diesel(sql_type = Text)]
    owner_column: String,
    #[diesel(sql_type = BigInt)]
    living: i64,
    #[diesel(sql_type = BigInt)]
    in_bin: i64,
}

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = BigInt)]
    moved: i64,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    last_id: Option<Uuid>,
}

#[derive(QueryableByName)]
struct LedRow {
    #[diesel(sql_type = BigInt)]
    teams: i64,
    #[diesel(sql_type = BigInt)]
    members: i64,
}

#[derive(QueryableByName)]
struct LeftRow {
    #[diesel(sql_type = Nullable<Text>)]
    role: Option<Role>,
}

pub(super) async fn owned(tx: &mut Tx, user: UserId) -> Result<Vec<OwnedCollection>> {
    let query = sql_query("SELECT collection, owner_column, living, in_bin FROM app.count_owned_records($1)");
    let rows: Vec<OwnedRow> = query.bind::<SqlUuid, _>(user).load(tx).await.expect_any(MEMBER)?;
    let owned = |row: OwnedRow| OwnedCollection {
        collection: row.collection,
        field: row.owner_column,
        living: row.living,
        in_bin: row.in_bin,
    };
    Ok(rows.into_iter().map(owned).collect())
}

/// Gives every living record of `from` to `to`, as far as the caller may change it.
pub(super) async fn reassign(tx: &mut Tx, from: UserId, to: UserId) -> Result<Vec<ReassignedCollection>> {
    let mut reassigned = Vec::new();
    for OwnedCollection { collection, field, living, in_bin } in owned(tx, from).await? {
        let (mut moved, mut after) = (0, Some(Uuid::nil()));
        while let Some(place) = after {
            let query = sql_query("SELECT moved, last_id FROM app.reassign_records($1, $2, $3, $4, $5, $6)")
                .bind::<Text, _>(&collection)
                .bind::<Text, _>(&field)
                .bind::<SqlUuid, _>(from)
                .bind::<SqlUuid, _>(to)
                .bind::<SqlUuid, _>(place)
                .bind::<Integer, _>(STEP);
            let step: Step = query.get_result(tx).await.expect_one(MEMBER)?;
            moved += step.moved;
            after = step.last_id;
        }
        // Somebody may have given the member more records meanwhile: those were found by a later step, or are left.
        let remaining = (living - moved).max(0);
        reassigned.push(ReassignedCollection { collection, field, moved, remaining, in_bin });
    }
    Ok(reassigned)
}

pub(super) async fn led(tx: &mut Tx, user: UserId) -> Result<Led> {
    let query = sql_query("SELECT teams, members FROM app.count_led($1)").bind::<SqlUuid, _>(user);
    let row: LedRow = query.get_result(tx).await.expect_one(MEMBER)?;
    Ok(Led { teams: row.teams, members: row.members })
}

/// Gives the teams and people of somebody who is no longer active to `to`.
pub(super) async fn hand_over_led(tx: &mut Tx, from: UserId, to: UserId) -> Result<Led> {
    let query = sql_query("SELECT teams, members FROM app.hand_over_led($1, $2)");
    let row: LedRow = query.bind::<SqlUuid, _>(from).bind::<SqlUuid, _>(to).get_result(tx).await.expect_one(MEMBER)?;
    Ok(Led { teams: row.teams, members: row.members })
}

/// Ends the caller's own membership; the role that it had, or none when there was nothing to end.
pub(super) async fn leave(tx: &mut Tx) -> Result<Option<Role>> {
    let query = sql_query("SELECT app.leave_organization() AS role");
    query.get_result(tx).await.map(|row: LeftRow| row.role).expect_one(MEMBER)
}
