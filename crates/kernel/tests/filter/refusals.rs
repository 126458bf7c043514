//! What is refused, and in which words: the place, what was expected there, and what was probably meant.

use crm_kernel::{Condition, FieldError};
use serde_json::{Value, json};

use super::{VOCABULARY, parse};

fn refused(text: &str) -> FieldError {
    let error = Condition::parse(text, &VOCABULARY).expect_err(text);
    assert_eq!(error.pointer, "filter");
    error
}

#[test]
fn a_text_is_refused_where_it_goes_wrong() {
    let operator = "expected an operator: = != < <= > >= ~ : or IN";
    let value =
        "expected a value: text in quotes, a number, a date, null, true, false, me, my_team, now(), today() or quarter_start()";
    let operand = "expected a field, NOT or (";
    for (text, code, line, column, message) in [
        ("name", "syntax", 1, 5, operator),
        ("name == \"x\"", "syntax", 1, 7, value),
        ("name =", "syntax", 1, 7, value),
        ("company_status = customer", "syntax", 1, 18, value),
        ("name = \"x", "syntax", 1, 8, "the quotes that open here are never closed"),
        ("name = \"\\x\"", "syntax", 1, 9, "expected \\\" \\' \\\\ \\n \\r \\t or \\u{2022}"),
        ("name = \"x\" website = \"y\"", "syntax", 1, 12, "expected AND, OR or the end of the filter"),
        ("(name = \"x\"", "syntax", 1, 12, "expected AND, OR or )"),
        ("name = \"x\" AND", "syntax", 1, 15, operand),
        ("AND name = \"x\"", "syntax", 1, 1, operand),
        ("name = \"x\"\n  AND\n é = \"y\"\n", "unknown", 3, 2, ""),
        ("tags : (\"a\" \"b\")", "syntax", 1, 13, "expected , or )"),
        ("company_status IN \"lead\"", "syntax", 1, 19, "expected ( and values with commas between them"),
        ("company_status IN ()", "syntax", 1, 20, value),
        ("custom_fields. = 1", "syntax", 1, 16, "expected a name behind the point"),
        ("created_at > now( - 1d", "syntax", 1, 19, "expected )"),
        ("created_at > now() - 1y", "syntax", 1, 22, "expected a duration: 2w, 30d, 12h, 15m or 45s"),
        ("signed_on > today() - 12h", "value", 1, 23, "a day is moved by days (d) and weeks (w); now() by all units"),
        ("created_at > now() - 36526d", "value", 1, 22, "a moment is moved by at most 36525 days"),
        (
            "name = \"x\" AND name = \"y\" OR name = \"z\"",
            "mixed",
            1,
            27,
            "AND and OR stand beside each other; say with ( ) which of them binds first",
        ),
    ] {
        let error = refused(text);
        assert_eq!(error.code, code, "{text}: {error:?}");
        assert!(error.message.starts_with(&format!("line {line}, column {column}: {message}")), "{text}: {error:?}");
    }
}

#[test]
fn what_does_not_fit_the_field_is_refused_with_what_does() {
    for (text, code, message) in [
        (
            "compny_status = \"lead\"",
            "unknown",
            "line 1, column 1: unknown field `compny_status`; did you mean `company_status`?",
        ),
        (
            "company.industri = \"x\"",
            "unknown",
            "line 1, column 9: unknown field `industri` of `company`; did you mean `industry`?",
        ),
        (
            "company.foo = 1",
            "unknown",
            "line 1, column 9: unknown field `foo` of `company`; expected one of id, name, industry, tags, custom_fields",
        ),
        ("score = 1", "unknown", "line 1, column 1: unknown field `score`"),
        ("company = 1", "syntax", "line 1, column 9: expected a field of `company`, such as `company.name`"),
        ("name.first = \"x\"", "unknown", "line 1, column 6: `name` has nothing within it"),
        ("custom_fields.a.b = 1", "unknown", "line 1, column 17: `custom_fields` is compared one key deep"),
        ("custom_fields = 1", "operator", "line 1, column 15: expected a key of `custom_fields`, such as `custom_fields.region`"),
        ("name > \"x\"", "operator", "line 1, column 6: `name` cannot be compared with `>`; expected = != in ~"),
        ("tags = \"x\"", "operator", "line 1, column 6: `tags` cannot be compared with `=`; expected :"),
        (
            "company_status = \"custmer\"",
            "value",
            "line 1, column 18: expected one of lead, prospect, customer, churned; did you mean customer?",
        ),
        ("name = null", "value", "line 1, column 8: `name` always has a value"),
        ("name : *", "value", "line 1, column 6: `name` always has a value"),
        ("employee_count > null", "value", "line 1, column 18: `null` is compared with = and != or stands in a list of IN"),
        ("employee_count = 1.5", "value", "line 1, column 18: expected a whole number"),
        ("employee_count = 9223372036854775808", "value", "line 1, column 18: expected a whole number"),
        ("annual_revenue = 0.0001", "value", "line 1, column 18: at most 3 digits after the point"),
        ("pinned = 1", "value", "line 1, column 10: expected true or false"),
        ("signed_on = 2026-02-30", "value", "line 1, column 13: expected a date such as 2026-01-31"),
        ("signed_on = now()", "value", "line 1, column 13: expected a date such as \"2026-01-31\", today() or quarter_start()"),
        (
            "created_at = \"soon\"",
            "value",
            "line 1, column 14: expected a time such as \"2026-01-31T09:30:00Z\", a date, now(), today() or quarter_start()",
        ),
        ("owner_id = \"x\"", "value", "line 1, column 12: expected an id (UUID)"),
        ("id = me", "value", "line 1, column 6: expected an id (UUID) in quotes"),
        ("website ~ 5", "value", "line 1, column 11: expected text in quotes"),
        ("website = \"\\u{0}\"", "value", "line 1, column 11: the character U+0000 cannot be stored and so cannot be searched"),
        (
            "custom_fields.a < true",
            "value",
            "line 1, column 19: true and false are compared with = and != or stand in a list of IN",
        ),
        ("custom_fields.a = 1e5", "value", "line 1, column 19: expected a number such as 12.5; text stands in quotes"),
    ] {
        let error = refused(text);
        assert_eq!(error.code, code, "{text}: {error:?}");
        assert!(error.message.starts_with(message), "{text}: {error:?}");
    }
}

#[test]
fn every_bound_is_refused_by_name() {
    let list = |count: usize| vec!["1"; count].join(", ");
    let comparisons = |count: usize| vec!["pinned = true"; count].join(" AND ");
    let lists = |count: usize| vec![format!("employee_count IN ({})", list(100)); count].join(" AND ");
    let deep = |depth: usize| format!("{}pinned = true{}", "NOT (".repeat(depth / 2), ")".repeat(depth / 2));
    parse(&format!("name = \"{}\"", "é".repeat(3_991)));
    parse(&comparisons(100));
    parse(&format!("employee_count IN ({})", list(100)));
    parse(&lists(10));
    parse(&deep(16));
    for (text, code, message) in [
        (format!("name = \"{}\"", "é".repeat(3_992)), "too_long", "line 1, column 4001: at most 4000 characters"),
        (comparisons(101), "too_many", "at most 100 comparisons in one filter"),
        (format!("employee_count IN ({})", list(101)), "too_many", "at most 100 values in one list"),
        (format!("{} AND pinned = true", lists(10)), "too_many", "at most 1000 values in one filter"),
        (deep(18), "too_deep", "conditions may stand at most 16 deep within each other"),
        ("(".repeat(4_000), "too_deep", "line 1, column 17: conditions"),
        (format!("custom_fields.a = {}", "1".repeat(41)), "value", "at most 40 digits"),
        (format!("custom_fields.\"{}\" = 1", "a".repeat(201)), "value", "a key has at most 200 characters"),
    ] {
        let error = refused(&text);
        assert_eq!(error.code, code, "{error:?}");
        assert!(error.message.contains(message), "{error:?}");
    }
}

#[test]
fn json_is_refused_with_the_pointer_to_what_is_wrong() {
    let nested =
        |depth: usize| (0..depth).fold(json!({"field": "pinned", "op": "=", "value": true}), |inner, _| json!({"not": inner}));
    let compare = |field: &str, op: &str, value: Value| json!({"field": field, "op": op, "value": value});
    for (body, pointer, code) in [
        (json!([]), "/where", "type"),
        (json!({}), "/where/field", "required"),
        (json!({"and": {}}), "/where/and", "type"),
        (json!({"or": []}), "/where/or", "required"),
        (json!({"and": [compare("pinned", "=", json!(true))], "or": []}), "/where/and", "unknown"),
        (json!({"and": [{"field": "pinned", "op": "=", "value": true, "a/b": 1}]}), "/where/and/0/a~1b", "unknown"),
        (json!({"field": "pinned", "op": "="}), "/where/value", "required"),
        (compare("pinnd", "=", json!(true)), "/where/field", "unknown"),
        (compare("custom_fields.", "=", json!(true)), "/where/field", "syntax"),
        (compare("pinned", "==", json!(true)), "/where/op", "operator"),
        (compare("pinned", "<", json!(true)), "/where/op", "operator"),
        (compare("pinned", "=", json!(1)), "/where/value", "value"),
        (compare("pinned", "=", json!([true])), "/where/value", "type"),
        (compare("employee_count", "in", json!([1, "2"])), "/where/value/1", "value"),
        (compare("employee_count", "in", json!(1)), "/where/value", "type"),
        (compare("employee_count", "in", json!([])), "/where/value", "required"),
        (compare("employee_count", "in", json!(vec![1; 101])), "/where/value", "too_many"),
        (compare("created_at", ">", json!({"expression": "now() - 1y"})), "/where/value", "syntax"),
        (compare("created_at", ">", json!({"expression": "soon"})), "/where/value", "value"),
        (compare("created_at", ">", json!({"now": 1})), "/where/value", "type"),
        (compare("custom_fields.a", "=", json!(0.123_456_789_012_345_67)), "/where/value", "value"),
        (compare("name", "=", json!("é".repeat(4_001))), "/where/value", "value"),
        (json!({"or": [nested(15), nested(16)]}), &format!("/where/or/1{}", "/not".repeat(15)), "too_deep"),
        (json!({"and": vec![nested(0); 101]}), "/where/and", "too_many"),
    ] {
        let error = Condition::from_json(&body, "/where", &VOCABULARY).expect_err(&body.to_string());
        assert_eq!((error.pointer.as_str(), error.code.as_str()), (pointer, code), "{body}: {error:?}");
    }
    Condition::from_json(&nested(16), "", &VOCABULARY).expect("as deep as may be");
}
