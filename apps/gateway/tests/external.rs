//! Tokens of identity providers, exchanged, against issuers on ports of this machine: as they should be, and as attackers and
//! accidents make them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod support;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use actix_web::{App as Web, HttpRequest, HttpResponse, HttpServer, dev::ServerHandle, web};
use crm_tenancy::identity::external::Providers;
use crm_testkit::{
    PASSWORD, Tenant, TestDatabase,
    issuer::{SigningKey, shared_secret_token, unsigned_token},
};
use serde_json::{Value, json};
use support::{
    Answer, App, Caller,
    letters::{claims, external_token},
    world::World,
};

const EXCHANGE: &str = "/api/v1/auth/exchange";
const IDENTITIES: &str = "/api/v1/auth/identities";

async fn remove(caller: &Caller, at: &str, body: Value) -> Answer {
    caller.call("DELETE", at).json(&body).send().await
}

/// How an issuer answers.
#[derive(Clone)]
enum Mood {
    Publishing(Vec<Value>),
    Slow,
    Flooding,
    Redirecting(String),
    Failing,
}

/// An identity provider on a port of this machine.
struct Issuer {
    address: String,
    mood: Arc<Mutex<Mood>>,
    server: ServerHandle,
}

impl Issuer {
    fn start(mood: Mood) -> Self {
        let mood = Arc::new(Mutex::new(mood));
        let shared = web::Data::new(mood.clone());
        let server = HttpServer::new(move || Web::new().app_data(shared.clone()).default_service(web::to(answer)));
        let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
        let address = format!("http://{}", server.addrs()[0]);
        let running = server.run();
        let server = running.handle();
        tokio::spawn(running);
        Self { address, mood, server }
    }

    fn publishing(keys: &[&SigningKey]) -> Self {
        Self::start(Mood::Publishing(keys.iter().map(|key| key.published()).collect()))
    }

    fn become_so(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn settings(&self, name: &str) -> Value {
        json!({ "name": name, "kind": "oidc", "issuer": self.address, "audience": "crm", "algorithms": ["RS256", "ES256", "EdDSA"] })
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

async fn answer(request: HttpRequest, mood: web::Data<Arc<Mutex<Mood>>>) -> HttpResponse {
    let mood = mood.lock().unwrap().clone();
    match mood {
        Mood::Publishing(keys) if request.path() == "/keys" => HttpResponse::Ok().json(json!({ "keys": keys })),
        Mood::Publishing(_) if request.path() == "/.well-known/openid-configuration" => {
            let address = format!("http://{}", request.connection_info().host());
            HttpResponse::Ok().json(json!({ "issuer": address, "jwks_uri": format!("{address}/keys") }))
        }
        Mood::Publishing(_) => HttpResponse::NotFound().finish(),
        Mood::Slow => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            HttpResponse::Ok().finish()
        }
        Mood::Flooding => HttpResponse::Ok().body(" ".repeat(10 * 1024 * 1024)),
        Mood::Redirecting(to) => HttpResponse::Found().insert_header(("location", format!("{to}{}", request.path()))).finish(),
        Mood::Failing => HttpResponse::InternalServerError().finish(),
    }
}

struct Stage {
    app: App,
    tenant: Tenant,
}

impl Stage {
    async fn trusting(settings: &[Value]) -> Self {
        let providers = Providers::from_json(&json!({ "providers": settings }).to_string(), &|_| Ok("s".repeat(32))).unwrap();
        let database = TestDatabase::create().await;
        let (tenant, db) = (database.tenant("Acme").await, database.db());
        Self { app: App::trusting(database, &db, providers), tenant }
    }

    async fn link(&self, issuer: &Issuer, subject: &str) {
        let link = format!(
            "INSERT INTO identity.external_identities (user_id, provider, issuer, subject) VALUES ('{}', 'test', '{}', '{subject}')",
            self.tenant.member.user_id, issuer.address
        );
        self.app.database.execute(&link).await;
    }

    async fn exchange(&self, token: &str) -> Answer {
        self.app.nobody().post(EXCHANGE, &json!({ "token": token })).await
    }

    async fn refused(&self, token: &str, why: &str) {
        let answer = self.exchange(token).await;
        assert_eq!(
            (answer.status, &answer.body["detail"]),
            (401, &json!("the external token is not accepted")),
            "{why}: {}",
            answer.text
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn right_tokens_of_every_kind_of_key_open_a_session() {
    let (rsa, p256, ed25519) = (SigningKey::rsa("r"), SigningKey::p256("p"), SigningKey::ed25519("e"));
    let issuer = Issuer::publishing(&[&rsa, &p256, &ed25519]);
    let stage = Stage::trusting(&[issuer.settings("test")]).await;
    stage.link(&issuer, "subject").await;
    for (key, algorithm) in [(&rsa, "RS256"), (&p256, "ES256"), (&ed25519, "EdDSA")] {
        let answer = stage.exchange(&key.token(algorithm, &claims(&issuer.address, "subject"))).await.expect(200);
        assert_eq!((&answer.body["user_id"], &answer.body["role"]), (&json!(stage.tenant.member.user_id), &json!("member")));
        let me = stage.app.holder(answer.body["access_token"].as_str().unwrap()).get("/api/v1/auth/me").await.expect(200);
        assert_eq!(me.body["user"]["email"], stage.tenant.email("member"));
        let refresh = json!({ "refresh_token": answer.body["refresh_token"] });
        stage.app.nobody().post("/api/v1/auth/refresh", &refresh).await.expect(200);
    }
    let count = "SELECT count(*) FROM identity.sessions WHERE method = 'external' AND second_factor_at IS NULL";
    assert_eq!(stage.app.database.number(count).await, 3);
    assert_eq!(
        stage.app.database.number("SELECT count(*) FROM identity.external_identities WHERE last_used_at IS NOT NULL").await,
        1
    );
    let logins = "SELECT count(*) FROM crm_activities WHERE activity_type = 'login'";
    assert_eq!(stage.app.database.number(logins).await, 3, "each is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_token_is_never_told() {
    let (key, other) = (SigningKey::rsa("a"), SigningKey::rsa("a"));
    let issuer = Issuer::publishing(&[&key]);
    let stage = Stage::trusting(&[issuer.settings("test")]).await;
    stage.link(&issuer, "subject").await;
    let good = claims(&issuer.address, "subject");
    let but = |name: &str, value: Value| {
        let mut changed = good.clone();
        changed[name] = value;
        key.token("RS256", &changed)
    };
    let now = good["iat"].as_u64().unwrap();
    stage.exchange(&key.token("RS256", &good)).await.expect(200);
    stage.exchange(&but("exp", json!(now - 30))).await.expect(200);
    stage.refused(&but("exp", json!(now - 61)), "expired").await;
    stage.refused(&but("nbf", json!(now + 120)), "not yet valid").await;
    stage.refused(&but("iat", json!(now + 120)), "from the future").await;
    stage.refused(&but("aud", json!("other")), "for somebody else").await;
    stage.refused(&but("iss", json!("https://other.example.com")), "of somebody else").await;
    stage.refused(&but("sub", json!(null)), "of nobody").await;
    stage.refused(&other.token("RS256", &good), "another key").await;
    stage.refused(&unsigned_token(&json!({ "alg": "none", "kid": "a" }), &good), "no key").await;
    let modulus = key.published()["n"].as_str().unwrap().to_owned();
    stage
        .refused(
            &shared_secret_token(modulus.as_bytes(), &json!({ "alg": "HS256", "kid": "a" }), &good),
            "a public key as a secret",
        )
        .await;
    stage.refused("garbage", "garbage").await;
    for length in [0, 16_384, 16_385, 20_000, 1_000_000] {
        stage.refused(&"x".repeat(length), "its length is as wrong as anything else").await;
    }
    stage.app.nobody().post(EXCHANGE, &json!({})).await.problem(400, "malformed").names(&["/token"]);
    let elsewhere = json!({ "token": key.token("RS256", &good), "organization": "no-such-place" });
    let answer = stage.app.nobody().post(EXCHANGE, &elsewhere).await.problem(401, "unauthenticated");
    assert_eq!(answer.body["detail"], "the external token is not accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_a_token_means_nothing_and_a_subject_is_its_issuers() {
    let key = SigningKey::p256("a");
    let (first, second) = (Issuer::publishing(&[&key]), Issuer::publishing(&[&key]));
    let stage = Stage::trusting(&[first.settings("first"), second.settings("second")]).await;
    stage.link(&first, "subject").await;
    let mut theirs = claims(&first.address, "stranger");
    theirs["email"] = json!(stage.tenant.email("owner"));
    theirs["email_verified"] = json!(true);
    let answer = stage.exchange(&key.token("ES256", &theirs)).await.problem(403, "not_linked");
    assert!(!answer.text.contains("owner"), "{}", answer.text);
    theirs["email"] = json!("nobody@example.com");
    let nobody = stage.exchange(&key.token("ES256", &theirs)).await.problem(403, "not_linked");
    assert_eq!(answer.body["detail"], nobody.body["detail"], "whether an address has an account is not told");
    stage.exchange(&key.token("ES256", &claims(&second.address, "subject"))).await.problem(403, "not_linked");
    let opened = stage.exchange(&key.token("ES256", &claims(&first.address, "subject"))).await.expect(200);
    assert_eq!(opened.body["user_id"], json!(stage.tenant.member.user_id));

    stage.app.database.execute("UPDATE memberships SET status = 'suspended' WHERE role = 'member'").await;
    stage.refused(&key.token("ES256", &claims(&first.address, "subject")), "no longer a member").await;
    stage.app.database.execute("UPDATE users SET deleted_at = now()").await;
    stage.exchange(&key.token("ES256", &claims(&first.address, "subject"))).await.problem(403, "not_linked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_away_slow_large_or_elsewhere_is_unavailable_and_soon_so() {
    let key = SigningKey::ed25519("a");
    let honest = Issuer::publishing(&[&key]);
    let down = Issuer::start(Mood::Failing);
    for mood in [Mood::Failing, Mood::Flooding, Mood::Redirecting(honest.address.clone()), Mood::Slow] {
        let issuer = Issuer::start(mood);
        let stage = Stage::trusting(&[issuer.settings("test")]).await;
        let begun = Instant::now();
        let answer = stage.exchange(&key.token("EdDSA", &claims(&issuer.address, "subject"))).await.problem(503, "unavailable");
        assert!(begun.elapsed() < Duration::from_secs(30), "it must not take us along");
        assert!(!answer.text.contains(&issuer.address), "{}", answer.text);
    }
    // Nobody listens there any more.
    let gone = down.address.clone();
    down.server.stop(false).await;
    let mut settings = honest.settings("test");
    settings["issuer"] = json!(gone);
    let stage = Stage::trusting(&[settings]).await;
    stage.exchange(&key.token("EdDSA", &claims(&gone, "subject"))).await.problem(503, "unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_known_outlive_a_provider_that_is_down() {
    let key = SigningKey::ed25519("a");
    let issuer = Issuer::publishing(&[&key]);
    let stage = Stage::trusting(&[issuer.settings("test")]).await;
    stage.link(&issuer, "subject").await;
    let token = key.token("EdDSA", &claims(&issuer.address, "subject"));
    stage.exchange(&token).await.expect(200);
    issuer.become_so(Mood::Failing);
    stage.exchange(&token).await.expect(200);
    let new = SigningKey::ed25519("new");
    stage.refused(&new.token("EdDSA", &claims(&issuer.address, "subject")), "asked for a moment ago").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_one_use_is_used_once() {
    let key = SigningKey::ed25519("a");
    let issuer = Issuer::publishing(&[&key]);
    let mut settings = issuer.settings("test");
    settings["one_time"] = json!(true);
    settings["second_factor"] = json!("trusted_when_amr_mfa");
    let stage = Stage::trusting(&[settings]).await;
    let token = |id: &str| {
        let mut claims = claims(&issuer.address, "subject");
        claims["jti"] = json!(id);
        claims["amr"] = json!(["pwd", "mfa"]);
        key.token("EdDSA", &claims)
    };
    stage.exchange(&token("1")).await.problem(403, "not_linked");
    let member = stage.app.login(&stage.tenant.email("member")).await;
    member.post(IDENTITIES, &json!({ "token": token("1"), "password": PASSWORD })).await.expect(201);
    stage.refused(&token("1"), "linking has used it").await;
    let elsewhere = json!({ "token": token("2"), "organization": "nowhere" });
    stage.app.nobody().post(EXCHANGE, &elsewhere).await.problem(401, "unauthenticated");
    let second = token("2");
    let both = futures_util::future::join_all((0..4).map(|_| stage.exchange(&second))).await;
    let mut statuses: Vec<u16> = both.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401, 401, 401], "of all who come at once one enters");
    assert_eq!(stage.app.database.number("SELECT count(*) FROM identity.sessions WHERE second_factor_at IS NOT NULL").await, 1);

    stage.app.database.execute("UPDATE identity.external_tokens SET expires_at = now() - interval '1 s'").await;
    stage.exchange(&token("3")).await.expect(200);
    assert_eq!(stage.app.database.number("SELECT count(*) FROM identity.external_tokens").await, 1, "what has expired is swept");
}

#[tokio::test(flavor = "multi_thread")]
async fn identities_are_linked_listed_and_removed_by_their_person() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let (member, viewer) = (world.member(), world.caller("viewer"));
    app.nobody().post(IDENTITIES, &json!({ "token": "x" })).await.problem(401, "unauthenticated");
    member.post(IDENTITIES, &json!({})).await.problem(400, "malformed").names(&["/token"]);
    member.post(IDENTITIES, &json!({ "token": "garbage" })).await.problem(401, "unauthenticated");
    member.post(IDENTITIES, &json!({ "token": external_token("mine") })).await.problem(422, "invalid").names(&["/password"]);
    let linked = member.post(IDENTITIES, &json!({ "token": external_token("mine"), "password": PASSWORD })).await.expect(201);
    assert_eq!(
        (&linked.body["provider"], &linked.body["subject"], &linked.body["last_used_at"]),
        (&json!("test"), &json!("mine"), &Value::Null)
    );
    let again = member.post(IDENTITIES, &json!({ "token": external_token("mine"), "password": PASSWORD })).await.expect(201);
    assert_eq!(again.id(), linked.id(), "linking it again changes nothing");
    let taken =
        viewer.post(IDENTITIES, &json!({ "token": external_token("mine"), "password": PASSWORD })).await.problem(409, "conflict");
    assert!(!taken.text.contains("member@"), "whose it is is not told: {}", taken.text);
    assert_eq!(member.get(IDENTITIES).await.expect(200).ids(), [linked.id()]);
    assert!(viewer.get(IDENTITIES).await.expect(200).ids().is_empty());

    let at = format!("{IDENTITIES}/{}", linked.id());
    let right = json!({ "password": PASSWORD });
    remove(viewer, &at, right.clone()).await.problem(404, "not_found");
    let nowhere = format!("{IDENTITIES}/{}", uuid::Uuid::now_v7());
    remove(viewer, &nowhere, right.clone()).await.problem(404, "not_found");
    remove(member, &at, json!({})).await.problem(422, "invalid").names(&["/password"]);
    remove(member, &at, json!({ "password": "wrong" })).await.problem(422, "invalid").names(&["/password"]);
    assert_eq!(member.get(IDENTITIES).await.expect(200).ids(), [linked.id()], "it is still there");
    remove(member, &at, right.clone()).await.expect(204);
    remove(member, &at, right).await.problem(404, "not_found");
    app.nobody().post(EXCHANGE, &json!({ "token": external_token("mine") })).await.problem(403, "not_linked");

    for number in 0..10 {
        member
            .post(IDENTITIES, &json!({ "token": external_token(&format!("mine-{number}")), "password": PASSWORD }))
            .await
            .expect(201);
    }
    member
        .post(IDENTITIES, &json!({ "token": external_token("one-too-many"), "password": PASSWORD }))
        .await
        .problem(409, "conflict");
    let log = world.owner().get("activities?entity_type=external_identity&limit=200").await.expect(200);
    assert_eq!(log.data().len(), 12, "linking and unlinking are in the log");
    assert!(member.get("activities?entity_type=external_identity").await.expect(200).data().is_empty(), "for owners and admins");
    let letters =
        "SELECT count(*) FROM identity.letters WHERE kind = 'sign_in_method_changed' AND recipient = 'member@acme.example.com'";
    assert_eq!(app.database.number(letters).await, 12, "and told to the person");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_way_in_is_not_removed() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let token = app.invited_elsewhere("new@example.com", "Umbrella").await;
    let accept = json!({ "token": token, "full_name": "New", "external_token": external_token("only") });
    let tokens = app.nobody().post("/api/v1/auth/invitations/accept", &accept).await.expect(201);
    let new = app.holder(tokens.body["access_token"].as_str().unwrap());
    let only = new.get(IDENTITIES).await.expect(200).ids().remove(0);
    remove(&new, &format!("{IDENTITIES}/{only}"), json!({})).await.problem(409, "conflict");
    assert_eq!(new.get(IDENTITIES).await.expect(200).ids(), std::slice::from_ref(&only));
    let second = new.post(IDENTITIES, &json!({ "token": external_token("second") })).await.expect(201).id();
    // Both at once: one of them is then the only way in.
    let (one, two) = (format!("{IDENTITIES}/{only}"), format!("{IDENTITIES}/{second}"));
    let answers = futures_util::future::join(remove(&new, &one, json!({})), remove(&new, &two, json!({}))).await;
    let mut statuses = [answers.0.status, answers.1.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 409]);
    drop(world);
}
