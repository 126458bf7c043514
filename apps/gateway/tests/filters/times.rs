//! When a record was changed, and when anything last happened to it.

use serde_json::{Value, json};

use crate::support::{App, world::World};

fn time<'a>(record: &'a Value, field: &str) -> &'a str {
    record[field].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_last_comes_first_or_last() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let owner = world.owner();
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(owner.post("companies", &json!({ "name": format!("Company {number}") })).await.expect(201).id());
    }
    for id in [&ids[3], &ids[0]] {
        owner.patch(&format!("companies/{id}"), &json!({ "website": "https://changed.example" })).await.expect(200);
    }
    for sort in ["updated_at", "last_activity_at"] {
        let found = owner.get(&format!("companies?sort=-{sort}&limit=5")).await.expect(200).ids();
        assert_eq!(found, [&ids[0], &ids[3], &ids[4], &ids[2], &ids[1]].map(String::as_str), "{sort}");
    }
    // In the bin they have an order too, and are gone from here.
    owner.delete(&format!("companies/{}", ids[0])).await.expect(204);
    assert_eq!(owner.get("companies?sort=-updated_at&limit=1").await.expect(200).ids(), [ids[3].as_str()]);
    assert_eq!(owner.get("companies?sort=-updated_at&deleted=only&limit=1").await.expect(200).ids(), [ids[0].as_str()]);

    let all = owner.get("companies?limit=200").await.expect(200).data().to_vec();
    let late = time(&all[0], "last_activity_at");
    let newer = |filter: String| async move { owner.call("GET", "companies").query(&[("filter", filter.as_str())]).send().await };
    assert!(!newer(format!("last_activity_at >= \"{late}\"")).await.expect(200).data().is_empty());
    assert!(newer("last_activity_at < now() - 30d".into()).await.expect(200).data().is_empty());
    assert_eq!(newer("last_activity_at > now() - 30d".into()).await.expect(200).data().len(), all.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hangs_on_a_record_is_activity_and_what_the_system_does_is_not() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let (organization, user) = (world.tenant.organization_id, world.tenant.owner.user_id);
    let (deal, contact) = (world.first("deals"), world.first("contacts"));
    let read = async || world.owner().get(&format!("deals/{deal}")).await.expect(200).body;
    let enter = |actor: &str| {
        format!(
            "BEGIN; SELECT app.begin_request('{organization}', '{user}', NULL, NULL, '{actor}', false, NULL, NULL, NULL, NULL);"
        )
    };
    let attach = format!("INSERT INTO crm_deal_contacts (deal_id, contact_id, role) VALUES ('{deal}', '{contact}', 'decides');");
    let change = format!("UPDATE crm_deals SET deal_source = 'the system' WHERE id = '{deal}';");

    let before = read().await;
    app.database.execute(&format!("{} {attach} COMMIT;", enter("user"))).await;
    let attached = read().await;
    assert!(time(&attached, "last_activity_at") > time(&before, "last_activity_at"), "{attached}");
    assert_eq!((&attached["updated_at"], &attached["version"]), (&before["updated_at"], &before["version"]));
    let about = format!("activities?subject_id={deal}&limit=1");
    let newest = world.owner().get(&about).await.expect(200).data()[0].clone();
    assert_eq!(newest["occurred_at"], attached["last_activity_at"], "the newest row of the log about it");

    app.database.execute(&format!("{} {change} COMMIT;", enter("system"))).await;
    let changed = read().await;
    assert!(time(&changed, "updated_at") > time(&attached, "updated_at"), "{changed}");
    assert_eq!(changed["last_activity_at"], attached["last_activity_at"], "nobody did anything");
}

/// The narrow rows say what the wide ones say, after everything that a record goes through.
#[tokio::test(flavor = "multi_thread")]
async fn every_record_has_its_times() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    for noun in ["companies", "contacts", "deals", "projects", "tasks", "notes", "campaigns"] {
        let id = world.first(noun);
        world.owner().patch(&format!("{noun}/{id}"), &json!({ "tags": ["touched"] })).await.expect(200);
        world.owner().delete(&format!("{noun}/{id}")).await.expect(204);
    }
    app.database
        .execute("DELETE FROM crm_deal_stage_history WHERE deal_id IN (SELECT id FROM crm_deals WHERE deleted_at IS NOT NULL)")
        .await;
    app.database.execute("DELETE FROM crm_projects WHERE deal_id IS NOT NULL OR deleted_at IS NOT NULL").await;
    app.database.execute("DELETE FROM crm_deals WHERE deleted_at IS NOT NULL").await;
    app.database.execute("UPDATE crm_deals SET campaign_id = NULL").await;
    app.database.execute("DELETE FROM crm_campaigns WHERE deleted_at IS NOT NULL").await;
    let differ = "SELECT count(*)
                    FROM (SELECT 'company' AS entity, organization_id, id, updated_at, deleted_at FROM crm_companies
                          UNION ALL SELECT 'contact', organization_id, id, updated_at, deleted_at FROM crm_contacts
                          UNION ALL SELECT 'deal', organization_id, id, updated_at, deleted_at FROM crm_deals
                          UNION ALL SELECT 'project', organization_id, id, updated_at, deleted_at FROM crm_projects
                          UNION ALL SELECT 'task', organization_id, id, updated_at, deleted_at FROM crm_tasks
                          UNION ALL SELECT 'note', organization_id, id, updated_at, deleted_at FROM crm_notes
                          UNION ALL SELECT 'campaign', organization_id, id, updated_at, deleted_at FROM crm_campaigns) AS record
                    FULL JOIN crm_record_times AS times
                      ON times.organization_id = record.organization_id AND times.entity = record.entity AND times.record_id = record.id
                   WHERE (record.updated_at, record.deleted_at IS NOT NULL) IS DISTINCT FROM (times.updated_at, times.in_bin)";
    assert_eq!(app.database.number(differ).await, 0);
    assert!(app.database.number("SELECT count(*) FROM crm_record_times WHERE in_bin").await >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn my_team_is_asked_for_by_name() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let found = async |filter: &str| {
        world.member().call("GET", "deals").query(&[("filter", filter)]).send().await.expect(200).ids().len()
    };
    let all = found("").await;
    assert_eq!(found("owner_id = my_team").await, 0, "in no team");
    assert_eq!(found("owner_id != my_team").await, all);
    let organization = world.tenant.organization_id;
    let member = world.tenant.member.user_id;
    app.database
        .execute(&format!(
            "UPDATE memberships SET team_id = app.add_team('{organization}', 'West', NULL)
              WHERE organization_id = '{organization}' AND user_id = '{member}'"
        ))
        .await;
    let (own, mates) = (found("owner_id = me").await, found("owner_id = my_team").await);
    assert!(own > 0 && own == mates, "{own} {mates}");
    assert_eq!(found("owner_id != my_team").await, all - own);
}

#[tokio::test(flavor = "multi_thread")]
async fn activities_are_asked_for_by_what_changed_and_from_where() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let company = world.first("companies");
    world.owner().patch(&format!("companies/{company}"), &json!({ "website": "https://one.example" })).await.expect(200);
    let found = async |caller: &crate::support::Caller, filter: &str| {
        caller.call("GET", "activities").query(&[("filter", filter)]).send().await.expect(200).data().to_vec()
    };
    let changed = found(world.owner(), "fields : \"website\" AND activity_type = \"updated\"").await;
    assert_eq!(changed.len(), 1, "{changed:?}");
    assert_eq!(changed[0]["entity_id"], company);
    assert_eq!(found(world.owner(), "fields : (\"website\", \"nothing\") AND activity_type = \"updated\"").await.len(), 1);
    let ip = changed[0]["ip"].as_str().unwrap().to_owned();
    let from_there = format!("ip = \"{ip}\"");
    assert!(found(world.owner(), &from_there).await.contains(&changed[0]));
    assert!(found(world.member(), &from_there).await.is_empty(), "addresses are for managers");
    assert_eq!(found(world.member(), "ip = null AND fields : \"website\" AND activity_type = \"updated\"").await.len(), 1);
}
