//! Requests that are sent again with the same Idempotency-Key.

use biscuit_auth::macros::block;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{
    Answer, App, Caller,
    document::example,
    world::{NOUNS, World},
};

async fn keyed(caller: &Caller, path: &str, key: &str, body: &Value) -> Answer {
    let call = caller.call("POST", path).header("idempotency-key", key);
    if body.is_null() { call.send().await } else { call.json(body).send().await }
}

fn is_repetition(answer: &Answer) -> bool {
    answer.header("idempotency-replayed") == "true"
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_is_done_once_and_answered_alike() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    for (noun, schema) in NOUNS {
        let mut body = example(schema, &format!("{noun}-once"));
        body["tags"] = json!(["🦀", "zwölf"]);
        let first = keyed(world.member(), noun, "order-66", &body).await.expect(201);
        assert!(!is_repetition(&first));
        let again = keyed(world.member(), noun, "order-66", &body).await.expect(201);
        assert!(is_repetition(&again));
        assert_eq!((&again.text, again.etag(), again.header("location")), (&first.text, first.etag(), first.header("location")));
        let logged = format!("SELECT count(*) FROM crm_activities WHERE entity_id = '{}'", first.id());
        assert_eq!(app.database.number(&logged).await, 1, "it was done once");

        for turn in 0..20 {
            let answer = keyed(world.member(), noun, "order-66", &body).await.expect(201);
            assert!(is_repetition(&answer), "{turn}: whoever has an answer may ask again at once");
            let mut wrong = body.clone();
            let person = if noun == "tasks" { "assigned_to_id" } else { "owner_id" };
            wrong[person] = json!(uuid::Uuid::now_v7());
            let pointer = format!("/{person}");
            keyed(world.member(), noun, "order-67", &wrong).await.problem(422, "invalid").names(&[&pointer]);
        }

        let escaped = format!("%{:02x}{}", noun.as_bytes()[0], &noun[1..]);
        let spelled = keyed(world.member(), &escaped, "order-66", &body).await.expect(201);
        assert!(is_repetition(&spelled), "another spelling of the address is the same address");

        let mut other = body.clone();
        other["tags"] = json!(["other"]);
        keyed(world.member(), noun, "order-66", &other).await.problem(422, "invalid").names(&["Idempotency-Key"]);
        let at = format!("{noun}/{}", first.id());
        world.member().delete(&at).await.expect(204);
        keyed(world.member(), noun, "order-66", &body).await.problem(404, "not_found");
        let restored = keyed(world.member(), &format!("{at}/restore"), "order-66", &Value::Null).await;
        let restored_again = keyed(world.member(), &format!("{at}/restore"), "order-66", &Value::Null).await;
        assert_eq!((restored.expect(200).text, true), (restored_again.text.clone(), is_repetition(&restored_again)));
        let spelled = format!("{noun}/{}/restore", first.id().to_uppercase());
        let spelled = keyed(world.member(), &spelled, "order-66", &Value::Null).await.expect(200);
        assert!(is_repetition(&spelled), "another spelling of the id is the same id");
        keyed(world.member(), noun, "order-66", &body).await.expect(201);

        let call = json!({ "operations": [
            { "op": "create", "data": example(schema, &format!("{noun}-bulk")) },
            { "op": "delete", "id": uuid::Uuid::now_v7() },
        ]});
        let bulk = keyed(world.member(), &format!("{noun}/bulk"), "order-66", &call).await.expect(207);
        let bulk_again = keyed(world.member(), &format!("{noun}/bulk"), "order-66", &call).await.expect(207);
        assert!(is_repetition(&bulk_again));
        assert_eq!(bulk.text, bulk_again.text);
        let made = bulk.body["results"][0]["record"]["id"].as_str().unwrap();
        world.member().delete(&format!("{noun}/{made}")).await.expect(204);
        let gone = keyed(world.member(), &format!("{noun}/bulk"), "order-66", &call).await.expect(207);
        assert_eq!((&gone.body["results"][0]["status"], gone.body["results"][0].get("record")), (&json!(201), None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_its_callers_and_its_addresss_alone() {
    let app = App::start().await;
    let (world, umbrella) = (World::create(&app, "Acme").await, World::create(&app, "Umbrella").await);
    let body = |label: &str| json!({ "name": label });
    let mut ids = Vec::new();
    for (caller, label) in [(world.member(), "a"), (world.owner(), "a"), (umbrella.member(), "a")] {
        let answer = keyed(caller, "companies", "shared", &body(label)).await.expect(201);
        assert!(!is_repetition(&answer), "another caller's key is another key");
        ids.push(answer.id());
    }
    assert!(!is_repetition(&keyed(world.member(), "deals", "shared", &body("a")).await.expect(201)));
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    keyed(world.caller("viewer"), "companies", "shared", &body("a")).await.problem(403, "forbidden");
    let out = format!("UPDATE memberships SET role = 'viewer' WHERE user_id = '{}'", world.tenant.member.user_id);
    app.database.execute(&out).await;
    let refused = keyed(&app.login(&world.tenant.email("member")).await, "companies", "shared", &body("a")).await;
    refused.problem(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_token_of_the_same_person_is_shown_no_more_than_it_may_read() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let creator = app.holder(crate::narrowed(world.member(), block!(r#"check if operation("contact:create")"#)));
    let body = example("NewContact", "narrow");
    keyed(world.member(), "contacts", "k", &body).await.expect(201);
    keyed(&creator, "contacts", "k", &body).await.problem(404, "not_found");
    let call = json!({ "operations": [{ "op": "create", "data": example("NewContact", "narrower") }] });
    keyed(world.member(), "contacts/bulk", "k", &call).await.expect(200);
    let again = keyed(&creator, "contacts/bulk", "k", &call).await.expect(200);
    assert_eq!(again.body["results"], json!([{ "status": 201 }]), "it was done, and what it made is not shown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_not_kept() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let (email, taken) = ("ada@example.com", json!({ "first_name": "Ada", "last_name": "Two", "email": "ada@example.com" }));
    let first = json!({ "first_name": "Ada", "last_name": "One", "email": email });
    let one = world.member().post("contacts", &first).await.expect(201).id();
    keyed(world.member(), "contacts", "k", &taken).await.problem(409, "conflict").names(&["/email"]);
    world.member().delete(&format!("contacts/{one}")).await.expect(204);
    let done = keyed(world.member(), "contacts", "k", &taken).await.expect(201);
    assert!(!is_repetition(&done), "what was refused is judged again");
    for key in ["", " ", "with space", &"k".repeat(256)] {
        let refused = keyed(world.member(), "contacts", key, &taken).await;
        refused.problem(400, "malformed").names(&["Idempotency-Key"]);
    }
    let twice = world.member().call("POST", "contacts").header("idempotency-key", "a").header("idempotency-key", "b");
    twice.json(&taken).send().await.problem(400, "malformed").names(&["Idempotency-Key"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_away_for_the_moment_is_done_when_it_is_asked_again() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let (held, gone) = (world.first("companies"), uuid::Uuid::now_v7());
    let call = json!({ "operations": [
        { "op": "create", "data": example("NewCompany", "beside") },
        { "op": "update", "id": held, "data": { "industry": "later" } },
        { "op": "delete", "id": gone },
    ]});
    let lock = app.database.hold(&format!("SELECT FROM crm_companies WHERE id = '{held}' FOR UPDATE")).await;
    keyed(world.owner(), "companies/bulk", "k", &call).await.problem(503, "unavailable");
    let made = "SELECT count(*) FROM crm_companies WHERE name = 'Company beside'";
    assert_eq!(app.database.number(made).await, 0, "with a key nothing is done by halves: it is asked for again as a whole");
    drop(lock);
    let done = keyed(world.owner(), "companies/bulk", "k", &call).await.expect(207);
    assert!(!is_repetition(&done));
    let statuses: Vec<_> = done.body["results"].as_array().unwrap().iter().map(|result| result["status"].clone()).collect();
    assert_eq!((json!(statuses), app.database.number(made).await), (json!([201, 200, 404]), 1));
    assert!(is_repetition(&keyed(world.owner(), "companies/bulk", "k", &call).await));

    let nothing = json!({ "operations": [{ "op": "delete", "id": gone }] });
    for _ in 0..2 {
        let refused = keyed(world.owner(), "companies/bulk", "nothing", &nothing).await.expect(207);
        assert!(!is_repetition(&refused), "what changed nothing is judged again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_runs_a_repetition_is_told_so() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let node = app.another_node();
    let callers: Vec<Caller> =
        (0..8).map(|number| if number % 2 == 0 { world.member().clone() } else { node.welcome(world.member()) }).collect();
    let body = example("NewContact", "once");
    let answers = join_all(callers.iter().map(|caller| keyed(caller, "contacts", "k", &body))).await;
    for answer in &answers {
        match answer.status {
            201 => {}
            _ => drop(answer.clone().problem(409, "conflict").names(&["Idempotency-Key"])),
        }
    }
    let done = answers.iter().filter(|answer| answer.status == 201 && !is_repetition(answer)).count();
    assert_eq!(done, 1, "one of them did it");
    assert_eq!(app.database.number("SELECT count(*) FROM crm_contacts WHERE last_name = 'once'").await, 1);

    // A request that is held up by somebody else's lock is certainly still running.
    let record = world.fresh("contacts", "held").await;
    world.member().delete(&format!("contacts/{record}")).await.expect(204);
    let mut tx = app.database.db().begin(&world.tenant.owner).await.unwrap();
    crm_contacts::within::restore(&mut tx, record.parse().unwrap()).await.unwrap();
    let restore = format!("contacts/{record}/restore");
    let held = {
        let (caller, restore) = (world.member().clone(), restore.clone());
        tokio::spawn(async move { keyed(&caller, &restore, "k", &Value::Null).await })
    };
    let waits = "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
                  WHERE datname = current_database() AND locktype = 'advisory' AND granted";
    while app.database.number(waits).await == 0 {
        tokio::task::yield_now().await;
    }
    keyed(world.member(), &restore, "k", &Value::Null).await.problem(409, "conflict").names(&["Idempotency-Key"]);
    drop(tx);
    held.await.unwrap().expect(200);
    assert!(is_repetition(&keyed(world.member(), &restore, "k", &Value::Null).await.expect(200)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_kept_for_a_day_and_swept() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let body = example("NewDeal", "daily");
    let first = keyed(world.member(), "deals", "k", &body).await.expect(201).id();
    let age = async |hours: u32| {
        let back = format!("UPDATE crm_idempotent_answers SET created_at = now() - interval '{hours} hours'");
        app.database.execute(&back).await;
    };
    age(23).await;
    crm_tenancy::housekeeping::run(&app.database.db()).await.unwrap();
    assert!(is_repetition(&keyed(world.member(), "deals", "k", &body).await.expect(201)));
    age(25).await;
    let second = keyed(world.member(), "deals", "k", &body).await.expect(201);
    assert!(!is_repetition(&second) && second.id() != first, "a day later it is a new request");
    age(25).await;
    let done = crm_tenancy::housekeeping::run(&app.database.db()).await.unwrap();
    assert_eq!(done.get("idempotent_answers"), Some(&1));
    assert_eq!(app.database.number("SELECT count(*) FROM crm_idempotent_answers").await, 0);
}
