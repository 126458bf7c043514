//! The guide to narrowing tokens: what it shows is what runs here, in Rust and in TypeScript, on a token of a real login.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod support;

#[path = "../examples/narrow.rs"]
#[allow(dead_code, reason = "its main reads a token, which a test passes by itself")]
mod narrow;

use std::{
    fs,
    time::{Duration, SystemTime},
};

use biscuit_auth::builder::BlockBuilder;
use crm_gateway::policy::OPERATIONS;
use serde::Deserialize;
use serde_json::json;
use support::{App, node, world::World};

const GUIDE: &str = include_str!("../../../docs/TOKENS.md");
const RUST: &str = include_str!("../examples/narrow.rs");
const TYPESCRIPT: &str = include_str!("../../../docs/tokens/narrow.ts");
const CONFIGURATION: &str = include_str!("../../../docs/tokens/tsconfig.json");
const PACKAGE: &str = include_str!("../../../docs/tokens/package.json");
const LOCK: &str = include_str!("../../../docs/tokens/package-lock.json");
const DRIVER: &str = include_str!("data/narrow_each.mjs");

#[test]
fn the_guide_shows_what_is_run() {
    for (language, text) in [("rust", RUST), ("typescript", TYPESCRIPT), ("json", CONFIGURATION)] {
        assert!(GUIDE.contains(&format!("```{language}\n{text}```\n")), "the {language} of docs/TOKENS.md is not what is run");
    }
    let package: serde_json::Value = serde_json::from_str(PACKAGE).unwrap();
    for (group, name) in [("dependencies", "@biscuit-auth/biscuit-wasm"), ("devDependencies", "typescript")] {
        let pinned = format!("{name}@{}", package[group][name].as_str().unwrap());
        assert!(GUIDE.contains(&pinned), "docs/TOKENS.md must name {pinned}");
    }
    node::assert_pinned(LOCK);
}

#[test]
fn the_guide_names_only_operations_and_entities_that_are() {
    let known = |name: &str| OPERATIONS.iter().any(|operation| operation.name == name);
    let words = GUIDE.split(['`', '"']).filter(|word| {
        let plain = |part: &str| !part.is_empty() && part.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_');
        word.split_once(':').is_some_and(|(entity, verb)| plain(entity) && plain(verb))
    });
    let mut named = 0;
    for word in words {
        assert!(known(word), "docs/TOKENS.md names {word}, which is no operation");
        named += 1;
    }
    assert!(named > 10, "only {named} operations are named");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_check_in_the_guide_is_one_that_the_server_takes() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let checks = GUIDE.lines().filter_map(|line| line.split_once(" | `check if ")?.1.split('`').next());
    let mut taken = 0;
    for check in checks {
        let block = BlockBuilder::new().code(format!("check if {check}")).unwrap();
        let holder = app.holder(narrow::narrow(world.owner().token.as_deref().unwrap(), block).unwrap());
        let answer = holder.get("companies").await;
        assert!([200, 403].contains(&answer.status), "{check}: {}", answer.text);
        taken += 1;
    }
    assert!(taken > 8, "only {taken} checks");
}

/// A token of an owner, narrowed in every way of the guide.
#[derive(Deserialize)]
struct Narrowed {
    reading: String,
    contacts: String,
    one: String,
    ended: String,
    reports: String,
    twice: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rust_narrows_does_less() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let token = world.owner().token.clone().unwrap();
    let cut = |checks| narrow::narrow(&token, checks).unwrap();
    let narrowed = Narrowed {
        reading: cut(narrow::read_only()),
        contacts: cut(narrow::one_entity("contact")),
        one: cut(narrow::one_record(&world.first("companies"))),
        ended: cut(narrow::until(SystemTime::now() - Duration::from_secs(60))),
        reports: cut(narrow::for_reports(SystemTime::now() + Duration::from_secs(600))),
        twice: narrow::narrow(&cut(narrow::read_only()), narrow::one_entity("contact")).unwrap(),
    };
    does_less(&app, &world, &narrowed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_typescript_narrows_does_less() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let (ended, later) = (moment(-60), moment(600));
    let question = json!({
        "api": format!("{}/api/v1", app.base), "token": world.owner().token, "company": world.first("companies"),
        "ended": ended, "later": later,
    });
    let answer = run_typescript(&question.to_string()).await;
    does_less(&app, &world, &serde_json::from_str(&answer).unwrap()).await;
}

/// Milliseconds since 1970 of now and this many seconds.
fn moment(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap() + seconds * 1000
}

/// What the guide says each of them may and may not.
async fn does_less(app: &App, world: &World, narrowed: &Narrowed) {
    let (company, deal) = (format!("companies/{}", world.first("companies")), format!("deals/{}", world.first("deals")));
    let (change, contact) = (json!({ "industry": "Shipping" }), json!({ "first_name": "Ada", "last_name": "Lovelace" }));

    let reading = app.holder(&narrowed.reading);
    reading.get("companies").await.expect(200);
    reading.get(&deal).await.expect(200);
    reading.get("/api/v1/organizations/current").await.expect(200);
    reading.patch(&company, &change).await.problem(403, "forbidden");
    reading.post("contacts", &contact).await.problem(403, "forbidden");
    reading.get("/api/v1/auth/me").await.problem(403, "forbidden");

    let contacts = app.holder(&narrowed.contacts);
    contacts.get("contacts").await.expect(200);
    contacts.post("contacts", &contact).await.expect(201);
    contacts.get(&format!("{company}/contacts")).await.expect(200);
    contacts.get(&company).await.problem(403, "forbidden");
    contacts.get("/api/v1/organizations/current/members").await.problem(403, "forbidden");

    let one = app.holder(&narrowed.one);
    one.get(&company).await.expect(200);
    one.patch(&company, &change).await.expect(200);
    one.get("companies").await.problem(403, "forbidden");
    one.get(&deal).await.problem(403, "forbidden");
    one.patch(&format!("companies/{}", world.fresh("companies", "another").await), &change).await.problem(403, "forbidden");

    app.holder(&narrowed.ended).get("companies").await.problem(403, "forbidden");

    let reports = app.holder(&narrowed.reports);
    reports.get("companies").await.expect(200);
    reports.get("deals/pipeline").await.expect(200);
    reports.put(&format!("{deal}/stage"), &json!({ "stage": "negotiation" })).await.expect(200);
    reports.patch(&deal, &json!({ "name": "Renamed" })).await.problem(403, "forbidden");
    reports.get("contacts").await.problem(403, "forbidden");

    let twice = app.holder(&narrowed.twice);
    twice.get("contacts").await.expect(200);
    twice.post("contacts", &contact).await.problem(403, "forbidden");
    twice.get("companies").await.problem(403, "forbidden");

    let whole = json!({ "organization_id": world.tenant.organization_id, "refresh_token": world.owner().refresh_token });
    for token in [&narrowed.reading, &narrowed.contacts, &narrowed.one, &narrowed.reports, &narrowed.twice] {
        let holder = app.holder(token);
        holder.post("/api/v1/auth/switch", &whole).await.problem(403, "forbidden");
        holder.call("POST", "/api/v1/auth/logout").send().await.problem(403, "forbidden");
    }
    world.owner().call("POST", "/api/v1/auth/logout").send().await.expect(204);
    reading.get("companies").await.problem(401, "unauthenticated");
}

/// Compiles the guide's TypeScript with its own configuration and runs it; the last line that it writes.
async fn run_typescript(question: &str) -> String {
    let files =
        [("narrow.ts", TYPESCRIPT), ("tsconfig.json", CONFIGURATION), ("package.json", PACKAGE), ("narrow_each.mjs", DRIVER)];
    let folder = node::workplace(&node::packages("narrow", PACKAGE, LOCK).await, &files);
    node::run(&folder, "node", &["../node_modules/typescript/bin/tsc", "--project", "."], "").await;
    // The switches are for versions of Node.js before 22; later ones take them and need none.
    let switches = ["--experimental-wasm-modules", "--experimental-global-webcrypto", "narrow_each.mjs"];
    let written = node::run(&folder, "node", &switches, question).await;
    fs::remove_dir_all(&folder).unwrap();
    written.lines().last().unwrap_or_default().to_owned()
}
