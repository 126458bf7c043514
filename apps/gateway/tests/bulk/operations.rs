//! Calls that say each operation.

use biscuit_auth::{builder::BlockBuilder, macros::block};
use serde_json::{Value, json};

use crate::support::{
    Answer, App, Caller,
    document::example,
    world::{NOUNS, World, id, text_of},
};

async fn bulk(caller: &Caller, noun: &str, operations: Value) -> Answer {
    caller.post(&format!("{noun}/bulk"), &json!({ "operations": operations })).await
}

fn statuses(answer: &Answer) -> Vec<u64> {
    answer.body["results"].as_array().unwrap().iter().map(|result| result["status"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn results_stand_in_the_order_of_the_operations() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    for (noun, schema) in NOUNS {
        let (first, second) = (world.first(noun), id(&world.records[noun][2]));
        let text = text_of(noun);
        let operations = json!([
            { "op": "create", "data": example(schema, &format!("{noun}-a")) },
            { "op": "update", "id": first, "version": 1, "data": { text: "Zoë 🦀" } },
            { "op": "update", "id": first, "version": 1, "data": { text: "Stale" } },
            { "op": "delete", "id": second },
            { "op": "upsert", "source": "hubspot", "external_id": "a/ü 🦀", "data": example(schema, &format!("{noun}-b")) },
            { "op": "upsert", "source": "hubspot", "external_id": "a/ü 🦀", "data": { text: "Renamed" } },
            { "op": "create", "data": { text: "" } },
            { "op": "update", "id": first, "data": { "colour": "red" } },
            { "op": "explode", "id": first },
            { "op": "update", "id": first, "key": "both", "data": {} },
        ]);
        let answer = bulk(world.owner(), noun, operations).await.expect(207);
        assert_eq!(statuses(&answer), [201, 200, 412, 204, 201, 200, 422, 400, 400, 400], "{}", answer.text);
        let result = |index: usize| &answer.body["results"][index];
        assert_eq!((&answer.body["succeeded"], &answer.body["failed"]), (&json!(5), &json!(5)));
        assert_eq!(result(1)["record"][text], "Zoë 🦀");
        assert_eq!(result(2)["problem"]["code"], "stale");
        assert!(result(3).get("record").is_none() && result(3).get("problem").is_none(), "there is nothing to show");
        assert_eq!(result(5)["record"]["id"], result(4)["record"]["id"], "the second finds what the first has made");
        let pointers = |index: usize| -> Vec<&str> {
            result(index)["problem"]["errors"]
                .as_array()
                .unwrap()
                .iter()
                .map(|error| error["pointer"].as_str().unwrap())
                .collect()
        };
        assert!(pointers(6).contains(&format!("/data/{text}").as_str()), "{:?}", pointers(6));
        assert_eq!(pointers(7), ["/data/colour"]);
        assert_eq!(pointers(8), ["/op"]);
        let stored = world.owner().get(&format!("{noun}/{first}")).await.expect(200);
        assert_eq!(stored.body, result(1)["record"], "what is answered is what is stored");
        let operation = answer.body["operation_id"].as_str().unwrap();
        let logged = format!("SELECT count(*) FROM crm_activities WHERE operation_id = '{operation}'");
        // One more: the external id is logged as well.
        assert_eq!(app.database.number(&logged).await, 6, "everything that was done is one operation in the log");
        let all = bulk(world.member(), noun, json!([{ "op": "create", "data": example(schema, &format!("{noun}-c")) }])).await;
        assert_eq!(statuses(&all.expect(200)), [201], "200 when nothing was refused");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_calls_over_the_same_records_in_opposite_order_are_both_done() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let made: Vec<_> =
        (0..40).map(|number| json!({ "op": "create", "data": example("NewContact", &format!("shared-{number}")) })).collect();
    let made = bulk(world.owner(), "contacts", json!(made)).await.expect(200);
    let ids: Vec<_> = made.body["results"].as_array().unwrap().iter().map(|result| result["record"]["id"].clone()).collect();
    let changes = |department: &str, ids: &mut dyn Iterator<Item = &Value>| -> Value {
        ids.map(|id| json!({ "op": "update", "id": id, "data": { "department": department } })).collect()
    };
    for round in 0..5 {
        let upwards = changes(&format!("up {round}"), &mut ids.iter());
        let downwards = changes(&format!("down {round}"), &mut ids.iter().rev());
        let (one, other) = tokio::join!(bulk(world.owner(), "contacts", upwards), bulk(world.owner(), "contacts", downwards));
        for answer in [one.expect(200), other.expect(200)] {
            assert_eq!(statuses(&answer), [200; 40]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_or_none_names_the_operation_at_fault() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let contacts = || async { app.database.number("SELECT count(*) FROM crm_contacts").await };
    let before = contacts().await;
    let attempt = async |last: Value| {
        let operations = json!([
            { "op": "create", "data": example("NewContact", "new") },
            { "op": "upsert", "key": "someone@else.example.com", "data": { "first_name": "Someone", "last_name": "Else" } },
            last,
        ]);
        world.member().post("contacts/bulk", &json!({ "atomic": true, "operations": operations })).await
    };
    let first = world.first("contacts");
    let stale = attempt(json!({ "op": "update", "id": first, "version": 9, "data": { "title": "x" } })).await;
    stale.problem(412, "stale").names(&["/operations/2"]);
    let invalid = attempt(json!({ "op": "update", "id": first, "data": { "email": "nowhere", "lead_score": 101 } })).await;
    invalid.problem(422, "invalid").names(&["/operations/2/data/email", "/operations/2/data/lead_score"]);
    let missing = attempt(json!({ "op": "delete", "id": uuid::Uuid::now_v7() })).await;
    missing.problem(404, "not_found").names(&["/operations/2"]);
    let taken = attempt(json!({ "op": "create", "data": example("NewContact", "new") })).await;
    taken.problem(409, "conflict").names(&["/operations/2/data/email"]);
    attempt(json!({ "op": "update" })).await.problem(400, "malformed").names(&["/operations/2"]);
    assert_eq!(contacts().await, before, "nothing of it is left");
    let done = attempt(json!({ "op": "update", "id": first, "version": 1, "data": { "title": "x" } })).await.expect(200);
    assert_eq!(statuses(&done), [201, 201, 200]);
    assert_eq!(contacts().await, before + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_bulk_call_is_refused_as_a_whole() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let sent = async |body: Value| world.owner().post("contacts/bulk", &body).await;
    let delete = json!({ "op": "delete", "id": uuid::Uuid::now_v7() });
    for body in [
        json!({}),
        json!({ "operations": [delete], "filter": "tags : \"a\"" }),
        json!({ "filter": "tags : \"a\"", "atomic": true, "delete": true }),
        json!({ "filter": "tags : \"a\"" }),
        json!({ "filter": "tags : \"a\"", "set": {}, "delete": true }),
        json!({ "operations": "all" }),
        json!({ "operations": [1] }),
        json!({ "operations": [delete], "colour": "red" }),
    ] {
        sent(body).await.problem(400, "malformed");
    }
    let no_key = json!({ "operations": [{ "op": "delete", "key": "a" }], "atomic": true });
    world.owner().post("deals/bulk", &no_key).await.problem(400, "malformed").names(&["/operations/0/key"]);
    sent(json!({ "operations": [] })).await.problem(422, "invalid").names(&["/operations"]);
    sent(json!({ "operations": vec![&delete; 1001] })).await.problem(422, "invalid").names(&["/operations"]);
    let most = sent(json!({ "operations": vec![&delete; 1000] })).await.expect(207);
    assert_eq!(most.body["failed"], 1000);
    for text in ["", "[]", "{\"operations\": [", "{\"operations\": [{\"op\": \"delete\", \"id\": \"\u{0}\"}]}"] {
        let call = world.owner().call("POST", "contacts/bulk").header("content-type", "application/json").text(text.to_owned());
        call.send().await.problem(400, "malformed");
    }
    let note = "n".repeat(8 * 1024 * 1024);
    let large = json!({ "operations": [{ "op": "create", "data": { "first_name": note } }] });
    sent(large).await.problem(413, "too_large");
    let three = json!({ "operations": vec![json!({ "op": "create", "data": { "title": "t".repeat(3_000) } }); 1000] });
    assert_eq!(sent(three).await.expect(207).body["failed"], 1000, "three MiB are not too much");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_operation_is_asked_of_the_token_as_if_it_had_come_alone() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let umbrella = World::create(&app, "Umbrella").await;
    let (one, other) = (world.first("contacts"), id(&world.records["contacts"][2]));
    let update = |id: &str| json!({ "op": "update", "id": id, "data": { "title": "Changed" } });
    let create = |label: &str| json!({ "op": "create", "data": example("NewContact", label) });
    let holder = |block: BlockBuilder| app.holder(crate::narrowed(world.owner(), block));

    let viewer = bulk(world.caller("viewer"), "contacts", json!([update(&one)])).await;
    viewer.problem(403, "forbidden");
    let companies_only = holder(block!(r#"check if entity("company")"#));
    bulk(&companies_only, "contacts", json!([update(&one), create("a")])).await.problem(403, "forbidden");
    let reader = holder(block!(r#"check if access("read")"#));
    bulk(&reader, "contacts", json!([update(&one), create("a")])).await.problem(403, "forbidden");
    let creator = holder(block!(r#"check if operation("contact:create")"#));
    let answer = bulk(&creator, "contacts", json!([create("b"), create("c"), update(&one)])).await.expect(207);
    assert_eq!(statuses(&answer), [201, 201, 403]);
    let one_record = holder(block!("check if resource({plain})", plain = one.clone()));
    let foreign = umbrella.first("contacts");
    let operations = json!([update(&other), update(&one), create("d"), update(&foreign), { "op": "delete", "id": other }]);
    let answer = bulk(&one_record, "contacts", operations).await.expect(207);
    assert_eq!(statuses(&answer), [403, 200, 403, 404, 403], "{}", answer.text);
    let by_key = json!([{ "op": "upsert", "key": world.records["contacts"][2]["email"], "data": { "title": "Taken" } }]);
    bulk(&one_record, "contacts", by_key).await.problem(403, "forbidden");
    let untouched = umbrella.owner().get(&format!("contacts/{foreign}")).await.expect(200);
    assert_eq!(untouched.body["version"], 1);
    let theirs = world.owner().get(&format!("contacts/{other}")).await.expect(200);
    assert_eq!(theirs.body["version"], 1, "what was refused has not changed");
}
