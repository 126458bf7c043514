//! Who defines what, and what a definition must keep.

use serde_json::{Value, json};

use super::{define, id, start};
use crate::support::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_is_made_shown_and_changed() {
    let (_app, world) = start().await;
    let owner = world.owner();
    let made = define(
        owner,
        "company",
        "region",
        "choice",
        &json!({
            "label": "Region", "help_text": "Where they are.", "position": 2, "required": false, "indexed": true, "default_value": "eu",
            "options": [{ "key": "eu", "label": "Europe", "color": "#0055aa" }, { "key": "us", "label": "States" }],
        }),
    )
    .await;
    assert_eq!(made["options"][1], json!({ "key": "us", "label": "States", "color": null, "retired": false }));
    assert_eq!((&made["version"], &made["retired_at"], &made["indexed"]), (&json!(1), &Value::Null, &json!(true)));
    let address = format!("custom-fields/{}", id(&made));
    assert_eq!(owner.get(&address).await.expect(200).body, made);
    assert_eq!(world.caller("viewer").get(&address).await.expect(200).body, made, "everybody reads");
    let all = owner.get("custom-fields?entity=company").await.expect(200);
    assert_eq!(all.body["data"], json!([made]));
    assert_eq!(owner.get("custom-fields?entity=deal").await.expect(200).body["data"], json!([]));
    owner.get("custom-fields?entity=planet").await.problem(400, "malformed");

    let patched = owner.patch(&address, &json!({ "label": "Area", "help_text": null })).await.expect(200).body;
    assert_eq!((&patched["label"], &patched["help_text"], &patched["version"]), (&json!("Area"), &Value::Null, &json!(2)));
    let stale = owner.call("PATCH", &address).header("If-Match", "\"1\"").json(&json!({ "label": "Old" })).send().await;
    stale.problem(412, "stale");
    owner.patch(&address, &json!({ "key": "area" })).await.expect(400).names(&["/key"]);
    let fewer = json!({ "options": [{ "key": "eu", "label": "Europe" }] });
    owner.patch(&address, &fewer).await.expect(422).names(&["/options"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_part_of_a_definition_is_named() {
    let (_app, world) = start().await;
    let post = async |field: Value| world.owner().post("custom-fields", &field).await;
    let field = json!({ "entity": "company", "key": "Bad Key", "label": " ", "field_type": "boolean", "unique": true, "indexed": true,
                        "options": [{ "key": "a", "label": "A" }], "help_text": "x".repeat(501), "position": -1 });
    post(field).await.expect(422).names(&["/key", "/label", "/help_text", "/position", "/options", "/unique", "/indexed"]);
    for (more, pointer) in [
        (json!({ "field_type": "choice" }), "/options"),
        (json!({ "field_type": "choice", "options": [{ "key": "a", "label": "A" }, { "key": "a", "label": "B" }] }), "/options"),
        (json!({ "field_type": "choice", "options": [{ "key": "a", "label": "A", "color": "red" }] }), "/options"),
        (json!({ "field_type": "integer", "default_value": "seven" }), "/default_value"),
        (json!({ "field_type": "integer", "default_value": 7, "unique": true }), "/default_value"),
        (json!({ "field_type": "long_text", "indexed": true }), "/indexed"),
        (json!({ "field_type": "choices", "options": [{ "key": "a", "label": "A" }], "unique": true }), "/unique"),
    ] {
        let mut field = json!({ "entity": "deal", "key": "one", "label": "One" });
        field.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        post(field).await.expect(422).names(&[pointer]);
    }
    for (more, pointer) in
        [(json!({ "field_type": "colour" }), "/field_type"), (json!({ "field_type": "text", "size": 1 }), "/size")]
    {
        let mut field = json!({ "entity": "deal", "key": "one", "label": "One" });
        field.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        post(field).await.expect(400).names(&[pointer]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_there_once_for_each_kind_of_record() {
    let (_app, world) = start().await;
    let first = define(world.owner(), "company", "region", "text", &json!({})).await;
    define(world.owner(), "deal", "region", "text", &json!({})).await;
    let again = json!({ "entity": "company", "key": "region", "label": "Again", "field_type": "text" });
    world.owner().post("custom-fields", &again).await.expect(409).names(&["/key"]);
    world.owner().call("POST", &format!("custom-fields/{}/retire", id(&first))).send().await.expect(200);
    world.owner().post("custom-fields", &again).await.expect(409).names(&["/key"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_managers_define_and_nobody_of_another_organisation() {
    let (app, world) = start().await;
    let others = World::create(&app, "Umbrella").await;
    let field = define(world.owner(), "company", "region", "text", &json!({})).await;
    let address = format!("custom-fields/{}", id(&field));
    for role in ["member", "viewer"] {
        let caller = world.caller(role);
        caller
            .post("custom-fields", &json!({ "entity": "deal", "key": "a", "label": "A", "field_type": "text" }))
            .await
            .expect(403);
        caller.patch(&address, &json!({ "label": "Mine" })).await.expect(403);
        for step in ["retire", "reinstate"] {
            caller.call("POST", &format!("{address}/{step}")).send().await.expect(403);
        }
        for step in ["convert", "conversion-report"] {
            caller.post(&format!("{address}/{step}"), &json!({ "field_type": "url" })).await.expect(403);
        }
    }
    let stranger = others.owner();
    let never = stranger.get(&format!("custom-fields/{}", uuid::Uuid::now_v7())).await.expect(404).body;
    let seen = stranger.get(&address).await.expect(404).body;
    assert_eq!(seen["detail"], never["detail"]);
    stranger.patch(&address, &json!({ "label": "Mine" })).await.expect(404);
    stranger.post(&format!("{address}/convert"), &json!({ "field_type": "url" })).await.expect(404);
    assert_eq!(stranger.get("custom-fields").await.expect(200).body["data"], json!([]));
    // What one organisation defines is nothing to another.
    stranger.post("companies", &json!({ "name": "Free", "custom_fields": { "anything": [1] } })).await.expect(201);
    define(stranger, "company", "region", "integer", &json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_field_is_hidden_and_comes_back_with_its_values() {
    let (_app, world) = start().await;
    let owner = world.owner();
    let field = define(owner, "company", "region", "text", &json!({ "required": true, "indexed": true })).await;
    define(owner, "company", "size", "integer", &json!({})).await;
    let company = owner.post("companies", &json!({ "name": "A", "custom_fields": { "region": "EU" } })).await.expect(201);
    let retired = owner.call("POST", &format!("custom-fields/{}/retire", id(&field))).send().await.expect(200).body;
    assert!(retired["retired_at"].is_string());
    assert_eq!((&retired["required"], &retired["indexed"]), (&json!(false), &json!(false)));
    let known = owner.get("companies/fields").await.expect(200).body;
    assert!(!known.to_string().contains("custom_fields.region"), "it is not offered");
    let address = format!("companies/{}", company.id());
    owner.patch(&address, &json!({ "custom_fields": { "region": "US" } })).await.expect(422).names(&["/custom_fields/region"]);
    // A replacement could not name it, and keeps it.
    let replaced = owner.put(&address, &json!({ "name": "A", "custom_fields": { "size": 3 } })).await.expect(200).body;
    assert_eq!(replaced["custom_fields"], json!({ "region": "EU", "size": 3 }));
    owner.patch(&format!("custom-fields/{}", id(&field)), &json!({ "label": "R" })).await.expect(422);
    owner.call("POST", &format!("custom-fields/{}/reinstate", id(&field))).send().await.expect(200);
    owner.patch(&address, &json!({ "custom_fields": { "region": "US" } })).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_an_end_to_definitions() {
    let (app, world) = start().await;
    let organization = world.tenant.organization_id;
    app.database
        .execute(&format!(
            "INSERT INTO crm_custom_fields (organization_id, entity, key, label, field_type)
             SELECT '{organization}', 'deal', 'field_' || n, 'Field', 'text' FROM generate_series(1, 100) AS n"
        ))
        .await;
    let one_more = json!({ "entity": "deal", "key": "one_more", "label": "One more", "field_type": "text" });
    world.owner().post("custom-fields", &one_more).await.expect(422).names(&["/entity"]);
    let options: Vec<Value> = (0..201).map(|n| json!({ "key": format!("o{n}"), "label": "O" })).collect();
    let many = json!({ "entity": "company", "key": "many", "label": "Many", "field_type": "choice", "options": options });
    world.owner().post("custom-fields", &many).await.expect(422).names(&["/options"]);
}
