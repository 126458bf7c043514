//! Values that may be there once, among the living records of an organisation.

use futures_util::future::join_all;
use serde_json::json;

use super::{NOUNS, body, define, id, start, work};
use crate::support::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_unique_value_is_there_once_whatever_its_case() {
    let (app, world) = start().await;
    let others = World::create(&app, "Umbrella").await;
    for (noun, entity) in NOUNS {
        define(world.owner(), entity, "code", "text", &json!({ "unique": true })).await;
        define(world.owner(), entity, "number", "integer", &json!({ "unique": true })).await;
        let owner = world.owner();
        let first = owner.post(noun, &body(noun, &json!({ "code": "A-1", "number": 7 }))).await.expect(201);
        let taken = owner.post(noun, &body(noun, &json!({ "code": "a-1", "number": 7 }))).await.expect(409);
        taken.names(&["/custom_fields/code", "/custom_fields/number"]);
        let second = owner.post(noun, &body(noun, &json!({ "code": "a-2" }))).await.expect(201);
        let address = format!("{noun}/{}", second.id());
        owner.patch(&address, &json!({ "custom_fields": { "code": "A-1" } })).await.expect(409).names(&["/custom_fields/code"]);
        owner.patch(&address, &json!({ "custom_fields": { "code": "A-2" } })).await.expect(200);
        // Deleting frees the value; restoring into it is a conflict.
        owner.delete(&format!("{noun}/{}", first.id())).await.expect(204);
        owner.patch(&address, &json!({ "custom_fields": { "code": "A-1" } })).await.expect(200);
        let back = owner.call("POST", &format!("{noun}/{}/restore", first.id())).send().await.expect(409);
        back.names(&["/custom_fields/code"]);
        owner.patch(&address, &json!({ "custom_fields": { "code": null } })).await.expect(200);
        owner.call("POST", &format!("{noun}/{}/restore", first.id())).send().await.expect(200);
        // Another organisation has values of its own.
        define(others.owner(), entity, "code", "text", &json!({ "unique": true })).await;
        others.owner().post(noun, &body(noun, &json!({ "code": "A-1" }))).await.expect(201);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_eight_parallel_writers_one_gets_the_value() {
    let (_app, world) = start().await;
    for (noun, entity) in NOUNS {
        define(world.owner(), entity, "code", "text", &json!({ "unique": true })).await;
        for round in 0..5 {
            let value = json!({ "code": format!("round {round}") });
            let twice = body(noun, &value);
            let answers = join_all((0..8).map(|_| world.owner().post(noun, &twice))).await;
            let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
            assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{noun}: {statuses:?}");
            assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 7, "{noun}: {statuses:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shared_already_cannot_become_unique() {
    let (app, world) = start().await;
    let field = define(world.owner(), "company", "code", "text", &json!({})).await;
    let address = format!("custom-fields/{}", id(&field));
    for code in ["A", "a", "B"] {
        world.owner().post("companies", &body("companies", &json!({ "code": code }))).await.expect(201);
    }
    world.owner().patch(&address, &json!({ "unique": true })).await.expect(409).names(&["/unique"]);
    assert_eq!(world.owner().get(&address).await.expect(200).body["unique"], json!(false));

    // Among many it is found later, by the job.
    let organization = world.tenant.organization_id;
    app.database
        .execute(&format!(
            "SET session_replication_role = replica;
             DELETE FROM crm_companies WHERE organization_id = '{organization}';
             INSERT INTO crm_companies (organization_id, owner_id, created_by_id, name, slug, custom_fields)
             SELECT '{organization}', '{user}', '{user}', 'C ' || n, 'c-' || n, jsonb_build_object('code', 'code ' || n % 1499)
               FROM generate_series(1, 1500) AS n",
            user = world.tenant.owner.user_id
        ))
        .await;
    let begun = world.owner().patch(&address, &json!({ "unique": true })).await.expect(200).body;
    assert_eq!((&begun["unique"], &begun["work"]["finished_at"]), (&json!(true), &json!(null)), "{begun}");
    work(&app).await;
    let ended = world.owner().get(&address).await.expect(200).body;
    assert_eq!((&ended["unique"], &ended["work"]["has_duplicates"]), (&json!(false), &json!(true)), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn turning_uniqueness_off_frees_the_values() {
    let (app, world) = start().await;
    let field = define(world.owner(), "deal", "code", "text", &json!({ "unique": true })).await;
    world.owner().post("deals", &body("deals", &json!({ "code": "A" }))).await.expect(201);
    world.owner().patch(&format!("custom-fields/{}", id(&field)), &json!({ "unique": false })).await.expect(200);
    world.owner().post("deals", &body("deals", &json!({ "code": "A" }))).await.expect(201);
    work(&app).await;
    assert_eq!(app.database.number("SELECT count(*) FROM crm_custom_values").await, 0, "what was kept for it is cleared");
}
