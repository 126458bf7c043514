//! Every SQL statement of the second factor: calls of identity's functions, which check the session of the caller themselves.
#![allow(clippy::disallowed_methods, reason = "fixed texts that call functions of identity; see identity/store.rs")]

use crm_kernel::{Context, Result, Timestamp, UserId};
use diesel::{
    OptionalExtension, QueryableByName, sql_query,
    sql_types::{Array, BigInt, Binary, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::codes::Given;
use crate::{
    expect::error,
    identity::store::{acting, session_of},
};

/// What a code is compared with at a login.
#[derive(QueryableByName)]
pub(super) struct Found {
    #[diesel(sql_type = Binary)]
    pub sealed_seed: Vec<u8>,
    #[diesel(sql_type = BigInt)]
    pub now_seconds: i64,
}

/// What a change is judged by.
#[derive(QueryableByName)]
pub(super) struct State {
    #[diesel(sql_type = Nullable<Text>)]
    pub email: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub password_hash: Option<String>,
    #[diesel(sql_type = Nullable<Binary>)]
    pub pending_seed: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Binary>)]
    pub sealed_seed: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub enabled_at: Option<Timestamp>,
    #[diesel(sql_type = Integer)]
    pub codes_left: i32,
    #[diesel(sql_type = Bool)]
    pub required: bool,
    #[diesel(sql_type = Bool)]
    pub proved: bool,
    #[diesel(sql_type = BigInt)]
    pub now_seconds: i64,
}

pub(super) async fn find(connection: &mut AsyncPgConnection, user: UserId) -> Result<Option<Found>> {
    let query = sql_query("SELECT sealed_seed, now_seconds FROM identity.find_second_factor($1)").bind::<SqlUuid, _>(user);
    query.get_result(connection).await.optional().map_err(error)
}

pub(super) async fn read(connection: &mut AsyncPgConnection, context: &Context) -> Result<State> {
    let query = sql_query(
        "SELECT email, password_hash, pending_seed, sealed_seed, enabled_at, codes_left, required, proved, now_seconds
           FROM identity.read_second_factor($1, $2, $3)",
    )
    .bind::<SqlUuid, _>(session_of(context)?)
    .bind::<SqlUuid, _>(context.user_id)
    .bind::<SqlUuid, _>(context.organization_id);
    query.get_result(connection).await.map_err(error)
}

pub(super) async fn begin(connection: &mut AsyncPgConnection, context: &Context, given: &Given, sealed: &[u8]) -> Result<()> {
    let query = acting("SELECT identity.begin_second_factor($1, $2, $3, $4, $5, $6, $7, $8, $9)", context)?
        .bind::<Nullable<BigInt>, _>(given.step)
        .bind::<Nullable<Binary>, _>(given.recovery.clone())
        .bind::<Binary, _>(sealed.to_vec());
    query.execute(connection).await.map(drop).map_err(error)
}

pub(super) async fn confirm(
    connection: &mut AsyncPgConnection,
    context: &Context,
    (sealed, step): (&[u8], i64),
    codes: Vec<Vec<u8>>,
) -> Result<()> {
    let query = acting("SELECT identity.confirm_second_factor($1, $2, $3, $4, $5, $6, $7, $8, $9)", context)?
        .bind::<Binary, _>(sealed.to_vec())
        .bind::<BigInt, _>(step)
        .bind::<Array<Binary>, _>(codes);
    query.execute(connection).await.map(drop).map_err(error)
}

pub(super) async fn replace_codes(
    connection: &mut AsyncPgConnection,
    context: &Context,
    given: &Given,
    codes: Vec<Vec<u8>>,
) -> Result<()> {
    let query = acting("SELECT identity.replace_recovery_codes($1, $2, $3, $4, $5, $6, $7, $8, $9)", context)?
        .bind::<Nullable<BigInt>, _>(given.step)
        .bind::<Nullable<Binary>, _>(given.recovery.clone())
        .bind::<Array<Binary>, _>(codes);
    query.execute(connection).await.map(drop).map_err(error)
}

pub(super) async fn verify(connection: &mut AsyncPgConnection, context: &Context, given: &Given) -> Result<()> {
    use_up("SELECT identity.verify_second_factor($1, $2, $3, $4, $5, $6, $7, $8)", connection, context, given).await
}

pub(super) async fn disable(connection: &mut AsyncPgConnection, context: &Context, given: &Given) -> Result<()> {
    use_up("SELECT identity.disable_second_factor($1, $2, $3, $4, $5, $6, $7, $8)", connection, context, given).await
}

async fn use_up(text: &'static str, connection: &mut AsyncPgConnection, context: &Context, given: &Given) -> Result<()> {
    let query =
        acting(text, context)?.bind::<Nullable<BigInt>, _>(given.step).bind::<Nullable<Binary>, _>(given.recovery.clone());
    query.execute(connection).await.map(drop).map_err(error)
}
