//! Versions and entity tags: If-Match, If-None-Match, what a change is and what is none.

use serde_json::{Value, json};

use crate::{
    NOUNS, Noun,
    support::{App, document::Document, world::World},
};

#[tokio::test(flavor = "multi_thread")]
async fn if_match_compares_versions() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    for noun in NOUNS {
        let created = world.member().post(noun.path, &noun.body("versions")).await.expect(201);
        let record = format!("{}/{}", noun.path, created.id());
        assert_eq!((created.etag(), &created.body["version"]), ("\"1\"", &json!(1)));
        let shaped = world.member().get(&format!("{record}?fields=id")).await.expect(200);
        assert_ne!(shaped.etag(), "\"1\"", "{}: another shape has another tag", noun.path);
        let lists =
            ["\"7\", \"1\"".to_owned(), "\"7\",\"1\"".to_owned(), "*".to_owned(), "\"1\"".to_owned(), shaped.etag().to_owned()];
        for good in lists {
            let call = world.member().call("PATCH", &record).header("if-match", &good);
            let answer = call.json(&json!({})).send().await.expect(200);
            assert_eq!(answer.etag(), "\"1\"", "{}: a change of nothing keeps the tag", noun.path);
        }
        for bad in [
            "\"+1\"",
            "\"01\"",
            "\"1-\"",
            "\"2\"",
            "W/\"1\"",
            "1",
            "\"\"",
            "",
            "\"one\"",
            "\"1",
            "\"7\", \"8\"",
            "\"a,*,b\"",
            "\"*\"",
        ] {
            let call = world.member().call("PATCH", &record).header("if-match", bad);
            call.json(&Noun::patch(noun.note, "changed")).send().await.problem(412, "stale");
        }
        // Every version at once with some of them: nobody knows what was meant.
        for unclear in ["*, \"6\"", "\"6\", *", "\"1\",*", "*,*"] {
            let call = world.member().call("PATCH", &record).header("if-match", unclear);
            let answer = call.json(&Noun::patch(noun.note, "changed")).send().await.problem(400, "malformed");
            assert_eq!(answer.names(&["If-Match"]).body["errors"][0]["code"], "value", "{unclear}");
        }
        let lines = world.member().call("DELETE", &record).header("if-match", "*").header("if-match", "\"1\"");
        lines.send().await.problem(400, "malformed").names(&["If-Match"]);
        let read = world.member().call("GET", &record).header("if-none-match", "*, \"6\"");
        read.send().await.problem(400, "malformed").names(&["If-None-Match"]);
        let unchanged = world.member().get(&record).await.expect(200);
        assert_eq!(unchanged.body, created.body, "{}: a refused change changes nothing", noun.path);
        let changed = world
            .member()
            .call("PATCH", &record)
            .header("if-match", "\"1\"")
            .json(&Noun::patch(noun.note, "changed"))
            .send()
            .await;
        assert_eq!(changed.expect(200).etag(), "\"2\"");
        world
            .member()
            .call("PUT", &record)
            .header("if-match", "\"1\"")
            .json(&noun.body("late"))
            .send()
            .await
            .problem(412, "stale");
        world.member().call("DELETE", &record).header("if-match", "\"1\"").send().await.problem(412, "stale");
        world.member().call("DELETE", &record).header("if-match", "\"2\"").send().await.expect(204);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_record_is_not_sent_again() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    for noun in NOUNS {
        let id = world.fresh(noun.path, &format!("known-{}", noun.path)).await;
        for address in [
            format!("{}/{id}", noun.path),
            format!("{}/{id}?fields=id,version", noun.path),
            format!("{}/{id}?include={}", noun.path, noun.person),
        ] {
            let first = world.member().get(&address).await.expect(200);
            let tag = first.etag().to_owned();
            for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
                let again = world.member().call("GET", &address).header("if-none-match", &known).send().await.expect(304);
                assert_eq!((again.etag(), again.text.as_str()), (tag.as_str(), ""), "{address} with {known}");
            }
            let twice = world.member().call("GET", &address).header("if-none-match", "\"x\"").header("if-none-match", &tag);
            twice.send().await.expect(304);
            for unknown in ["\"x\"", "\"99\"", "x"] {
                world.member().call("GET", &address).header("if-none-match", unknown).send().await.expect(200);
            }
            world.member().patch(&format!("{}/{id}", noun.path), &Noun::patch(noun.note, address.as_str())).await.expect(200);
            let stale = world.member().call("GET", &address).header("if-none-match", &tag).send().await.expect(200);
            assert_ne!(stale.etag(), tag, "{address}: another version has another tag");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tag_of_a_shape_changes_with_what_is_embedded() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let parent = world.fresh("companies", "parent").await;
    let body = json!({ "first_name": "A", "last_name": "B", "company_id": parent });
    let contact = format!("contacts/{}?include=company", world.member().post("contacts", &body).await.expect(201).id());
    let before = world.member().get(&contact).await.expect(200);
    world.member().patch(&format!("companies/{parent}"), &json!({ "industry": "Changed" })).await.expect(200);
    let after = world.member().get(&contact).await.expect(200);
    assert_eq!(before.body["version"], after.body["version"]);
    assert_ne!(before.etag(), after.etag());
}

/// When somebody last did something about it is shown with a record, and is no change of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_and_has_no_version_is_read_again() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let contact = world.fresh("contacts", "listener").await;
    let address = format!("contacts/{contact}");
    let before = world.member().get(&address).await.expect(200);
    let note = json!({ "content": "She called", "related_to_type": "contact", "related_to_id": contact });
    world.member().post("notes", &note).await.expect(201);
    let after = world.member().call("GET", &address).header("if-none-match", before.etag()).send().await.expect(200);
    assert_eq!(before.body["version"], after.body["version"]);
    assert_ne!(before.body["last_activity_at"], after.body["last_activity_at"]);
    let change = json!({ "title": "Director" });
    let changed = world.member().call("PATCH", &address).header("if-match", before.etag()).json(&change).send().await.expect(200);
    assert_eq!(changed.body["version"], json!(2), "a change asks for the version alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_nothing_is_no_change() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    for noun in NOUNS {
        let body = noun.body("same");
        let created = world.member().post(noun.path, &body).await.expect(201);
        let record = format!("{}/{}", noun.path, created.id());
        let patched = world.member().patch(&record, &Noun::patch("tags", body["tags"].clone())).await.expect(200);
        assert_eq!((&patched.body, patched.etag()), (&created.body, created.etag()), "{}: PATCH with what is there", noun.path);
        let mut same = body.clone();
        same[noun.person_id()] = created.body[noun.person_id()].clone();
        let put = world.member().put(&record, &same).await.expect(200);
        assert_eq!((&put.body, put.etag()), (&created.body, created.etag()), "{}: PUT with what is there", noun.path);
        let log = world.owner().get(&format!("{record}/activities")).await.expect(200);
        assert_eq!(log.data().len(), 1, "{}: only the creation is logged: {}", noun.path, log.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn put_replaces_every_field() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let document = Document::of_the_application();
    // What the next record's rules keep or set by default when a body does not say it.
    let kept = [
        "id",
        "slug",
        "company_status",
        "contact_status",
        "pipeline_id",
        "stage",
        "probability",
        "currency",
        "project_status",
        "priority",
        "task_type",
        "status",
        "is_all_day",
        "campaign_type",
        "opted_out",
    ];
    for noun in NOUNS {
        let created = world.member().post(noun.path, &noun.body("full")).await.expect(201);
        let record = format!("{}/{}", noun.path, created.id());
        let small = match noun.path {
            "contacts" => json!({ "first_name": "New", "last_name": "Name" }),
            "tasks" => json!({ "title": "New title" }),
            _ => json!({ "name": "New name" }),
        };
        // As the owner: a member would lose the record with its owner.
        let replaced = world.owner().put(&record, &small).await.expect(200);
        assert_eq!(replaced.etag(), "\"2\"");
        for field in document.value["components"]["schemas"][noun.new]["properties"].as_object().unwrap().keys() {
            let value = &replaced.body[field];
            let expected = match (small.get(field), field.as_str()) {
                (Some(said), _) => said.clone(),
                (None, name) if kept.contains(&name) => continue,
                (None, "tags") => json!([]),
                (None, "custom_fields") => json!({}),
                (None, _) => Value::Null,
            };
            assert_eq!(*value, expected, "{}.{field} after PUT", noun.path);
        }
        let read = world.owner().get(&record).await.expect(200);
        assert_eq!(read.body, replaced.body, "{}: what is answered is what is there", noun.path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn patch_is_a_merge_patch() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let document = Document::of_the_application();
    for noun in NOUNS {
        let mut body = noun.body("patched");
        body["custom_fields"] = json!({ "keep": 1, "gone": 2, "deep": { "keep": [1, null], "gone": 3 } });
        let created = world.owner().post(noun.path, &body).await.expect(201);
        let record = format!("{}/{}", noun.path, created.id());
        let patch = json!({ "custom_fields": { "gone": null, "deep": { "gone": null, "new": { "a": 1 } }, "never": null } });
        let patched = world.owner().patch(&record, &patch).await.expect(200);
        let merged = json!({ "keep": 1, "deep": { "keep": [1, null], "new": { "a": 1 } } });
        assert_eq!(patched.body["custom_fields"], merged, "{}", noun.path);
        assert_eq!(patched.body["tags"], created.body["tags"], "{}: what is absent stays", noun.path);
        let merge_type = world.owner().call("PATCH", &record).header("content-type", "application/merge-patch+json").text("{}");
        merge_type.send().await.expect(200);

        for (field, schema) in document.value["components"]["schemas"][noun.changes]["properties"].as_object().unwrap() {
            let answer = world.owner().patch(&record, &Noun::patch(field, Value::Null)).await;
            if schema["nullable"] == true {
                assert_eq!(answer.expect(200).body[field], Value::Null, "{}.{field} can be emptied", noun.path);
            } else {
                assert!([400, 422].contains(&answer.status), "{}.{field} cannot be emptied: {}", noun.path, answer.text);
                answer.names(&[&format!("/{field}")]);
            }
        }
    }
}
