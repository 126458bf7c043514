//! Records by what other systems call them.

use futures_util::future::join_all;
use serde_json::json;

use crate::support::{
    App, Caller,
    document::example,
    world::{NOUNS, World},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_external_id_is_created_found_changed_and_taken_away() {
    let app = App::start().await;
    let (world, umbrella) = (World::create(&app, "Acme").await, World::create(&app, "Umbrella").await);
    for (noun, schema) in NOUNS {
        // A slash, a letter beyond ASCII, an emoji, and what an address would take for its own.
        let name = format!("{noun}/by-external-id/hub%2Fspot/4%2F7%20%C3%BC%F0%9F%A6%80%3F");
        world.owner().get(&name).await.problem(404, "not_found");
        for tag in ["*", "\"1\"", "W/\"1\""] {
            let call = world.owner().call("PUT", &name).header("if-match", tag).json(&example(schema, &format!("{noun}-never")));
            call.send().await.problem(412, "stale");
        }
        world.owner().get(&name).await.problem(404, "not_found");
        let made = world.owner().put(&name, &example(schema, &format!("{noun}-made"))).await.expect(201);
        let at = format!("/api/v1/a-crm/{noun}/{}", made.id());
        assert_eq!(made.header("location"), at);
        let changed = world.owner().put(&name, &json!({ "tags": ["changed"] })).await.expect(200);
        assert_eq!(
            (&changed.body["id"], &changed.body["tags"], &changed.body["version"]),
            (&json!(made.id()), &json!(["changed"]), &json!(2))
        );
        assert_eq!(changed.body["custom_fields"], made.body["custom_fields"], "what is not said stays");
        let found = world.caller("viewer").get(&name).await.expect(200);
        assert_eq!((&found.body, found.etag()), (&changed.body, "\"2\""));
        let stale = world.owner().call("PUT", &name).header("if-match", "\"1\"").json(&json!({ "tags": [] })).send().await;
        stale.problem(412, "stale");
        let there = world.owner().call("PUT", &name).header("if-match", "*").json(&json!({ "tags": ["changed"] })).send().await;
        assert_eq!(there.expect(200).body["version"], 2, "it is there, and as it should be");

        let listed = world.owner().get(&format!("{at}/external-ids")).await.expect(200);
        assert_eq!(listed.data()[0]["external_id"], "4/7 ü🦀?");
        assert_eq!(listed.data()[0]["source"], "hub/spot");
        let second = format!("{at}/external-ids/sap/0042");
        for _ in 0..2 {
            world.owner().call("PUT", &second).send().await.expect(204);
        }
        let both = format!("{noun}/by-external-id/sap/0042");
        assert_eq!(world.owner().get(&both).await.expect(200).id(), made.id(), "a record has as many names as systems know it");
        let taken = format!("{noun}/{}/external-ids/sap/0042", world.first(noun));
        world.owner().call("PUT", &taken).send().await.problem(409, "conflict").names(&["/external_id"]);
        umbrella.owner().get(&both).await.problem(404, "not_found");
        umbrella.owner().get(&format!("{at}/external-ids")).await.problem(404, "not_found");
        umbrella.owner().call("PUT", &format!("{at}/external-ids/x/1")).send().await.problem(404, "not_found");
        umbrella.owner().delete(&second).await.problem(404, "not_found");
        for who in ["member", "viewer"] {
            world.caller(who).call("PUT", &format!("{at}/external-ids/x/1")).send().await.problem(403, "forbidden");
            world.caller(who).delete(&second).await.problem(403, "forbidden");
        }
        world.owner().delete(&second).await.expect(204);
        world.owner().delete(&second).await.problem(404, "not_found");
        world.owner().get(&both).await.problem(404, "not_found");

        world.owner().delete(&at).await.expect(204);
        world.owner().get(&name).await.problem(404, "not_found");
        world.owner().put(&name, &json!({ "tags": [] })).await.problem(409, "conflict").names(&["/external_id"]);
        world.owner().call("POST", &format!("{at}/restore")).send().await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_write_upserts_nothing() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let owned = world.owner().put("contacts/by-external-id/crm/1", &example("NewContact", "owned")).await.expect(201).id();
    let body = json!({ "title": "Changed" });
    world.caller("viewer").put("contacts/by-external-id/crm/1", &body).await.problem(403, "forbidden");
    world.member().put("contacts/by-external-id/crm/1", &body).await.problem(403, "forbidden");
    // A member may not give external ids, so it makes no record by one either.
    world.member().put("contacts/by-external-id/crm/2", &example("NewContact", "new")).await.problem(403, "forbidden");
    assert_eq!(app.database.number("SELECT count(*) FROM crm_contacts WHERE last_name = 'new'").await, 0);
    assert_eq!(world.owner().get(&format!("contacts/{owned}")).await.expect(200).body["version"], 1);
    let own = world.fresh("contacts", "mine").await;
    world.owner().call("PUT", &format!("contacts/{own}/external-ids/crm/3")).send().await.expect(204);
    assert_eq!(world.member().put("contacts/by-external-id/crm/3", &body).await.expect(200).body["title"], "Changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_an_external_id_is_refused() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let body = example("NewCompany", "never");
    for bad in ["%20/1", "crm/%20", &format!("{}/1", "s".repeat(101)), &format!("crm/{}", "x".repeat(256)), "crm/%00", "%00/1"] {
        let status = world.owner().put(&format!("companies/by-external-id/{bad}"), &body).await.status;
        assert!([404, 422].contains(&status), "{bad}: {status}");
        world.owner().get(&format!("companies/by-external-id/{bad}")).await.problem(404, "not_found");
    }
    for (bad, pointer) in [("crm/%00", "/external_id"), ("crm/a%00b", "/external_id"), ("%00/1", "/source")] {
        let answer = world.owner().put(&format!("companies/by-external-id/{bad}"), &body).await;
        let answer = answer.problem(422, "invalid").names(&[pointer]);
        assert_eq!(answer.body["errors"][0]["code"], "character", "{bad}");
    }
    for bytes in ["%ff", "a%c3"] {
        let address = format!("companies/by-external-id/crm/{bytes}");
        world.owner().put(&address, &body).await.problem(400, "malformed");
        world.owner().get(&address).await.problem(400, "malformed");
    }
    world.owner().put("companies/by-external-id/crm/1", &json!({ "name": 1 })).await.problem(400, "malformed").names(&["/name"]);
    let broken = json!({ "name": "Acme", "employee_count": -1 });
    world.owner().put("companies/by-external-id/crm/1", &broken).await.problem(422, "invalid").names(&["/employee_count"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_programs_that_synchronise_at_once_make_one_record() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let node = app.another_node();
    let callers: Vec<Caller> =
        (0..8).map(|number| if number % 2 == 0 { world.owner().clone() } else { node.welcome(world.owner()) }).collect();
    let body = json!({ "first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com" });
    let answers = join_all(callers.iter().map(|caller| caller.put("contacts/by-external-id/crm/7", &body))).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    let changed = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!((made, changed), (1, 7), "{:?}", answers.iter().map(|answer| &answer.text).collect::<Vec<_>>());
    assert_eq!(app.database.number("SELECT count(*) FROM crm_contacts WHERE email = 'ada@example.com'").await, 1);
    assert_eq!(app.database.number("SELECT count(*) FROM crm_external_ids").await, 1);
}
