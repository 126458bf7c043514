//! The demo organisation, seeded by the real command and served by the gateway.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking, and each test program uses only a part of this"
)]

use std::{net::TcpListener, process::Command};

use crm_gateway::{
    server,
    services::{Secrets, Services},
};
use crm_tenancy::{sealing::SealingKeys, token::TokenKey};
use crm_testkit::TestDatabase;
use serde_json::{Value, json};

/// The seeded organisation behind a running gateway, and a token of its owner.
pub struct Demo {
    api: String,
    token: String,
    http: reqwest::Client,
    // Dropping it drops the database.
    database: TestDatabase,
}

impl Demo {
    pub async fn start() -> Self {
        let database = TestDatabase::create().await;
        seed(&database);
        Self::on(database).await
    }

    /// On a database that has it, behind a gateway with keys of its own, which starts only if the seal is whole.
    pub async fn on(database: TestDatabase) -> Self {
        assert_eq!(crm_tenancy::seal::check(&database.db()).await.unwrap(), []);
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let api = format!("http://{}/api/v1", listener.local_addr().unwrap());
        let secrets = Secrets { token_keys: TokenKey::generate().into(), sealing_keys: SealingKeys::generate().unwrap() };
        let services = Services::new(&database.db(), secrets).unwrap();
        tokio::spawn(server::serve(listener, services, 1_000, crm_gateway::connection::Fresh::default()).unwrap());
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let demo = Self { api, token: String::new(), http, database };
        let token = demo.token_of("owner@demo.example").await;
        Self { token, ..demo }
    }

    /// What it stands in.
    pub fn database(&self) -> &TestDatabase {
        &self.database
    }

    /// What this person of the demo logs in to.
    pub async fn token_of(&self, email: &str) -> String {
        let credentials = json!({ "email": email, "password": "demo-password-please-change" });
        let request = self.http.post(format!("{}/auth/login", self.api)).json(&credentials);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        answer["access_token"].as_str().unwrap_or_else(|| panic!("{email} must be able to log in: {answer}")).to_owned()
    }

    /// What the owner is answered.
    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask(&self.token, path, &[]).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// What the owner is answered to these parameters, whatever it is.
    pub async fn try_get(&self, path: &str, query: &[(&str, &str)]) -> (u16, Value) {
        self.ask(&self.token, path, query).await
    }

    /// What the holder of a token is answered.
    pub async fn ask(&self, token: &str, path: &str, query: &[(&str, &str)]) -> (u16, Value) {
        let request = self.http.get(format!("{}{path}", self.api)).query(query).bearer_auth(token);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// What the owner is answered to a body.
    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.http.post(format!("{}{path}", self.api)).json(body).bearer_auth(&self.token);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }
}

/// `cargo xtask seed`, as an operator runs it against a database of their own.
fn seed(database: &TestDatabase) {
    let state = std::env::temp_dir().join(format!("crm-demo-{}", uuid::Uuid::now_v7()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let output = command.arg("seed").env("DATABASE_URL", database.admin_url()).env("CRM_STATE_DIR", &state).output().unwrap();
    std::fs::remove_dir_all(&state).ok();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
