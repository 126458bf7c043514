//! The gateway as a client meets it: the real application on a port and a database of its own, and a small client.
#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking, and each test program uses only a part of this"
)]

pub mod document;
pub mod faults;
pub mod judge;
pub mod letters;
pub mod node;
pub mod process;
pub mod requests;
pub mod roles;
pub mod second_factor;
pub mod world;

use std::sync::Arc;

use actix_web::{HttpServer, dev::ServerHandle, web::Data};
use crm_gateway::{
    app,
    key_source::HttpKeySource,
    services::{Secrets, Services, Settings},
};
use crm_kernel::{Actor, Context, SessionId};
use crm_tenancy::{
    ConnectOptions, Db,
    identity::external::{ExternalTokens, Providers},
    sealing::SealingKeys,
    token::{Claims, KeyRing, Proof, TokenKey},
};
pub use crm_testkit::waiting;
use crm_testkit::{PASSWORD, TestDatabase};
use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};

/// The running application.
pub struct App {
    pub database: TestDatabase,
    pub base: String,
    pub sealing_keys: SealingKeys,
    keys: KeyRing,
    pem: String,
    services: Data<Services>,
    http: reqwest::Client,
    server: ServerHandle,
}

/// Another node on the same database, with the same keys.
pub struct Node {
    base: String,
    server: ServerHandle,
}

impl Node {
    /// The same person at this node.
    pub fn welcome(&self, caller: &Caller) -> Caller {
        Caller { http: client(), base: self.base.clone(), ..caller.clone() }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

/// Tests come through a proxy, so that each of their people can have an address.
fn behind_a_proxy(services: Services) -> Services {
    Services { trusted_proxies: "127.0.0.0/8".parse().unwrap(), ..services }
}

/// The application on a port of its own.
fn listen(services: &Data<Services>) -> (String, ServerHandle) {
    let (services, document) = (services.clone(), Data::new(app::document()));
    let server = HttpServer::new(move || app::app(services.clone(), document.clone())).workers(2).disable_signals();
    let server = server.bind(("127.0.0.1", 0)).unwrap();
    let base = format!("http://{}", server.addrs()[0]);
    let running = server.run();
    let handle = running.handle();
    tokio::spawn(running);
    (base, handle)
}

impl App {
    /// On a fresh database.
    pub async fn start() -> Self {
        let database = TestDatabase::create().await;
        let db = database.db();
        Self::start_on(database, &db)
    }

    /// On a fresh database, configured like this.
    pub async fn start_with(settings: Settings) -> Self {
        let database = TestDatabase::create().await;
        let db = database.db();
        Self::serve(database, &db, settings)
    }

    /// On a door that may lead elsewhere than to the database.
    pub fn start_on(database: TestDatabase, db: &Db) -> Self {
        Self::trusting(database, db, letters::providers())
    }

    /// On a database that is there already, with these providers of identities.
    pub fn trusting(database: TestDatabase, db: &Db, providers: Providers) -> Self {
        let settings = Settings { external_tokens: external_tokens(providers), ..Settings::default() };
        Self::serve(database, db, settings)
    }

    fn serve(database: TestDatabase, db: &Db, settings: Settings) -> Self {
        let pem = TokenKey::generate().to_pem().unwrap();
        let keys = KeyRing::from(TokenKey::from_pem(&pem).unwrap());
        let sealing_keys = SealingKeys::generate().unwrap();
        let secrets = Secrets { token_keys: keys.clone(), sealing_keys: sealing_keys.clone() };
        let services = Data::new(behind_a_proxy(Services::with(db, secrets, settings).unwrap()));
        let (base, server) = listen(&services);
        Self { database, base, sealing_keys, keys, pem, services, http: client(), server }
    }

    /// A second node beside this one: other services, another pool, the same keys.
    pub fn another_node(&self) -> Node {
        let db = Db::connect(&self.database.url(), ConnectOptions { max_size: 8, ..ConnectOptions::default() }).unwrap();
        let secrets = Secrets { token_keys: self.keys.clone(), sealing_keys: self.sealing_keys.clone() };
        let (base, server) = listen(&Data::new(behind_a_proxy(Services::new(&db, secrets).unwrap())));
        Node { base, server }
    }

    /// The keys that this application trusts; what is exchanged here is exchanged there.
    pub fn key(&self) -> &KeyRing {
        &self.keys
    }

    /// The key that it began with, once more.
    pub fn token_key(&self) -> TokenKey {
        TokenKey::from_pem(&self.pem).unwrap()
    }

    /// The same, for making tokens that the application would not make.
    pub fn key_pair(&self) -> biscuit_auth::KeyPair {
        biscuit_auth::KeyPair::from(&biscuit_auth::PrivateKey::from_pem(&self.pem).unwrap())
    }

    /// The token in the newest letter of this kind to this address.
    pub async fn letter_token(&self, kind: &str, to: &str) -> String {
        let query = "SELECT secret_id FROM identity.letters WHERE kind =";
        let query = format!("{query} '{kind}' AND recipient = '{to}' ORDER BY id DESC LIMIT 1");
        let id = self.database.texts(&query).await.remove(0).parse().unwrap();
        crm_tenancy::identity::link_token(&self.sealing_keys, kind, id).unwrap()
    }

    /// What the application itself calls.
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// Someone without a token.
    pub fn nobody(&self) -> Caller {
        Caller { http: self.http.clone(), base: self.base.clone(), token: None, refresh_token: String::new() }
    }

    /// Someone with this token, whatever it is.
    pub fn holder(&self, token: impl Into<String>) -> Caller {
        Caller { token: Some(token.into()), ..self.nobody() }
    }

    /// Someone who has logged in with the password of testkit's people.
    pub async fn login(&self, email: &str) -> Caller {
        log_in(&self.nobody(), email).await
    }
}

fn external_tokens(providers: Providers) -> Arc<ExternalTokens> {
    Arc::new(ExternalTokens::new(providers, HttpKeySource::new().unwrap()))
}

impl Drop for App {
    fn drop(&mut self) {
        // The command is sent at once; nobody waits for its end.
        drop(self.server.stop(false));
    }
}

/// No proxy of the environment, no redirect: what is asked is what is measured.
pub fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

/// What a token of this person says.
pub fn claims(person: &Context, session_id: SessionId) -> Claims {
    let Context { user_id, organization_id, role, .. } = *person;
    Claims { user_id, organization_id, role, actor: Actor::User, proof: Proof::Session(session_id) }
}

pub async fn log_in(nobody: &Caller, email: &str) -> Caller {
    let answer = nobody.post("/api/v1/auth/login", &json!({ "email": email, "password": PASSWORD })).await.expect(200);
    let text = |name: &str| answer.body[name].as_str().unwrap().to_owned();
    Caller { token: Some(text("access_token")), refresh_token: text("refresh_token"), ..nobody.clone() }
}

/// Someone who calls.
#[derive(Clone)]
pub struct Caller {
    pub http: reqwest::Client,
    pub base: String,
    pub token: Option<String>,
    pub refresh_token: String,
}

impl Caller {
    /// A request. A path without a leading slash is one of `/api/v1/a-crm`.
    pub fn call(&self, method: &str, path: &str) -> Call {
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/api/v1/a-crm/{path}") };
        let request = self.http.request(Method::from_bytes(method.as_bytes()).unwrap(), format!("{}{path}", self.base));
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        Call { request, name: format!("{method} {path}") }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call("GET", path).send().await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path).json(body).send().await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.call("PUT", path).json(body).send().await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.call("PATCH", path).json(body).send().await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path).send().await
    }
}

/// A request on its way.
pub struct Call {
    request: reqwest::RequestBuilder,
    name: String,
}

impl Call {
    pub fn header(self, name: &str, value: &str) -> Self {
        Self { request: self.request.header(name, value), ..self }
    }

    pub fn query(self, pairs: &[(&str, &str)]) -> Self {
        Self { request: self.request.query(pairs), ..self }
    }

    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").text(body.to_string())
    }

    pub fn text(self, body: impl Into<reqwest::Body>) -> Self {
        Self { request: self.request.body(body), ..self }
    }

    /// The answer, or why there is none.
    pub async fn try_send(self) -> reqwest::Result<Answer> {
        let answer = self.request.send().await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Answer { name: self.name, status, headers, body, text })
    }

    pub async fn send(self) -> Answer {
        let name = self.name.clone();
        self.try_send().await.unwrap_or_else(|error| panic!("{name} must be answered: {error:?}"))
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub name: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
    pub text: String,
}

impl Answer {
    /// The same answer, if it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}: {}", self.name, self.text);
        self
    }

    /// The same answer, if it is a whole problem of this status and code.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.header("content-type"), "application/problem+json", "{}", answer.name);
        assert_eq!(answer.body["status"], status, "{}", answer.name);
        assert_eq!(answer.body["code"], code, "{}: {}", answer.name, answer.text);
        assert_eq!(answer.body["type"], format!("urn:crm:problem:{code}"), "{}", answer.name);
        assert_eq!(answer.body["request_id"], answer.header("x-request-id"), "{}", answer.name);
        for text in ["title", "detail"] {
            assert!(answer.body[text].as_str().is_some_and(|text| !text.is_empty()), "{} has no {text}", answer.name);
        }
        answer
    }

    /// The same answer, if it is a 400 or 422 that names exactly these, in any order.
    #[track_caller]
    pub fn names(self, pointers: &[&str]) -> Self {
        let (mut named, mut wanted) = (self.pointers(), pointers.to_vec());
        named.sort();
        wanted.sort_unstable();
        assert_eq!(named, wanted, "{}: {}", self.name, self.text);
        self
    }

    pub fn pointers(&self) -> Vec<String> {
        let errors = self.body["errors"].as_array().into_iter().flatten();
        errors.map(|error| error["pointer"].as_str().unwrap().to_owned()).collect()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn etag(&self) -> &str {
        self.header("etag")
    }

    pub fn id(&self) -> String {
        self.body["id"].as_str().unwrap_or_else(|| panic!("{} has no id: {}", self.name, self.text)).to_owned()
    }

    pub fn data(&self) -> &[Value] {
        self.body["data"].as_array().unwrap_or_else(|| panic!("{} has no data: {}", self.name, self.text))
    }

    /// The ids of a page.
    pub fn ids(&self) -> Vec<String> {
        self.data().iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect()
    }
}
