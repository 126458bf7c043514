//! Accounts: signing up, passwords, addresses, profiles. Every link works once, and nobody learns who has an account.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod addresses;
#[path = "../entrance/mod.rs"]
mod entrance;
mod passwords;
mod profile;
mod registration;
mod throttled;
mod zones;

use std::sync::Arc;

use crm_kernel::Context;
use crm_tenancy::{
    Db, Identity, PgIdentity,
    identity::{
        Credentials, IdentityOptions, Origin, Tokens,
        accounts::{AccountOptions, PgAccounts, Registration},
        link_token,
    },
    sealing::SealingKeys,
    token::{KeyRing, Policy, Proof, TokenKey, Use},
};
use crm_testkit::{PASSWORD, TestDatabase, refusals::unauthenticated};
use tokio::sync::Notify;
use uuid::Uuid;

/// A password that nobody of testkit has.
const OTHER: &str = "a password of my own 🐎";

struct Desk {
    database: TestDatabase,
    db: Db,
    token_keys: KeyRing,
    keys: SealingKeys,
    identity: Arc<PgIdentity>,
    accounts: PgAccounts,
}

impl Desk {
    async fn new(options: AccountOptions) -> Self {
        let database = TestDatabase::create().await;
        let (db, token_keys, keys) = (database.db(), KeyRing::from(TokenKey::generate()), SealingKeys::generate().unwrap());
        let identity = Arc::new(PgIdentity::new(db.clone(), token_keys.clone(), keys.clone(), IdentityOptions::default()));
        let queued = Arc::new(Notify::new());
        let accounts = PgAccounts::new(db.clone(), Arc::clone(&identity), keys.clone(), options, queued);
        Self { database, db, token_keys, keys, identity, accounts }
    }

    /// The token in the newest letter of this kind to this address.
    async fn token(&self, kind: &str, to: &str) -> String {
        let query = format!(
            "SELECT secret_id FROM identity.letters WHERE kind = '{kind}' AND recipient = '{to}' ORDER BY id DESC LIMIT 1"
        );
        let id: Uuid = self.database.texts(&query).await.remove(0).parse().unwrap();
        link_token(&self.keys, kind, id).unwrap()
    }

    /// The kinds of all letters to this address, oldest first.
    async fn letters(&self, to: &str) -> Vec<String> {
        self.database.texts(&format!("SELECT kind FROM identity.letters WHERE recipient = '{to}' ORDER BY id")).await
    }

    async fn login(&self, email: &str, password: &str) -> crm_kernel::Result<Tokens> {
        let credentials = Credentials { email: email.into(), password: password.into(), ..Credentials::default() };
        self.identity.login(&credentials, &Origin::default()).await
    }

    /// The context that the gateway makes of an access token.
    fn context(&self, tokens: &Tokens) -> Context {
        let policy = Policy::new("allow if true").unwrap();
        let wanted = Use { operation: "test", entity: "test", access: "read", resource: None };
        let claims = policy.decide(&tokens.access_token, &self.token_keys, &wanted).unwrap().claims;
        let Proof::Session(session_id) = claims.proof else { panic!("a login makes a session") };
        Context { session_id: Some(session_id), ..Context::new(claims.organization_id, claims.user_id, claims.role) }
    }

    async fn is_alive(&self, tokens: &Tokens) {
        self.db.begin(&self.context(tokens)).await.expect("the session is alive");
    }

    async fn is_over(&self, tokens: &Tokens) {
        unauthenticated(self.db.begin(&self.context(tokens)).await, "the session has ended");
        unauthenticated(self.identity.refresh(&tokens.refresh_token).await, "its refresh token has ended with it");
    }

    async fn events(&self, kind: &str) -> i64 {
        self.database.number(&format!("SELECT count(*) FROM crm_activities WHERE activity_type = '{kind}'")).await
    }
}

fn registration(email: &str) -> Registration {
    Registration {
        email: email.into(),
        password: OTHER.into(),
        full_name: "Zoë 🚀 Müller".into(),
        organization_name: "Größe & Söhne 株式会社".into(),
        slug: None,
        time_zone: Some("Europe/Vienna".into()),
        country: Some("AT".into()),
        default_currency: Some("EUR".into()),
        locale: Some("de-AT".into()),
    }
}

fn origin() -> Origin {
    Origin { ip: Some("192.0.2.7".parse().unwrap()), user_agent: Some("a\0 client".into()), request_id: "the-request".into() }
}
