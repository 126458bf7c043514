//! `fields` and `include`: parts of records, and records within records.

use serde_json::{Value, json};

use crate::{
    NOUNS,
    support::{App, document::Document, world::World},
};

fn names(record: &Value) -> Vec<&str> {
    record.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_picks_fields() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    for noun in NOUNS {
        let id = world.first(noun.path);
        for address in [format!("{}/{id}", noun.path), noun.path.to_owned()] {
            let records = |answer: Value| answer["data"].as_array().cloned().unwrap_or_else(|| vec![answer]);
            let whole = records(world.owner().get(&address).await.expect(200).body);
            for wanted in [vec!["id"], vec!["id", "tags", "version"], names(&whole[0])] {
                let picked = records(world.owner().get(&format!("{address}?fields={}", wanted.join(","))).await.expect(200).body);
                for (picked, whole) in picked.iter().zip(&whole) {
                    assert_eq!(names(picked).len(), wanted.len(), "{address}: {picked}");
                    assert!(wanted.iter().all(|name| picked[name] == whole[name]), "{address}: {picked}");
                }
            }
            let both = records(world.owner().get(&format!("{address}?fields=id&include={}", noun.person)).await.expect(200).body);
            assert_eq!(names(&both[0]), ["id", noun.person], "{address}: what is embedded is shown though its id was not picked");
        }
        world.owner().get(&format!("{}?fields=id,colour", noun.path)).await.problem(400, "malformed").names(&["fields"]);
    }
}

/// Where each relation leads, by its name.
const TARGETS: [(&str, &str, &str); 14] = [
    ("parent", "parent_id", "id"),
    ("company", "company_id", "id"),
    ("primary_contact", "primary_contact_id", "id"),
    ("contact", "contact_id", "id"),
    ("deal", "deal_id", "id"),
    ("campaign", "campaign_id", "id"),
    ("owner", "owner_id", "user_id"),
    ("assigned_to", "assigned_to_id", "user_id"),
    ("project_manager", "project_manager_id", "user_id"),
    ("created_by", "created_by_id", "user_id"),
    ("manager", "manager_id", "user_id"),
    ("user", "user_id", "user_id"),
    ("invited_by", "invited_by_id", "user_id"),
    ("accepted_by", "accepted_by_id", "user_id"),
];

#[tokio::test(flavor = "multi_thread")]
async fn include_embeds_what_an_id_names() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let mut embedded = 0;
    for operation in Document::of_the_application().operations().iter().filter(|operation| operation.takes("include")) {
        let include =
            operation.query().into_iter().find(|parameter| parameter["name"] == "include").unwrap()["description"].clone();
        let relations = include.as_str().unwrap().split_once(": ").unwrap().1.trim_end_matches('.').replace(", ", ",");
        let id = match operation.thing() {
            // A member of a campaign is there only where one was made.
            Some(noun) if world.records.contains_key(noun) && !operation.path.contains("{contact_id}") => {
                world.records[noun][1]["id"].as_str().unwrap().to_owned()
            }
            Some(kind) => world.thing(&app, kind, &world.person("owner"), "embedding").await,
            None => String::new(),
        };
        let address = operation.at(&id);
        let answer = world.owner().get(&format!("{address}?include={relations}")).await.expect(200).body;
        let records = answer["data"].as_array().cloned().unwrap_or_else(|| vec![answer]);
        for record in &records {
            for relation in relations.split(',') {
                let (_, key, id) =
                    TARGETS.iter().find(|(name, ..)| *name == relation).unwrap_or_else(|| panic!("say where {relation} leads"));
                let inner = record.get(relation).unwrap_or_else(|| panic!("{address} has no {relation}"));
                let expected = if record[key].is_null() { &Value::Null } else { &inner[id] };
                assert_eq!(&record[key], expected, "{address}: {relation}");
                assert_eq!(record[key].is_null(), inner.is_null(), "{address}: {relation}");
                embedded += usize::from(!inner.is_null());
            }
        }
    }
    assert!(embedded > 40, "only {embedded} records were embedded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_parent_is_shown_as_deleted_and_takes_nothing_new() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let parent = world.fresh("companies", "gone").await;
    let child = json!({ "name": "Child", "parent_id": parent });
    let contact = json!({ "first_name": "C", "last_name": "D", "company_id": parent });
    let deal = json!({ "name": "Deal", "company_id": parent });
    let project = json!({ "name": "Project", "company_id": parent });
    let mut attached = Vec::new();
    for (noun, relation, body) in [
        ("companies", "parent", &child),
        ("contacts", "company", &contact),
        ("deals", "company", &deal),
        ("projects", "company", &project),
    ] {
        attached.push((noun, relation, body, world.member().post(noun, body).await.expect(201).id()));
    }
    world.member().delete(&format!("companies/{parent}")).await.expect(204);
    for (noun, relation, body, id) in attached {
        let shown = world.caller("viewer").get(&format!("{noun}/{id}?include={relation}")).await.expect(200).body;
        assert_eq!(shown[relation]["id"], parent, "{noun}");
        assert!(shown[relation]["deleted_at"].is_string(), "{noun}: shown as deleted");
        let list = world.caller("viewer").get(&format!("{noun}?id={id}&include={relation}")).await.expect(200);
        assert_eq!(list.data()[0][relation], shown[relation], "{noun}");
        let key = format!("/{relation}_id");
        world.member().post(noun, body).await.problem(422, "invalid").names(&[&key]);
        world.member().patch(&format!("{noun}/{id}"), &json!({ "tags": ["still editable"] })).await.expect(200);
    }
    for list in ["contacts", "deals", "projects", "tasks", "activities"] {
        world.owner().get(&format!("companies/{parent}/{list}")).await.problem(404, "not_found");
    }
}
