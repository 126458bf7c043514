//! Tokens and sessions: what opens a door, what does not, and how soon it closes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod api_tokens;
mod damaged;
mod expansion;
mod narrowed;
mod proofs;
mod rotation;
mod service_users;
mod sessions;
mod standing;
mod strangers;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use biscuit_auth::{UnverifiedBiscuit, builder::BlockBuilder};
use crm_kernel::{Context, SessionId};
use serde_json::{Value, json};
use support::{Answer, App, Caller};

const MINUTE: Duration = Duration::from_secs(60);

/// The session of someone who has logged in once.
async fn session(app: &App, person: &Context) -> SessionId {
    let query = format!("SELECT id FROM identity.sessions WHERE user_id = '{}' ORDER BY created_at DESC LIMIT 1", person.user_id);
    app.database.texts(&query).await.remove(0).parse().unwrap()
}

#[track_caller]
fn is_turned_away(answer: Answer, what: &str) {
    let answer = answer.problem(401, "unauthenticated");
    assert_eq!(answer.header("www-authenticate"), "Bearer", "{what}: {}", answer.name);
}

async fn refresh(app: &App, token: &str) -> Answer {
    app.nobody().post("/api/v1/auth/refresh", &json!({ "refresh_token": token })).await
}

fn narrowed(caller: &Caller, block: BlockBuilder) -> String {
    let token = UnverifiedBiscuit::from_base64(caller.token.as_deref().unwrap()).unwrap();
    token.append(block).unwrap().to_base64().unwrap()
}

/// The same with the password of whoever sends it.
fn with_password(body: &Value) -> Value {
    let mut body = body.clone();
    body["password"] = json!(crm_testkit::PASSWORD);
    body
}

/// A program with a new API token of this caller, and what the answer said.
async fn mint(caller: &Caller, body: &Value) -> (Caller, Value) {
    let answer = caller.post("/api/v1/auth/tokens", &with_password(body)).await.expect(201).body;
    (Caller { token: answer["token"].as_str().map(ToOwned::to_owned), ..caller.clone() }, answer)
}
