//! What must hold for any input of the filter language: it is answered, with a tree or with a complaint, and never with a panic; a tree
//! comes back the same from its text and its JSON; it can be resolved and evaluated.
//!
//! Used by the fuzzers beside this file and by the kernel's tests, which ask it of the corpus again.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, reason = "a broken promise ends the run; each fuzzer uses a part")]

use crm_kernel::{
    Condition, Context, Field, Filter, Kind, Moment, OrganizationId, Parent, Role, Timestamp, UserId, Vocabulary,
    filter::bounds::LONGEST_TEXT,
};
use serde_json::Value;

static COMPANY: &[Field] = &[
    Field::shown("id", Kind::Id),
    Field::shown("name", Kind::Caseless),
    Field::shown("industry", Kind::Text).nullable(),
    Field::shown("tags", Kind::Tags),
    Field::shown("custom_fields", Kind::Object),
];

/// A field of every kind, and a parent.
static VOCABULARY: Vocabulary = Vocabulary {
    fields: &[
        Field::shown("id", Kind::Id).filterable(),
        Field::shown("name", Kind::Caseless).filterable(),
        Field::shown("website", Kind::Text).nullable().filterable(),
        Field::shown("status", Kind::Choice(&["lead", "prospect", "customer"])).filterable(),
        Field::shown("employees", Kind::Integer).nullable().filterable(),
        Field::shown("revenue", Kind::Decimal).nullable().filterable(),
        Field::shown("pinned", Kind::Boolean).filterable(),
        Field::shown("signed_on", Kind::Date).nullable().filterable(),
        Field::shown("created_at", Kind::Timestamp).filterable(),
        Field::shown("owner_id", Kind::Member).nullable().filterable(),
        Field::shown("tags", Kind::Tags).filterable(),
        Field::shown("custom_fields", Kind::Object),
    ],
    parents: &[Parent { name: "company", key: "company_id", fields: COMPANY, view: "q_companies", entity: "company" }],
};

/// Where the input is divided: a condition, and a record that it is asked of.
const BETWEEN: &[u8] = b"\n---\n";

fn divided(input: &[u8]) -> (&[u8], &[u8]) {
    let found = input.windows(BETWEEN.len()).position(|window| window == BETWEEN);
    found.map_or((input, b"{}".as_slice()), |at| (&input[..at], &input[at + BETWEEN.len()..]))
}

fn record(input: &[u8]) -> Value {
    serde_json::from_slice(input).unwrap_or(Value::Null)
}

/// The text of a filter, and behind `---` a record.
pub fn text(input: &[u8]) {
    let (text, other) = divided(input);
    let Ok(text) = std::str::from_utf8(text) else { return };
    if let Ok(condition) = Condition::parse(text, &VOCABULARY) {
        keeps_its_promises(&condition, &record(other));
    }
}

/// The JSON form, and behind `---` a record.
pub fn json(input: &[u8]) {
    let (body, other) = divided(input);
    let Ok(body) = serde_json::from_slice(body) else { return };
    if let Ok(condition) = Condition::from_json(&body, "/where", &VOCABULARY) {
        keeps_its_promises(&condition, &record(other));
    }
}

/// Lines `field=value`, and behind `---` a record.
pub fn short(input: &[u8]) {
    let (pairs, other) = divided(input);
    let Ok(pairs) = std::str::from_utf8(pairs) else { return };
    let context = Context::new(OrganizationId(USER.parse().unwrap()), UserId(USER.parse().unwrap()), Role::Member);
    let mut filter = Filter::default();
    for (name, value) in pairs.lines().filter_map(|line| line.split_once('=')) {
        if let Some(field) = VOCABULARY.fields.iter().find(|field| field.filterable && field.name == name) {
            let _ = filter.add(&context, field, value);
        }
    }
    keeps_its_promises(&filter.condition(), &record(other));
}

const USER: &str = "01890000-0000-7000-8000-000000000001";

fn keeps_its_promises(condition: &Condition, record: &Value) {
    let printed = condition.to_string();
    if printed.chars().count() <= LONGEST_TEXT {
        let read = Condition::parse(&printed, &VOCABULARY).unwrap_or_else(|error| panic!("{printed}\n{error:?}"));
        assert_eq!(read.to_string(), printed, "there is one printed form");
    }
    let written = condition.to_json();
    let read = Condition::from_json(&written, "/where", &VOCABULARY).unwrap_or_else(|error| panic!("{written}\n{error:?}"));
    assert_eq!(read.to_string(), printed, "{written}");

    let now: Timestamp = "2026-03-29T01:30:00Z".parse().unwrap();
    let caller = UserId(USER.parse().unwrap());
    for zone in ["UTC", "America/Sao_Paulo", "Pacific/Kiritimati"] {
        let moment = Moment::new(caller, now, zone).unwrap().with_team(vec![caller, caller]);
        if let Ok(resolved) = condition.resolved(&moment) {
            let holds = resolved.holds(record);
            assert_ne!(Condition::Not(Box::new(resolved)).holds(record), holds, "there are two truth values");
        }
    }
}
