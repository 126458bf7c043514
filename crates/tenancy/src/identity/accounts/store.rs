//! Every SQL statement of accounts: calls of the functions of identity, which alone may touch its tables.
//!
//! Must stay true: fixed texts, all values bound. What the caller does for themselves runs in a transaction of theirs, and the
//! functions take who that is from it.
#![allow(clippy::disallowed_methods, reason = "fixed texts that call functions of identity; see the module's rule")]

use crm_kernel::{OrganizationId, Result, UserId};
use diesel::{
    OptionalExtension, QueryableByName, sql_query,
    sql_types::{Binary, Bool, Nullable, Text, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::ProfileChanges;
use crate::{Entity, Expect, Tx, expect::error, identity::Origin};

const ORGANIZATION: Entity = Entity { name: "organization", table: "organizations" };
const PERSON: Entity = Entity { name: "person", table: "users" };

/// The row of a link, and what its secret must hash to.
pub(super) struct Link {
    pub id: Uuid,
    pub secret_hash: Vec<u8>,
}

/// A sign-up that waits for its confirmation.
pub(super) struct NewRegistration<'a> {
    pub email: String,
    pub password_hash: String,
    pub full_name: &'a str,
    pub organization_name: &'a str,
    pub slug: String,
    pub slug_chosen: bool,
    pub time_zone: &'a str,
    pub country: Option<&'a str>,
    pub currency: &'a str,
    pub locale: &'a str,
    pub wants_letter: bool,
}

/// The caller, as far as a password is judged by it.
#[derive(QueryableByName)]
pub(super) struct Own {
    #[diesel(sql_type = Text)]
    pub email: String,
    #[diesel(sql_type = Text)]
    pub full_name: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub password_hash: Option<String>,
}

#[derive(QueryableByName)]
struct Made {
    #[diesel(sql_type = SqlUuid)]
    user_id: UserId,
    #[diesel(sql_type = SqlUuid)]
    organization_id: OrganizationId,
}

#[derive(QueryableByName)]
struct Pending {
    #[diesel(sql_type = Text)]
    password_hash: String,
}

#[derive(QueryableByName)]
struct Whose {
    #[diesel(sql_type = Text)]
    email: String,
    #[diesel(sql_type = Text)]
    full_name: String,
}

#[derive(QueryableByName)]
struct Answered {
    #[diesel(sql_type = Bool)]
    answer: bool,
}

#[derive(QueryableByName)]
struct Perhaps {
    #[diesel(sql_type = Nullable<Bool>)]
    answer: Option<bool>,
}

pub(super) async fn request_registration(
    connection: &mut AsyncPgConnection,
    link: &Link,
    new: &NewRegistration<'_>,
    origin: &Origin,
) -> Result<()> {
    let query = sql_query("SELECT identity.request_registration($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)")
        .bind::<SqlUuid, _>(link.id)
        .bind::<Binary, _>(&link.secret_hash)
        .bind::<Text, _>(&new.email)
        .bind::<Text, _>(&new.password_hash)
        .bind::<Text, _>(new.full_name)
        .bind::<Text, _>(new.organization_name)
        .bind::<Text, _>(&new.slug)
        .bind::<Bool, _>(new.slug_chosen)
        .bind::<Text, _>(new.time_zone)
        .bind::<Nullable<Text>, _>(new.country)
        .bind::<Text, _>(new.currency)
        .bind::<Text, _>(new.locale)
        .bind::<Bool, _>(new.wants_letter)
        .bind::<Nullable<Text>, _>(origin.ip.map(|ip| ip.to_canonical().to_string()));
    query.execute(connection).await.map(|_| ()).map_err(error)
}

/// What the password of whoever confirms is compared with; `None` when the link opens nothing.
pub(super) async fn find_registration(connection: &mut AsyncPgConnection, link: &Link) -> Result<Option<String>> {
    let query = sql_query("SELECT password_hash FROM identity.find_registration($1, $2)")
        .bind::<SqlUuid, _>(link.id)
        .bind::<Binary, _>(&link.secret_hash);
    let pending: Option<Pending> = query.get_result(connection).await.optional().map_err(error)?;
    Ok(pending.map(|pending| pending.password_hash))
}

pub(super) async fn confirm_registration(
    connection: &mut AsyncPgConnection,
    link: &Link,
    slug: Option<&str>,
) -> Result<Option<(UserId, OrganizationId)>> {
    let query = sql_query("SELECT user_id, organization_id FROM identity.confirm_registration($1, $2, $3)")
        .bind::<SqlUuid, _>(link.id)
        .bind::<Binary, _>(&link.secret_hash)
        .bind::<Nullable<Text>, _>(slug);
    let made: Option<Made> = query.get_result(connection).await.optional().expect_any(ORGANIZATION)?;
    Ok(made.map(|made| (made.user_id, made.organization_id)))
}

pub(super) async fn request_password_reset(connection: &mut AsyncPgConnection, link: &Link, email: &str) -> Result<()> {
    let query = sql_query("SELECT identity.request_password_reset($1, $2, $3)")
        .bind::<SqlUuid, _>(link.id)
        .bind::<Binary, _>(&link.secret_hash)
        .bind::<Text, _>(email);
    query.execute(connection).await.map(|_| ()).map_err(error)
}

/// Address and name of the person whom the link is for.
pub(super) async fn find_reset(connection: &mut AsyncPgConnection, link: &Link) -> Result<Option<(String, String)>> {
    let query = sql_query("SELECT email, full_name FROM identity.find_reset($1, $2)")
        .bind::<SqlUuid, _>(link.id)
        .bind::<Binary, _>(&link.secret_hash);
    let whose: Option<Whose> = query.get_result(connection).await.optional().map_err(error)?;
    Ok(whose.map(|whose| (whose.email, whose.full_name)))
}

/// Whether the device is known from now on; nothing when the link is of no use.
pub(super) async fn reset_password(
    connection: &mut AsyncPgConnection,
    link: &Link,
    (password_hash, device): (&str, &[u8]),
    origin: &Origin,
) -> Result<Option<bool>> {
    let query = sql_query("SELECT identity.reset_password($1, $2, $3, $4, $5, $6, $7) AS answer")
        .bind::<SqlUuid, _>(link.id)
        .bind::<Binary, _>(&link.secret_hash)
        .bind::<Text, _>(password_hash)
        .bind::<Binary, _>(device)
        .bind::<Nullable<Text>, _>(origin.ip.map(|ip| ip.to_string()))
        .bind::<Nullable<Text>, _>(agent(origin))
        .bind::<Text, _>(origin.request_id.replace('\0', ""));
    query.get_result(connection).await.map(|row: Perhaps| row.answer).map_err(error)
}

pub(super) async fn find_own(tx: &mut Tx) -> Result<Own> {
    sql_query("SELECT coalesce(email, '') AS email, full_name, password_hash FROM identity.own_password()")
        .get_result(tx)
        .await
        .expect_one(PERSON)
}

/// Whether the session that ended had a second factor; `None` when the known hash is no longer the person's.
pub(super) async fn change_password(tx: &mut Tx, known_hash: &str, password_hash: &str) -> Result<Option<bool>> {
    let query = sql_query("SELECT second_factor AS answer FROM identity.change_password($1, $2)")
        .bind::<Text, _>(known_hash)
        .bind::<Text, _>(password_hash);
    let changed: Option<Answered> = query.get_result(tx).await.optional().expect_any(PERSON)?;
    Ok(changed.map(|row| row.answer))
}

pub(super) async fn request_email_change(tx: &mut Tx, link: &Link, email: &str) -> Result<()> {
    let query = sql_query("SELECT identity.request_email_change($1, $2, $3)")
        .bind::<SqlUuid, _>(link.id)
        .bind::<Binary, _>(&link.secret_hash)
        .bind::<Text, _>(email);
    query.execute(tx).await.map(|_| ()).expect_any(PERSON)
}

/// In the transaction of the person who asked; false for what opens nothing of theirs.
pub(super) async fn confirm_email_change(tx: &mut Tx, link: &Link) -> Result<bool> {
    let query = sql_query("SELECT identity.confirm_email_change($1, $2, NULL, NULL, NULL) AS answer")
        .bind::<SqlUuid, _>(link.id)
        .bind::<Binary, _>(&link.secret_hash);
    query.get_result(tx).await.map(|row: Answered| row.answer).expect_any(PERSON)
}

pub(super) async fn update_profile(tx: &mut Tx, changes: &ProfileChanges) -> Result<()> {
    let query = sql_query("SELECT identity.update_profile($1, $2, $3)")
        .bind::<Nullable<Text>, _>(changes.full_name.as_deref().map(str::trim))
        .bind::<Nullable<Text>, _>(changes.time_zone.as_deref())
        .bind::<Nullable<Text>, _>(changes.locale.as_deref());
    query.execute(tx).await.map(|_| ()).expect_any(PERSON)
}

fn agent(origin: &Origin) -> Option<String> {
    origin.user_agent.as_deref().map(|agent| agent.replace('\0', ""))
}
