//! What the three spellings mean.

use crm_kernel::{
    Comparison, Condition, Context, FieldPath, Filter, FilterValue, Moment, Operator, OrganizationId, Role, Timestamp, UserId,
};
use serde_json::json;

use super::{VOCABULARY, field, parse};

fn compare(name: &str, operator: Operator, values: &[FilterValue]) -> Condition {
    Condition::Compare(Comparison { field: FieldPath::of(field(name)), operator, values: values.to_vec() })
}

fn text(text: &str) -> FilterValue {
    FilterValue::Text(text.into())
}

#[test]
fn a_question_has_three_spellings_and_one_tree() {
    let context = Context::new(OrganizationId::generate(), UserId::generate(), Role::Member);
    let mut short = Filter::default();
    for (name, value) in [("company_status", "lead"), ("company_status", "prospect"), ("name", "Acme, Inc.")] {
        short.add(&context, field(name), value).expect("a value of the field");
    }
    let long = parse(r#"company_status IN ("lead", "prospect") AND name = "Acme, Inc.""#);
    let json = json!({"and": [
        {"field": "company_status", "op": "in", "value": ["lead", "prospect"]},
        {"field": "name", "op": "=", "value": "Acme, Inc."},
    ]});
    assert_eq!(short.condition(), long);
    assert_eq!(Condition::from_json(&json, "/where", &VOCABULARY).expect("a condition"), long);
    assert_eq!(long.to_json(), json);
}

#[test]
fn spaces_quotes_and_the_case_of_words_do_not_matter() {
    let same = parse(r#"NOT name = "x" AND (pinned = true OR company.industry = null)"#);
    for text in [
        r#"not name="x"and(pinned=TRUE or company . industry=Null)"#,
        " NOT\tname = 'x'\n AND ( ( pinned = true OR company.industry = null ) ) ",
        r#"NOT (name = "x") AND (pinned = true OR company.industry = null)"#,
    ] {
        assert_eq!(parse(text), same, "{text}");
    }
    assert_eq!(same.to_string(), r#"NOT name = "x" AND (pinned = true OR company.industry = null)"#);
}

#[test]
fn nothing_asks_for_everything() {
    for text in ["", "  \n ", "()"] {
        assert_eq!(parse(text), Condition::default(), "{text:?}");
    }
    assert_eq!(Condition::from_json(&json!({"and": []}), "", &VOCABULARY).expect("a condition"), Condition::default());
    assert_eq!(Condition::default().to_string(), "");
}

#[test]
fn joins_keep_the_nesting_they_were_written_with() {
    let one = |name: &str| compare(name, Operator::Equal, &[text("x")]);
    let tree = parse(r#"(name = "x" AND website = "x") AND name = "x""#);
    assert_eq!(tree, Condition::All(vec![Condition::All(vec![one("name"), one("website")]), one("name")]));
    assert_eq!(parse(&tree.to_string()), tree);
}

#[test]
fn a_program_may_join_one_condition_or_none() {
    let one = compare("name", Operator::Equal, &[text("x")]);
    let odd = Condition::Not(Box::new(Condition::All(vec![Condition::Any(vec![one.clone()])])));
    assert_eq!(odd.to_string(), r#"NOT name = "x""#);
    let never = Condition::All(vec![Condition::Any(Vec::new()), one]);
    assert_eq!(never.to_string(), r#"NOT () AND name = "x""#);
    assert!(!parse(&never.to_string()).holds(&json!({"name": "x"})));
}

#[test]
fn has_asks_for_words_or_for_any_value() {
    assert_eq!(parse(r#"tags : "vip""#), compare("tags", Operator::Has, &[text("vip")]));
    assert_eq!(parse(r#"tags:("vip", "eu")"#), compare("tags", Operator::Has, &[text("vip"), text("eu")]));
    assert_eq!(parse("website:*"), compare("website", Operator::NotEqual, &[FilterValue::Null]));
    assert_eq!(parse("NOT tags:*"), parse("NOT tags != null"));
}

#[test]
fn keys_of_objects_are_named_as_they_are() {
    let path = |condition: &Condition| match condition {
        Condition::Compare(comparison) => (comparison.field.clone(), comparison.values[0].clone()),
        other => panic!("{other:?} is no comparison"),
    };
    let (field_path, value) = path(&parse(r#"custom_fields."a.b \"c\"" > -0.5"#));
    assert_eq!((field_path.field.name, field_path.key.as_deref()), ("custom_fields", Some("a.b \"c\"")));
    assert_eq!(value, FilterValue::Number("-0.5".parse().expect("a number")));
    let (field_path, _) = path(&parse(r#"company.custom_fields.region IN ("EU", 7, true, null)"#));
    assert_eq!((field_path.parent.map(|parent| parent.name), field_path.key.as_deref()), (Some("company"), Some("region")));
}

#[test]
fn values_stand_in_quotes_or_for_themselves() {
    assert_eq!(parse("signed_on = 2026-01-31"), parse(r#"signed_on = "2026-01-31""#));
    assert_eq!(parse("created_at > 2026-01-31T09:30:00+02:00"), parse(r#"created_at > "2026-01-31T07:30:00Z""#));
    assert_eq!(parse("annual_revenue >= 1000000"), parse(r#"annual_revenue >= "1000000.00""#));
    assert_eq!(parse(r"name = 'it\'s \u{2022} \\ \n'"), compare("name", Operator::Equal, &[text("it's • \\ \n")]));
}

/// The condition is the page's, the question is the list's: a cursor must fit the next page.
#[test]
fn a_filter_is_asked_in_the_words_of_the_caller() {
    let at = |time: &str| {
        let moment =
            Moment::new(UserId::generate(), time.parse::<Timestamp>().expect("a time"), "Europe/Berlin").expect("a zone");
        Filter::default().and(parse("created_at > now() - 30d AND owner_id = me"), &moment).expect("within the calendar")
    };
    let (first, second) = (at("2026-01-31T09:30:00Z"), at("2026-01-31T09:31:00Z"));
    assert_eq!(first.asked(), second.asked());
    assert_ne!(first.condition(), second.condition());
}

#[test]
fn the_ids_that_every_record_must_have_are_told() {
    let id = UserId::generate().uuid();
    let moment = Moment::utc(UserId::generate(), Timestamp::now());
    let ids = |text: String| Filter::default().and(parse(&text), &moment).expect("a filter").ids("company_id");
    assert_eq!(ids(format!(r#"company_id = "{id}" AND pinned = true"#)), Some(vec![id]));
    assert_eq!(ids(format!(r#"company_id = "{id}" OR pinned = true"#)), None);
    assert_eq!(ids(format!(r#"company_id != "{id}""#)), None);
    assert_eq!(Filter::default().and_id(field("company_id"), id).ids("company_id"), Some(vec![id]));
}
