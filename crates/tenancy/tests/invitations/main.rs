//! Invitations: who may invite whom, how often, and who comes in by one.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod coming_in;
#[path = "../entrance/mod.rs"]
mod entrance;
mod guarded;
mod inviting;

use std::sync::Arc;

use crm_kernel::{Context, InvitationId, OrganizationId, Role, SessionId};
use crm_tenancy::{
    PgIdentity,
    identity::{
        Credentials, Identity, IdentityOptions, Origin, Tokens,
        external::{Document, ExternalTokens, KeySource, PgExternalIdentities, Providers},
        invitations::{
            AcceptRequest, Invitation, InvitationPreview, InvitationTokenRequest, Invitations, JoinRequest, NewInvitation,
            PgInvitations,
        },
        link_token,
    },
    sealing::SealingKeys,
    token::TokenKey,
};
use crm_testkit::{PASSWORD, Tenant, TestDatabase};
use tokio::sync::Notify;
use uuid::Uuid;

/// The secret of the provider whose tokens these tests accept.
pub(crate) const PROVIDER_SECRET: &str = "a secret that is long enough for any hash";

/// An organisation, and all that invites into it.
pub(crate) struct Stage {
    pub(crate) database: TestDatabase,
    pub(crate) tenant: Tenant,
    pub(crate) identity: Arc<PgIdentity>,
    pub(crate) invitations: PgInvitations,
    pub(crate) external: PgExternalIdentities,
    pub(crate) letters_queued: Arc<Notify>,
    pub(crate) keys: SealingKeys,
}

/// The provider of these tests shares a secret and publishes nothing.
struct NoKeys;

#[async_trait::async_trait]
impl KeySource for NoKeys {
    async fn fetch(&self, address: &str) -> crm_kernel::Result<Document> {
        panic!("nobody may ask {address}")
    }
}

pub(crate) async fn set_up() -> Stage {
    let database = TestDatabase::create().await;
    let (tenant, db) = (database.tenant("Acme").await, database.db());
    let keys = SealingKeys::generate().unwrap();
    let letters_queued = Arc::new(Notify::new());
    let identity = PgIdentity::new(db.clone(), TokenKey::generate(), keys.clone(), IdentityOptions::default());
    let identity = Arc::new(identity.announcing(Arc::clone(&letters_queued)));
    let settings = r#"{"providers": [{"name": "test", "issuer": "https://id.example.com", "audience": "crm", "kind": "gotrue",
                       "secret_file": "secret", "second_factor": "trusted_when_amr_mfa"}]}"#;
    let providers = Providers::from_json(settings, &|_| Ok(PROVIDER_SECRET.to_owned())).unwrap();
    let tokens = Arc::new(ExternalTokens::new(providers, NoKeys));
    let invitations = PgInvitations::new(db.clone(), identity.clone(), keys.clone(), tokens.clone(), Arc::clone(&letters_queued));
    let external = PgExternalIdentities::new(db, identity.clone(), tokens);
    Stage { database, tenant, identity, invitations, external, letters_queued, keys }
}

pub(crate) fn invitation(email: &str, role: Role) -> NewInvitation {
    NewInvitation { email: email.into(), role, title: None, team_id: None, manager_id: None, password: None }
}

pub(crate) fn asks(token: &str) -> InvitationTokenRequest {
    InvitationTokenRequest { token: token.into() }
}

pub(crate) fn accepts(token: &str) -> AcceptRequest {
    AcceptRequest { token: token.into(), full_name: None, password: None, external_token: None, code: None }
}

pub(crate) fn newcomer(token: &str) -> AcceptRequest {
    AcceptRequest { full_name: Some("New Person".into()), password: Some(PASSWORD.into()), ..accepts(token) }
}

impl Stage {
    pub(crate) async fn invite(&self, email: &str, role: Role) -> (Invitation, String) {
        let made = self.invitations.create(&self.tenant.owner, &invitation(email, role)).await.unwrap();
        let token = self.token(made.id).await;
        (made, token)
    }

    /// What stands in the latest letter.
    pub(crate) async fn token(&self, id: InvitationId) -> String {
        let secret = self.database.texts(&format!("SELECT secret_id FROM identity.invitations WHERE id = '{id}'")).await;
        link_token(&self.keys, "invitation", secret[0].parse::<Uuid>().unwrap()).unwrap()
    }

    pub(crate) async fn look(&self, request: &InvitationTokenRequest) -> crm_kernel::Result<InvitationPreview> {
        self.invitations.look(request, &Origin::default()).await
    }

    pub(crate) async fn accept(&self, request: &AcceptRequest) -> crm_kernel::Result<Tokens> {
        self.invitations.accept(request, &Origin::default()).await
    }

    /// Accepts in a session of this person.
    pub(crate) async fn join(&self, email: &str, token: &str) -> crm_kernel::Result<Tokens> {
        let credentials = Credentials { email: email.into(), password: PASSWORD.into(), ..Credentials::default() };
        let session = self.identity.login(&credentials, &Origin::default()).await.unwrap();
        let request = JoinRequest { token: token.into(), refresh_token: session.refresh_token.clone() };
        self.invitations.join(&self.context(&session).await, &request, &Origin::default()).await
    }

    /// The context of a login.
    pub(crate) async fn session(&self, email: &str) -> Context {
        let credentials = Credentials { email: email.into(), password: PASSWORD.into(), ..Credentials::default() };
        let tokens = self.identity.login(&credentials, &Origin::default()).await.unwrap();
        self.context(&tokens).await
    }

    pub(crate) async fn context(&self, tokens: &Tokens) -> Context {
        let latest = format!(
            "SELECT id FROM identity.sessions WHERE user_id = '{}' AND organization_id = '{}' ORDER BY id DESC LIMIT 1",
            tokens.user_id, tokens.organization_id
        );
        let session: SessionId = self.database.texts(&latest).await[0].parse().unwrap();
        Context { session_id: Some(session), ..Context::new(tokens.organization_id, tokens.user_id, tokens.role) }
    }

    pub(crate) async fn count(&self, query: &str) -> i64 {
        self.database.number(query).await
    }

    pub(crate) async fn status(&self, id: InvitationId) -> String {
        self.invitations.get(&self.tenant.owner, id).await.unwrap().status.to_string()
    }

    /// What the log of the organisation says of this kind of thing.
    pub(crate) async fn logged(&self, organization: OrganizationId, entity: &str) -> Vec<String> {
        let query = format!(
            "SELECT activity_type || ' by ' || coalesce(user_id::text, actor_kind) FROM crm_activities
              WHERE organization_id = '{organization}' AND entity_type = '{entity}' ORDER BY seq"
        );
        self.database.texts(&query).await
    }
}
