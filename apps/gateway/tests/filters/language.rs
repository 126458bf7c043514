//! Text, JSON form and short form mean the same, and whatever is wrong with them is told.

use crm_kernel::{Field, Timestamp, Vocabulary};
use crm_tenancy::members;
use serde_json::{Value, json};

use crate::support::{Answer, App, document::Document, world::World};

async fn filtered(world: &World, list: &str, filter: &str) -> Answer {
    world.owner().call("GET", list).query(&[("filter", filter)]).send().await
}

async fn found(world: &World, list: &str, filter: &str) -> Vec<String> {
    filtered(world, list, filter).await.expect(200).ids()
}

#[tokio::test(flavor = "multi_thread")]
async fn three_spellings_find_the_same() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    for noun in ["companies", "contacts", "deals"] {
        let tag = world.records[noun][1]["tags"][0].as_str().unwrap();
        let short = world.owner().call("GET", noun).query(&[("tags", tag), ("owner_id", "me")]).send().await.expect(200).ids();
        let own = world.member().call("GET", noun).query(&[("tags", tag), ("owner_id", "me")]).send().await.expect(200).ids();
        assert_eq!((short.len(), own.len()), (0, 1), "{noun}: the member made them");
        let text = format!("tags : {} AND owner_id = me", json!(tag));
        let json = json!({ "and": [
            { "field": "tags", "op": ":", "value": tag },
            { "field": "owner_id", "op": "=", "value": { "expression": "me" } },
        ] });
        let by_text = world.member().call("GET", noun).query(&[("filter", text.as_str())]).send().await.expect(200).ids();
        let by_json = world.member().post(&format!("{noun}/search"), &json!({ "where": json })).await.expect(200).ids();
        assert_eq!((&by_text, &by_json), (&own, &own), "{noun}");
        // Beside each other they mean and.
        let both =
            world.member().call("GET", noun).query(&[("filter", text.as_str()), ("tags", "other")]).send().await.expect(200);
        assert!(both.data().is_empty(), "{noun}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_list_takes_a_filter() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let mut lists = 0;
    for operation in Document::of_the_application().operations().iter().filter(|operation| operation.takes("limit")) {
        // A timeline is no list of records: its lines have kinds and nothing else to ask for.
        if operation.path.ends_with("/timeline") {
            assert!(operation.takes("kind") && !operation.takes("filter"), "{}", operation.name());
            continue;
        }
        assert!(operation.takes("filter"), "{} takes no filter", operation.name());
        let noun = operation.collection().unwrap_or("members");
        let id = if operation.has_id() { world.first(noun) } else { String::new() };
        let key = if noun == "members" || operation.path.ends_with("/members") { "user_id" } else { "id" };
        let all = world.owner().get(&format!("{}?limit=200", operation.at(&id))).await.expect(200).data().to_vec();
        let Some(first) = all.first() else { continue };
        // A card of a board is a deal with its place.
        let record = if first["deal"].is_object() { &first["deal"] } else { first };
        let filter = format!("{key} = {}", record[key]);
        let one = filtered(&world, &operation.at(&id), &filter).await.expect(200).data().to_vec();
        assert_eq!(one, std::slice::from_ref(first), "{}", operation.name());
        let others = world.owner().call("GET", &operation.at(&id));
        let others = others.query(&[("filter", format!("NOT {filter}").as_str()), ("limit", "200")]).send().await.expect(200);
        let others = others.data().len();
        assert_eq!(others, all.len() - 1, "{}", operation.name());
        lists += 1;
    }
    assert!(lists > 7, "only {lists} lists");
    let figures = filtered(&world, "deals/pipeline", "amount > 999999").await.expect(200);
    assert_eq!(figures.body["open"]["count"], 0, "a report narrows by the same language");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_what_and_where() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let deep = format!("{}name = \"a\"{}", "(".repeat(17), ")".repeat(17));
    let long = format!("name = \"{}\"", "a".repeat(4_000));
    let many = vec!["name = \"a\""; 101].join(" OR ");
    let list = format!("name IN ({})", vec!["\"a\""; 101].join(", "));
    let lists = vec![format!("name IN ({})", vec!["\"a\""; 100].join(",")); 11].join(" OR ");
    for (filter, code, parts) in [
        ("company_statu = \"lead\"", "unknown", ["line 1, column 1", "did you mean `company_status`"]),
        ("name = \"a\" AND\n  owner.emial = \"b\"", "unknown", ["line 2, column 9", "did you mean `email`"]),
        ("name > \"a\"", "operator", ["line 1, column 6", "expected = != in ~"]),
        ("name \"a\"", "syntax", ["line 1, column 6", "expected an operator"]),
        ("name = \"a", "syntax", ["line 1, column 8", "never closed"]),
        ("name = ", "syntax", ["line 1, column 8", "expected a value"]),
        ("name = \"a\" AND name = \"b\" OR name = \"c\"", "mixed", ["line 1, column 27", "which of them binds first"]),
        ("company_status = \"led\"", "value", ["line 1, column 18", "did you mean lead"]),
        ("annual_revenue > \"much\"", "value", ["line 1, column 18", "decimal number"]),
        ("name = null", "value", ["line 1, column 8", "always has a value"]),
        ("created_at > now() - 30x", "syntax", ["line 1, column 22", "30d"]),
        ("custom_fields = 1", "operator", ["custom_fields.region", "key"]),
        ("name.first = \"a\"", "unknown", ["line 1, column 6", "nothing within it"]),
        ("created_at > now() + 36525d AND created_at < today() + 36525d", "", ["", ""]),
        ("updated_at = \"9999-12-31\" OR created_at <= \"0001-01-01\"", "", ["", ""]),
        (deep.as_str(), "too_deep", ["line 1, column 17", "16"]),
        (long.as_str(), "too_long", ["line 1, column 4001", "4000 characters"]),
        (many.as_str(), "too_many", ["100 comparisons", "line 1"]),
        (list.as_str(), "too_many", ["100 values in one list", "line 1"]),
        (lists.as_str(), "too_long", ["", "4000 characters"]),
    ] {
        let answer = filtered(&world, "companies", filter).await;
        if code.is_empty() {
            answer.expect(200);
            continue;
        }
        let answer = answer.problem(400, "malformed").names(&["filter"]);
        let error = &answer.body["errors"][0];
        assert_eq!(error["code"], code, "{filter}: {error}");
        for part in parts {
            assert!(error["message"].as_str().unwrap().contains(part), "{filter}: {part} is not in {error}");
        }
    }
    let twice = world.owner().call("GET", "companies").query(&[("filter", ""), ("filter", "")]).send().await;
    twice.problem(400, "malformed").names(&["filter"]);
    assert_eq!(found(&world, "companies", " ").await.len(), 3, "an empty filter asks for nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_refused_with_pointers_to_all_that_is_wrong() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let good = json!({ "field": "name", "op": "~", "value": "company" });
    let body = json!({
        "where": { "and": [good, { "not": { "field": "colour", "op": "=", "value": "red" } }] },
        "sort": "colour", "limit": 201, "fields": ["colour"], "include": ["colour"],
    });
    let answer = world.owner().post("companies/search", &body).await.problem(400, "malformed");
    answer.names(&["/where/and/1/not/field", "/sort", "/limit", "/fields", "/include"]);
    for (condition, pointer) in [
        (json!({}), "/where/field"),
        (json!({ "or": [] }), "/where/or"),
        (json!({ "and": good }), "/where/and"),
        (json!({ "field": "name", "op": "like", "value": "a" }), "/where/op"),
        (json!({ "field": "name", "op": "in", "value": ["a", 1] }), "/where/value/1"),
        (json!({ "field": "name", "op": "=", "value": "a", "colour": 1 }), "/where/colour"),
        (json!({ "field": "created_at", "op": ">", "value": { "expression": "now() - 1y" } }), "/where/value"),
    ] {
        let answer = world.owner().post("companies/search", &json!({ "where": condition })).await;
        answer.problem(400, "malformed").names(&[pointer]);
    }
    world.owner().post("companies/search", &json!({ "cursor": "nonsense" })).await.problem(400, "malformed").names(&["/cursor"]);
    world.owner().post("companies/search", &json!({ "filter": "" })).await.problem(400, "malformed").names(&["/filter"]);
    let question = json!({ "where": good, "sort": "-name", "limit": 2, "fields": ["name"], "include": ["owner"], "count": true });
    let page = world.owner().post("companies/search", &question).await.expect(200);
    assert_eq!(page.body["page"]["total"], json!({ "count": 3, "exact": true }));
    assert_eq!(page.data()[0].as_object().unwrap().keys().collect::<Vec<_>>(), ["name", "owner"]);
    let mut next = question;
    next["cursor"] = page.body["page"]["next_cursor"].clone();
    let last = world.owner().post("companies/search", &next).await.expect(200);
    assert_eq!((page.data().len(), last.data().len()), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_belongs_to_its_filter_and_outlives_the_moment() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let filter = "created_at > now() - 1d AND owner_id != me";
    let ask = async |filter: &str, cursor: &str| {
        let query = [("filter", filter), ("limit", "2"), ("cursor", cursor)];
        let query = if cursor.is_empty() { &query[..2] } else { &query[..] };
        world.owner().call("GET", "companies").query(query).send().await
    };
    let first = ask(filter, "").await.expect(200);
    let cursor = first.body["page"]["next_cursor"].as_str().unwrap();
    // Spaces and case of words do not make it another question.
    let second = ask("created_at>now()-24h and owner_id!=me", cursor).await;
    second.problem(400, "malformed").names(&["cursor"]);
    let second = ask("created_at>now()-1d  and owner_id!=me", cursor).await.expect(200);
    assert_eq!((first.data().len(), second.data().len()), (2, 1));
    ask("owner_id != me", cursor).await.problem(400, "malformed").names(&["cursor"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_is_the_callers() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let id = world.first("companies");
    let made: Timestamp = world.records["companies"][0]["created_at"].as_str().unwrap().parse().unwrap();
    for (zone, hours) in [("Pacific/Kiritimati", 14), ("UTC", 0), ("Pacific/Pago_Pago", -11)] {
        let user = world.tenant.owner.user_id;
        app.database.execute(&format!("UPDATE users SET time_zone = '{zone}' WHERE id = '{user}'")).await;
        let day = (made.0 + time::Duration::hours(hours)).date();
        let before = day.previous_day().unwrap();
        let is_found = async |filter: String| found(&world, "companies", &filter).await.contains(&id);
        assert!(is_found(format!("created_at = \"{day}\" AND NOT created_at = \"{before}\"")).await, "{zone}");
        assert!(is_found(format!("created_at > \"{before}\" AND created_at <= \"{day}\"")).await, "{zone}");
        assert!(!is_found(format!("created_at < \"{day}\" OR created_at > \"{day}\"")).await, "{zone}");
        assert!(is_found("created_at >= today() - 1d AND created_at <= today()".to_owned()).await, "{zone}");
    }
}

#[test]
fn a_parent_is_described_as_it_describes_itself() {
    let nouns: [(&str, &[Field], Vocabulary); 9] = [
        ("q_companies", crm_companies::FIELDS, crm_companies::VOCABULARY),
        ("q_contacts", crm_contacts::FIELDS, crm_contacts::VOCABULARY),
        ("q_deals", crm_deals::FIELDS, crm_deals::VOCABULARY),
        ("q_projects", crm_projects::FIELDS, crm_projects::VOCABULARY),
        ("q_tasks", crm_tasks::FIELDS, crm_tasks::VOCABULARY),
        ("q_notes", crm_notes::FIELDS, crm_notes::VOCABULARY),
        ("q_campaigns", crm_campaigns::FIELDS, crm_campaigns::VOCABULARY),
        ("q_campaign_contacts", crm_campaigns::MEMBER_FIELDS, crm_campaigns::MEMBER_VOCABULARY),
        ("q_members", members::FIELDS, Vocabulary { fields: members::FIELDS, parents: &[] }),
    ];
    let mut compared = 0;
    for vocabulary in nouns.iter().map(|noun| noun.2).chain([crm_activities::VOCABULARY]) {
        for parent in vocabulary.parents {
            let (_, own, _) = nouns.iter().find(|(view, ..)| *view == parent.view).unwrap();
            assert_eq!(parent.fields[0], own[0], "{} begins with its id", parent.name);
            assert!(vocabulary.fields.iter().any(|field| field.name == parent.key), "{}", parent.key);
            for field in parent.fields {
                // In which orders its lists are held is no matter of those who ask through it.
                let described = own.iter().any(|own| Field { orders: field.orders, ..*own } == *field);
                assert!(described, "{} has no such field: {field:?}", parent.view);
                compared += 1;
            }
        }
    }
    assert!(compared > 100, "only {compared} fields");
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_are_told_with_all_that_can_be_asked_of_them() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    for noun in ["companies", "contacts", "deals", "projects", "tasks", "notes", "campaigns", "activities"] {
        let told = world.caller("viewer").get(&format!("{noun}/fields")).await.expect(200);
        let parents = told.body["parents"].as_array().unwrap();
        let of_parents = parents.iter().flat_map(|parent| {
            let named = |field: &Value| {
                (format!("{}.{}", parent["name"].as_str().unwrap(), field["name"].as_str().unwrap()), field.clone())
            };
            parent["fields"].as_array().unwrap().iter().map(named).collect::<Vec<_>>()
        });
        let own = told.data().iter().map(|field| (field["name"].as_str().unwrap().to_owned(), field.clone()));
        let mut asked = 0;
        for (path, field) in own.chain(of_parents) {
            let path = if field["kind"] == "object" { format!("{path}.region") } else { path };
            for operator in field["operators"].as_array().unwrap() {
                let value = match (field["kind"].as_str().unwrap(), operator.as_str().unwrap()) {
                    (_, "in") => continue,
                    ("integer" | "decimal", _) => json!(1),
                    ("boolean", _) => json!(true),
                    ("date" | "timestamp", _) => json!("2026-11-22"),
                    ("id" | "member", _) => json!(uuid::Uuid::now_v7()),
                    ("choice", _) => field["options"][0].clone(),
                    _ => json!("text"),
                };
                let filter = format!("{path} {} {value}", operator.as_str().unwrap());
                filtered(&world, noun, &filter).await.expect(200);
                asked += 1;
            }
        }
        assert!(asked > 20, "{noun}: only {asked}");
    }
}
