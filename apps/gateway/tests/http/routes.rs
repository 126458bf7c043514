//! Addresses and methods, request ids, health, and headers that every answer has.

use std::collections::BTreeSet;

use crm_tenancy::{ConnectOptions, Db};
use crm_testkit::TestDatabase;
use serde_json::json;

use crate::{
    NOUNS, Noun,
    support::{App, document::Document, world::World},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_an_address_does_not_take_is_405_with_those_it_does() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let operations = Document::of_the_application().operations();
    let fits = |pattern: &str, path: &str| {
        let (pattern, path): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), path.split('/').collect());
        pattern.len() == path.len() && pattern.iter().zip(path).all(|(wanted, given)| *wanted == given || wanted.starts_with('{'))
    };
    let mut refused = 0;
    for path in operations.iter().map(|operation| operation.at("0192f5a8-0000-7000-8000-000000000000")).collect::<BTreeSet<_>>() {
        let taken: BTreeSet<&str> =
            operations.iter().filter(|known| fits(&known.path, &path)).map(|known| known.method.as_str()).collect();
        // An address that is spelled out takes its own methods; another one finds no record of that id.
        let own: BTreeSet<&str> =
            operations.iter().filter(|known| known.path == path).map(|known| known.method.as_str()).collect();
        let mut named = if own.is_empty() { taken.clone() } else { own };
        if named.contains("GET") {
            named.insert("HEAD");
        }
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "COPY"] {
            if !taken.contains(method) {
                let answer = world.owner().call(method, &path).send().await.problem(405, "method_not_allowed");
                let allowed: Vec<&str> = answer.header("allow").split(", ").collect();
                assert_eq!(allowed.len(), named.len(), "{method} {path}: each method once: {allowed:?}");
                assert_eq!(&BTreeSet::from_iter(allowed), &named, "{method} {path}");
                refused += 1;
            }
        }
    }
    assert!(refused > 80, "only {refused} were refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn head_is_get_without_the_body() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let operations = Document::of_the_application().operations();
    let documented = operations.iter().filter(|operation| operation.method == "GET");
    let mut paths: BTreeSet<String> = documented.map(|operation| operation.at("0192f5a8-0000-7000-8000-000000000000")).collect();
    for noun in NOUNS {
        paths.extend([
            format!("/api/v1/a-crm/{}/{}", noun.path, world.first(noun.path)),
            format!("/api/v1/a-crm/{}?x=1", noun.path),
        ]);
    }
    paths.extend(["/healthz", "/readyz", "/api/v1/openapi.json", "/api/v1/docs", "/nowhere"].map(ToOwned::to_owned));
    let mut found = 0;
    for path in paths {
        for caller in [world.owner(), world.caller("viewer"), &app.nobody()] {
            let (get, head) = (caller.get(&path).await, caller.call("HEAD", &path).send().await);
            assert_eq!(head.status, get.status, "{path}");
            assert_eq!(head.text, "", "{path}");
            for header in ["content-type", "etag", "www-authenticate", "cache-control"] {
                assert_eq!(head.header(header), get.header(header), "{path}");
            }
            found += usize::from(head.status == 200);
        }
    }
    assert!(found > 50, "only {found} were found");
    let record = format!("companies/{}", world.first("companies"));
    let tag = world.owner().get(&record).await.etag().to_owned();
    let known = world.owner().call("HEAD", &record).header("if-none-match", &tag).send().await;
    assert_eq!((known.status, known.etag()), (304, tag.as_str()));
    let nowhere = world.owner().call("HEAD", "/api/v1/auth/login").send().await;
    assert_eq!((nowhere.status, nowhere.header("allow")), (405, "POST"), "what is not read is not asked for its head");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_the_same_however_its_letters_are_escaped() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    for noun in NOUNS {
        let escaped = format!("/%61pi/v1/a%2Dcrm/%{:02x}{}", noun.path.as_bytes()[0], &noun.path[1..]);
        let plain = world.viewer_page(noun.path).await;
        assert_eq!(world.viewer_page(&escaped).await, plain, "{}", noun.path);
        let record = format!("{escaped}/{}", world.first(noun.path).replace('-', "%2d"));
        assert_eq!(world.member().get(&record).await.expect(200).id(), world.first(noun.path));
        world.caller("viewer").post(&escaped, &noun.body("escaped")).await.problem(403, "forbidden");
        let strange = world.member().call("POST", &escaped).header("prefer", "x").json(&noun.body("escaped")).send().await;
        strange.problem(400, "malformed").names(&["Prefer"]);
    }
    let login = app.nobody().call("POST", "/api/v1/auth/%6cogin?x=1").json(&json!({})).send().await;
    login.problem(400, "malformed").names(&["x"]);
}

impl World {
    async fn viewer_page(&self, path: &str) -> Vec<String> {
        self.caller("viewer").get(path).await.expect(200).ids()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_leads_nowhere_is_404() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    for path in [
        "/",
        "/api",
        "/api/v1",
        "/api/v1/a-crm",
        "/api/v1/a-crm/nothing",
        "/api/v2/a-crm/companies",
        "/api/v1/a-crm/companies/a/b/c",
        "/%00",
        "/..%2f",
    ] {
        for caller in [world.owner(), &app.nobody()] {
            caller.get(path).await.problem(404, "not_found");
        }
    }
    for bad in ["x", "1", "%00", "..", "0192f5a8", "{id}", "%F0%9F%98%80"] {
        for noun in NOUNS {
            assert_eq!(world.owner().get(&format!("{}/{bad}", noun.path)).await.status, 404, "{bad}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_created_record_says_where_it_is() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    for noun in NOUNS {
        let created = world.member().post(noun.path, &noun.body("located")).await.expect(201);
        assert_eq!(created.header("location"), format!("/api/v1/a-crm/{}/{}", noun.path, created.id()));
        let read = world.member().get(created.header("location")).await.expect(200);
        assert_eq!(read.body, created.body);
        assert_eq!(read.body[noun.person_id()], json!(world.tenant.member.user_id), "{}: the caller owns it", noun.path);
        assert_eq!(read.body["created_by_id"], json!(world.tenant.member.user_id));
        let chosen = uuid::Uuid::now_v7().to_string();
        let mut body = noun.body("chosen");
        body["id"] = json!(chosen);
        assert_eq!(world.member().post(noun.path, &body).await.expect(201).id(), chosen, "{}: a client may choose", noun.path);
        body["id"] = json!(uuid::Uuid::new_v4());
        world.member().post(noun.path, &body).await.problem(422, "invalid").names(&["/id"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_is_taken_or_made_returned_and_logged_with_the_change() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let longest = "x".repeat(128);
    for noun in NOUNS {
        let record = format!("{}/{}", noun.path, world.first(noun.path));
        for id in ["my-request.1:2_3", longest.as_str()] {
            let call = world.member().call("PATCH", &record).header("x-request-id", id);
            let answer = call.json(&Noun::patch(noun.note, id.get(..16).unwrap())).send().await.expect(200);
            assert_eq!(answer.header("x-request-id"), id);
            let log = world.owner().get(&format!("{record}/activities?limit=1")).await.expect(200);
            assert_eq!(log.data()[0]["request_id"], id, "{}: the activity knows the request", noun.path);
        }
    }
    let mut made = BTreeSet::new();
    for bad in ["", "two words", "a/b", "ünicode", "<script>", &"x".repeat(129), "a\tb"] {
        let answer = world.owner().call("GET", "companies/x").header("x-request-id", bad).send().await.problem(404, "not_found");
        assert_ne!(answer.header("x-request-id"), bad);
        assert!(answer.header("x-request-id").parse::<uuid::Uuid>().is_ok(), "one is made");
        assert!(made.insert(answer.header("x-request-id").to_owned()), "each request has its own");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_carries_the_fixed_headers() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    for path in ["/healthz", "/api/v1/a-crm/companies", "/api/v1/a-crm/companies/x", "/nowhere", "/api/v1/auth/me"] {
        for caller in [world.owner(), &app.nobody()] {
            let answer = caller.get(path).await;
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
            assert_eq!(answer.header("cache-control"), "no-store", "{path}");
            assert!(!answer.header("x-request-id").is_empty(), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_the_document_need_no_token() {
    let app = App::start().await;
    app.nobody().get("/healthz").await.expect(200);
    app.nobody().get("/readyz").await.expect(200);
    let document = app.nobody().get("/api/v1/openapi.json").await.expect(200);
    assert_eq!(document.body, Document::of_the_application().value);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_database_the_gateway_lives_but_is_not_ready() {
    let database = TestDatabase::create().await;
    let options = ConnectOptions { max_size: 2, ..ConnectOptions::default() };
    let nowhere = Db::connect("postgres://crm_app:x@127.0.0.1:1/nowhere", options).unwrap();
    let app = App::start_on(database, &nowhere);
    app.nobody().get("/healthz").await.expect(200);
    let answer = app.nobody().get("/readyz").await.problem(503, "unavailable");
    assert_eq!(answer.header("retry-after"), "1");
    let body = json!({ "email": "a@example.com", "password": "password" });
    let login = app.nobody().post("/api/v1/auth/login", &body).await.problem(503, "unavailable");
    assert!(!login.text.contains("127.0.0.1"), "nothing internal is shown: {}", login.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_died_cost_no_request() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    for round in 0..3 {
        app.database.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'crm_app'").await;
        match round {
            0 => world.owner().get("companies").await.expect(200),
            1 => world.owner().post("companies", &json!({ "name": "After the restart" })).await.expect(201),
            _ => app.nobody().get("/readyz").await.expect(200),
        };
    }
}
