//! Values: what each type takes, what is named when they are wrong, what is filled in, what must be there.

use crm_kernel::Error;
use crm_tenancy::import::{self, Importable};
use serde_json::{Value, json};

use super::{NOUNS, body, define, id, start};
use crate::support::world::World;

/// A type, what defines it further, a value as sent and as kept, and values that it refuses with their codes.
type Example = (&'static str, Value, Value, Value, Vec<(Value, &'static str)>);

fn types(world: &World, stranger: &World) -> Vec<Example> {
    let options = json!({ "options": [{ "key": "red", "label": "Red" }, { "key": "green", "label": "Green" }] });
    let member = json!(world.tenant.member.user_id);
    let none = json!({});
    let reference = |noun: &'static str| {
        let (own, others, deleted) = (world.first(noun), stranger.first(noun), id(&world.records[noun][3]));
        (json!(own), vec![(json!(others), "reference"), (json!(deleted), "reference"), (json!("x"), "type")])
    };
    let (company, no_company) = reference("companies");
    let (contact, no_contact) = reference("contacts");
    let (deal, no_deal) = reference("deals");
    let stranger_id = json!(stranger.tenant.owner.user_id);
    vec![
        ("text", none.clone(), json!("Łódź"), json!("Łódź"), vec![(json!(1), "type"), (json!("x".repeat(256)), "length")]),
        (
            "long_text",
            none.clone(),
            json!("a\nb"),
            json!("a\nb"),
            vec![(json!(["a"]), "type"), (json!("x".repeat(10_001)), "length")],
        ),
        (
            "integer",
            none.clone(),
            json!(12),
            json!(12),
            vec![(json!("12"), "type"), (json!(1.5), "type"), (json!(i64::MAX), "range")],
        ),
        ("decimal", none.clone(), json!(1.5), json!("1.50"), vec![(json!("1e3"), "type"), (json!("0.0001"), "type")]),
        ("money", none.clone(), json!("1250000"), json!("1250000.00"), vec![(json!("EUR 5"), "type")]),
        (
            "date",
            none.clone(),
            json!("2026-02-28"),
            json!("2026-02-28"),
            vec![(json!("2026-02-30"), "type"), (json!(20_260_228), "type")],
        ),
        (
            "time",
            none.clone(),
            json!("2026-02-28T10:00:00+01:00"),
            json!("2026-02-28T09:00:00Z"),
            vec![(json!("2026-02-28"), "type"), (json!("soon"), "type")],
        ),
        ("boolean", none.clone(), json!(true), json!(true), vec![(json!("true"), "type"), (json!(1), "type")]),
        ("choice", options.clone(), json!("red"), json!("red"), vec![(json!("rde"), "option"), (json!(["red"]), "type")]),
        (
            "choices",
            options,
            json!(["green", "red"]),
            json!(["red", "green"]),
            vec![(json!("red"), "type"), (json!(["blue"]), "option")],
        ),
        ("url", none.clone(), json!("https://example.com"), json!("https://example.com"), vec![(json!("javascript:x"), "url")]),
        ("email", none.clone(), json!("\"Jo B\"@Bücher.Example"), json!("\"jo b\"@bücher.example"), vec![(json!("jo"), "email")]),
        ("member", none.clone(), member.clone(), member, vec![(stranger_id, "reference"), (json!("me"), "type")]),
        ("company", none.clone(), company.clone(), company, no_company),
        ("contact", none.clone(), contact.clone(), contact, no_contact),
        ("deal", none, deal.clone(), deal, no_deal),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_keeps_its_values_and_refuses_others_on_every_noun() {
    let (app, world) = start().await;
    let stranger = World::create(&app, "Umbrella").await;
    let (owner, types) = (world.owner(), types(&world, &stranger));
    for (noun, entity) in NOUNS {
        for (field_type, more, ..) in &types {
            define(owner, entity, &format!("my_{field_type}"), field_type, more).await;
        }
        let sent: Value = types.iter().map(|(name, _, sent, ..)| (format!("my_{name}"), sent.clone())).collect();
        let kept: Value = types.iter().map(|(name, _, _, kept, _)| (format!("my_{name}"), kept.clone())).collect();
        let made = owner.post(noun, &body(noun, &sent)).await.expect(201);
        let address = format!("{noun}/{}", made.id());
        assert_eq!(made.body["custom_fields"], kept, "{noun}");
        let version = made.body["version"].clone();
        assert_eq!(
            owner.patch(&address, &json!({ "custom_fields": sent })).await.expect(200).body["version"],
            version,
            "nothing changed"
        );
        assert_eq!(
            owner.put(&address, &body(noun, &kept)).await.expect(200).body["custom_fields"],
            kept,
            "what was read can be written"
        );
        for turn in 0..3 {
            let bad: Vec<_> =
                types.iter().filter_map(|(name, .., bad)| bad.get(turn).map(|bad| (format!("my_{name}"), bad))).collect();
            let values: Value = bad.iter().map(|(key, (value, _))| (key.clone(), value.clone())).collect();
            let mut expected: Vec<(String, &str)> =
                bad.iter().map(|(key, (_, code))| (format!("/custom_fields/{key}"), *code)).collect();
            expected.sort();
            let create = owner.post(noun, &body(noun, &values)).await.expect(422);
            let patch = owner.patch(&address, &json!({ "custom_fields": values })).await.expect(422);
            let replace = owner.put(&address, &body(noun, &values)).await.expect(422);
            for answer in [create, patch, replace] {
                let mut named: Vec<(String, &str)> = Vec::new();
                for error in answer.body["errors"].as_array().unwrap() {
                    named.push((error["pointer"].as_str().unwrap().to_owned(), error["code"].as_str().unwrap()));
                }
                named.sort();
                assert_eq!(named, expected, "{noun}: all at once");
            }
        }
        let emptied = owner.patch(&address, &json!({ "custom_fields": null })).await.expect(200);
        assert_eq!(emptied.body["custom_fields"], json!({}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_custom_fields_are_named_together_with_the_others() {
    let (_app, world) = start().await;
    for (noun, entity) in NOUNS {
        define(world.owner(), entity, "size", "integer", &json!({})).await;
        let mut broken = body(noun, &json!({ "size": "large" }));
        broken["tags"] = json!(["a", "a"]);
        world.owner().post(noun, &broken).await.expect(422).names(&["/tags", "/custom_fields/size"]);
        let address = format!("{noun}/{}", world.first(noun));
        let patch = json!({ "tags": ["a", "a"], "custom_fields": { "size": "large" } });
        world.owner().patch(&address, &patch).await.expect(422).names(&["/tags", "/custom_fields/size"]);
        // 404, 403 and 412 come first.
        world.caller("viewer").patch(&address, &patch).await.expect(403);
        let stale = world.owner().call("PATCH", &address).header("If-Match", "\"99\"").json(&patch).send().await;
        stale.problem(412, "stale");
        world.owner().patch(&format!("{noun}/{}", uuid::Uuid::now_v7()), &patch).await.expect(404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_first_definition_on_only_defined_keys_can_be_written() {
    let (_app, world) = start().await;
    for (noun, entity) in NOUNS {
        let free = world.owner().post(noun, &body(noun, &json!({ "anything": { "goes": [1] }, "more": 1 }))).await.expect(201);
        let address = format!("{noun}/{}", free.id());
        define(world.owner(), entity, "region", "text", &json!({})).await;
        let unknown = world.owner().patch(&address, &json!({ "custom_fields": { "regoin": "EU" } })).await.expect(422);
        assert!(unknown.body.to_string().contains("did you mean `region`?"), "{}", unknown.body);
        unknown.names(&["/custom_fields/regoin"]);
        world.owner().post(noun, &body(noun, &json!({ "a/b~c": 1 }))).await.expect(422).names(&["/custom_fields/a~1b~0c"]);
        // What is there stays until it is removed.
        let patched =
            world.owner().patch(&address, &json!({ "custom_fields": { "region": "EU", "more": null } })).await.expect(200);
        assert_eq!(patched.body["custom_fields"], json!({ "anything": { "goes": [1] }, "region": "EU" }));
        let replaced = world.owner().put(&address, &body(noun, &json!({}))).await.expect(200);
        assert_eq!(replaced.body["custom_fields"], json!({ "anything": { "goes": [1] } }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defaults_fill_new_records_and_required_fields_stay_filled() {
    let (_app, world) = start().await;
    for (noun, entity) in NOUNS {
        define(world.owner(), entity, "region", "text", &json!({ "default_value": "EU", "required": true })).await;
        define(world.owner(), entity, "size", "integer", &json!({ "required": true })).await;
        define(world.owner(), entity, "vip", "boolean", &json!({ "default_value": false })).await;
        let owner = world.owner();
        owner.post(noun, &body(noun, &json!({}))).await.expect(422).names(&["/custom_fields/size"]);
        owner.post(noun, &body(noun, &json!({ "size": 1, "region": " " }))).await.expect(422).names(&["/custom_fields/region"]);
        let made = owner.post(noun, &body(noun, &json!({ "size": 1 }))).await.expect(201);
        assert_eq!(made.body["custom_fields"], json!({ "region": "EU", "size": 1, "vip": false }));
        let address = format!("{noun}/{}", made.id());
        owner.patch(&address, &json!({ "custom_fields": { "size": null } })).await.expect(422).names(&["/custom_fields/size"]);
        owner
            .patch(&address, &json!({ "custom_fields": null }))
            .await
            .expect(422)
            .names(&["/custom_fields/region", "/custom_fields/size"]);
        let without = owner.put(&address, &body(noun, &json!({ "size": 2 }))).await;
        without.expect(422).names(&["/custom_fields/region"]);
        owner.patch(&address, &json!({ "tags": ["a"] })).await.expect(200);
        let replaced = owner.put(&address, &body(noun, &json!({ "size": 2, "region": "US" }))).await.expect(200);
        assert_eq!(replaced.body["custom_fields"], json!({ "region": "US", "size": 2 }));
        // A record from before has none, and may be changed in other ways.
        owner.patch(&format!("{noun}/{}", world.first(noun)), &json!({ "tags": ["a"] })).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_option_stays_where_it_is_and_is_not_offered() {
    let (_app, world) = start().await;
    let options = json!([{ "key": "old", "label": "Old" }, { "key": "new", "label": "New" }]);
    let field = define(world.owner(), "deal", "kind", "choice", &json!({ "options": options })).await;
    let deal = world.owner().post("deals", &body("deals", &json!({ "kind": "old" }))).await.expect(201);
    let fewer = json!({ "options": [{ "key": "new", "label": "New" }, { "key": "old", "label": "Old", "retired": true }] });
    world.owner().patch(&format!("custom-fields/{}", id(&field)), &fewer).await.expect(200);
    world.owner().post("deals", &body("deals", &json!({ "kind": "old" }))).await.expect(422).names(&["/custom_fields/kind"]);
    world.owner().put(&format!("deals/{}", deal.id()), &body("deals", &json!({ "kind": "old" }))).await.expect(200);
}

/// A record refers to what went into the bin, or to a member who left: it is written back as it was read, and takes no other such reference.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_record_refers_to_already_is_not_judged_again() {
    let (app, world) = start().await;
    let owner = world.owner();
    let colleague = world.tenant.colleague.user_id;
    let (gone, also_gone) = (
        owner.post("companies", &body("companies", &json!({}))).await.expect(201).id(),
        owner.post("companies", &body("companies", &json!({}))).await.expect(201).id(),
    );
    let mut made = Vec::new();
    for (noun, entity) in NOUNS {
        define(owner, entity, "group", "company", &json!({ "required": true })).await;
        define(owner, entity, "second", "company", &json!({})).await;
        define(owner, entity, "buyer", "member", &json!({})).await;
        define(owner, entity, "note", "text", &json!({})).await;
        let values = json!({ "group": gone, "buyer": colleague, "note": "first" });
        made.push((noun, owner.post(noun, &body(noun, &values)).await.expect(201).id()));
    }
    for company in [&gone, &also_gone] {
        owner.delete(&format!("companies/{company}")).await.expect(204);
    }
    app.database.execute(&format!("UPDATE memberships SET status = 'suspended' WHERE user_id = '{colleague}'")).await;
    for (noun, record) in made {
        let path = format!("{noun}/{record}");
        let read = owner.get(&path).await.expect(200).body["custom_fields"].clone();
        let mut changed = read.clone();
        changed["note"] = json!("second");
        let patched = owner.patch(&path, &json!({ "custom_fields": changed })).await.expect(200);
        assert_eq!(patched.body["custom_fields"], changed, "{noun}");
        let replaced = owner.put(&path, &body(noun, &read)).await.expect(200);
        assert_eq!(replaced.body["custom_fields"], read, "{noun}");
        let call = json!({ "operations": [{ "op": "update", "id": record, "data": { "custom_fields": changed } }] });
        let bulk = owner.post(&format!("{noun}/bulk"), &call).await.expect(200);
        assert_eq!(bulk.body["results"][0]["record"]["custom_fields"], changed, "{noun}: {}", bulk.body);

        for (key, value) in [("group", &also_gone), ("second", &gone)] {
            let mut other = read.clone();
            other[key] = json!(value);
            let pointer = format!("/custom_fields/{key}");
            owner.patch(&path, &json!({ "custom_fields": other })).await.problem(422, "invalid").names(&[&pointer]);
            owner.put(&path, &body(noun, &other)).await.problem(422, "invalid").names(&[&pointer]);
        }
        owner
            .post(noun, &body(noun, &read))
            .await
            .problem(422, "invalid")
            .names(&["/custom_fields/group", "/custom_fields/buyer"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_that_no_longer_holds_is_not_written() {
    let (app, world) = start().await;
    let owner = world.owner();
    let options = json!([{ "key": "old", "label": "Old" }, { "key": "new", "label": "New" }]);
    let fewer = json!([{ "key": "old", "label": "Old", "retired": true }, { "key": "new", "label": "New" }]);
    let gone = owner.post("companies", &body("companies", &json!({}))).await.expect(201).id();
    let colleague = world.tenant.colleague.user_id;
    for (noun, entity) in NOUNS {
        let kind = define(owner, entity, "kind", "choice", &json!({ "options": options, "default_value": "old" })).await;
        define(owner, entity, "kinds", "choices", &json!({ "options": options, "default_value": ["new"] })).await;
        define(owner, entity, "buyer", "member", &json!({ "default_value": colleague })).await;
        define(owner, entity, "group", "company", &json!({ "default_value": gone })).await;
        let made = owner.post(noun, &body(noun, &json!({}))).await.expect(201);
        let all = json!({ "kind": "old", "kinds": ["new"], "buyer": colleague, "group": gone });
        assert_eq!(made.body["custom_fields"], all, "{noun}");

        let definition = format!("custom-fields/{}", id(&kind));
        owner.patch(&definition, &json!({ "options": fewer })).await.problem(422, "invalid").names(&["/default_value"]);
        owner.patch(&definition, &json!({ "options": fewer, "default_value": "new" })).await.expect(200);
        owner.patch(&definition, &json!({ "default_value": "old" })).await.problem(422, "invalid").names(&["/default_value"]);
        // As definitions were that nobody judged so.
        let lapsed = format!("UPDATE crm_custom_fields SET default_value = '\"old\"' WHERE id = '{}'", id(&kind));
        app.database.execute(&lapsed).await;
    }
    owner.delete(&format!("companies/{gone}")).await.expect(204);
    app.database.execute(&format!("UPDATE memberships SET status = 'suspended' WHERE user_id = '{colleague}'")).await;
    for (noun, entity) in NOUNS {
        let made = owner.post(noun, &body(noun, &json!({}))).await.expect(201);
        assert_eq!(made.body["custom_fields"], json!({ "kinds": ["new"] }), "{noun}: what does not hold is left out");
        let call = json!({ "operations": [{ "op": "create", "data": body(noun, &json!({})) }] });
        let bulk = owner.post(&format!("{noun}/bulk"), &call).await.expect(200);
        assert_eq!(bulk.body["results"][0]["record"]["custom_fields"], json!({ "kinds": ["new"] }), "{noun}");

        for (key, value) in [("patron", json!(colleague)), ("parent", json!(gone))] {
            let kind = if key == "patron" { "member" } else { "company" };
            let field = json!({ "entity": entity, "key": key, "label": key, "field_type": kind, "default_value": value });
            owner.post("custom-fields", &field).await.problem(422, "invalid").names(&["/default_value"]);
        }
        let listed = owner.get(&format!("custom-fields?entity={entity}")).await.expect(200);
        let buyer = listed.data().iter().find(|field| field["key"] == "buyer").unwrap();
        owner.patch(&format!("custom-fields/{}", id(buyer)), &json!({ "required": true })).await.expect(200);
        owner.post(noun, &body(noun, &json!({}))).await.problem(422, "invalid").names(&["/custom_fields/buyer"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_brought_in_is_judged_and_texts_of_a_spreadsheet_become_values() {
    let (app, world) = start().await;
    for (key, field_type, more) in [
        ("size", "integer", json!({ "indexed": true })),
        ("budget", "money", json!({})),
        ("chosen", "boolean", json!({})),
        ("note", "text", json!({ "required": true })),
    ] {
        define(world.owner(), "company", key, field_type, &more).await;
    }
    let company = json!(world.first("companies"));
    define(world.owner(), "company", "above", "company", &json!({})).await;
    let bring_in = async |custom_fields: Value| {
        let mut tx = app.database.db().begin(&world.tenant.owner).await.unwrap();
        let name = "Brought in";
        let row =
            json!({ "name": name, "slug": "brought-in", "owner_id": world.tenant.owner.user_id, "custom_fields": custom_fields });
        import::records(&mut tx, Importable::Company, &[row]).await?;
        tx.commit().await
    };
    for (wrong, pointer) in [
        (json!({ "size": "about 10" }), "/custom_fields/size"),
        (json!({ "budget": "dear" }), "/custom_fields/budget"),
        (json!({ "unheard_of": 1 }), "/custom_fields/unheard_of"),
        (json!({ "above": "01890000-0000-7000-8000-000000000000" }), "/custom_fields/above"),
    ] {
        match bring_in(wrong).await {
            Err(Error::Invalid(faults)) => assert_eq!(faults[0].pointer, pointer, "{faults:?}"),
            other => panic!("{pointer}: {other:?}"),
        }
    }
    bring_in(json!({ "size": "12", "budget": "7", "chosen": "true", "above": company })).await.unwrap();
    let found = world.owner().call("GET", "companies").query(&[("filter", "custom_fields.size = 12")]).send().await.expect(200);
    let values = &found.data()[0]["custom_fields"];
    assert_eq!(*values, json!({ "size": 12, "budget": "7.00", "chosen": true, "above": company }));
}
