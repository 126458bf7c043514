//! Every SQL statement about external identities: calls of identity's functions.
//!
//! Must stay true: fixed texts, all values bound; what they return is a table, for which Diesel has no typed call.
#![allow(clippy::disallowed_methods, reason = "fixed texts that call table functions; see the module's rule")]

use crm_kernel::{ExternalIdentityId, OrganizationId, Result, Role, SessionId, Timestamp, UserId};
use diesel::{
    QueryableByName, sql_query,
    sql_types::{Array, BigInt, Binary, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::{model::ExternalIdentity, tokens::VerifiedToken};
use crate::{
    Entity, Expect, Tx,
    expect::error,
    identity::{
        model::Origin,
        second_factor::Proved,
        store::{Lifetimes, Opened},
    },
};

const IDENTITY: Entity = Entity { name: "external identity", table: "external_identities" };

#[derive(QueryableByName)]
struct Person {
    #[diesel(sql_type = Nullable<SqlUuid>)]
    user_id: Option<UserId>,
}

/// To whom the identity is linked.
pub(in crate::identity) async fn find_person(
    connection: &mut AsyncPgConnection,
    token: &VerifiedToken,
) -> Result<Option<UserId>> {
    let query = sql_query("SELECT identity.find_external_identity($1, $2) AS user_id")
        .bind::<Text, _>(token.issuer.as_str())
        .bind::<Text, _>(token.subject.as_str());
    query.get_result(connection).await.map(|person: Person| person.user_id).map_err(error)
}

#[derive(QueryableByName)]
struct EnteredRow {
    #[diesel(sql_type = SqlUuid)]
    user_id: UserId,
    #[diesel(sql_type = SqlUuid)]
    organization_id: OrganizationId,
    #[diesel(sql_type = SqlUuid)]
    session_id: SessionId,
    #[diesel(sql_type = Text)]
    role: Role,
}

pub(super) async fn exchange(
    connection: &mut AsyncPgConnection,
    (token, proved): (&VerifiedToken, &Proved),
    organization: Option<&str>,
    refresh_hash: &[u8],
    lifetimes: Lifetimes,
    origin: &Origin,
) -> Result<(UserId, OrganizationId, Opened)> {
    let text = "SELECT user_id, organization_id, session_id, role
                  FROM identity.exchange_external($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
    let query = sql_query(text)
        .bind::<Text, _>(token.issuer.as_str())
        .bind::<Text, _>(token.subject.as_str())
        .bind::<Nullable<Binary>, _>(token.once.as_ref().map(|once| once.hash.as_slice()))
        .bind::<Nullable<Timestamptz>, _>(token.once.as_ref().map(|once| once.expires_at))
        .bind::<Nullable<Text>, _>(organization.map(|slug| slug.replace('\0', "")))
        .bind::<Bool, _>(token.second_factor)
        .bind::<Nullable<BigInt>, _>(proved.given.step)
        .bind::<Nullable<Binary>, _>(proved.given.recovery.as_deref())
        .bind::<Array<Binary>, _>(&proved.keys)
        .bind::<Binary, _>(refresh_hash)
        .bind::<Integer, _>(lifetimes.session)
        .bind::<Integer, _>(lifetimes.refresh)
        .bind::<Nullable<Text>, _>(origin.ip.map(|ip| ip.to_string()))
        .bind::<Nullable<Text>, _>(origin.user_agent.as_deref().map(|agent| agent.replace('\0', "")));
    let row: EnteredRow = query.get_result(connection).await.map_err(error)?;
    Ok((row.user_id, row.organization_id, Opened { session_id: row.session_id, role: row.role }))
}

#[derive(QueryableByName)]
struct Linked {
    #[diesel(sql_type = SqlUuid)]
    id: ExternalIdentityId,
}

pub(super) async fn link(tx: &mut Tx, token: &VerifiedToken) -> Result<ExternalIdentityId> {
    let query = sql_query("SELECT identity.link_external_identity($1, $2, $3, $4, $5) AS id")
        .bind::<Text, _>(token.provider.as_str())
        .bind::<Text, _>(token.issuer.as_str())
        .bind::<Text, _>(token.subject.as_str())
        .bind::<Nullable<Binary>, _>(token.once.as_ref().map(|once| once.hash.as_slice()))
        .bind::<Nullable<Timestamptz>, _>(token.once.as_ref().map(|once| once.expires_at));
    query.get_result(tx).await.expect_one(IDENTITY).map(|linked: Linked| linked.id)
}

#[derive(QueryableByName)]
struct Listed {
    #[diesel(sql_type = SqlUuid)]
    id: ExternalIdentityId,
    #[diesel(sql_type = Text)]
    provider: String,
    #[diesel(sql_type = Text)]
    issuer: String,
    #[diesel(sql_type = Text)]
    subject: String,
    #[diesel(sql_type = Timestamptz)]
    created_at: Timestamp,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    last_used_at: Option<Timestamp>,
}

/// The caller's own; a person has ten at most.
pub(super) async fn list(tx: &mut Tx) -> Result<Vec<ExternalIdentity>> {
    let query =
        sql_query("SELECT id, provider, issuer, subject, created_at, last_used_at FROM identity.list_external_identities()");
    let rows: Vec<Listed> = query.load(tx).await.expect_any(IDENTITY)?;
    Ok(rows.into_iter().map(ExternalIdentity::from).collect())
}

impl From<Listed> for ExternalIdentity {
    fn from(row: Listed) -> Self {
        Self {
            id: row.id,
            provider: row.provider,
            issuer: row.issuer,
            subject: row.subject,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
        }
    }
}

pub(super) async fn unlink(tx: &mut Tx, id: ExternalIdentityId) -> Result<()> {
    let query = sql_query("SELECT identity.unlink_external_identity($1)").bind::<SqlUuid, _>(id);
    query.execute(tx).await.expect_any(IDENTITY).map(drop)
}
