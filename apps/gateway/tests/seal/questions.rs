//! Ids, words and cursors of another tenant in the parameters of a question.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    probe::{Asked, Bench, MARK, never, understood},
    support::{document::Operation, world::ROLES},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_value_in_a_filter() {
    let bench = Bench::new().await;
    let (_, operations) = understood();
    let mut compared = 0;
    for operation in &operations {
        let own = bench.own(operation, "owner").await.swap_remove(0);
        for filter in operation.filters() {
            for (kind, value, none) in bench.values(operation, &filter).await {
                let of_roles = ROLES.map(|role| {
                    let (bench, filter, value, none, own, kind) = (&bench, filter.as_str(), &value, &none, &own, &kind);
                    async move {
                        let ask = async |value: &str| {
                            let call = bench.acme.caller(role).call("GET", &operation.at(own)).query(&[(filter, value)]);
                            Asked::new(call.send().await, &[value])
                        };
                        let what = format!("{} by {role}, {kind} in {filter}", operation.name());
                        let theirs = ask(value).await;
                        bench.alike(&what, &theirs, &ask(none).await);
                        let found = theirs.answer.body["data"]
                            .as_array()
                            .is_some_and(|data| !data.is_empty() && operation.takes("limit"));
                        assert!(!found, "{what} found something: {}", theirs.answer.text);
                    }
                });
                compared += join_all(of_roles).await.len();
            }
        }
    }
    assert!(compared > 300, "only {compared} comparisons");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_in_the_language() {
    let bench = Bench::new().await;
    let (_, operations) = understood();
    let mut compared = 0;
    for operation in operations.iter().filter(|operation| operation.takes("filter")) {
        let own = bench.own(operation, "owner").await.swap_remove(0);
        let mut pairs = Vec::new();
        for filter in operation.filters() {
            let compare = if filter == "tags" { ":" } else { "=" };
            for (kind, value, none) in bench.values(operation, &filter).await {
                let text = |value: &str| format!("{filter} {compare} {}", Value::from(value));
                pairs.push((format!("{kind} in {filter}"), text(&value), text(&none)));
            }
        }
        // One hop to what a foreign parent would have.
        if ["contacts", "deals"].contains(&operation.collection().unwrap_or_default()) && !operation.has_id() {
            for path in ["company.name", "owner.email", "created_by.email"] {
                let text = |word: &str| format!("{path} ~ \"{word}\"");
                pairs.push((format!("a word in {path}"), text(MARK), text("nobody")));
            }
        }
        for (kind, theirs, none) in pairs {
            let ask = async |filter: &str| {
                let call = bench.acme.owner().call("GET", &operation.at(&own)).query(&[("filter", filter)]);
                Asked::new(call.send().await.expect(200), &[filter])
            };
            bench.alike(&format!("{}, {kind}", operation.name()), &ask(&theirs).await, &ask(&none).await);
            compared += 1;
        }
    }
    assert!(compared > 100, "only {compared} comparisons");
}

impl Bench {
    /// Values of Umbrella for this filter, each with one that nobody has.
    async fn values(&self, operation: &Operation, filter: &str) -> Vec<(String, String, String)> {
        if filter == "id" || filter.ends_with("_id") {
            return self.foreign.iter().map(|(kind, id)| ((*kind).to_owned(), id.clone(), never())).collect();
        }
        // What Umbrella itself finds under the same address.
        let own = if operation.has_id() { self.foreign[operation.thing().unwrap()].clone() } else { String::new() };
        let theirs = self.umbrella.owner().get(&format!("{}?limit=200", operation.at(&own))).await;
        let words = theirs.body["data"].as_array().into_iter().flatten().flat_map(|record| texts(&record[filter]));
        let theirs = words.filter(|word| word.to_lowercase().contains(MARK)).take(2);
        theirs.map(|word| ("a word".to_owned(), word.clone(), word.to_lowercase().replace(MARK, "nobody"))).collect()
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor() {
    let bench = Bench::new().await;
    let (_, operations) = understood();
    let mut compared = 0;
    for operation in operations.iter().filter(|operation| operation.takes("cursor")) {
        let (own, theirs) = match operation.has_id() {
            true => (bench.own(operation, "owner").await.swap_remove(0), bench.foreign[operation.thing().unwrap()].clone()),
            false => (String::new(), String::new()),
        };
        for sort in sorts(operation) {
            let question = if sort.is_empty() { "?limit=1".to_owned() } else { format!("?limit=1&sort={sort}") };
            let page = bench.umbrella.owner().get(&format!("{}{question}", operation.at(&theirs))).await.expect(200);
            let Some(cursor) = page.body["page"]["next_cursor"].as_str() else { continue };
            let neighbour = with_an_id_nobody_has(cursor);
            for role in ROLES {
                let ask = async |cursor: &str| {
                    let call = bench.acme.caller(role).call("GET", &format!("{}{question}", operation.at(&own)));
                    Asked::new(call.query(&[("cursor", cursor)]).send().await, &[])
                };
                let what = format!("{} by {role}, sorted by {sort}", operation.name());
                bench.alike(&what, &ask(cursor).await, &ask(&neighbour).await);
                compared += 1;
            }
        }
    }
    assert!(compared > 100, "only {compared} comparisons");
}

fn sorts(operation: &Operation) -> Vec<String> {
    // A timeline has one order.
    let Some(sort) = operation.query().into_iter().find(|parameter| parameter["name"] == "sort") else {
        return vec![String::new()];
    };
    // Where custom fields sort as well, a pattern for them stands beside the list of the keys that every organisation has.
    let listed = sort.pointer("/schema/enum").or_else(|| sort.pointer("/schema/anyOf/0/enum"));
    listed.unwrap().as_array().unwrap().iter().map(|sort| sort.as_str().unwrap().to_owned()).collect()
}

/// The same place, but for the last bit of the id.
fn with_an_id_nobody_has(cursor: &str) -> String {
    let mut inside: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(cursor).unwrap()).unwrap();
    let id: Uuid = inside["p"]["i"].as_str().unwrap().parse().unwrap();
    inside["p"]["i"] = Uuid::from_u128(id.as_u128() ^ 1).to_string().into();
    URL_SAFE_NO_PAD.encode(inside.to_string())
}
