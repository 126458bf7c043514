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
    let looks_up = matches!(node["Join Type"].as_str(), Some("Left" | "Inner")) && node.get("Join Filter").is_none();
    if looks_up && finds_by_id(inner) && !discards(inner) { reading(outer) } else { node }
}

/// Whether rows may be read for nothing: by a test that no index answers, or because nothing is found beside them.
fn discards(node: &Value) -> bool {
    let filtered = ["Filter", "Join Filter"].iter().filter_map(|name| node[*name].as_str()).any(|test| !is_bin_test(test));
    let parts = || node["Plans"].as_array().into_iter().flatten();
    let unmatched = match node["Join Type"].as_str() {
        None | Some("Left") => false,
        Some("Inner") => !finds_by_id(part(node, INNER)),
        Some(_) => true,
    };
    filtered || unmatched || parts().any(discards)
}

/// That a record is not in the bin, or is: both are asked of every list.
fn is_bin_test(test: &str) -> bool {
    let bare = test.trim_matches(['(', ')']);
    bare.rsplit('.').next().is_some_and(|bare| matches!(bare, "deleted_at IS NULL" | "deleted_at IS NOT NULL" | "in_bin"))
}

/// The one row that belongs to another.
fn finds_by_id(node: &Value) -> bool {
    let kept = |node: &Value| node["Index Name"].as_str().is_some_and(|index| index.ends_with("_pkey"));
    kept(node) || matches!(node["Node Type"].as_str(), Some("Memoize" | "Result")) && finds_by_id(part(node, OUTER))
}

/// Whether records are put beside their times, or their values, by comparing each with each: that is what the planner does with an
/// organisation of which it has no statistics yet, because it believes that there is one of each.
pub(super) fn compares_each_with_each(node: &Value) -> bool {
    let beside = || node["Join Filter"].as_str().is_some_and(|test| test.contains("record_id"));
    node["Node Type"] == "Nested Loop" && beside() || node["Plans"].as_array().into_iter().flatten().any(compares_each_with_each)
}

/// Whether every row that the page is taken from is one of those that are asked for.
pub(super) fn reads_nothing_else(node: &Value) -> bool {
    limit_within(node).is_some_and(|limit| !discards(part(limit, OUTER)))
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
                { "Parent Relationship": "Outer", "Node Type": "Index Only Scan", "Index Name": "crm_record_times_activity", "Total Cost": 9.0 },
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
                    { "Parent Relationship": "Inner", "Node Type": "Index Scan", "Index Name": "crm_record_times_pkey", "Total Cost": 1.0 },
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
}
