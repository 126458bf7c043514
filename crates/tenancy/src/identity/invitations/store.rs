//! Every SQL statement about invitations: the view that shows them, and the functions that alone may change them.
//!
//! Must stay true: fixed texts, all values bound; what they return is a table, for which Diesel has no typed call.
#![allow(clippy::disallowed_methods, reason = "fixed texts that call table functions; see the module's rule")]

use crm_kernel::{Error, InvitationId, ListQuery, OrganizationId, Position, Result, Role, SessionId, UserId, page::COUNT_BOUND};
use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, QueryableByName, SelectableHelper,
    pg::Pg,
    sql_query,
    sql_types::{Array, BigInt, Binary, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::Value;
use uuid::Uuid;

use super::model::{Invitation, NewInvitation};
use crate::{
    Counted, Entity, Expect, Matching, Tx,
    expect::error,
    identity::{
        external::VerifiedToken,
        model::Origin,
        second_factor::Proved,
        store::{Birth, Lifetimes, Opened},
    },
    schema::q_invitations,
    seek_id,
};

const INVITATION: Entity = Entity { name: "invitation", table: "invitations" };

type Rows<'a> = q_invitations::BoxedQuery<'a, Pg>;

/// A link's name and the hash of its secret.
pub(super) struct Link {
    pub id: Uuid,
    pub hash: Vec<u8>,
}

fn everything<'a>(tx: &Tx) -> Rows<'a> {
    q_invitations::table.filter(q_invitations::organization_id.eq(tx.organization_id())).into_boxed()
}

pub(super) async fn get(tx: &mut Tx, id: InvitationId) -> Result<Invitation> {
    everything(tx).filter(q_invitations::id.eq(id)).select(Invitation::as_select()).first(tx).await.expect_one(INVITATION)
}

/// Up to one more than the page holds.
pub(super) async fn list(tx: &mut Tx, query: &ListQuery) -> Result<Vec<Invitation>> {
    let rows = seek_id!(narrowed(tx, query), query, q_invitations::id);
    rows.limit(i64::from(query.limit) + 1).select(Invitation::as_select()).load(tx).await.expect_any(INVITATION)
}

pub(super) fn position(invitation: &Invitation, _: &str) -> Position {
    Position::new(Value::Null, invitation.id)
}

pub(super) async fn count(tx: &mut Tx, query: &ListQuery) -> Result<i64> {
    let rows = narrowed(tx, query).select(q_invitations::id).limit(COUNT_BOUND + 1);
    Counted(rows).get_result(tx).await.expect_any(INVITATION)
}

fn narrowed<'a>(tx: &Tx, query: &ListQuery) -> Rows<'a> {
    everything(tx).filter(Matching::new(tx, "q_invitations", &query.filter.condition()))
}

#[derive(QueryableByName)]
struct Answer {
    #[diesel(sql_type = Bool)]
    answer: bool,
}

/// `NotFound` unless there is one of this id, whoever asks.
pub(super) async fn require(tx: &mut Tx, id: InvitationId) -> Result<()> {
    let query = sql_query("SELECT identity.invitation_exists($1) AS answer").bind::<SqlUuid, _>(id);
    let there: Answer = query.get_result(tx).await.expect_one(INVITATION)?;
    if there.answer { Ok(()) } else { Err(Error::NotFound(INVITATION.name)) }
}

pub(super) async fn insert(tx: &mut Tx, id: InvitationId, new: &NewInvitation, link: &Link, seconds: i32) -> Result<()> {
    let query = sql_query("SELECT identity.invite($1, $2, $3, $4, $5, $6, $7, $8, $9)")
        .bind::<SqlUuid, _>(id)
        .bind::<Text, _>(new.email.as_str())
        .bind::<Text, _>(new.role)
        .bind::<Nullable<Text>, _>(new.title.as_deref())
        .bind::<Nullable<SqlUuid>, _>(new.team_id)
        .bind::<Nullable<SqlUuid>, _>(new.manager_id)
        .bind::<SqlUuid, _>(link.id)
        .bind::<Binary, _>(link.hash.as_slice())
        .bind::<Integer, _>(seconds);
    query.execute(tx).await.expect_any(INVITATION).map(drop)
}

pub(super) async fn resend(tx: &mut Tx, id: InvitationId, link: &Link, seconds: i32) -> Result<()> {
    let query = sql_query("SELECT identity.resend_invitation($1, $2, $3, $4)")
        .bind::<SqlUuid, _>(id)
        .bind::<SqlUuid, _>(link.id)
        .bind::<Binary, _>(link.hash.as_slice())
        .bind::<Integer, _>(seconds);
    query.execute(tx).await.expect_any(INVITATION).map(drop)
}

pub(super) async fn revoke(tx: &mut Tx, id: InvitationId) -> Result<()> {
    let query = sql_query("SELECT identity.revoke_invitation($1)").bind::<SqlUuid, _>(id);
    query.execute(tx).await.expect_any(INVITATION).map(drop)
}

/// What a link opens.
#[derive(QueryableByName)]
pub(super) struct Found {
    #[diesel(sql_type = Text)]
    pub organization_name: String,
    #[diesel(sql_type = Text)]
    pub email: String,
    #[diesel(sql_type = Text)]
    pub role: String,
    #[diesel(sql_type = Text)]
    pub inviter_name: String,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub user_id: Option<UserId>,
    #[diesel(sql_type = Nullable<Text>)]
    pub password_hash: Option<String>,
    #[diesel(sql_type = Bool)]
    pub has_identity: bool,
}

pub(super) async fn find(connection: &mut AsyncPgConnection, link: &Link) -> Result<Option<Found>> {
    let query = sql_query(
        "SELECT organization_name, email, role, inviter_name, user_id, password_hash, has_identity
           FROM identity.find_invitation($1, $2)",
    );
    let query = query.bind::<SqlUuid, _>(link.id).bind::<Binary, _>(link.hash.as_slice());
    query.get_result(connection).await.optional().map_err(error)
}

/// What makes a person of whoever accepts, or proves who it is.
pub(super) struct Acceptance<'a> {
    pub proved: Option<UserId>,
    pub full_name: &'a str,
    /// Of a new account its own; of one that is there what its password was compared with.
    pub password_hash: Option<String>,
    pub external: Option<&'a VerifiedToken>,
    pub second_factor: Proved,
}

#[derive(QueryableByName)]
struct AcceptedRow {
    #[diesel(sql_type = SqlUuid)]
    user_id: UserId,
    #[diesel(sql_type = SqlUuid)]
    organization_id: OrganizationId,
    #[diesel(sql_type = SqlUuid)]
    session_id: SessionId,
    #[diesel(sql_type = Text)]
    role: Role,
}

/// Whether another password may be tried with this link.
pub(super) async fn count_proof(connection: &mut AsyncPgConnection, link: &Link) -> Result<bool> {
    let query = sql_query("SELECT identity.count_proof($1, $2) AS answer")
        .bind::<SqlUuid, _>(link.id)
        .bind::<Binary, _>(link.hash.as_slice());
    query.get_result(connection).await.map(|counted: Answer| counted.answer).map_err(error)
}

pub(super) async fn accept(
    connection: &mut AsyncPgConnection,
    link: &Link,
    acceptance: Acceptance<'_>,
    refresh_hash: &[u8],
    lifetimes: Lifetimes,
    origin: &Origin,
) -> Result<(UserId, OrganizationId, Opened)> {
    let external = acceptance.external;
    let once = external.and_then(|token| token.once.as_ref());
    let Proved { given, keys } = acceptance.second_factor;
    let text = "SELECT user_id, organization_id, session_id, role
                  FROM identity.accept_invitation($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
                                                  $19, $20)";
    let query = sql_query(text)
        .bind::<SqlUuid, _>(link.id)
        .bind::<Binary, _>(link.hash.as_slice())
        .bind::<Nullable<SqlUuid>, _>(acceptance.proved)
        .bind::<Text, _>(acceptance.full_name)
        .bind::<Nullable<Text>, _>(acceptance.password_hash)
        .bind::<Nullable<Text>, _>(external.map(|token| token.provider.as_str()))
        .bind::<Nullable<Text>, _>(external.map(|token| token.issuer.as_str()))
        .bind::<Nullable<Text>, _>(external.map(|token| token.subject.as_str()))
        .bind::<Nullable<Binary>, _>(once.map(|once| once.hash.as_slice()))
        .bind::<Nullable<Timestamptz>, _>(once.map(|once| once.expires_at))
        .bind::<Bool, _>(external.is_some_and(|token| token.second_factor))
        .bind::<Nullable<BigInt>, _>(given.step)
        .bind::<Nullable<Binary>, _>(given.recovery)
        .bind::<Array<Binary>, _>(keys)
        .bind::<Binary, _>(refresh_hash)
        .bind::<Integer, _>(lifetimes.session)
        .bind::<Integer, _>(lifetimes.refresh)
        .bind::<Nullable<Text>, _>(origin.ip.map(|ip| ip.to_string()))
        .bind::<Nullable<Text>, _>(origin.user_agent.as_deref().map(|agent| agent.replace('\0', "")))
        .bind::<Text, _>(origin.request_id.replace('\0', ""));
    let row: AcceptedRow = query.get_result(connection).await.expect_one(INVITATION)?;
    Ok((row.user_id, row.organization_id, Opened { session_id: row.session_id, role: row.role }))
}

#[derive(QueryableByName)]
struct JoinedRow {
    #[diesel(sql_type = SqlUuid)]
    organization_id: OrganizationId,
    #[diesel(sql_type = SqlUuid)]
    session_id: SessionId,
    #[diesel(sql_type = Text)]
    role: Role,
}

/// In the transaction of the person who joins, against a refresh token of the session: all of it or nothing.
pub(super) async fn join(
    tx: &mut Tx,
    link: &Link,
    (session, known_hash): (SessionId, &[u8]),
    birth: Birth<'_>,
) -> Result<(OrganizationId, Opened)> {
    let text = "SELECT organization_id, session_id, role
                  FROM identity.join_by_invitation($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let query = sql_query(text)
        .into_boxed::<Pg>()
        .bind::<SqlUuid, _>(link.id)
        .bind::<Binary, _>(link.hash.clone())
        .bind::<SqlUuid, _>(session)
        .bind::<Binary, _>(known_hash.to_vec());
    let row: JoinedRow = birth.bind(query).get_result(tx).await.expect_one(INVITATION)?;
    Ok((row.organization_id, Opened { session_id: row.session_id, role: row.role }))
}
