//! Changes to all records that match a filter.

use crm_kernel::UserId;
use serde_json::{Value, json};

use crate::support::{
    Answer, App,
    document::example,
    world::{NOUNS, World},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_the_run_then_does() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    for owner in ["member", "owner"] {
        for number in 0..130 {
            let label = format!("{owner}-{number}");
            let mut body = example("NewContact", &label);
            body["tags"] = json!(["fair", if number % 2 == 0 { "even" } else { "odd" }]);
            world.caller(owner).post("contacts", &body).await.expect(201);
        }
    }
    let run = async |who: &str, body: Value| world.caller(who).post("contacts/bulk", &body).await;
    let set = json!({ "filter": "tags : \"fair\"", "set": { "department": "Söles 🦀" } });
    for who in ["member", "viewer"] {
        run(who, set.clone()).await.problem(403, "forbidden");
    }
    let mut dry = set.clone();
    dry["dry_run"] = json!(true);
    let looked = run("admin", dry).await.expect(200);
    assert_eq!(looked.body["matched"], json!({ "count": 260, "exact": true }));
    assert_eq!(looked.body["sample"].as_array().unwrap().len(), 10);
    assert_eq!(looked.body["sample"][0]["department"], Value::Null, "a dry run shows records as they are, and changes none");
    let count =
        async |condition: &str| app.database.number(&format!("SELECT count(*) FROM crm_contacts WHERE {condition}")).await;
    assert_eq!(count("department IS NOT NULL").await, 0);

    let done = run("admin", set.clone()).await.expect(200);
    told(&done, 260, 0, 0);
    assert_eq!(count("department = 'Söles 🦀'").await, 260);
    let operation = done.body["operation_id"].as_str().unwrap();
    let logged = format!("SELECT count(*) FROM crm_activities WHERE operation_id = '{operation}'");
    assert_eq!(app.database.number(&logged).await, 260, "the run is one operation in the log");
    told(&run("owner", set).await.expect(200), 0, 260, 0);
    let deleted = run("owner", json!({ "filter": "tags : \"odd\"", "delete": true })).await.expect(200);
    told(&deleted, 130, 0, 0);
    assert_eq!(count("deleted_at IS NOT NULL AND tags ? 'odd'").await, 130);
}

#[track_caller]
fn told(answer: &Answer, changed: u64, unchanged: u64, left: u64) {
    let numbers = ["changed", "unchanged", "left"].map(|name| answer.body[name].as_u64().unwrap());
    assert_eq!(numbers, [changed, unchanged, left], "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_left_and_told() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    for number in 0..3 {
        world.owner().post("deals", &example("NewDeal", &format!("open-{number}"))).await.expect(201);
    }
    let closed = world.fresh("deals", "closed").await;
    world.owner().put(&format!("deals/{closed}/stage"), &json!({ "stage": "closed_won" })).await.expect(200);
    let set = json!({ "filter": "name ~ \"open-\" OR name ~ \"closed\"", "set": { "probability": 55 } });
    let done = world.owner().post("deals/bulk", &set).await.expect(200);
    told(&done, 3, 0, 1);
    let reason = &done.body["reasons"][0];
    assert_eq!((&reason["code"], &reason["count"], &reason["ids"]), (&json!("invalid"), &json!(1), &json!([closed])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_cannot_be_understood_or_counted_changes_nothing() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let run = async |body: Value| world.owner().post("contacts/bulk", &body).await;
    run(json!({ "filter": "colour = \"red\"", "delete": true })).await.problem(400, "malformed").names(&["/filter"]);
    for blank in ["", " \t "] {
        run(json!({ "filter": blank, "delete": true, "dry_run": true })).await.problem(400, "malformed").names(&["/filter"]);
    }
    let unknown = json!({ "filter": "tags : \"a\"", "set": { "colour": "red" } });
    run(unknown).await.problem(400, "malformed").names(&["/set/colour"]);
    let broken = json!({ "filter": "tags : \"a\"", "set": { "lead_score": 101 }, "dry_run": true });
    run(broken).await.problem(422, "invalid").names(&["/set/lead_score"]);

    let many = format!(
        "INSERT INTO crm_contacts (organization_id, first_name, last_name, tags)
         SELECT '{}', 'One', 'of many', '[\"many\"]' FROM generate_series(1, 10001)",
        world.tenant.organization_id
    );
    app.database.execute(&many).await;
    let too_many = run(json!({ "filter": "tags : \"many\"", "delete": true })).await;
    too_many.problem(422, "invalid").names(&["/filter"]);
    let looked = run(json!({ "filter": "tags : \"many\"", "delete": true, "dry_run": true })).await.expect(200);
    assert_eq!(looked.body["matched"], json!({ "count": 10_000, "exact": false }));
    assert_eq!(app.database.number("SELECT count(*) FROM crm_contacts WHERE tags ? 'many' AND deleted_at IS NOT NULL").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_filter_finds_of_every_noun_is_given_to_a_member_of_the_organisation_and_to_nobody_else() {
    let app = App::start().await;
    let (world, stranger) = (World::create(&app, "Acme").await, app.database.tenant("Stranger").await);
    let (from, to) = (world.tenant.member.user_id, world.tenant.colleague.user_id);
    for (noun, schema) in NOUNS {
        let field = if noun == "tasks" { "assigned_to_id" } else { "owner_id" };
        for number in 0..3 {
            world.member().post(noun, &example(schema, &format!("moved-{number}"))).await.expect(201);
        }
        let whose = async |who: UserId| {
            app.database.number(&format!("SELECT count(*) FROM crm_{noun} WHERE {field} = '{who}' AND deleted_at IS NULL")).await
        };
        let (before, already) = (whose(from).await, whose(to).await);
        assert!(before >= 3, "{noun}");
        let run = |heir: UserId| json!({ "filter": format!("{field} = \"{from}\""), "set": { field: heir } });
        let address = format!("{noun}/bulk");

        for role in ["member", "viewer"] {
            world.caller(role).post(&address, &run(to)).await.problem(403, "forbidden");
        }
        let mut dry = run(to);
        dry["dry_run"] = json!(true);
        let looked = world.caller("admin").post(&address, &dry).await.expect(200);
        assert_eq!(looked.body["matched"], json!({ "count": before, "exact": true }), "{noun}");
        let foreign = world.caller("admin").post(&address, &run(stranger.member.user_id)).await.expect(200);
        told(&foreign, 0, 0, u64::try_from(before).unwrap());
        assert_eq!((whose(from).await, whose(stranger.member.user_id).await), (before, 0), "{noun}: nothing has moved");

        let done = world.caller("admin").post(&address, &run(to)).await.expect(200);
        told(&done, u64::try_from(before).unwrap(), 0, 0);
        assert_eq!((whose(from).await, whose(to).await), (0, already + before), "{noun}");
        let operation = done.body["operation_id"].as_str().unwrap();
        let logged = format!("SELECT count(*) FROM crm_activities WHERE operation_id = '{operation}'");
        assert_eq!(app.database.number(&logged).await, before, "{noun}: each is in the log, under one operation");
    }
}
