//! What a question would cost, asked of the planner before the question is put: one that would read too much is refused with what to
//! narrow, instead of keeping a connection busy until somebody loses patience.
//!
//! Lives here: the estimate, the bound, and what a refusal says. Who puts a question asks [`is_doubtful`] first: a list without a filter,
//! or narrowed by one value that an index holds in the order of the list, costs no second trip to the database.
//! Must stay true: what is estimated is the statement that will run, under the same role, with the same values.

use crm_kernel::{
    Comparison, Condition, Cost, Deleted, Error, Field, FieldError, FilterValue, Kind, ListQuery, Operator, Result,
};
use diesel::{
    QueryResult,
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{Bool, Json, Text},
};
use diesel_async::RunQueryDsl;
use serde_json::Value;

use crate::{Tx, expect};

/// What a question may cost in the planner's units, in the worst case. docs/QUERY.md says what that is in seconds, and how it was
/// measured.
pub const MOST_COST: f64 = 175_000.0;

/// `EXPLAIN` of a statement with its values.
#[derive(Debug, Clone, Copy)]
pub struct Explained<Q>(pub Q);

impl<Q> Query for Explained<Q> {
    type SqlType = Json;
}

impl<Q> QueryId for Explained<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Explained<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        // A prepared EXPLAIN would still plan each time: there is nothing to keep.
        out.unsafe_to_cache_prepared();
        out.push_sql("EXPLAIN (FORMAT JSON) ");
        self.0.walk_ast(out.reborrow())
    }
}

impl<Q, C> diesel::RunQueryDsl<C> for Explained<Q> {}

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

/// Whether the planner has to be asked: not for a list without a filter in an order of the noun's own, which all have an index, nor for one
/// narrowed by a single value of a single field, whose index is in the order of the list; nor where it has been asked already.
#[must_use]
pub fn is_doubtful(query: &ListQuery) -> bool {
    if query.cost == Cost::Accepted {
        return false;
    }
    let by_age = query.sort.field.name == "created_at" && query.custom_sort.is_none();
    let by_default = by_age && query.deleted == Deleted::Exclude;
    match query.filter.condition() {
        Condition::All(parts) if parts.is_empty() => query.custom_sort.is_some() || query.deleted == Deleted::Only && !by_age,
        Condition::Compare(comparison) => !(by_default && has_ordered_index(&comparison)),
        _ => true,
    }
}

fn has_ordered_index(comparison: &Comparison) -> bool {
    let Comparison { field, operator, values } = comparison;
    let one_value = *operator == Operator::Equal && values.len() == 1 && !values.contains(&FilterValue::Null);
    let ordered = !matches!(field.field.kind, Kind::Tags | Kind::Object);
    one_value && ordered && field.field.filterable && field.parent.is_none()
}

diesel::define_sql_function! {
    /// Sets a parameter, until the end of the transaction if `is_local`.
    #[sql_name = "pg_catalog.set_config"]
    fn set_config(name: Text, value: Text, is_local: Bool) -> Text;
}

/// Whether records are put beside their times, or their values, by comparing each with each: that is what the planner does with an
/// organisation of which it has no statistics yet, because it believes that there is one of each.
fn compares_each_with_each(node: &Value) -> bool {
    let beside = || node["Join Filter"].as_str().is_some_and(|test| test.contains("record_id"));
    node["Node Type"] == "Nested Loop" && beside() || node["Plans"].as_array().into_iter().flatten().any(compares_each_with_each)
}

/// Refuses a question whose statement would read too much. `fields` are the noun's: a refusal says which of them have an index.
/// Where the planner knows nothing, the rest of the transaction goes without nested loops: every record is then read once.
///
/// # Errors
/// `TooCostly` with each part that no index answers, and what to ask instead.
pub async fn require_affordable<Q>(tx: &mut Tx, fields: &'static [Field], condition: &Condition, statement: Q) -> Result<()>
where
    Q: QueryFragment<Pg> + Send,
{
    let plan: Value = Explained(statement).get_result(tx).await.map_err(expect::error)?;
    if plan.pointer("/0/Plan").is_some_and(compares_each_with_each) {
        diesel::select(set_config("enable_nestloop", "off", true)).get_result::<String>(tx).await.map_err(expect::error)?;
    }
    let estimate = Estimate::of(&plan);
    if estimate.worst <= MOST_COST { Ok(()) } else { Err(refusal(fields, condition)) }
}

fn refusal(fields: &[Field], condition: &Condition) -> Error {
    let mut parts: Vec<FieldError> = without_index(condition, Sense::Asked)
        .into_iter()
        .map(|part| FieldError::new("filter", "no_index", format!("`{part}` is answered by no index")))
        .collect();
    parts.push(FieldError::new("filter", "too_costly", advice(fields)));
    Error::TooCostly(parts)
}

fn advice(fields: &[Field]) -> String {
    let named = |wanted: fn(&Field) -> bool| {
        let names: Vec<&str> = fields.iter().filter(|field| wanted(field)).map(|field| field.name).collect();
        names.join(", ")
    };
    format!(
        "this would read too many records: narrow it, joined by AND, with = or IN on one of {}, or with < or > on one of {}",
        named(|field| field.filterable),
        named(has_range_index),
    )
}

/// Whether a condition is asked for, or stands behind a NOT.
#[derive(Clone, Copy)]
enum Sense {
    Asked,
    Denied,
}

fn without_index(condition: &Condition, sense: Sense) -> Vec<&Comparison> {
    match (condition, sense) {
        (Condition::All(parts) | Condition::Any(parts), _) => parts.iter().flat_map(|part| without_index(part, sense)).collect(),
        (Condition::Not(part), _) => without_index(part, Sense::Denied),
        (Condition::Compare(comparison), Sense::Asked) if has_index(comparison) => Vec::new(),
        (Condition::Compare(comparison), _) => vec![comparison],
    }
}

fn has_index(comparison: &Comparison) -> bool {
    let Comparison { field, operator, .. } = comparison;
    let own = field.field;
    let is_custom = field.key.is_some() && own.name == "custom_fields";
    let is_ordered = field.custom.as_ref().is_some_and(|custom| custom.ordered.is_some());
    let answered = match operator {
        Operator::Equal | Operator::In if field.key.is_some() => is_custom,
        Operator::Equal | Operator::In => own.filterable || has_range_index(own),
        Operator::Has => own.filterable || is_custom,
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
            has_range_index(own) || is_ordered
        }
        Operator::NotEqual | Operator::Contains => false,
    };
    answered && field.parent.is_none()
}

/// Numbers, dates and times that lists sort by have their own index; the order of `created_at` is that of the id.
fn has_range_index(field: &Field) -> bool {
    let ranges = matches!(field.kind, Kind::Integer | Kind::Decimal | Kind::Date | Kind::Timestamp);
    ranges && field.sortable && field.key.is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Estimate;

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
}
