//! Filters, lists of fields and orders know the types.

use serde_json::{Value, json};

use super::{body, define, id, start, work};
use crate::support::{Answer, world::World};

async fn filtered(world: &World, noun: &str, filter: &str) -> Answer {
    world.owner().call("GET", noun).query(&[("filter", filter)]).send().await
}

/// Companies that differ in every type, in order of making.
async fn companies(world: &World) -> Vec<String> {
    let owner = world.owner();
    let colors = json!({ "options": [{ "key": "red", "label": "Red" }, { "key": "green", "label": "Green" }, { "key": "dark-blue", "label": "Blue" }] });
    for (key, field_type, more) in [
        ("size", "integer", json!({ "indexed": true })),
        ("rate", "decimal", json!({})),
        ("budget", "money", json!({ "indexed": true })),
        ("renewal", "date", json!({})),
        ("seen", "time", json!({ "indexed": true })),
        ("color", "choice", colors.clone()),
        ("colors", "choices", colors),
        ("contact", "email", json!({})),
        ("advisor", "member", json!({})),
        ("vip", "boolean", json!({})),
        ("code", "text", json!({ "indexed": true })),
    ] {
        define(owner, "company", key, field_type, &more).await;
    }
    let mut ids = Vec::new();
    for values in [
        json!({ "size": 9, "rate": "0.5", "budget": "9.99", "renewal": "2026-01-31", "seen": "2026-01-31T10:00:00Z", "color": "red",
                "colors": ["red"], "contact": "A@X.com", "advisor": world.tenant.owner.user_id, "vip": true, "code": "b" }),
        json!({ "size": 10, "rate": "10", "budget": "10.00", "renewal": "2026-02-01", "seen": "2026-01-31T10:00:00.000001Z",
                "color": "green", "colors": ["red", "green"], "contact": "b@x.com", "vip": false, "code": "A" }),
        json!({ "size": 100, "code": "Ä" }),
        json!({}),
    ] {
        ids.push(owner.post("companies", &body("companies", &values)).await.expect(201).id());
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_compared_as_their_type_demands_in_every_spelling() {
    let (_app, world) = start().await;
    let ids = companies(&world).await;
    for (filter, expected) in [
        ("custom_fields.size >= 10", &[1, 2][..]),
        ("custom_fields.size = 10", &[1]),
        ("custom_fields.size IN (9, 100)", &[0, 2]),
        ("custom_fields.rate > 0.5", &[1]),
        ("custom_fields.rate = 10.000", &[1]),
        ("custom_fields.budget < 10", &[0]),
        ("custom_fields.budget <= \"10.00\"", &[0, 1]),
        ("custom_fields.renewal > 2026-01-31", &[1]),
        ("custom_fields.renewal = \"2026-01-31\"", &[0]),
        ("custom_fields.seen > \"2026-01-31T11:00:00+01:00\"", &[1]),
        ("custom_fields.seen = \"2026-01-31T11:00:00+01:00\"", &[0]),
        ("custom_fields.seen = 2026-01-31", &[0, 1]),
        ("custom_fields.seen < now()", &[0, 1]),
        ("custom_fields.color = \"red\"", &[0]),
        ("custom_fields.colors : \"red\"", &[0, 1]),
        ("custom_fields.colors : (\"green\", \"dark-blue\")", &[1]),
        ("custom_fields.contact = \"a@X.COM\"", &[0]),
        ("custom_fields.contact ~ \"X.c\"", &[0, 1]),
        ("custom_fields.advisor = me", &[0]),
        ("custom_fields.vip = false", &[1]),
        ("custom_fields.code = \"A\"", &[1]),
        ("custom_fields.size : *", &[0, 1, 2]),
        ("custom_fields.size != null AND NOT custom_fields.size < 100", &[2]),
    ] {
        let expected: Vec<String> = expected.iter().rev().map(|place| ids[*place].clone()).collect();
        assert_eq!(filtered(&world, "companies", filter).await.expect(200).ids(), expected, "{filter}");
        assert_eq!(filtered(&world, "companies", &format!("parent.{filter}")).await.status, 200, "{filter} of a parent");
    }
    for (field, op, value, filter) in [
        ("custom_fields.size", ">=", json!(10), "custom_fields.size >= 10"),
        ("custom_fields.renewal", "=", json!("2026-01-31"), "custom_fields.renewal = 2026-01-31"),
        ("custom_fields.colors", ":", json!(["red"]), "custom_fields.colors : \"red\""),
        ("custom_fields.advisor", "=", json!({ "expression": "me" }), "custom_fields.advisor = me"),
    ] {
        let question = json!({ "where": { "field": field, "op": op, "value": value } });
        let by_json = world.owner().post("companies/search", &question).await.expect(200).ids();
        assert_eq!(by_json, filtered(&world, "companies", filter).await.expect(200).ids(), "{filter}");
    }
    for (short, filter) in [
        (&[("custom_fields.color", "red"), ("custom_fields.color", "green")][..], "custom_fields.color IN (\"red\", \"green\")"),
        (&[("custom_fields.colors", "green")], "custom_fields.colors : \"green\""),
        (&[("custom_fields.size", "9"), ("custom_fields.vip", "true")], "custom_fields.size = 9"),
        (&[("custom_fields.advisor", "me")], "custom_fields.advisor = me"),
    ] {
        let by_short = world.owner().call("GET", "companies").query(short).send().await.expect(200).ids();
        assert_eq!(by_short, filtered(&world, "companies", filter).await.expect(200).ids(), "{filter}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_does_not_fit_the_type_is_refused() {
    let (_app, world) = start().await;
    companies(&world).await;
    for (filter, part) in [
        ("custom_fields.size = \"ten\"", "expected a whole number"),
        ("custom_fields.size ~ \"1\"", "cannot be compared with `~`"),
        ("custom_fields.color = \"rde\"", "did you mean red?"),
        ("custom_fields.color > \"red\"", "cannot be compared with `>`"),
        ("custom_fields.colors = \"red\"", "cannot be compared with `=`"),
        ("custom_fields.renewal = \"soon\"", "expected a date"),
        ("custom_fields.vip = 1", "expected true or false"),
        ("custom_fields.advisor = \"Jo\"", "expected an id"),
        ("custom_fields.code = 5", "expected text in quotes"),
    ] {
        let answer = filtered(&world, "companies", filter).await.expect(400);
        assert!(answer.body.to_string().contains(part), "{filter}: {}", answer.body);
    }
    // Where nothing is defined, what is stored decides, as ever.
    filtered(&world, "deals", "custom_fields.size = \"ten\"").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_sorted_by_indexed_fields_and_paged_through() {
    let (app, world) = start().await;
    let ids = companies(&world).await;
    let first = world.records["companies"].len() - 1 + ids.len();
    for (sort, valued) in [
        ("custom_fields.size", &[0, 1, 2][..]),
        ("-custom_fields.size", &[2, 1, 0]),
        ("custom_fields.budget", &[0, 1]),
        ("-custom_fields.seen", &[1, 0]),
        ("custom_fields.code", &[1, 0, 2]),
    ] {
        let expected: Vec<String> = valued.iter().map(|place| ids[*place].clone()).collect();
        for limit in ["1", "2", "200"] {
            let (mut seen, mut cursor) = (Vec::new(), None::<String>);
            loop {
                let mut query = vec![("sort", sort), ("limit", limit)];
                query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
                let page = world.owner().call("GET", "companies").query(&query).send().await.expect(200);
                seen.extend(page.ids());
                cursor = page.body["page"]["next_cursor"].as_str().map(ToOwned::to_owned);
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(seen[..expected.len()], expected, "{sort}");
            let mut once = seen.clone();
            once.sort();
            once.dedup();
            assert_eq!((seen.len(), once.len()), (first, first), "{sort}: every record once, those without a value last");
        }
        let filtered =
            world.owner().call("GET", "companies").query(&[("sort", sort), ("filter", "custom_fields.size < 50")]).send().await;
        assert_eq!(filtered.expect(200).ids().len(), 2, "{sort}");
    }
    let by_json = world.owner().post("companies/search", &json!({ "sort": "-custom_fields.size", "limit": 1 })).await.expect(200);
    assert_eq!(by_json.ids(), [ids[2].clone()]);
    let cursor = by_json.body["page"]["next_cursor"].as_str().unwrap();
    let other = world.owner().call("GET", "companies").query(&[("sort", "custom_fields.size"), ("cursor", cursor)]).send().await;
    other.expect(400).names(&["cursor"]);
    for sort in ["custom_fields.color", "custom_fields.nothing", "-custom_fields.rate"] {
        world.owner().call("GET", "companies").query(&[("sort", sort)]).send().await.expect(400).names(&["sort"]);
    }
    // A record that changes or goes changes its place at once.
    world.owner().patch(&format!("companies/{}", ids[0]), &json!({ "custom_fields": { "size": 1_000 } })).await.expect(200);
    world.owner().delete(&format!("companies/{}", ids[2])).await.expect(204);
    let sorted =
        world.owner().call("GET", "companies").query(&[("sort", "-custom_fields.size"), ("limit", "2")]).send().await.expect(200);
    assert_eq!(sorted.ids(), [ids[0].clone(), ids[1].clone()]);
    let bin = world
        .owner()
        .call("GET", "companies")
        .query(&[("sort", "custom_fields.size"), ("deleted", "only"), ("limit", "1")])
        .send()
        .await;
    assert_eq!(bin.expect(200).ids(), [ids[2].clone()]);
    work(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_fields_has_the_custom_ones() {
    let (_app, world) = start().await;
    companies(&world).await;
    let known = world.caller("viewer").get("companies/fields").await.expect(200).body;
    let field =
        |name: &str| known["data"].as_array().unwrap().iter().find(|field| field["name"] == name).unwrap_or(&Value::Null).clone();
    let size = field("custom_fields.size");
    assert_eq!((&size["kind"], &size["label"], &size["sortable"]), (&json!("integer"), &json!("size"), &json!(true)));
    assert_eq!(field("custom_fields.rate")["sortable"], json!(false), "it is not indexed");
    let color = field("custom_fields.color");
    assert_eq!(color["options"], json!(["red", "green", "dark-blue"]));
    assert_eq!(color["option_labels"], json!(["Red", "Green", "Blue"]));
    assert_eq!(color["operators"], json!(["=", "!=", "in"]));
    let contacts = world.owner().get("contacts/fields").await.expect(200).body;
    assert!(!contacts["data"].to_string().contains("custom_fields.size"), "those of contacts are others");
    assert!(contacts["parents"].to_string().contains("custom_fields.size"), "a contact's company has them");
    let company = world.first("companies");
    world.owner().patch(&format!("companies/{company}"), &json!({ "custom_fields": { "size": 5 } })).await.expect(200);
    let of_company = filtered(&world, "contacts", "company.custom_fields.size < 6").await.expect(200);
    assert_eq!(of_company.ids(), [id(&world.records["contacts"][1])]);
}
