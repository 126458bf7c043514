//! API tokens: made, limited, listed, used, revoked.

use biscuit_auth::macros::block;
use crm_kernel::Timestamp;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    is_turned_away, mint, narrowed,
    support::{App, Caller, world::World},
    with_password,
};

const TOKENS: &str = "/api/v1/auth/tokens";

fn at(made: &Value) -> String {
    format!("{TOKENS}/{}", made["api_token"]["id"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_shown_once_and_kept_nowhere() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let answer = world.member().post(TOKENS, &with_password(&json!({ "name": "Nightly export" }))).await.expect(201);
    let (made, text) = (answer.body.clone(), answer.body["token"].as_str().unwrap().to_owned());
    assert_eq!(answer.header("location"), at(&made));
    assert_eq!(answer.header("cache-control"), "no-store");
    let token = &made["api_token"];
    assert_eq!(token["user_id"], json!(world.tenant.member.user_id));
    assert_eq!((&token["operations"], &token["entities"], &token["read_only"]), (&json!([]), &json!([]), &json!(false)));
    assert_eq!((&token["status"], &token["last_used_at"]), (&json!("active"), &Value::Null));
    let expires: Timestamp = token["expires_at"].as_str().unwrap().parse().unwrap();
    let days = (expires.0 - Timestamp::now().0).whole_hours();
    assert!((89 * 24..=90 * 24).contains(&days), "90 days when nobody says: {days} hours");
    let read = world.member().get(answer.header("location")).await.expect(200);
    assert_eq!(&read.body, token);
    let listed = world.member().get(TOKENS).await.expect(200);
    assert_eq!(listed.data(), std::slice::from_ref(token));
    for answer in [&read.text, &listed.text] {
        assert!(!answer.contains(&text) && !answer.contains("hash"), "{answer}");
    }
    let rows = app.database.texts("SELECT token::text FROM identity.api_tokens AS token").await;
    let log = app.database.texts("SELECT changes::text FROM crm_activity_details WHERE changes IS NOT NULL").await;
    assert!(rows.iter().chain(&log).all(|row| !row.contains(&text)), "the token itself is in no table");
    assert!(log.iter().all(|row| !row.contains("token_hash")), "nor is its hash in the log");
    app.holder(text).get("companies").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn its_limits_hold() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let (company, body) = (format!("companies/{}", world.first("companies")), json!({ "name": "By a program" }));
    let reader = mint(world.owner(), &json!({ "name": "Reader", "read_only": true })).await.0;
    for path in
        ["companies", &company, "contacts", "deals/pipeline", "activities", "/api/v1/auth/me", "/api/v1/organizations/current"]
    {
        reader.get(path).await.expect(200);
    }
    reader.post("companies", &body).await.problem(403, "forbidden");
    reader.delete(&company).await.problem(403, "forbidden");
    let contacts = mint(world.owner(), &json!({ "name": "Contacts", "entities": ["contact"] })).await.0;
    contacts.get("contacts").await.expect(200);
    contacts.post("contacts", &json!({ "first_name": "F", "last_name": "L" })).await.expect(201);
    for path in ["companies", &company, "activities", "/api/v1/auth/me", "/api/v1/organizations/current/members"] {
        contacts.get(path).await.problem(403, "forbidden");
    }
    let maker = mint(world.owner(), &json!({ "name": "Maker", "operations": ["company:create", "company:list"] })).await.0;
    maker.post("companies", &body).await.expect(201);
    maker.get("companies").await.expect(200);
    maker.get(&company).await.problem(403, "forbidden");
    maker.delete(&company).await.problem(403, "forbidden");
    let both =
        json!({ "name": "Both", "operations": ["company:list", "company:create"], "entities": ["company"], "read_only": true });
    let both = mint(world.owner(), &both).await.0;
    both.get("companies").await.expect(200);
    both.post("companies", &body).await.problem(403, "forbidden");
    let narrower = app.holder(narrowed(&reader, block!(r#"check if entity("deal")"#)));
    narrower.get("deals").await.expect(200);
    narrower.get("companies").await.problem(403, "forbidden");
    let viewer = mint(world.caller("viewer"), &json!({ "name": "Viewer" })).await.0;
    viewer.get("companies").await.expect(200);
    viewer.post("companies", &body).await.problem(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_a_login_takes_no_api_token_and_no_narrowed_one() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let (program, made) = mint(world.owner(), &json!({ "name": "Program" })).await;
    let target = json!({ "organization_id": world.tenant.organization_id, "refresh_token": world.owner().refresh_token });
    let callers = [
        program.clone(),
        app.holder(narrowed(&program, block!("check if true"))),
        app.holder(narrowed(world.owner(), block!("check if true"))),
    ];
    for caller in &callers {
        caller.get("companies").await.expect(200);
        caller.post(TOKENS, &json!({ "name": "Never" })).await.problem(403, "forbidden");
        caller.get(TOKENS).await.problem(403, "forbidden");
        caller.get(&at(&made)).await.problem(403, "forbidden");
        caller.delete(&at(&made)).await.problem(403, "forbidden");
        caller.post("/api/v1/auth/switch", &target).await.problem(403, "forbidden");
        caller.call("POST", "/api/v1/auth/logout").send().await.problem(403, "forbidden");
        caller.get("/api/v1/organizations/current/service-users").await.problem(403, "forbidden");
        let body = json!({ "name": "Never", "role": "admin" });
        caller.post("/api/v1/organizations/current/service-users", &body).await.problem(403, "forbidden");
        // Nobody's access is a program's to give or take: what it gave would outlive it.
        let member = format!("/api/v1/organizations/current/members/{}", world.tenant.viewer.user_id);
        caller.patch(&member, &json!({ "role": "owner" })).await.problem(403, "forbidden");
        caller.delete(&member).await.problem(403, "forbidden");
        let to = json!({ "to": world.tenant.colleague.user_id });
        caller.post(&format!("{member}/reassign"), &to).await.problem(403, "forbidden");
        let invitation = json!({ "email": "friend@example.com", "role": "owner" });
        caller.post("/api/v1/organizations/current/invitations", &invitation).await.problem(403, "forbidden");
    }
    app.nobody()
        .post("/api/v1/auth/refresh", &json!({ "refresh_token": program.token.as_deref().unwrap() }))
        .await
        .problem(401, "unauthenticated");
    world.owner().get("companies").await.expect(200);
    // A person may belong to many organisations; a token of one of them tells of that one.
    let umbrella = app.database.tenant("Umbrella").await;
    app.database.add_member(umbrella.organization_id, &world.tenant.email("owner"), crm_kernel::Role::Viewer).await;
    let me = program.get("/api/v1/auth/me").await.expect(200);
    assert_eq!(me.body["organizations"].as_array().unwrap().len(), 1, "{}", me.text);
    assert_eq!(world.owner().get("/api/v1/auth/me").await.expect(200).body["organizations"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_bodies_are_refused_with_every_bad_field() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let bad = json!({
        "name": " ", "expires_at": "2020-01-01T00:00:00Z",
        "operations": ["company:list", "company:explode", "session:logout", "api_token:create", "session:login"],
        "entities": ["company", "unicorn", "api_token"],
    });
    world.owner().post(TOKENS, &bad).await.problem(422, "invalid").names(&[
        "/name",
        "/expires_at",
        "/operations/1",
        "/operations/2",
        "/operations/3",
        "/operations/4",
        "/entities/1",
        "/entities/2",
    ]);
    let later = Timestamp(Timestamp::now().0 + time::Duration::days(400)).to_string();
    world
        .owner()
        .post(TOKENS, &json!({ "name": "A", "expires_at": later }))
        .await
        .problem(422, "invalid")
        .names(&["/expires_at"]);
    world.owner().post(TOKENS, &json!({ "name": "x".repeat(101) })).await.problem(422, "invalid").names(&["/name"]);
    world.owner().post(TOKENS, &json!({})).await.problem(422, "invalid").names(&["/name"]);
    world.owner().post(TOKENS, &json!({ "name": "A", "role": "owner" })).await.problem(400, "malformed").names(&["/role"]);
    let (program, made) = mint(world.owner(), &json!({ "name": "Short" })).await;
    program.get("companies").await.expect(200);
    app.database.execute("UPDATE identity.api_tokens SET expires_at = now() WHERE name = 'Short'").await;
    is_turned_away(program.get("companies").await, "expired");
    assert_eq!(world.owner().get(&at(&made)).await.expect(200).body["status"], "expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_sees_their_own_and_owner_and_admin_all() {
    let app = App::start().await;
    let (world, umbrella) = (World::create(&app, "Acme").await, World::create(&app, "Umbrella").await);
    let mut made = Vec::new();
    for role in ["owner", "member", "viewer"] {
        made.push(mint(world.caller(role), &json!({ "name": format!("Of the {role}") })).await);
    }
    let (_, foreign) = mint(umbrella.owner(), &json!({ "name": "Foreign" })).await;
    for (role, names) in [("owner", 3), ("admin", 3), ("member", 1), ("viewer", 1)] {
        let caller = world.caller(role);
        let listed = caller.get(TOKENS).await.expect(200);
        assert_eq!(listed.data().len(), names, "{role}: {}", listed.text);
        assert!(!listed.text.contains("Foreign"));
        caller.get(&at(&foreign)).await.problem(404, "not_found");
        caller.delete(&at(&foreign)).await.problem(404, "not_found");
        let of_owner = caller.get(&format!("{TOKENS}?user_id={}", world.tenant.owner.user_id)).await.expect(200);
        assert_eq!(of_owner.data().len(), usize::from(names == 3), "{role}");
    }
    for role in ["member", "viewer"] {
        world.caller(role).get(&at(&made[0].1)).await.problem(404, "not_found");
        world.caller(role).delete(&at(&made[0].1)).await.problem(404, "not_found");
    }
    made[0].0.get("companies").await.expect(200);
    let mine = world.owner().get(&format!("{TOKENS}?user_id=me&status=active&include=user")).await.expect(200);
    assert_eq!(mine.data()[0]["user"]["user_id"], json!(world.tenant.owner.user_id));
    let page = world.owner().get(&format!("{TOKENS}?limit=2&count=true")).await.expect(200);
    assert_eq!((page.data().len(), &page.body["page"]["total"]["count"]), (2, &json!(3)));
    let cursor = page.body["page"]["next_cursor"].as_str().unwrap().to_owned();
    let rest = world.owner().call("GET", &format!("{TOKENS}?limit=2")).query(&[("cursor", &cursor)]).send().await.expect(200);
    assert_eq!(rest.data().len(), 1);
    world.caller("admin").delete(&at(&made[0].1)).await.problem(403, "forbidden");
    made[0].0.get("companies").await.expect(200);
    // Revoked: by oneself, by an admin.
    world.member().delete(&at(&made[1].1)).await.expect(204);
    world.caller("admin").delete(&at(&made[2].1)).await.expect(204);
    let company = format!("companies/{}", world.first("companies"));
    for (program, _) in &made[1..] {
        is_turned_away(program.get("companies").await, "revoked");
        is_turned_away(program.patch(&company, &json!({ "industry": "x" })).await, "revoked");
        is_turned_away(program.get("/api/v1/auth/me").await, "revoked");
    }
    world.member().delete(&at(&made[1].1)).await.expect(204);
    let seen = world.member().get(&at(&made[1].1)).await.expect(200).body;
    assert_eq!((&seen["status"], &seen["revoked_by_id"]), (&json!("revoked"), &json!(world.tenant.member.user_id)));
    made[0].0.get("companies").await.expect(200);
    world.member().get("companies").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn its_life_is_logged_for_owner_and_admin_and_its_changes_name_it() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let (program, made) = mint(world.member(), &json!({ "name": "Importer" })).await;
    let id = made["api_token"]["id"].as_str().unwrap();
    let company = program.post("companies", &json!({ "name": "Imported" })).await.expect(201).id();
    let named = format!(
        "SELECT count(*) FROM crm_activities WHERE entity_id = '{company}' AND token_id = '{id}' AND actor_kind = 'user' AND session_id IS NULL"
    );
    assert_eq!(app.database.number(&named).await, 1);
    world.member().delete(&at(&made)).await.expect(204);
    let log = world.caller("admin").get(&format!("activities?entity_type=api_token&entity_id={id}")).await.expect(200);
    let types: Vec<&Value> = log.data().iter().map(|activity| &activity["activity_type"]).collect();
    assert_eq!(types, [&json!("updated"), &json!("created")]);
    assert_eq!(log.data()[0]["fields"], json!(["revoked_at", "revoked_by_id"]));
    assert_eq!(log.data()[1]["description"], "Importer");
    for role in ["member", "viewer"] {
        assert_eq!(world.caller(role).get("activities?entity_type=api_token").await.expect(200).data().len(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_last_use_is_written_now_and_then_and_in_no_request() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let (program, made) = mint(world.owner(), &json!({ "name": "Program" })).await;
    let last = async || world.owner().get(&at(&made)).await.expect(200).body["last_used_at"].clone();
    for _ in 0..5 {
        program.get("companies").await.expect(200);
    }
    assert_eq!(last().await, Value::Null, "a request that reads writes nothing");
    let log = "SELECT count(*) FROM crm_activities";
    let before = app.database.number(log).await;
    app.services().api_tokens.write_uses().await.unwrap();
    let first: Timestamp = last().await.as_str().unwrap().parse().unwrap();
    assert!((Timestamp::now().0 - first.0).whole_seconds() < 60);
    assert_eq!(app.database.number(log).await, before, "being used is no event");
    program.get("companies").await.expect(200);
    app.services().api_tokens.write_uses().await.unwrap();
    let second: Timestamp = last().await.as_str().unwrap().parse().unwrap();
    assert!(second > first);
    app.services().api_tokens.write_uses().await.unwrap();
    assert_eq!(last().await, json!(second));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_are_enough_and_two_at_once_do_not_make_more() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let (organization, user) = (world.tenant.organization_id, world.tenant.member.user_id);
    let fill = format!(
        "INSERT INTO identity.api_tokens (organization_id, id, user_id, name, token_hash, created_by_id, expires_at)
         SELECT '{organization}', app.uuid7(), '{user}', 'Token ' || number, sha256(number::text::bytea), '{user}', now() + interval '1 day'
           FROM generate_series(1, 98) AS number"
    );
    app.database.execute(&fill).await;
    let make = async |caller: &Caller| caller.post(TOKENS, &with_password(&json!({ "name": "One more" }))).await;
    let answers = join_all((0..4).map(|_| make(world.member()))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 2);
    for answer in answers.into_iter().filter(|answer| answer.status != 201) {
        answer.problem(409, "conflict");
    }
    make(world.owner()).await.expect(201);
    let made = world.member().get(&format!("{TOKENS}?limit=1")).await.expect(200).ids().remove(0);
    world.member().delete(&format!("{TOKENS}/{made}")).await.expect(204);
    make(world.member()).await.expect(201);
    make(world.member()).await.problem(409, "conflict");
    app.database.execute(&format!("UPDATE identity.api_tokens SET created_at = now() - interval '2 days', expires_at = now() - interval '1 day' WHERE user_id = '{user}' AND name = 'Token 1'")).await;
    make(world.member()).await.expect(201);
}
