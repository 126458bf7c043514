//! A condition as SQL: no value is ever a part of the text, and the text does not change with the length of a list.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::collections::BTreeSet;

use crm_kernel::{Condition, Field, Kind, Parent, Vocabulary};
use crm_tenancy::{Matching, Tx, members};
use crm_testkit::{TestDatabase, Trees};
use diesel::{debug_query, pg::Pg};

static FIELDS: &[Field] = &[
    Field::shown("id", Kind::Id),
    Field::shown("name", Kind::Caseless).key("name_key"),
    Field::shown("industry", Kind::Text).nullable(),
    Field::shown("company_status", Kind::Choice(&["lead", "customer"])),
    Field::shown("annual_revenue", Kind::Decimal).nullable().key("annual_revenue_key"),
    Field::shown("employee_count", Kind::Integer).nullable().key("employee_count_key"),
    Field::shown("owner_id", Kind::Member).nullable(),
    Field::shown("tags", Kind::Tags),
    Field::shown("custom_fields", Kind::Object),
    Field::shown("created_at", Kind::Timestamp),
];

const VOCABULARY: Vocabulary = Vocabulary {
    fields: FIELDS,
    parents: &[Parent { name: "owner", key: "owner_id", fields: members::FIELDS, view: members::VIEW, entity: "member" }],
};

/// The text of the statement, without its parameters.
fn sql(tx: &Tx, condition: &Condition) -> String {
    let matching: Matching<()> = Matching::new(tx, "q_companies", condition);
    let text = debug_query::<Pg, _>(&matching).to_string();
    text.split(" -- binds: ").next().unwrap().to_owned()
}

async fn transaction(database: &TestDatabase) -> Tx {
    let tenant = database.tenant("Acme").await;
    database.db().begin(&tenant.owner).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_any_length_is_the_same_statement() {
    let database = TestDatabase::create().await;
    let tx = transaction(&database).await;
    let asked = |text: &str| sql(&tx, &Condition::parse(text, &VOCABULARY).unwrap());
    for (few, many) in [
        (r#"name IN ("a", "b")"#, r#"name IN ("a", "b", "c", "d", "e")"#),
        ("employee_count IN (1, 2)", "employee_count IN (1, 2, 3, 4, 5, 6)"),
        ("annual_revenue IN (1, 2, null)", "annual_revenue IN (1, null, 2, 3, 4, 5, 6)"),
        (r#"owner.role IN ("owner", "admin")"#, r#"owner.role IN ("owner", "admin", "viewer")"#),
        (r#"tags : ("a", "b")"#, r#"tags : ("a", "b", "c", "d")"#),
        (r#"custom_fields.region IN ("a", "b")"#, r#"custom_fields.region IN ("a", "b", "c", 4)"#),
    ] {
        assert_eq!(asked(few), asked(many));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_index_answers_is_a_bare_comparison() {
    let database = TestDatabase::create().await;
    let tx = transaction(&database).await;
    let asked = |text: &str| sql(&tx, &Condition::parse(text, &VOCABULARY).unwrap());
    for (text, right) in [
        (r#"company_status = "lead""#, r#""q_companies"."company_status" = $1"#),
        (r#"name = "Acme""#, r#""q_companies"."name_key" = lower($1)"#),
        (r#"name IN ("a", "b")"#, r#""q_companies"."name_key" = ANY (app.lower_all($1))"#),
        ("annual_revenue = 12.5", r#""q_companies"."annual_revenue_key" = $1"#),
        ("employee_count = null", r#""q_companies"."employee_count_key" = 9223372036854775807"#),
        (
            "employee_count > 5",
            r#"("q_companies"."employee_count_key" > $1 AND "q_companies"."employee_count_key" < 9223372036854775807)"#,
        ),
        (r#"tags : "vip""#, r#""q_companies"."tags" @> $1::text::jsonb"#),
        (r#"custom_fields.region = "EU""#, r#""q_companies"."custom_fields" @> $1::text::jsonb"#),
        (r#"company_status != "lead""#, r#"(("q_companies"."company_status" = $1) IS NOT TRUE)"#),
    ] {
        assert_eq!(asked(text), right, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_value_is_a_part_of_the_text() {
    let database = TestDatabase::create().await;
    let tx = transaction(&database).await;
    let mut trees = Trees::new(7, VOCABULARY);
    let mut pieces = BTreeSet::new();
    for _ in 0..2_000 {
        let text = sql(&tx, &trees.condition());
        let parameter = |piece: &str| {
            piece.strip_prefix('$').map(|rest| rest.trim_start_matches(|letter: char| letter.is_ascii_digit()).to_owned())
        };
        pieces.extend(text.split([' ', '(', ')', ',', '.']).map(|piece| parameter(piece).unwrap_or_else(|| piece.to_owned())));
    }
    pieces.retain(|piece| !piece.chars().all(|letter| letter.is_ascii_digit()) || piece.len() > 4);
    let known = "-> ->> :: ::text::jsonb ::text[]::jsonb[] :numeric < <= <> = > >= @> 9223372036854775807 '[]'::jsonb ::numeric 'number' 'string' \"C\" AND ANY ARRAY AS \
                 CASE COLLATE END EXISTS FALSE FROM IN IS NOT NULL OR SELECT THEN TRUE WHEN WHERE app fold jsonb_typeof \
                 lower lower_all parent organization_id strpos";
    let known: BTreeSet<&str> = known.split_whitespace().collect();
    let names: BTreeSet<String> = FIELDS
        .iter()
        .chain(members::FIELDS)
        .flat_map(|field| [Some(field.name), field.key])
        .flatten()
        .chain(["q_companies", "q_members", "parent"])
        .map(|name| format!("\"{name}\""))
        .collect();
    let foreign: Vec<&String> =
        pieces.iter().filter(|piece| !known.contains(piece.as_str()) && !names.contains(*piece)).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}
