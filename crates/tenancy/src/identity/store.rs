//! Every SQL statement of identity: calls of its functions, which alone may read its tables.
//!
//! Must stay true: fixed texts, all values bound. They return tables, for which Diesel has no typed call; that is why
//! `sql_query` stands here, and a prepare per call is nothing beside a password hash.
#![allow(clippy::disallowed_methods, reason = "fixed texts that call table functions; see the module's rule")]

use crm_kernel::{Context, Error, OrganizationId, Result, Role, SessionId, UserId};
use diesel::{
    QueryableByName,
    pg::Pg,
    query_builder::{BoxedSqlQuery, SqlQuery},
    sql_query,
    sql_types::{Array, BigInt, Binary, Bool, Double, Integer, Nullable, Text, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::{
    model::{OrganizationRole, Origin},
    second_factor::Given,
    throttle::{self, Attempt, LoginBuckets},
};
use crate::{Tx, expect::error};

#[derive(QueryableByName)]
struct LoginRow {
    #[diesel(sql_type = Integer)]
    retry_after: i32,
    #[diesel(sql_type = Nullable<Array<Binary>>)]
    keys: Option<Vec<Vec<u8>>>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    device_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    user_id: Option<UserId>,
    #[diesel(sql_type = Nullable<Text>)]
    password_hash: Option<String>,
}

/// A try to log in that was counted, and what its password is compared with.
pub(super) struct Login {
    pub attempt: Attempt,
    /// The device, where it is known.
    pub device: Option<Uuid>,
    pub user: Option<UserId>,
    pub password_hash: Option<String>,
}

#[derive(QueryableByName)]
struct OrganizationRow {
    #[diesel(sql_type = SqlUuid)]
    organization_id: OrganizationId,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    slug: String,
    #[diesel(sql_type = Text)]
    role: String,
}

#[derive(QueryableByName)]
struct SessionRow {
    #[diesel(sql_type = SqlUuid)]
    session_id: SessionId,
    #[diesel(sql_type = Text)]
    role: String,
}

#[derive(QueryableByName)]
struct Ended {
    #[diesel(sql_type = Bool)]
    ended: bool,
}

#[derive(QueryableByName)]
struct RotationRow {
    #[diesel(sql_type = Text)]
    outcome: String,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    session_id: Option<SessionId>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    user_id: Option<UserId>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    organization_id: Option<OrganizationId>,
    #[diesel(sql_type = Nullable<Text>)]
    role: Option<String>,
}

/// How long things last, in seconds.
#[derive(Clone, Copy)]
pub(super) struct Lifetimes {
    pub session: i32,
    pub refresh: i32,
}

/// The same statement for an account that is there and one that is not.
pub(super) async fn attempt_login(
    connection: &mut AsyncPgConnection,
    email: &str,
    device: Option<&[u8]>,
    buckets: &LoginBuckets,
) -> Result<Login> {
    let query =
        sql_query("SELECT retry_after, keys, device_id, user_id, password_hash FROM identity.attempt_login($1, $2, $3, $4, $5)")
            .bind::<Text, _>(email)
            .bind::<Nullable<Binary>, _>(device)
            .bind::<Array<Binary>, _>(&buckets.keys)
            .bind::<Array<Double>, _>(&buckets.capacities)
            .bind::<Array<Double>, _>(&buckets.per_second);
    let row: LoginRow = query.get_result(connection).await.map_err(error)?;
    throttle::limited(row.retry_after)?;
    let attempt = Attempt { keys: row.keys.unwrap_or_default() };
    Ok(Login { attempt, device: row.device_id, user: row.user_id, password_hash: row.password_hash })
}

/// What a login that was right brings along.
pub(super) struct Entry<'a> {
    pub user: UserId,
    /// What the password was compared with.
    pub password_hash: &'a str,
    pub organization: OrganizationId,
    pub given: &'a Given,
    /// Tries to be taken back.
    pub keys: &'a [Vec<u8>],
    pub refresh_hash: &'a [u8],
    pub old_device: Option<&'a [u8]>,
    pub new_device: &'a [u8],
}

pub(super) async fn log_in(
    connection: &mut AsyncPgConnection,
    entry: &Entry<'_>,
    lifetimes: Lifetimes,
    origin: &Origin,
) -> Result<Opened> {
    let query = sql_query("SELECT session_id, role FROM identity.log_in($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)")
        .bind::<SqlUuid, _>(entry.user)
        .bind::<Text, _>(entry.password_hash)
        .bind::<SqlUuid, _>(entry.organization)
        .bind::<Binary, _>(entry.refresh_hash)
        .bind::<Integer, _>(lifetimes.session)
        .bind::<Integer, _>(lifetimes.refresh)
        .bind::<Nullable<Text>, _>(origin.ip.map(|ip| ip.to_canonical().to_string()))
        .bind::<Nullable<Text>, _>(origin.user_agent.as_deref().map(|agent| agent.replace('\0', "")))
        .bind::<Nullable<BigInt>, _>(entry.given.step)
        .bind::<Nullable<Binary>, _>(entry.given.recovery.as_deref())
        .bind::<Array<Binary>, _>(entry.keys)
        .bind::<Nullable<Binary>, _>(entry.old_device)
        .bind::<Binary, _>(entry.new_device);
    let row: SessionRow = query.get_result(connection).await.map_err(error)?;
    Ok(Opened { session_id: row.session_id, role: role(&row.role)? })
}

/// What somebody who has an account was wrong about at the door.
pub(super) async fn log_refused_login(
    connection: &mut AsyncPgConnection,
    (user, refused): (UserId, Refused),
    origin: &Origin,
) -> Result<()> {
    let query = sql_query("SELECT identity.log_refused_login($1, $2, $3, $4, $5)")
        .bind::<SqlUuid, _>(user)
        .bind::<Text, _>(refused.word())
        .bind::<Nullable<Text>, _>(origin.ip.map(|ip| ip.to_canonical().to_string()))
        .bind::<Nullable<Text>, _>(origin.user_agent.as_deref().map(|agent| agent.replace('\0', "")))
        .bind::<Text, _>(origin.request_id.replace('\0', ""));
    query.execute(connection).await.map(drop).map_err(error)
}

/// What somebody in a session was wrong about when they were asked again.
pub(super) async fn log_refused_proof(connection: &mut AsyncPgConnection, context: &Context, refused: Refused) -> Result<()> {
    let query = acting("SELECT identity.log_refused_proof($1, $2, $3, $4, $5, $6, $7)", context)?.bind::<Text, _>(refused.word());
    query.execute(connection).await.map(drop).map_err(error)
}

/// What was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// A password, or a right one for an organisation that is not the person's.
    Password,
    /// A code of the second factor, or a recovery code.
    Code,
}

impl Refused {
    /// What the log calls it.
    fn word(self) -> &'static str {
        match self {
            Self::Password => "credential",
            Self::Code => "second_factor",
        }
    }
}

/// The session of the context; what only a login's session may do is refused to all others.
pub(super) fn session_of(context: &Context) -> Result<SessionId> {
    context.session_id.ok_or_else(|| Error::forbidden("only a session from a login can do this"))
}

/// A call of a function that checks the session itself and logs who calls from where; its first six arguments.
pub(super) fn acting(text: &str, context: &Context) -> Result<BoxedSqlQuery<'static, Pg, SqlQuery>> {
    let agent = context.user_agent.as_deref().map(|agent| agent.replace('\0', ""));
    Ok(sql_query(text)
        .into_boxed::<Pg>()
        .bind::<SqlUuid, _>(session_of(context)?)
        .bind::<SqlUuid, _>(context.user_id)
        .bind::<SqlUuid, _>(context.organization_id)
        .bind::<Nullable<Text>, _>(context.ip.map(|ip| ip.to_string()))
        .bind::<Nullable<Text>, _>(agent)
        .bind::<Text, _>(context.request_id.replace('\0', "")))
}

pub(super) async fn list_organizations(connection: &mut AsyncPgConnection, user: UserId) -> Result<Vec<OrganizationRole>> {
    let query =
        sql_query("SELECT organization_id, name, slug, role FROM identity.list_organizations($1)").bind::<SqlUuid, _>(user);
    let rows: Vec<OrganizationRow> = query.load(connection).await.map_err(error)?;
    rows.into_iter().map(OrganizationRole::try_from).collect()
}

impl TryFrom<OrganizationRow> for OrganizationRole {
    type Error = Error;
    fn try_from(row: OrganizationRow) -> Result<Self> {
        Ok(Self { organization_id: row.organization_id, name: row.name, slug: row.slug, role: role(&row.role)? })
    }
}

/// How somebody proved who they are.
#[derive(Clone, Copy)]
pub(super) struct Proof {
    /// `password`, `external`, `registration` or `invitation`
    pub method: &'static str,
    /// Whether a second factor was given.
    pub second_factor: bool,
}

/// A session that was opened, and as what its person entered.
pub(super) struct Opened {
    pub session_id: SessionId,
    pub role: Role,
}

/// What every new session has: its secret, how long it lives, from where it comes.
#[derive(Clone, Copy)]
pub(super) struct Birth<'a> {
    pub refresh_hash: &'a [u8],
    pub lifetimes: Lifetimes,
    pub origin: &'a Origin,
}

pub(super) type Opener = BoxedSqlQuery<'static, Pg, SqlQuery>;

impl Birth<'_> {
    /// Five arguments, in the order that every function has which opens a session.
    pub(super) fn bind(&self, query: Opener) -> Opener {
        query
            .bind::<Binary, _>(self.refresh_hash.to_vec())
            .bind::<Integer, _>(self.lifetimes.session)
            .bind::<Integer, _>(self.lifetimes.refresh)
            .bind::<Nullable<Text>, _>(self.origin.ip.map(|ip| ip.to_canonical().to_string()))
            .bind::<Nullable<Text>, _>(self.origin.user_agent.as_deref().map(|agent| agent.replace('\0', "")))
    }
}

async fn opened(connection: &mut AsyncPgConnection, query: Opener) -> Result<Opened> {
    let row: SessionRow = query.get_result(connection).await.map_err(error)?;
    Ok(Opened { session_id: row.session_id, role: role(&row.role)? })
}

/// A session of a person who has proved to be themselves.
pub(super) async fn start_session(
    connection: &mut AsyncPgConnection,
    (user, organization): (UserId, OrganizationId),
    proof: Proof,
    birth: Birth<'_>,
) -> Result<Opened> {
    let query = sql_query("SELECT session_id, role FROM identity.start_session($1, $2, $3, $4, $5, $6, $7, $8, $9)")
        .into_boxed::<Pg>()
        .bind::<SqlUuid, _>(user)
        .bind::<SqlUuid, _>(organization);
    opened(connection, birth.bind(query).bind::<Text, _>(proof.method).bind::<Bool, _>(proof.second_factor)).await
}

/// A session of a person whose password was set to this a moment ago, and nobody has set it again.
pub(super) async fn reenter(
    connection: &mut AsyncPgConnection,
    (user, organization): (UserId, OrganizationId),
    (password_hash, second_factor): (&str, bool),
    birth: Birth<'_>,
) -> Result<Opened> {
    let query = sql_query("SELECT session_id, role FROM identity.reenter($1, $2, $3, $4, $5, $6, $7, $8, $9)")
        .into_boxed::<Pg>()
        .bind::<SqlUuid, _>(user)
        .bind::<Text, _>(password_hash.to_owned())
        .bind::<SqlUuid, _>(organization);
    opened(connection, birth.bind(query).bind::<Bool, _>(second_factor)).await
}

/// The login of a session, moved to another organisation for whoever has the refresh token of that session, in the transaction of the
/// person.
pub(super) async fn switch_session(
    tx: &mut Tx,
    session: SessionId,
    known_hash: &[u8],
    organization: OrganizationId,
    birth: Birth<'_>,
) -> Result<Opened> {
    let query = sql_query("SELECT session_id, role FROM identity.switch_session($1, $2, $3, $4, $5, $6, $7, $8, $9)")
        .into_boxed::<Pg>()
        .bind::<SqlUuid, _>(session)
        .bind::<SqlUuid, _>(tx.user_id())
        .bind::<Binary, _>(known_hash.to_vec())
        .bind::<SqlUuid, _>(organization);
    let row: SessionRow = birth.bind(query).get_result(tx).await.map_err(error)?;
    Ok(Opened { session_id: row.session_id, role: role(&row.role)? })
}

#[derive(QueryableByName)]
struct Reused {
    #[diesel(sql_type = Bool)]
    reused: bool,
}

/// Ends the login of a refresh token that was spent before; whether it was such a one.
pub(super) async fn end_reused(connection: &mut AsyncPgConnection, known_hash: &[u8]) -> Result<bool> {
    let query = sql_query("SELECT identity.end_reused($1) AS reused").bind::<Binary, _>(known_hash);
    let row: Reused = query.get_result(connection).await.map_err(error)?;
    if row.reused {
        tracing::warn!("a used refresh token was shown to switch or to join; its login has been ended");
    }
    Ok(row.reused)
}

fn role(text: &str) -> Result<Role> {
    text.parse().map_err(|error: String| Error::internal(error))
}

/// The session that a refresh token belongs to, after its rotation.
pub(super) struct Rotated {
    pub session_id: SessionId,
    pub user_id: UserId,
    pub organization_id: OrganizationId,
    pub role: Role,
}

/// `None` for a token that is unknown, used, expired or of an ended session: the caller learns no more than that.
pub(super) async fn rotate_refresh(
    connection: &mut AsyncPgConnection,
    old: &[u8],
    new: &[u8],
    refresh_seconds: i32,
) -> Result<Option<Rotated>> {
    let query = sql_query("SELECT outcome, session_id, user_id, organization_id, role FROM identity.rotate_refresh($1, $2, $3)")
        .bind::<Binary, _>(old)
        .bind::<Binary, _>(new)
        .bind::<Integer, _>(refresh_seconds);
    let row: RotationRow = query.get_result(connection).await.map_err(error)?;
    if row.outcome == "reused" {
        tracing::warn!(session = ?row.session_id, "a used refresh token was presented again; its session has been ended");
    }
    let (true, Some(session_id), Some(user_id), Some(organization_id), Some(text)) =
        (row.outcome == "rotated", row.session_id, row.user_id, row.organization_id, row.role)
    else {
        return Ok(None);
    };
    Ok(Some(Rotated { session_id, user_id, organization_id, role: role(&text)? }))
}

pub(super) async fn log_out(connection: &mut AsyncPgConnection, session: SessionId, user: UserId) -> Result<bool> {
    let query = sql_query("SELECT identity.log_out($1, $2) AS ended").bind::<SqlUuid, _>(session).bind::<SqlUuid, _>(user);
    query.get_result(connection).await.map(|row: Ended| row.ended).map_err(error)
}
