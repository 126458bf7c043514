//! Theme: filters. Every declared field finds exactly what the same comparison finds in the records' JSON.

use std::collections::BTreeSet;

use crm_kernel::{Context, Count, Field, Filter, Kind, ListQuery, Money, Timestamp};
use serde_json::Value;
use uuid::Uuid;

use super::{Bench, Noun, everything, view};

/// Each value that occurs, pairs of values, null, and a value that does not occur.
pub async fn every_filterable_field_filters_exactly<N: Noun>() {
    let bench = Bench::<N>::new().await;
    let views: Vec<Value> = bench.sample(12).await.iter().map(view).collect();
    for field in N::fields().iter().filter(|field| field.filterable) {
        let values: Vec<String> = occurring(&views, field).into_iter().take(6).collect();
        assert!(!values.is_empty(), "the adapter must fill {} in some drafts, or the rule proves nothing", field.name);
        let mut questions: Vec<Vec<String>> = values.iter().map(|value| vec![value.clone()]).collect();
        questions.extend(values.windows(2).map(<[String]>::to_vec));
        questions.extend(absent(field).map(|value| vec![value]));
        if field.nullable && !matches!(field.kind, Kind::Text | Kind::Caseless) {
            questions.extend([vec!["null".to_owned()], vec!["null".to_owned(), values[0].clone()]]);
        }
        if matches!(field.kind, Kind::Caseless) {
            questions.push(vec![values[0].to_uppercase()]);
        }
        for question in questions {
            finds_exactly(&bench, &views, &[(field, question)]).await;
        }
    }
    let me = N::fields().iter().find(|field| field.filterable && field.kind == Kind::Member);
    if let Some(field) = me {
        finds_exactly(&bench, &views, &[(field, vec!["me".to_owned()])]).await;
    }
}

/// Several fields narrow each other.
pub async fn filters_join<N: Noun>() {
    let bench = Bench::<N>::new().await;
    let views: Vec<Value> = bench.sample(8).await.iter().map(view).collect();
    let usable: Vec<&'static Field> = N::fields().iter().filter(|field| field.filterable).collect();
    for pair in usable.windows(2) {
        for value in occurring(&views, pair[0]).into_iter().take(2) {
            for other in occurring(&views, pair[1]).into_iter().take(2) {
                finds_exactly(&bench, &views, &[(pair[0], vec![value.clone()]), (pair[1], vec![other])]).await;
            }
        }
    }
}

/// A value that the field cannot have is refused with the field's name, before any query.
pub async fn what_cannot_be_a_value_is_refused<N: Noun>() {
    let bench = Bench::<N>::new().await;
    for field in N::fields().iter().filter(|field| field.filterable) {
        let mut wrong = vec!["a\0b"];
        if !matches!(field.kind, Kind::Text | Kind::Caseless | Kind::Tags) {
            wrong.extend(["", "no such value", "1; DROP TABLE users"]);
            wrong.extend((!field.nullable).then_some("null"));
        }
        for text in wrong {
            let refused =
                Filter::default().add(&bench.tenant.owner, field, text).expect_err("a value that cannot be must be refused");
            assert_eq!(refused.pointer, field.name, "the refusal names the field");
        }
    }
}

async fn finds_exactly<N: Noun>(bench: &Bench<N>, views: &[Value], question: &[(&'static Field, Vec<String>)]) {
    let caller = &bench.tenant.member;
    let mut filter = Filter::default();
    for (field, texts) in question {
        for text in texts {
            filter.add(caller, field, text).unwrap_or_else(|error| panic!("{} must accept {text:?}: {error:?}", field.name));
        }
    }
    let query = ListQuery { filter, count: Count::Bounded, limit: 5, ..everything::<N>() };
    let fits = |view: &&Value| question.iter().all(|(field, texts)| texts.iter().any(|text| is(caller, view, field, text)));
    let right: BTreeSet<String> = views.iter().filter(fits).map(|view| view["id"].to_string()).collect();
    let found: BTreeSet<String> = bench.walk(caller, &query).await.iter().map(|view| view["id"].to_string()).collect();
    let asked: Vec<_> = question.iter().map(|(field, texts)| (field.name, texts)).collect();
    assert_eq!(found, right, "the filter {asked:?} must find exactly what has that value");
    let total = bench.noun.list(caller, &query).await.expect("a list").page.total.expect("it was asked to count");
    assert_eq!(usize::try_from(total.count), Ok(right.len()), "the filter {asked:?} must count what it finds");
}

/// Whether the record has this value, by its JSON alone.
fn is(caller: &Context, view: &Value, field: &Field, text: &str) -> bool {
    let value = view.get(field.name).unwrap_or_else(|| panic!("the JSON of a record must have its field {}", field.name));
    match (field.kind, value) {
        (Kind::Text | Kind::Caseless | Kind::Tags, Value::Null) => false,
        (_, Value::Null) => text == "null",
        (Kind::Tags, Value::Array(tags)) => tags.iter().any(|tag| tag.as_str() == Some(text)),
        (Kind::Caseless, Value::String(value)) => value.to_lowercase() == text.to_lowercase(),
        (Kind::Decimal, Value::String(value)) => value.parse::<Money>().ok() == text.parse::<Money>().ok(),
        (Kind::Timestamp, Value::String(value)) => value.parse::<Timestamp>().ok() == text.parse::<Timestamp>().ok(),
        (Kind::Member, Value::String(value)) if text == "me" => *value == caller.user_id.to_string(),
        (_, Value::String(value)) => value == text,
        (_, other) => serde_json::from_str::<Value>(text).is_ok_and(|asked| asked == *other),
    }
}

/// The values of the field in these records, as a client would write them.
fn occurring(views: &[Value], field: &Field) -> BTreeSet<String> {
    let written = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let all = views.iter().filter_map(|view| view.get(field.name));
    let single = all.flat_map(|value| value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]));
    single.filter_map(|value| written(&value)).collect()
}

/// A value that no record has.
fn absent(field: &Field) -> Option<String> {
    match field.kind {
        Kind::Text | Kind::Caseless | Kind::Tags => Some("% nobody's \" ' \\ value _".into()),
        Kind::Id | Kind::Member => Some(Uuid::now_v7().to_string()),
        Kind::Integer => Some("-77".into()),
        Kind::Decimal => Some("77.123".into()),
        Kind::Date => Some("1901-01-01".into()),
        Kind::Timestamp => Some("1901-01-01T00:00:00Z".into()),
        Kind::Choice(_) | Kind::Boolean | Kind::Object => None,
    }
}
