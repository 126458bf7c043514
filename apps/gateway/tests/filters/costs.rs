//! What would read too much is refused before it runs, with what to narrow; what is plainly cheap is not even estimated.

use crate::support::{Answer, App, world::World};

/// The planner believes that each row costs as much as millions do. Before the first connection: it keeps what it began with.
async fn make_rows_dear(app: &App) {
    let dear = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET cpu_tuple_cost = 10000000', current_database()); END $$";
    app.database.execute(dear).await;
}

fn refusal(answer: &Answer) -> String {
    assert_eq!(answer.status, 422, "{}", answer.body);
    assert_eq!(answer.body["code"], "too_costly", "{}", answer.body);
    answer.body["detail"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_would_read_too_much_is_refused_with_what_to_narrow() {
    let app = App::start().await;
    make_rows_dear(&app).await;
    let world = World::create(&app, "Acme").await;
    let owner = world.owner();
    let asked = async |list: &str, filter: &str| owner.call("GET", list).query(&[("filter", filter)]).send().await;
    let detail = refusal(&asked("companies", "website ~ \"plex\" AND company_status = \"customer\"").await);
    assert!(detail.contains("`website ~ \"plex\"` is answered by no index"), "{detail}");
    assert!(!detail.contains("`company_status"), "that one has an index: {detail}");
    assert!(detail.contains("with = or IN on one of id, name, slug, industry"), "{detail}");
    assert!(detail.contains("with < or > on one of annual_revenue, employee_count, updated_at, last_activity_at"), "{detail}");
    let detail = refusal(&asked("contacts", "company.industry = \"retail\" OR title = \"none\"").await);
    assert!(detail.contains("`company.industry = \"retail\"`") && detail.contains("`title = \"none\"`"), "{detail}");
    let detail = refusal(&asked("deals", "NOT stage = \"prospecting\"").await);
    assert!(detail.contains("`stage = \"prospecting\"`"), "behind NOT no index answers: {detail}");
    refusal(&asked("activities", "fields : \"amount\"").await);

    let body = serde_json::json!({ "where": { "field": "website", "op": "~", "value": "plex" } });
    refusal(&owner.post("companies/search", &body).await);
    refusal(&owner.call("GET", "companies").query(&[("filter", "website ~ \"plex\""), ("count", "true")]).send().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_index_answers_in_its_order_is_not_estimated() {
    let app = App::start().await;
    make_rows_dear(&app).await;
    let world = World::create(&app, "Acme").await;
    let owner = world.owner();
    for noun in ["companies", "contacts", "deals"] {
        owner.get(noun).await.expect(200);
        owner.get(&format!("{noun}?owner_id=me&count=true")).await.expect(200);
        owner.get(&format!("{noun}?sort=-updated_at")).await.expect(200);
        owner.get(&format!("{noun}?sort=last_activity_at")).await.expect(200);
        owner.get(&format!("{noun}/{}", world.first(noun))).await.expect(200);
    }
}
