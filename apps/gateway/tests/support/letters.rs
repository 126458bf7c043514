//! What comes to a person from outside: the links of letters, and the tokens of an identity provider.

use std::time::SystemTime;

use crm_tenancy::identity::{external::Providers, link_token};
use crm_testkit::issuer::shared_secret_token;
use serde_json::{Value, json};
use uuid::Uuid;

use super::App;

/// What every application of these tests shares with its one provider.
const SECRET: &str = "a secret that is long enough for any hash";

/// The provider that every application has unless it asks for others.
pub fn providers() -> Providers {
    let file = json!({ "providers": [{
        "name": "test", "issuer": "https://id.example.com", "audience": "crm", "kind": "gotrue", "secret_file": "secret",
    }] });
    Providers::from_json(&file.to_string(), &|_| Ok(SECRET.into())).unwrap()
}

/// Claims about this subject with which nothing is wrong.
pub fn claims(issuer: &str, subject: &str) -> Value {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    json!({ "iss": issuer, "aud": "crm", "sub": subject, "iat": now, "exp": now + 600 })
}

/// A right token of that provider.
pub fn external_token(subject: &str) -> String {
    let header = json!({ "alg": "HS256", "typ": "JWT" });
    shared_secret_token(SECRET.as_bytes(), &header, &claims("https://id.example.com", subject))
}

impl App {
    /// Another organisation of this name invites the address; what stands in its letter.
    pub async fn invited_elsewhere(&self, email: &str, name: &str) -> String {
        let inviting = self.database.tenant(name).await;
        let body = json!({ "email": email, "role": "member" });
        let owner = self.login(&inviting.email("owner")).await;
        let id = owner.post("/api/v1/organizations/current/invitations", &body).await.expect(201).id();
        self.invitation_token(&id).await
    }

    /// What stands in the latest letter of an invitation.
    pub async fn invitation_token(&self, id: &str) -> String {
        let secrets = self.database.texts(&format!("SELECT secret_id FROM identity.invitations WHERE id = '{id}'")).await;
        link_token(&self.sealing_keys, "invitation", secrets[0].parse::<Uuid>().unwrap()).unwrap()
    }

    /// Links an identity of the provider to a person; its token.
    pub async fn linked(&self, user: impl std::fmt::Display, subject: &str) -> String {
        let link = format!(
            "INSERT INTO identity.external_identities (user_id, provider, issuer, subject)
             VALUES ('{user}', 'test', 'https://id.example.com', '{subject}')"
        );
        self.database.execute(&link).await;
        external_token(subject)
    }
}
