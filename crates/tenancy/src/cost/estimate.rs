//! What the answer of an `EXPLAIN` says: what the statement costs, and how it goes about it.
//!
//! Must stay true: nothing here asks the database; the same plan gives the same estimate.

use serde_json::Value;

/// What the planner says of a statement, in its own units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// If values are spread as evenly as the planner believes.
    pub expected: f64,
    /// If what is asked for comes last in the order of the list: then everything before it is read too.
    pub worst: f64,
}

impl Estimate {
    /// Of the answer of an `EXPLAIN`.
    #[must_use]
    pub fn of(plan: &Value) -> Self {
        let top = plan.pointer("/0/Plan").unwrap_or(&NOTHING);
        let expected = total_cost(top);
        let worst = limit_within(top).map_or(expected, |limit| {
            let below = part(limit, OUTER);
            if discards(below) { expected - total_cost(limit) + total_cost(reading(below)) } else { expected }
        });
        Self { expected, worst }
    }
}

/// What a node reads from, and what it looks up beside it; not what is found once for all rows.
const OUTER: &str = "Outer";
const INNER: &str = "Inner";

static NOTHING: Value = Value::Null;

fn part<'p>(node: &'p Value, relationship: &str) -> &'p Value {
    let mut parts = node["Plans"].as_array().into_iter().flatten();
    parts.find(|part| part["Parent Relationship"] == relationship).unwrap_or(&NOTHING)
}

fn total_cost(node: &Value) -> f64 {
    node["Total Cost"].as_f64().unwrap_or_default()
}

/// The node that stops reading when the page is full, or counting at the bound.
fn limit_within(node: &Value) -> Option<&Value> {
    if node["Node Type"] == "Limit" { Some(node) } else { node["Plans"].as_array()?.iter().find_map(limit_within) }
}

/// The part that goes through the rows: what is looked up beside each row that fits ends with the page.
fn reading(node: &Value) -> &Value {
    let [outer, inner] = [part(node, OUTER), part(node, INNER)];
    // What is the same for all rows, such as that there is a role, is tested once above them.
    if node["Node Type"] == "Result" && outer.is_object() {
        return reading(outer);
    }
    let looks_up = match node["Join Type"].as_str() {
        Some("Left") => finds_by_id(inner),
        Some("Inner") => keeps_all(node),
        _ => false,
    };
    if looks_up && node.get("Join Filter").is_none() && !discards(inner) { reading(outer) } else { node }
}

/// Whether rows may be read for nothing: by a test that no index answers, or because nothing is found beside them.
fn discards(node: &Value) -> bool {
    discards_by(node, is_bin_test)
}

/// The same where some tests are no waste.
fn discards_by(node: &Value, is_harmless: fn(&str) -> bool) -> bool {
    let filtered = ["Filter", "Join Filter"].iter().filter_map(|name| node[*name].as_str()).any(|test| !is_harmless(test));
    let mut parts = node["Plans"].as_array().into_iter().flatten();
    let unmatched = match node["Join Type"].as_str() {
        None | Some("Left") => false,
        Some("Inner") => !keeps_all(node),
        Some(_) => true,
    };
    filtered || unmatched || parts.any(|part| discards_by(part, is_harmless))
}

/// Whether each row finds one beside it: a record its times or its value, and these their record. A parent may be missing, and one in
/// the bin is a parent still, so what is asked of it is asked for nothing of those that have none, or another one.
fn keeps_all(join: &Value) -> bool {
    let [outer, inner] = [part(join, OUTER), part(join, INNER)];
    finds_by_id(inner) && (is_beside_records(outer) || is_beside_records(inner))
}

/// Whether the rows come from a table that has one for each record, and nothing else.
fn is_beside_records(node: &Value) -> bool {
    match node["Relation Name"].as_str() {
        Some(relation) => matches!(relation, "crm_record_times" | "crm_custom_values"),
        None => node.get("Join Type").is_none() && part(node, OUTER).is_object() && is_beside_records(part(node, OUTER)),
    }
}

/// That a record is not in the bin, or is: both are asked of every list. Nothing else is asked with it.
fn is_bin_test(test: &str) -> bool {
    let bare = test.trim_matches(['(', ')']);
    matches!(column(bare.strip_prefix("NOT ").unwrap_or(bare)), "deleted_at IS NULL" | "deleted_at IS NOT NULL" | "in_bin")
}

/// Without the name of the table in front.
fn column(test: &str) -> &str {
    let is_name = |text: &str| text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    test.split_once('.').filter(|(table, _)| is_name(table)).map_or(test, |(_, column)| column)
}

/// That a key of an order is there, or is not: which of the two, the order asks of every list by its phases.
fn is_phase_test(test: &str) -> bool {
    let bare = column(test.trim_matches(['(', ')']));
    let compared = bare.split_once(" < ").or_else(|| bare.split_once(" = "));
    let is_type = |name: &str| name.chars().all(|letter| letter.is_ascii_alphabetic() || letter == ' ');
    let is_mark = |mark: &str| mark == LAST_NUMBER || mark.strip_prefix("'infinity'::").is_some_and(is_type);
    compared.is_some_and(|(key, mark)| key.ends_with("_key") && is_mark(mark))
}

/// What keys that are numbers hold where the field is missing.
const LAST_NUMBER: &str = "'9223372036854775807'::bigint";

/// Whether every part of a test is asked of every list.
fn is_asked_of_all(test: &str) -> bool {
    joined_by_and(test).into_iter().all(|part| is_bin_test(part) || is_phase_test(part))
}

/// The parts of `((a) AND (b))`; what is written otherwise is one part. Quotes and parentheses within are looked past.
fn joined_by_and(test: &str) -> Vec<&str> {
    let Some(within) = test.strip_prefix('(').and_then(|test| test.strip_suffix(')')) else { return vec![test] };
    let (mut parts, mut begin, mut depth, mut is_quoted) = (Vec::new(), 0, 0_usize, false);
    for (at, letter) in within.char_indices() {
        match letter {
            '\'' | '"' => is_quoted = !is_quoted,
            '(' if !is_quoted => depth += 1,
            ')' if !is_quoted => depth = depth.saturating_sub(1),
            ' ' if !is_quoted && depth == 0 && within.get(at..).is_some_and(|rest| rest.starts_with(" AND ")) => {
                parts.extend(within.get(begin..at));
                begin = at + " AND ".len();
            }
            _ => {}
        }
    }
    parts.extend(within.get(begin..));
    parts
}

/// The one row that belongs to another.
fn finds_by_id(node: &Value) -> bool {
    let kept = |node: &Value| node["Index Name"].as_str().is_some_and(|index| index.ends_with("_pkey"));
    let passes_on = matches!(node["Node Type"].as_str(), Some("Memoize" | "Result" | "Bitmap Heap Scan"));
    kept(node) || passes_on && finds_by_id(part(node, OUTER))
}

/// Whether records are put beside their times, or their values, by comparing each with each: that is what the planner does with an
/// organisation of which it has no statistics yet, because it believes that there is one of each.
pub(super) fn compares_each_with_each(node: &Value) -> bool {
    let beside = || node["Join Filter"].as_str().is_some_and(|test| test.contains("record_id"));
    node["Node Type"] == "Nested Loop" && beside() || node["Plans"].as_array().into_iter().flatten().any(compares_each_with_each)
}

/// Whether every row that the page is taken from is one of those that are asked for, in the one phase of its order or the other.
pub(super) fn reads_nothing_else(node: &Value) -> bool {
    limit_within(node).is_some_and(|limit| !discards_by(part(limit, OUTER), is_asked_of_all))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Estimate, reads_nothing_else};

    fn outer(mut node: Value) -> Value {
        node["Parent Relationship"] = "Outer".into();
        node
    }

    fn estimated(below: Value) -> (f64, f64) {
        let Estimate { expected, worst } =
            Estimate::of(&json!([{ "Plan": { "Node Type": "Limit", "Total Cost": 10.0, "Plans": [outer(below)] } }]));
        (expected, worst)
    }

    #[test]
    fn what_an_index_answers_ends_with_the_page() {
        let scan = json!({ "Node Type": "Index Scan", "Total Cost": 5000.0, "Filter": "(deleted_at IS NULL)" });
        assert_eq!(estimated(scan), (10.0, 10.0));
        let lookups = json!({
            "Node Type": "Nested Loop", "Join Type": "Inner", "Total Cost": 5000.0, "Plans": [
                { "Parent Relationship": "Outer", "Node Type": "Index Only Scan", "Index Name": "crm_record_times_activity", "Relation Name": "crm_record_times", "Total Cost": 9.0 },
                { "Parent Relationship": "Inner", "Node Type": "Index Scan", "Index Name": "crm_companies_pkey", "Total Cost": 1.0, "Filter": "(record.deleted_at IS NULL)" },
            ],
        });
        assert_eq!(estimated(lookups), (10.0, 10.0));
    }

    #[test]
    fn records_put_beside_their_times_by_comparing_all_are_noticed() {
        let joined = |test: &str| json!({ "Node Type": "Aggregate", "Plans": [{ "Node Type": "Nested Loop", "Join Filter": test, "Total Cost": 16.5 }] });
        assert!(super::compares_each_with_each(&joined("(times.record_id = record.id)")));
        assert!(!super::compares_each_with_each(&joined("(stage.name = record.stage)")));
        assert!(!super::compares_each_with_each(
            &json!({ "Node Type": "Merge Join", "Join Filter": "(times.record_id = record.id)" })
        ));
    }

    #[test]
    fn what_is_read_for_nothing_may_be_all() {
        let scan = json!({ "Node Type": "Index Scan", "Total Cost": 5000.0, "Filter": "((deleted_at IS NULL) AND (annual_revenue > '1'::numeric))" });
        assert_eq!(estimated(scan), (10.0, 5000.0));
        let semi = json!({ "Node Type": "Nested Loop", "Join Type": "Semi", "Total Cost": 700.0 });
        assert_eq!(estimated(semi), (10.0, 700.0));
        let joined = json!({
            "Node Type": "Result", "Total Cost": 9000.0, "Plans": [{
                "Parent Relationship": "Outer", "Node Type": "Nested Loop", "Join Type": "Left", "Total Cost": 9000.0, "Plans": [
                    { "Parent Relationship": "Outer", "Node Type": "Seq Scan", "Total Cost": 800.0, "Filter": "(a > 1)" },
                    { "Parent Relationship": "Inner", "Node Type": "Index Scan", "Index Name": "crm_record_times_pkey", "Relation Name": "crm_record_times", "Total Cost": 1.0 },
                ],
            }],
        });
        assert_eq!(estimated(joined), (10.0, 800.0), "what is looked up beside a page is no more than the page");
        let counted = json!([{ "Plan": { "Node Type": "Aggregate", "Total Cost": 11.0, "Plans": [
            { "Node Type": "Limit", "Total Cost": 10.0, "Plans": [{ "Parent Relationship": "Outer", "Node Type": "Seq Scan", "Total Cost": 80.0, "Filter": "(a > 1)" }] }] } }]);
        assert_eq!(Estimate::of(&counted), Estimate { expected: 11.0, worst: 81.0 });
    }

    #[test]
    fn what_an_index_gathers_is_all_asked_for() {
        let sorted = |scan: Value| json!({ "Node Type": "Limit", "Plans": [outer(json!({ "Node Type": "Sort", "Plans": [outer(scan)] }))] });
        let gathered =
            json!({ "Node Type": "Bitmap Heap Scan", "Recheck Cond": "(tags @> '[]')", "Filter": "(deleted_at IS NULL)" });
        assert!(reads_nothing_else(&sorted(gathered)));
        let narrowed = json!({ "Node Type": "Bitmap Heap Scan", "Recheck Cond": "(tags @> '[]')", "Filter": "(title = 'a')" });
        assert!(!reads_nothing_else(&sorted(narrowed)), "those of another title are read too");
        let parallel = json!({ "Node Type": "Parallel Seq Scan", "Filter": "(title = 'a')" });
        assert!(!reads_nothing_else(&sorted(parallel)));
    }
    fn joined(outer_scan: Value, inner_scan: Value) -> Value {
        let mut inner_scan = inner_scan;
        inner_scan["Parent Relationship"] = "Inner".into();
        json!({ "Node Type": "Nested Loop", "Join Type": "Inner", "Total Cost": 9000.0, "Plans": [outer(outer_scan), inner_scan] })
    }

    #[test]
    fn a_parent_that_may_be_missing_is_asked_for_nothing() {
        let deals = || json!({ "Node Type": "Index Scan", "Relation Name": "crm_deals", "Alias": "record", "Total Cost": 5000.0, "Filter": "(record.deleted_at IS NULL)" });
        let company = json!({ "Node Type": "Index Scan", "Relation Name": "crm_companies", "Alias": "record_1", "Index Name": "crm_companies_pkey", "Total Cost": 1.0, "Filter": "(record_1.deleted_at IS NULL)" });
        assert_eq!(
            estimated(joined(deals(), company)),
            (10.0, 9000.0),
            "each deal is looked up, and those without a company are dropped"
        );
        let times = json!({ "Node Type": "Index Scan", "Relation Name": "crm_record_times", "Index Name": "crm_record_times_pkey", "Total Cost": 1.0, "Filter": "(NOT times.in_bin)" });
        assert_eq!(estimated(joined(deals(), times)), (10.0, 10.0), "each record has its times");
    }

    #[test]
    fn only_the_bin_alone_is_asked_of_every_list() {
        for test in ["(record.deleted_at IS NULL)", "(deleted_at IS NOT NULL)", "(NOT times.in_bin)", "times.in_bin"] {
            assert!(super::is_bin_test(test), "{test}");
        }
        for test in [
            "((record.title = 'a'::text) AND (record.deleted_at IS NULL))",
            "((record.title = 'a.b'::text) OR (record.deleted_at IS NULL))",
            "(record.company_deleted_at IS NULL)",
        ] {
            assert!(!super::is_bin_test(test), "{test}");
        }
    }

    #[test]
    fn which_phase_of_an_order_it_is_is_no_waste() {
        let sorted = |filter: &str| {
            let scan = json!({ "Node Type": "Bitmap Heap Scan", "Recheck Cond": "(tags @> '[]')", "Filter": filter });
            json!({ "Node Type": "Limit", "Plans": [outer(json!({ "Node Type": "Sort", "Plans": [outer(scan)] }))] })
        };
        for filter in [
            "((deleted_at IS NULL) AND (due_key < 'infinity'::date))",
            "((record.deleted_at IS NULL) AND (record.due_key = 'infinity'::timestamp with time zone))",
            "((deleted_at IS NULL) AND (annual_revenue_key < '9223372036854775807'::bigint))",
        ] {
            assert!(reads_nothing_else(&sorted(filter)), "{filter}");
        }
        for filter in [
            "((deleted_at IS NULL) AND (due_key < '2026-01-01'::date))",
            "((deleted_at IS NULL) AND (name_key = 'x) AND (deleted_at IS NULL'::text))",
            "((deleted_at IS NULL) AND ((due_key < 'infinity'::date) OR (title = 'a'::text)))",
        ] {
            assert!(!reads_nothing_else(&sorted(filter)), "{filter}");
        }
    }

    #[test]
    fn the_times_of_a_record_are_found_by_a_bitmap_too() {
        let tagged =
            json!({ "Node Type": "Bitmap Heap Scan", "Relation Name": "crm_companies", "Recheck Cond": "(tags @> '[]')" });
        let times = json!({
            "Node Type": "Bitmap Heap Scan", "Relation Name": "crm_record_times", "Filter": "(NOT in_bin)",
            "Plans": [outer(json!({ "Node Type": "Bitmap Index Scan", "Index Name": "crm_record_times_pkey" }))],
        });
        let page = json!({ "Node Type": "Limit", "Plans": [outer(json!({ "Node Type": "Sort", "Plans": [outer(joined(tagged, times))] }))] });
        assert!(reads_nothing_else(&page));
    }
}
