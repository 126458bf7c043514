//! What a question would cost, asked of the planner before the question is put: one that would read too much is refused with what to
//! narrow, instead of keeping a connection busy until somebody loses patience.
//!
//! Lives here: the bound, how a question is gone about that would read much for nothing, what a text costs. The estimate itself lives in
//! `estimate`, what a refusal says in `refusal`. [`settle`] asks [`is_doubtful`] first: a list without a filter,
//! or narrowed by one value that an index holds in the order of the list, costs no second trip to the database.
//! Must stay true: what is estimated is the statement that will run, under the same role, with the same values; of a page in the middle of
//! a list, the first one, so that all pages are gone about alike. What one statement was told holds for no other one.

mod estimate;
mod refusal;

use crm_kernel::{Comparison, Condition, Cost, Deleted, Error, Field, FilterValue, Kind, ListQuery, Operator, Result};
use diesel::{
    QueryResult,
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{Bool, Json, Nullable, Text},
};
use diesel_async::RunQueryDsl;
use serde_json::Value;

pub use self::estimate::Estimate;
use self::{
    estimate::{compares_each_with_each, reads_nothing_else},
    refusal::{has_index, refusal},
};
use crate::{Tx, expect};

/// What a question may cost in the planner's units, in the worst case. docs/QUERY.md says what that is in seconds, and how it was
/// measured.
pub const MOST_COST: f64 = 175_000.0;

/// What may be read in the order of a list in the hope that the page is full soon, in the planner's units: about 3,400 records. Where it
/// is believed to take longer, what is asked for is gathered by its indexes and sorted, if that is less in the worst case.
const MOST_WALKED: f64 = 550.0;

/// What the planner is told that an operator costs when texts are searched through: folding case and accents takes as long as five of what
/// it calls an operator. Measured: docs/QUERY.md.
const TEXT_OPERATOR_COST: &str = "0.0125";

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

/// Whether the planner has to be asked: not for a list without a filter in an order of the noun's own, which all have an index, nor for one
/// narrowed by a single value of a single field, whose index is in the order of the list.
#[must_use]
pub fn is_doubtful(query: &ListQuery) -> bool {
    match query.filter.condition() {
        Condition::All(parts) if parts.is_empty() => {
            query.custom_sort.is_some() || query.deleted == Deleted::Only && !is_by_age(query)
        }
        Condition::Compare(comparison) => !(query.deleted == Deleted::Exclude && has_ordered_index(query, &comparison)),
        _ => true,
    }
}

/// Whether the question is promised to everybody: one condition that an index answers, in the order that lists have by default. How large the
/// tables are, and how much of them is empty after many changes, is no reason to refuse it. Should the planner walk too far, it is told to
/// gather instead.
fn is_promised(query: &ListQuery) -> bool {
    let Condition::Compare(comparison) = query.filter.condition() else { return false };
    is_as_usual(query) && has_index(&comparison)
}

fn is_as_usual(query: &ListQuery) -> bool {
    is_by_age(query) && query.deleted == Deleted::Exclude
}

fn is_by_age(query: &ListQuery) -> bool {
    query.sort.field.name == "created_at" && query.custom_sort.is_none()
}

fn has_ordered_index(query: &ListQuery, comparison: &Comparison) -> bool {
    let Comparison { field, operator, values } = comparison;
    let one_value = *operator == Operator::Equal && values.len() == 1 && !values.contains(&FilterValue::Null);
    let ordered = !matches!(field.field.kind, Kind::Tags | Kind::Object);
    let held = is_by_age(query) || query.custom_sort.is_none() && field.field.orders.contains(&query.sort.field.name);
    one_value && ordered && field.field.filterable && field.parent.is_none() && held
}

/// A statement that is explained more than once. Borrowed alone, because what is boxed in it can be sent but not shared.
struct Borrowed<'q, Q>(&'q mut Q);

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Borrowed<'_, Q> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.0.walk_ast(out)
    }
}

diesel::define_sql_function! {
    /// Sets a parameter, until the end of the transaction if `is_local`; to what the session began with if there is no value.
    #[sql_name = "pg_catalog.set_config"]
    fn set_config(name: Text, value: Nullable<Text>, is_local: Bool) -> Nullable<Text>;
}

/// Settles how a part of a list is gone about, and refuses one that would read too much, unless that was accepted before or is promised. `statement` is the
/// statement of a query: it is asked for the first page, whichever page the query is about. Behind a place in the order the planner
/// would be asked about the rest, of which it knows no more, and could go about each page in another way.
///
/// # Errors
/// `TooCostly` with each part that no index answers, and what to ask instead; whatever `statement` fails with.
pub async fn settle<Q>(
    tx: &mut Tx,
    fields: &'static [Field],
    query: &ListQuery,
    statement: impl FnOnce(&Tx, &ListQuery) -> Result<Q> + Send,
) -> Result<()>
where
    Q: QueryFragment<Pg> + Send,
{
    if !is_doubtful(query) {
        return Ok(());
    }
    let first = ListQuery { after: None, ..query.clone() };
    let statement = statement(tx, &first)?;
    match require_affordable(tx, fields, &query.filter.condition(), statement).await {
        Err(Error::TooCostly(_)) if query.cost == Cost::Accepted || is_promised(query) => Ok(()),
        settled => settled,
    }
}

/// Refuses a question whose statement would read too much. `fields` are the noun's: a refusal says which of them have an index.
/// Where the planner knows nothing, the transaction goes without nested loops: every record is then read once. Where it would
/// walk far along the order of the list, the transaction goes without scans in the order of an index. Both until the next question.
///
/// # Errors
/// `TooCostly` with each part that no index answers, and what to ask instead.
pub async fn require_affordable<Q>(tx: &mut Tx, fields: &'static [Field], condition: &Condition, statement: Q) -> Result<()>
where
    Q: QueryFragment<Pg> + Send,
{
    let mut statement = statement;
    begin(tx, condition).await?;
    let mut plan = explained(tx, &mut statement).await?;
    if plan.pointer("/0/Plan").is_some_and(compares_each_with_each) {
        set(tx, "enable_nestloop", Some("off")).await?;
        plan = explained(tx, &mut statement).await?;
    }
    let walked = Estimate::of(&plan);
    let worst = match walked.expected > MOST_WALKED && walked.expected < walked.worst {
        true => gathered(tx, &mut statement, walked).await?,
        false => walked.worst,
    };
    if worst <= MOST_COST { Ok(()) } else { Err(refusal(fields, condition)) }
}

/// What the statement costs in the worst case, gathered by indexes if these answer all of it and that is less than to walk along the order of
/// the list: a tag that one record in four hundred has is on 51 of the 20,000 newest if it is spread evenly, and on none of them if it is
/// an old one. Where more is asked than indexes answer, the planner's guess of how many remain is too rough to overrule its choice.
async fn gathered<Q: QueryFragment<Pg> + Send>(tx: &mut Tx, statement: &mut Q, walked: Estimate) -> Result<f64> {
    set(tx, "enable_indexscan", Some("off")).await?;
    set(tx, "enable_indexonlyscan", Some("off")).await?;
    let plan = explained(tx, statement).await?;
    let worst = Estimate::of(&plan).worst;
    if worst < walked.worst && plan.pointer("/0/Plan").is_some_and(reads_nothing_else) {
        return Ok(worst);
    }
    set(tx, "enable_indexscan", None).await?;
    set(tx, "enable_indexonlyscan", None).await?;
    Ok(walked.worst)
}

async fn explained<Q: QueryFragment<Pg> + Send>(tx: &mut Tx, statement: &mut Q) -> Result<Value> {
    Explained(Borrowed(statement)).get_result(tx).await.map_err(expect::error)
}

/// Nothing is left of what another statement of this transaction was told. A plan that was made for other values and kept would not be the
/// one that is judged, so none is.
async fn begin(tx: &mut Tx, condition: &Condition) -> Result<()> {
    let text_cost = searches_texts(condition).then_some(TEXT_OPERATOR_COST);
    let told = (
        set_config("enable_nestloop", NOTHING_TOLD, true),
        set_config("enable_indexscan", NOTHING_TOLD, true),
        set_config("enable_indexonlyscan", NOTHING_TOLD, true),
        set_config("cpu_operator_cost", text_cost, true),
        set_config("plan_cache_mode", Some("force_custom_plan"), true),
    );
    diesel::select(told).execute(tx).await.map_err(expect::error)?;
    Ok(())
}

const NOTHING_TOLD: Option<&str> = None;

/// Until the end of the transaction, or the next question.
async fn set(tx: &mut Tx, parameter: &'static str, value: Option<&'static str>) -> Result<()> {
    diesel::select(set_config(parameter, value, true)).execute(tx).await.map_err(expect::error)?;
    Ok(())
}

fn searches_texts(condition: &Condition) -> bool {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => parts.iter().any(searches_texts),
        Condition::Not(part) => searches_texts(part),
        Condition::Compare(comparison) => comparison.operator == Operator::Contains,
    }
}
