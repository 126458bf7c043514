//! Every SQL statement of sessions: calls of identity's functions, which check the session of the caller themselves.
#![allow(clippy::disallowed_methods, reason = "fixed texts that call functions of identity; see identity/store.rs")]

use crm_kernel::{Context, Error, OrganizationId, Result, SessionId, Timestamp, UserId};
use diesel::{
    QueryableByName, sql_query,
    sql_types::{Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::model::{Session, SessionMethod};
use crate::{
    Tx,
    expect::error,
    identity::store::{acting, session_of},
};

/// Sessions that are shown.
const MOST: i32 = 200;

#[derive(QueryableByName)]
struct SessionRow {
    #[diesel(sql_type = SqlUuid)]
    id: SessionId,
    #[diesel(sql_type = SqlUuid)]
    organization_id: OrganizationId,
    #[diesel(sql_type = Text)]
    organization_name: String,
    #[diesel(sql_type = Text)]
    organization_slug: String,
    #[diesel(sql_type = Timestamptz)]
    created_at: Timestamp,
    #[diesel(sql_type = Timestamptz)]
    last_used_at: Timestamp,
    #[diesel(sql_type = Timestamptz)]
    expires_at: Timestamp,
    #[diesel(sql_type = Nullable<Text>)]
    ip: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    user_agent: Option<String>,
    #[diesel(sql_type = Text)]
    method: String,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    second_factor_at: Option<Timestamp>,
    #[diesel(sql_type = Bool)]
    is_current: bool,
}

#[derive(QueryableByName)]
struct EndedRow {
    #[diesel(sql_type = Bool)]
    ended: bool,
}

#[derive(QueryableByName)]
struct OutcomeRow {
    #[diesel(sql_type = Text)]
    outcome: String,
}

/// What came of ending a member's sessions.
pub(super) enum Ended {
    Done,
    Unknown,
    Forbidden,
}

pub(super) async fn list(connection: &mut AsyncPgConnection, context: &Context) -> Result<Vec<Session>> {
    let query = sql_query(
        "SELECT id, organization_id, organization_name, organization_slug, created_at, last_used_at, expires_at, ip, user_agent,
                method, second_factor_at, is_current
           FROM identity.list_sessions($1, $2, $3, $4)",
    )
    .bind::<SqlUuid, _>(session_of(context)?)
    .bind::<SqlUuid, _>(context.user_id)
    .bind::<SqlUuid, _>(context.organization_id)
    .bind::<Integer, _>(MOST);
    let rows: Vec<SessionRow> = query.load(connection).await.map_err(error)?;
    rows.into_iter().map(Session::try_from).collect()
}

impl TryFrom<SessionRow> for Session {
    type Error = Error;
    fn try_from(row: SessionRow) -> Result<Self> {
        Ok(Self {
            id: row.id,
            organization_id: row.organization_id,
            organization_name: row.organization_name,
            organization_slug: row.organization_slug,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
            expires_at: row.expires_at,
            ip: row.ip,
            user_agent: row.user_agent,
            method: SessionMethod::read(&row.method)?,
            second_factor_at: row.second_factor_at,
            current: row.is_current,
        })
    }
}

pub(super) async fn end(connection: &mut AsyncPgConnection, context: &Context, id: SessionId) -> Result<bool> {
    let query = acting("SELECT identity.end_own_session($1, $2, $3, $4, $5, $6, $7) AS ended", context)?.bind::<SqlUuid, _>(id);
    query.get_result(connection).await.map(|row: EndedRow| row.ended).map_err(error)
}

pub(super) async fn end_others(connection: &mut AsyncPgConnection, context: &Context) -> Result<()> {
    let query = acting("SELECT identity.end_other_sessions($1, $2, $3, $4, $5, $6)", context)?;
    query.execute(connection).await.map(drop).map_err(error)
}

pub(super) async fn end_of_member(tx: &mut Tx, member: UserId) -> Result<Ended> {
    let query = sql_query("SELECT identity.end_member_sessions($1) AS outcome").bind::<SqlUuid, _>(member);
    let row: OutcomeRow = query.get_result(tx).await.map_err(error)?;
    match row.outcome.as_str() {
        "ended" => Ok(Ended::Done),
        "unknown" => Ok(Ended::Unknown),
        "forbidden" => Ok(Ended::Forbidden),
        other => Err(Error::internal(format!("an unknown outcome: {other}"))),
    }
}
