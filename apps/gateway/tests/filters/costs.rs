//! What would read too much is refused before it runs, with what to narrow; what is plainly cheap is not even estimated.

use crm_companies::{Companies, PgCompanies, VOCABULARY, default_sort};
use crm_kernel::{Condition, Cost, Error, Filter, ListQuery, Moment, Timestamp};
use serde_json::json;

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

    let body = json!({ "where": { "field": "website", "op": "~", "value": "plex" } });
    let answer = owner.post("companies/search", &body).await;
    refusal(&answer);
    assert_eq!(answer.pointers(), ["/where", "/where"], "a body is named by its pointer: {}", answer.body);
    refusal(&owner.call("GET", "companies").query(&[("filter", "website ~ \"plex\""), ("count", "true")]).send().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_by_filter_and_its_rehearsal_are_refused_alike_and_change_nothing() {
    let app = App::start().await;
    make_rows_dear(&app).await;
    let world = World::create(&app, "Acme").await;
    let owner = world.owner();
    for (noun, filter) in [
        ("companies", "website ~ \"plex\" OR website = null"),
        ("contacts", "NOT title = \"nobody's\""),
        ("deals", "company.industry != \"nobody's\""),
    ] {
        let path = format!("{noun}/{}", world.first(noun));
        let before = owner.get(&path).await.expect(200).body;
        for body in [
            json!({ "filter": filter, "set": { "tags": ["touched"] } }),
            json!({ "filter": filter, "set": { "tags": ["touched"] }, "dry_run": true }),
            json!({ "filter": filter, "delete": true }),
            json!({ "filter": filter, "delete": true, "dry_run": true }),
        ] {
            let answer = owner.post(&format!("{noun}/bulk"), &body).await;
            refusal(&answer);
            assert!(answer.pointers().iter().all(|pointer| pointer == "/filter"), "{}", answer.body);
        }
        assert_eq!(owner.get(&path).await.expect(200).body, before, "nothing has changed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pipeline_is_summed_up_only_for_what_can_be_found() {
    let app = App::start().await;
    make_rows_dear(&app).await;
    let world = World::create(&app, "Acme").await;
    let owner = world.owner();
    owner.get("deals/pipeline").await.expect(200);
    let asked = async |filter: &str| owner.call("GET", "deals/pipeline").query(&[("filter", filter)]).send().await;
    let detail = refusal(&asked("deal_source ~ \"none\"").await);
    assert!(detail.contains("`deal_source ~ \"none\"` is answered by no index"), "{detail}");
    refusal(&asked("owner.team_name = \"West\"").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn custom_fields_are_judged_like_others_in_filters_and_in_orders() {
    let app = App::start().await;
    make_rows_dear(&app).await;
    let world = World::create(&app, "Acme").await;
    let owner = world.owner();
    for (noun, entity) in [("companies", "company"), ("contacts", "contact"), ("deals", "deal")] {
        for (key, field_type, indexed) in [("size", "integer", true), ("note", "text", false)] {
            let field = json!({ "entity": entity, "key": key, "label": key, "field_type": field_type, "indexed": indexed });
            owner.post("custom-fields", &field).await.expect(201);
        }
        let asked = async |query: &[(&str, &str)]| owner.call("GET", noun).query(query).send().await;
        let detail = refusal(&asked(&[("filter", "custom_fields.note ~ \"x\"")]).await);
        assert!(detail.contains("`custom_fields.note ~ \"x\"` is answered by no index"), "{detail}");
        let detail = refusal(&asked(&[("filter", "custom_fields.size < 5 AND custom_fields.note ~ \"x\"")]).await);
        assert!(!detail.contains("`custom_fields.size"), "that one has an index: {detail}");
        for sort in ["custom_fields.size", "-custom_fields.size"] {
            refusal(&asked(&[("sort", sort)]).await);
            refusal(&asked(&[("filter", "custom_fields.note ~ \"x\""), ("sort", sort)]).await);
            refusal(&asked(&[("owner_id", "me"), ("sort", sort)]).await);
            refusal(&asked(&[("deleted", "only"), ("sort", sort)]).await);
        }
    }
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

/// However dear a million rows are: tables that are half empty after many changes cost twice as much as full ones.
#[tokio::test(flavor = "multi_thread")]
async fn one_condition_on_a_declared_field_is_answered_at_any_cost() {
    let app = App::start().await;
    make_rows_dear(&app).await;
    let world = World::create(&app, "Acme").await;
    let owner = world.owner();
    for (noun, filter) in [
        ("companies", "company_status IN (\"customer\", \"prospect\")"),
        ("companies", "tags : \"key account\""),
        ("contacts", "contact_status IN (\"active\", \"inactive\")"),
        ("contacts", "company_id = null"),
        ("contacts", "lead_source = null"),
        ("deals", "stage IN (\"prospecting\", \"negotiation\")"),
        ("deals", "expected_close_date < today()"),
    ] {
        let asked = async |more: &[(&str, &str)]| owner.call("GET", noun).query(&[("filter", filter)]).query(more).send().await;
        asked(&[]).await.expect(200);
        asked(&[("count", "true")]).await.expect(200);
        refusal(&asked(&[("sort", "-last_activity_at")]).await);
    }
}

/// A run by filter asks with its first page alone, so it is not refused in the middle.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_found_affordable_is_not_judged_again() {
    let app = App::start().await;
    make_rows_dear(&app).await;
    let world = World::create(&app, "Acme").await;
    let context = &world.tenant.owner;
    let condition = Condition::parse("name != \"nobody's\"", &VOCABULARY).unwrap();
    let filter = Filter::default().and(condition, &Moment::utc(context.user_id, Timestamp::now())).unwrap();
    let first = ListQuery { filter, ..ListQuery::all(default_sort()) };
    let companies = PgCompanies::new(app.database.db());
    let refused = companies.list(context, &first).await;
    assert!(matches!(refused, Err(Error::TooCostly(_))), "{refused:?}");
    let next = ListQuery { cost: Cost::Accepted, ..first };
    assert!(!companies.list(context, &next).await.unwrap().data.is_empty());
}
