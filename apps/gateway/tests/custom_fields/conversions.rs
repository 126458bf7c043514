//! Another type: first a report, then steps, while others write.

use std::time::Duration;

use crm_companies::{CompanyChanges, within};
use crm_kernel::{CompanyId, Expected};
use crm_tenancy::custom_fields::work::step;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{body, define, id, start, work};
use crate::support::{App, world::World};

/// So many companies of the organisation with this SQL for the value of `size`.
async fn fill(app: &App, world: &World, count: usize, value: &str) {
    let (organization, user) = (world.tenant.organization_id, world.tenant.owner.user_id);
    app.database
        .execute(&format!(
            "SET session_replication_role = replica;
             INSERT INTO crm_companies (organization_id, owner_id, created_by_id, name, slug, custom_fields)
             SELECT '{organization}', '{user}', '{user}', 'C ' || n, 'c-' || n, jsonb_build_object('size', {value})
               FROM generate_series(1, {count}) AS n"
        ))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_says_what_does_not_fit_and_changes_nothing() {
    let (app, world) = start().await;
    let field = define(world.owner(), "company", "size", "text", &json!({})).await;
    fill(&app, &world, 100, "CASE WHEN n % 10 = 0 THEN 'about ' || n ELSE n::text END").await;
    let address = format!("custom-fields/{}", id(&field));
    let report =
        world.owner().post(&format!("{address}/conversion-report"), &json!({ "field_type": "integer" })).await.expect(200).body;
    assert_eq!((&report["fits"], &report["misfits"], &report["complete"]), (&json!(90), &json!(10), &json!(true)), "{report}");
    assert_eq!(report["sample"].as_array().unwrap().len(), 10);
    assert_eq!(report["sample"][0]["value"], json!("about 100"), "the newest first");
    assert_eq!(world.owner().get(&address).await.expect(200).body, field);
    for (request, pointer) in [
        (json!({ "field_type": "text" }), "/field_type"),
        (json!({ "field_type": "member" }), "/field_type"),
        (json!({ "field_type": "choice" }), "/options"),
        (json!({ "field_type": "integer", "options": [{ "key": "a", "label": "A" }] }), "/options"),
    ] {
        world.owner().post(&format!("{address}/conversion-report"), &request).await.expect(422).names(&[pointer]);
        world.owner().post(&format!("{address}/convert"), &request).await.expect(422).names(&[pointer]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_become_those_of_the_new_type_or_stay_or_go() {
    let (app, world) = start().await;
    for (misfits, left) in [("keep", json!("about 10")), ("clear", Value::Null)] {
        let key = format!("size_{misfits}");
        let field = define(world.owner(), "company", &key, "text", &json!({ "indexed": true, "default_value": "5" })).await;
        let mut companies = Vec::new();
        for value in ["7", "about 10", "+08"] {
            let company = world.owner().post("companies", &body("companies", &json!({ &key: value }))).await.expect(201);
            companies.push(company.id());
        }
        let request = json!({ "field_type": "integer", "misfits": misfits });
        let converted = world.owner().post(&format!("custom-fields/{}/convert", id(&field)), &request).await.expect(200).body;
        assert_eq!((&converted["field_type"], &converted["default_value"]), (&json!("integer"), &json!(5)));
        let work_done = &converted["work"];
        assert!(work_done["finished_at"].is_string(), "a small organisation does not wait: {work_done}");
        assert_eq!((&work_done["converted"], &work_done["misfitting"]), (&json!(2), &json!(1)));
        for (company, expected) in companies.iter().zip([json!(7), left, json!(8)]) {
            let found = world.owner().get(&format!("companies/{company}")).await.expect(200).body;
            assert_eq!(found["custom_fields"][&key], expected, "{misfits}");
        }
        let log = app.database.activities_of("company", companies[0].parse::<uuid::Uuid>().unwrap()).await;
        assert_eq!(log.len(), 2, "the conversion is in the log");
        let more = format!("custom_fields.{key} > 7");
        let found = world.owner().call("GET", "companies").query(&[("filter", more.as_str())]).send().await.expect(200).ids();
        assert_eq!(found, [companies[2].clone()]);
        let sort = format!("custom_fields.{key}");
        let sorted =
            world.owner().call("GET", "companies").query(&[("sort", sort.as_str()), ("limit", "2")]).send().await.expect(200);
        assert_eq!(sorted.ids(), [companies[0].clone(), companies[2].clone()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_during_a_conversion_stays_right() {
    let (app, world) = start().await;
    let field = define(world.owner(), "company", "size", "text", &json!({ "indexed": true })).await;
    fill(&app, &world, 3_000, "n::text").await;
    let ids = app.database.texts("SELECT id FROM crm_companies WHERE name LIKE 'C %' ORDER BY id").await;
    let (early, late) = (&ids[0], &ids[2_999]);
    let address = format!("custom-fields/{}", id(&field));
    let begun = world.owner().post(&format!("{address}/convert"), &json!({ "field_type": "integer" })).await.expect(200).body;
    assert_eq!(begun["work"]["finished_at"], Value::Null, "{begun}");
    let write = async |id: &str, value: Value| {
        world.owner().patch(&format!("companies/{id}"), &json!({ "custom_fields": { "size": value } })).await
    };
    for id in [early, late] {
        write(id, json!("12")).await.expect(422).names(&["/custom_fields/size"]);
        write(id, json!(-12)).await.expect(200);
    }
    world
        .owner()
        .post(&format!("{address}/convert"), &json!({ "field_type": "decimal" }))
        .await
        .expect(409)
        .names(&["/field_type"]);
    let sorted = world.owner().call("GET", "companies").query(&[("sort", "custom_fields.size")]).send().await;
    sorted.expect(400).names(&["sort"]);
    // Until all values are in place, a comparison reads them from the records.
    let asked = |filter: &str| world.owner().call("GET", "companies").query(&[("filter", filter), ("count", "true")]);
    let found = asked("custom_fields.size < 0").send().await.expect(200).body;
    assert_eq!(found["page"]["total"]["count"], json!(2));
    let steps = tokio::spawn({
        let db = app.database.db();
        async move { while crm_tenancy::custom_fields::work::step(&db).await.unwrap() {} }
    });
    for id in ids.iter().step_by(97).skip(1) {
        write(id, json!(-12)).await.expect(200);
    }
    steps.await.unwrap();
    work(&app).await;
    let ended = world.owner().get(&address).await.expect(200).body;
    assert!(ended["work"]["finished_at"].is_string() && ended["work"]["misfitting"] == json!(0), "{ended}");
    let wrong = "SELECT count(*) FROM crm_companies WHERE name LIKE 'C %' AND jsonb_typeof(custom_fields -> 'size') <> 'number'";
    assert_eq!(app.database.number(wrong).await, 0);
    let kept = "SELECT count(*) FROM crm_custom_values AS kept JOIN crm_custom_fields AS field ON field.id = kept.field_id
                 AND field.generation = kept.generation JOIN crm_companies AS company ON company.id = kept.record_id
                 AND kept.number_key = (company.custom_fields ->> 'size')::bigint";
    assert_eq!(app.database.number(kept).await, 3_000, "every value is in its place");
    assert_eq!(app.database.number("SELECT count(*) FROM crm_custom_values").await, 3_000, "and nothing else is there");
}

/// The ids of the companies that the next steps of a conversion come to, in order.
async fn begin(app: &App, world: &World) -> Vec<CompanyId> {
    let field = define(world.owner(), "company", "size", "text", &json!({ "indexed": true })).await;
    fill(app, world, 2_000, "n::text").await;
    let address = format!("custom-fields/{}/convert", id(&field));
    let begun = world.owner().post(&address, &json!({ "field_type": "integer" })).await.expect(200).body;
    assert_eq!(begun["work"]["finished_at"], Value::Null, "{begun}");
    let ahead = "SELECT id FROM crm_companies WHERE id > (SELECT after_id FROM crm_custom_field_work) ORDER BY id";
    app.database.texts(ahead).await.iter().map(|id| id.parse().unwrap()).collect()
}

async fn ends_well(app: &App) {
    work(app).await;
    let open = "SELECT count(*) FROM crm_custom_field_work WHERE finished_at IS NULL";
    assert_eq!(app.database.number(open).await, 0);
    let converted =
        "SELECT count(*) FROM crm_companies WHERE name LIKE 'C %' AND jsonb_typeof(custom_fields -> 'size') = 'number'";
    assert_eq!(app.database.number(converted).await, 2_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_takes_nothing_that_somebody_holds_and_waits_for_nobody_who_may_wait_for_it() {
    let (app, world) = start().await;
    let ids = begin(&app, &world).await;
    let change = CompanyChanges { website: Some(Some("https://changed.example".into())), ..CompanyChanges::default() };
    // Against the order of steps, which would be a circle if the step waited for the first while it holds the second.
    let mut writer = app.database.db().begin(&world.tenant.owner).await.unwrap();
    within::update(&mut writer, ids[400], &Expected::Any, &change).await.unwrap();
    let stepped = timeout(Duration::from_secs(20), step(&app.database.db())).await.expect("the step does not wait").unwrap();
    assert!(stepped);
    within::update(&mut writer, ids[100], &Expected::Any, &change).await.unwrap();
    within::update(&mut writer, ids[500], &Expected::Any, &change).await.unwrap();
    writer.commit().await.unwrap();
    ends_well(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_waits_for_a_record_holds_no_other() {
    let (app, world) = start().await;
    let ids = begin(&app, &world).await;
    let held = app.database.hold(&format!("UPDATE crm_companies SET website = 'a' WHERE id = '{}'", ids[0])).await;
    let waiting = tokio::spawn({
        let db = app.database.db();
        async move { step(&db).await.unwrap() }
    });
    held.change_and_commit_under_a_waiter(&format!("UPDATE crm_companies SET website = 'b' WHERE id = '{}'", ids[1])).await;
    assert!(waiting.await.unwrap());
    ends_well(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_from_the_bin_fits_the_type_of_today() {
    let (_app, world) = start().await;
    for (noun, entity) in super::NOUNS {
        for (misfits, left) in [("keep", json!("about 10")), ("clear", Value::Null)] {
            let key = format!("size_{misfits}");
            let field = define(world.owner(), entity, &key, "text", &json!({ "indexed": true })).await;
            let mut deleted = Vec::new();
            for value in ["7", "about 10"] {
                let mut new = body(noun, &json!({ &key: value }));
                if noun != "contacts" {
                    let text = match noun {
                        "tasks" => "title",
                        "notes" => "content",
                        _ => "name",
                    };
                    new[text] = json!(format!("{misfits} {value}"));
                }
                let record = world.owner().post(noun, &new).await.expect(201).id();
                world.owner().delete(&format!("{noun}/{record}")).await.expect(204);
                deleted.push(record);
            }
            let request = json!({ "field_type": "integer", "misfits": misfits });
            let converted = world.owner().post(&format!("custom-fields/{}/convert", id(&field)), &request).await.expect(200).body;
            assert!(converted["work"]["finished_at"].is_string(), "{converted}");
            for (record, expected) in deleted.iter().zip([json!(7), left]) {
                let back = world.owner().call("POST", &format!("{noun}/{record}/restore")).send().await.expect(200).body;
                assert_eq!(back["custom_fields"][&key], expected, "{noun} {misfits}");
            }
            let same = format!("custom_fields.{key} = 7");
            let found = world.owner().call("GET", noun).query(&[("filter", same.as_str())]).send().await.expect(200).ids();
            assert_eq!(found, [deleted[0].clone()], "{noun}");
            let sort = format!("-custom_fields.{key}");
            let sorted = world.owner().call("GET", noun).query(&[("sort", sort.as_str()), ("limit", "1")]).send().await;
            assert_eq!(sorted.expect(200).ids(), [deleted[0].clone()], "{noun}: it has its place in the order");
        }
    }
}
