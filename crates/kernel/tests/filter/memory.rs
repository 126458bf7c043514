//! What a condition says of one record.

use serde_json::{Value, json};

use super::parse;

fn record() -> Value {
    json!({
        "id": "01890000-0000-7000-8000-000000000001",
        "name": "Łódź STRASSE",
        "website": null,
        "company_status": "customer",
        "company_size": null,
        "employee_count": 250,
        "annual_revenue": "1250000.00",
        "pinned": true,
        "signed_on": "2026-01-31",
        "created_at": "2026-01-31T09:30:00.000001Z",
        "tags": ["vip", "eu"],
        "custom_fields": {"region": "EU", "size": 0.1, "vip": true, "gone": null},
        "company": {"name": "Acme", "industry": null, "tags": [], "custom_fields": {"region": "UK"}},
    })
}

fn holds(texts: &[&str]) {
    for text in texts {
        assert!(parse(text).holds(&record()), "{text} must hold");
        assert!(!parse(&format!("NOT ({text})")).holds(&record()), "NOT ({text}) must not");
    }
}

fn holds_not(texts: &[&str]) {
    for text in texts {
        assert!(!parse(text).holds(&record()), "{text} must not hold");
        assert!(parse(&format!("NOT ({text})")).holds(&record()), "NOT ({text}) must");
    }
}

#[test]
fn every_kind_is_compared_as_what_it_is() {
    holds(&[
        r#"name = "łÓDŹ strasse""#,
        r#"company_status IN ("lead", "customer")"#,
        "employee_count > 249 AND employee_count <= 250",
        "annual_revenue = 1250000 AND annual_revenue < 1250000.001",
        "pinned = true",
        "signed_on >= 2026-01-31",
        r#"created_at > "2026-01-31T10:30:00+01:00""#,
        r#"tags : "vip" AND tags : ("no", "eu")"#,
        r#"id = "01890000-0000-7000-8000-000000000001""#,
        r#"custom_fields.region = "EU" AND custom_fields.size = 0.10 AND custom_fields.vip = true"#,
        r#"custom_fields.region < "F" AND custom_fields.size < 1"#,
        r#"company.name = "ACME" AND company.custom_fields.region ~ "k""#,
    ]);
    holds_not(&[
        r#"name = "Lodz Strasse""#,
        r#"tags : "VIP""#,
        r#"custom_fields.region = "eu""#,
        "custom_fields.size > 0.1",
        "created_at < 2026-01-31T09:30:00Z",
    ]);
}

#[test]
fn contains_folds_case_and_accents() {
    holds(&[r#"name ~ "lodz""#, r#"name ~ "straße""#, r#"name ~ """#, r#"custom_fields.region ~ "é" OR name ~ "DŹ ST""#]);
    holds_not(&[r#"name ~ "%""#, r#"website ~ """#, r#"custom_fields.size ~ "0""#]);
}

#[test]
fn what_is_missing_equals_nothing_but_null() {
    holds(&[
        "website = null",
        r#"website != "x""#,
        r#"company_size IN ("small", null)"#,
        "company.industry = null",
        "NOT company.tags:*",
        "tags:*",
        "custom_fields.gone = null AND custom_fields.never = null",
        "custom_fields.never != 5",
        "address = null AND custom_fields.region != null",
    ]);
    holds_not(&[
        r#"website = "x""#,
        "website != null",
        r#"company_size IN ("small")"#,
        "called_at < now() OR called_at >= now()",
        "custom_fields.never < 5 OR custom_fields.never >= 5",
        "tags = null",
    ]);
}

#[test]
fn without_a_parent_its_fields_are_missing() {
    let orphan = json!({"company": null});
    assert!(parse("company.name = null").holds(&orphan));
    assert!(parse(r#"company.name != "Acme""#).holds(&orphan));
    assert!(!parse(r#"company.name = "Acme" OR company.name ~ "" OR company.tags:*"#).holds(&orphan));
}

#[test]
fn a_key_is_compared_with_values_of_its_own_type_only() {
    holds(&["custom_fields.size = 0.1"]);
    holds_not(&[
        r#"custom_fields.size = "0.1""#,
        "custom_fields.region = 1",
        r#"custom_fields.vip = "true""#,
        r#"custom_fields.size < "9""#,
    ]);
}
