//! Tokens and sessions: what opens a door, what does not, and how soon it closes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod support;

use std::time::{Duration, SystemTime};

use biscuit_auth::{UnverifiedBiscuit, builder::BlockBuilder, macros::block};
use crm_kernel::{Context, Role, SessionId};
use crm_tenancy::token::TokenKey;
use crm_testkit::PASSWORD;
use futures_util::future::join_all;
use serde_json::json;
use support::{Answer, App, Caller, claims, document::Document, world::World};

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

#[tokio::test(flavor = "multi_thread")]
async fn without_a_valid_token_every_operation_is_401_whatever_else_is_wrong() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let owner = &world.tenant.owner;
    let session = session(&app, owner).await;
    let good = app.key().issue(&claims(owner, session), MINUTE).unwrap();
    app.holder(&good).get("companies").await.expect(200);
    let flipped = good.replacen(&good[40..44], if &good[40..44] == "AAAA" { "BBBB" } else { "AAAA" }, 1);
    let bad = [
        ("garbage", "garbage".to_owned()),
        ("truncated", good[..good.len() - 4].to_owned()),
        ("changed", flipped),
        ("signed by another key", TokenKey::generate().issue(&claims(owner, session), MINUTE).unwrap()),
        ("expired", app.key().issue(&claims(owner, session), Duration::ZERO).unwrap()),
        ("of a session that never was", app.key().issue(&claims(owner, SessionId::generate()), MINUTE).unwrap()),
        ("of another person's session", app.key().issue(&claims(&world.tenant.admin, session), MINUTE).unwrap()),
        ("longer than any token", format!("{good}{}", "A".repeat(9000))),
    ];
    let operations: Vec<_> =
        Document::of_the_application().operations().into_iter().filter(|operation| !operation.is_public()).collect();
    for operation in &operations {
        let address = operation.at("no-id");
        let call =
            |caller: &Caller| caller.call(&operation.method, &address).header("content-type", "application/json").text("{");
        is_turned_away(call(&app.nobody()).send().await, "no token");
        for (what, token) in &bad {
            // What only the database knows is found out after the address and the body were understood.
            if !what.contains("session") {
                is_turned_away(call(&app.holder(token)).send().await, what);
            }
        }
    }
    for (what, token) in &bad {
        for path in ["companies", "activities", "deals/pipeline", "/api/v1/auth/me", "/api/v1/organizations/current"] {
            is_turned_away(app.holder(token).get(path).await, what);
        }
        is_turned_away(app.holder(token).post("companies", &json!({ "name": "Never" })).await, what);
    }
    for header in [
        format!("bearer{good}"),
        format!("Basic {good}"),
        good.clone(),
        "Bearer".into(),
        "Bearer ".into(),
        format!("Bearer {good}, Bearer {good}"),
    ] {
        is_turned_away(app.nobody().call("GET", "companies").header("authorization", &header).send().await, &header);
    }
    let twice = app.holder(&good).call("GET", "companies").header("authorization", &format!("Bearer {good}"));
    is_turned_away(twice.send().await, "two tokens");
    app.nobody().call("GET", "companies").header("authorization", &format!("bearer  {good}")).send().await.expect(200);
    app.nobody().get(&format!("companies?access_token={good}")).await.problem(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_in_a_token_is_a_hint_and_the_database_knows_better() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let viewer = Context { role: Role::Owner, ..world.tenant.viewer.clone() };
    let token = app.key().issue(&claims(&viewer, session(&app, &viewer).await), MINUTE).unwrap();
    let pretender = app.holder(token);
    pretender.get("companies").await.expect(200);
    pretender.post("companies", &json!({ "name": "Never" })).await.problem(403, "forbidden");
    pretender.get("companies?deleted=only").await.problem(403, "forbidden");
    let record = format!("companies/{}", world.first("companies"));
    pretender.patch(&record, &json!({ "industry": "Never" })).await.problem(403, "forbidden");
    pretender.delete(&record).await.problem(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_that_were_taken_are_gone_with_the_next_request() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let change = async |set: &str| {
        let member = world.tenant.member.user_id;
        app.database.execute(&format!("UPDATE memberships SET {set} WHERE user_id = '{member}'")).await;
    };
    let body = json!({ "name": "By the member" });
    world.member().post("companies", &body).await.expect(201);
    change("role = 'viewer'").await;
    world.member().post("companies", &body).await.problem(403, "forbidden");
    world.member().get("companies").await.expect(200);
    change("status = 'suspended'").await;
    is_turned_away(world.member().get("companies").await, "suspended");
    is_turned_away(world.member().get("/api/v1/auth/me").await, "suspended");
    refresh(&app, &world.member().refresh_token).await.problem(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn logging_out_ends_this_session_at_once_and_no_other() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let (here, there) = (world.owner(), app.login(&world.tenant.email("owner")).await);
    here.call("POST", "/api/v1/auth/logout").send().await.expect(204);
    is_turned_away(here.get("companies").await, "logged out");
    is_turned_away(here.post("companies", &json!({ "name": "Never" })).await, "logged out");
    is_turned_away(here.get("/api/v1/auth/me").await, "logged out");
    refresh(&app, &here.refresh_token).await.problem(401, "unauthenticated");
    there.get("companies").await.expect(200);
    refresh(&app, &there.refresh_token).await.expect(200);
}

async fn refresh(app: &App, token: &str) -> Answer {
    app.nobody().post("/api/v1/auth/refresh", &json!({ "refresh_token": token })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_good_once_and_a_second_use_ends_the_session() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let first = app.login(&world.tenant.email("owner")).await;
    let second = refresh(&app, &first.refresh_token).await.expect(200).body;
    let holder = app.holder(second["access_token"].as_str().unwrap());
    holder.get("companies").await.expect(200);
    let third = refresh(&app, second["refresh_token"].as_str().unwrap()).await.expect(200).body;
    assert_ne!(second["refresh_token"], third["refresh_token"]);

    refresh(&app, &first.refresh_token).await.problem(401, "unauthenticated");
    refresh(&app, third["refresh_token"].as_str().unwrap()).await.problem(401, "unauthenticated");
    for token in
        [first.token.unwrap(), second["access_token"].as_str().unwrap().into(), third["access_token"].as_str().unwrap().into()]
    {
        is_turned_away(app.holder(token).get("companies").await, "the whole family is gone");
    }
    for garbage in ["", "x", "\0", &"A".repeat(10_000)] {
        refresh(&app, garbage).await.problem(401, "unauthenticated");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_refreshes_at_the_same_moment_one_wins_at_most() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    for _ in 0..5 {
        let caller = app.login(&world.tenant.email("owner")).await;
        let answers = join_all((0..4).map(|_| refresh(&app, &caller.refresh_token))).await;
        let won: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
        assert_eq!(won.len(), 1, "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
        let token = won[0].body["access_token"].as_str().unwrap();
        is_turned_away(app.holder(token).get("companies").await, "a token used twice ends its session");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_login_says_nothing_about_what_is_wrong() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let email = world.tenant.email("owner");
    let mut details = Vec::new();
    for body in [
        json!({ "email": email, "password": "wrong password" }),
        json!({ "email": "nobody@example.com", "password": PASSWORD }),
        json!({ "email": email, "password": PASSWORD, "organization": "nowhere" }),
        json!({ "email": format!("{email}\0"), "password": "wrong password" }),
    ] {
        let answer = app.nobody().post("/api/v1/auth/login", &body).await;
        if answer.status != 422 {
            details.push(answer.problem(401, "unauthenticated").body["detail"].clone());
        }
    }
    assert!(details.len() >= 3);
    assert!(details.windows(2).all(|pair| pair[0] == pair[1]), "{details:?}");
    let upper = json!({ "email": email.to_uppercase(), "password": PASSWORD, "organization": world.tenant.slug });
    app.nobody().post("/api/v1/auth/login", &upper).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn switching_enters_only_an_organisation_of_ones_own() {
    let app = App::start().await;
    let (acme, umbrella) = (World::create(&app, "Acme").await, app.database.tenant("Umbrella").await);
    let target = json!({ "organization_id": umbrella.organization_id });
    acme.owner().post("/api/v1/auth/switch", &target).await.problem(404, "not_found");
    app.database.add_member(umbrella.organization_id, &acme.tenant.email("owner"), Role::Viewer).await;
    let switched = acme.owner().post("/api/v1/auth/switch", &target).await.expect(200).body;
    assert_eq!((&switched["role"], &switched["organization_id"]), (&json!("viewer"), &target["organization_id"]));
    let there = app.holder(switched["access_token"].as_str().unwrap());
    assert_eq!(there.get("companies").await.expect(200).data().len(), 0);
    there.post("companies", &json!({ "name": "Never" })).await.problem(403, "forbidden");
    assert_eq!(acme.owner().get("companies").await.expect(200).data().len(), 3, "the old token stays where it was");
    acme.owner().call("POST", "/api/v1/auth/logout").send().await.expect(204);
    there.get("companies").await.expect(200);
}

fn narrowed(caller: &Caller, block: BlockBuilder) -> String {
    let token = UnverifiedBiscuit::from_base64(caller.token.as_deref().unwrap()).unwrap();
    token.append(block).unwrap().to_base64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrowed_token_does_less_and_never_more() {
    let app = App::start().await;
    let (world, umbrella) = (World::create(&app, "Acme").await, app.database.tenant("Umbrella").await);
    let body = json!({ "name": "Never" });
    let (admin, other) = (world.tenant.admin.user_id.to_string(), umbrella.organization_id.to_string());
    let forgeries = [
        block!(r#"role("owner")"#),
        block!(r#"role("owner"); user({admin})"#),
        block!("organization({other})"),
        block!(r#"role("owner") <- user($user); role("admin"); access("own"); access("read"); operation("session:me")"#),
    ];
    for block in forgeries {
        let forger = app.holder(narrowed(world.caller("viewer"), block));
        is_turned_away(forger.post("companies", &body).await, "a forged fact");
        is_turned_away(forger.get("/api/v1/auth/me").await, "a forged fact");
        is_turned_away(forger.get("companies").await, "a forged fact");
    }
    let reader = app.holder(narrowed(world.owner(), block!(r#"check if access("read")"#)));
    reader.get("companies").await.expect(200);
    reader.post("companies", &body).await.problem(403, "forbidden");
    reader.delete(&format!("companies/{}", world.first("companies"))).await.problem(403, "forbidden");
    let contacts_only = app.holder(narrowed(world.owner(), block!(r#"check if entity("contact")"#)));
    contacts_only.get("contacts").await.expect(200);
    contacts_only.get("companies").await.problem(403, "forbidden");
    let (first, address) = (world.first("companies"), format!("companies/{}", world.first("companies")));
    let one_record = app.holder(narrowed(world.owner(), block!("check if resource({plain})", plain = first.clone())));
    one_record.get(&address).await.expect(200);
    one_record.get("companies").await.problem(403, "forbidden");
    let all_but_one =
        app.holder(narrowed(world.owner(), block!("check if resource($id), $id != {plain}", plain = first.clone())));
    let plain = first;
    for spelling in
        [plain.clone(), plain.to_uppercase(), plain.replace('-', ""), format!("urn:uuid:{plain}"), format!("%7B{plain}%7D")]
    {
        let answer = all_but_one.get(&format!("companies/{spelling}")).await;
        assert!([403, 404].contains(&answer.status), "{spelling} must not get around a check on the record: {}", answer.status);
    }
    let past = SystemTime::now() - MINUTE;
    let over = app.holder(narrowed(world.owner(), block!("check if time($time), $time < {past}")));
    assert!([401, 403].contains(&over.get("companies").await.status), "an earlier expiry counts");
    let expired =
        app.key().issue(&claims(&world.tenant.owner, session(&app, &world.tenant.owner).await), Duration::ZERO).unwrap();
    let forged_time = Caller { token: Some(expired), ..app.nobody() };
    is_turned_away(
        app.holder(narrowed(&forged_time, block!("time(2001-01-01T00:00:00Z)"))).get("companies").await,
        "a forged clock",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrowed_token_cannot_be_exchanged_for_a_whole_one() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let target = json!({ "organization_id": world.tenant.organization_id });
    world.owner().post("/api/v1/auth/switch", &target).await.expect(200);
    let later = SystemTime::now() + MINUTE;
    for block in
        [block!("check if time($time), $time < {later}"), block!(r#"check if entity("session") or access("read")"#), block!("")]
    {
        let narrowed = app.holder(narrowed(world.owner(), block));
        narrowed.get("/api/v1/auth/me").await.expect(200);
        narrowed.post("/api/v1/auth/switch", &target).await.problem(403, "forbidden");
    }
    let forged = app.holder(narrowed(world.owner(), block!(r#"token("whole")"#)));
    is_turned_away(forged.post("/api/v1/auth/switch", &target).await, "a forged wholeness");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_holder_adds_cannot_keep_the_server_busy() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let facts: String = (0..60).map(|number| format!("f({number}); ")).collect();
    let join = "f($a), f($b), f($c), f($d), $a + $b + $c + $d > 10000000";
    let many = format!("[{}]", (0..60).map(|number| number.to_string()).collect::<Vec<_>>().join(", "));
    let nested =
        format!("check if {many}.any($a -> {many}.any($b -> {many}.any($c -> {many}.any($d -> $a + $b + $c + $d > 1000))))");
    let bombs = [
        format!("{facts} r($a) <- {join};"),
        format!("{facts} check if {join};"),
        nested,
        format!("check if entity(\"{}\")", "x".repeat(2000)),
    ];
    for bomb in bombs {
        let block = BlockBuilder::new().code(bomb).unwrap();
        let holder = app.holder(narrowed(world.owner(), block));
        is_turned_away(holder.get("companies").await, "a block that takes time");
    }
    let mut token = world.owner().token.clone().unwrap();
    for _ in 0..5 {
        token = UnverifiedBiscuit::from_base64(&token)
            .unwrap()
            .append(block!(r#"check if access("read")"#))
            .unwrap()
            .to_base64()
            .unwrap();
    }
    is_turned_away(app.holder(token).get("companies").await, "a long chain of blocks");
}
