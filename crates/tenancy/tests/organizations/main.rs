//! Organisations, members and teams: who may change what, asked of the services and, as the application's role with raw SQL, of
//! the database alone.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests fail by panicking"
)]

mod handover;
mod housekeeping;
mod members;
mod settings;
mod teams;

use std::time::Duration;

use crm_kernel::{Context, Role, SessionId};
use crm_tenancy::{
    Db, Identity, PgIdentity, PgMembers, PgOrganizations, PgTeams,
    identity::{Credentials, IdentityOptions, Origin},
    sealing::SealingKeys,
    token::{KeyRing, Policy, Proof, TokenKey, Use},
};
use crm_testkit::{PASSWORD, Tenant, TestDatabase, waiting::until};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};

/// A tenant, another one, and the services on one database.
struct Scene {
    database: TestDatabase,
    tenant: Tenant,
    stranger: Tenant,
    db: Db,
    organizations: PgOrganizations,
    members: PgMembers,
    teams: PgTeams,
    key: KeyRing,
    identity: PgIdentity,
}

impl Scene {
    async fn create() -> Self {
        let database = TestDatabase::create().await;
        let (tenant, stranger, db) = (database.tenant("Acme").await, database.tenant("Umbrella").await, database.db());
        let key = KeyRing::from(TokenKey::generate());
        let identity = PgIdentity::new(db.clone(), key.clone(), SealingKeys::generate().unwrap(), IdentityOptions::default());
        let (organizations, members) = (PgOrganizations::new(db.clone()), PgMembers::new(db.clone()));
        Self { teams: PgTeams::new(db.clone()), database, tenant, stranger, db, organizations, members, key, identity }
    }

    /// A second owner.
    async fn co_owner(&self) -> Context {
        self.database.add_member(self.tenant.organization_id, "co-owner@acme.example.com", Role::Owner).await
    }

    /// The context of somebody who has logged in, from an address.
    async fn login(&self, email: &str) -> Context {
        let credentials = Credentials { email: email.into(), password: PASSWORD.into(), ..Credentials::default() };
        let origin = Origin { ip: "192.0.2.7".parse().ok(), user_agent: Some("Test 🦀".into()), ..Origin::default() };
        let tokens = self.identity.login(&credentials, &origin).await.unwrap();
        let policy = Policy::new("allow if true").unwrap();
        let wanted = Use { operation: "test", entity: "test", access: "read", resource: None };
        let claims = policy.decide(&tokens.access_token, &self.key, &wanted).unwrap().claims;
        let Proof::Session(session) = claims.proof else { panic!("a login gives a session") };
        let session_id: Option<SessionId> = Some(session);
        Context { session_id, ..Context::new(claims.organization_id, claims.user_id, claims.role) }
    }

    /// An API token of this person, made as the administrator: its id and hash are those of the context.
    async fn api_token(&self, person: &Context, days: u32) -> Context {
        let token_id = crm_kernel::TokenId::generate();
        let hash = [7_u8; 32];
        self.database
            .execute(&format!(
                "INSERT INTO identity.api_tokens (organization_id, id, user_id, name, token_hash, created_by_id, expires_at)
                 VALUES ('{}', '{token_id}', '{1}', 'Robot', decode(repeat('07', 32), 'hex'), '{1}', now() + interval '{days} days')",
                person.organization_id, person.user_id
            ))
            .await;
        Context { token_id: Some(token_id), token_hash: Some(hash), ..person.clone() }
    }

    /// A transaction of the caller on a connection that runs any SQL, as the application's role.
    async fn enter(&self, caller: &Context) -> AsyncPgConnection {
        let mut connection = AsyncPgConnection::establish(&self.database.url()).await.unwrap();
        connection.batch_execute("BEGIN").await.unwrap();
        let begin = format!(
            "SELECT app.begin_request('{}', '{}', NULL, NULL, 'user', false, NULL, NULL, NULL, NULL)",
            caller.organization_id, caller.user_id
        );
        connection.batch_execute(&begin).await.unwrap();
        connection
    }

    /// What the database alone says to this SQL of this caller: `done`, or the name of the rule that refused.
    async fn raw(&self, caller: &Context, sql: &str) -> String {
        let mut connection = self.enter(caller).await;
        match connection.batch_execute(sql).await {
            Ok(()) => connection.batch_execute("COMMIT").await.map_or_else(|error| error.to_string(), |()| "done".to_owned()),
            Err(diesel::result::Error::DatabaseError(_, information)) => {
                information.constraint_name().map_or_else(|| information.message().to_owned(), ToOwned::to_owned)
            }
            Err(error) => panic!("{sql}: {error}"),
        }
    }

    /// Until somebody in this database waits for a lock.
    async fn somebody_waits(&self) {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        until("somebody waits for a lock", async || self.number(waiting).await > 0).await;
    }

    async fn number(&self, query: &str) -> i64 {
        self.database.number(query).await
    }

    /// `role status` of a member, as it stands in the table.
    async fn standing(&self, person: &Context) -> String {
        let query = format!(
            "SELECT role || ' ' || status FROM memberships WHERE organization_id = '{}' AND user_id = '{}'",
            person.organization_id, person.user_id
        );
        self.database.texts(&query).await.remove(0)
    }
}

/// Longer than any lock is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
