//! The audit list: what concerns the security of an organisation, out of the log. Logins, sessions, members and their roles,
//! invitations, tokens, second factors, settings, teams.
//!
//! Must stay true: which kinds of records these are stands in q_audit, beside the index that serves it; the view shows nothing to
//! members and viewers.

use crm_kernel::{Comparison, Condition, Field, FieldPath, FilterValue, Kind, ListQuery, Operator, Result, page::COUNT_BOUND};
use crm_tenancy::{Counted, Expect, Matching, Tx, cost, seek_id};
use diesel::{ExpressionMethods, QueryDsl};
use diesel_async::RunQueryDsl;

use crate::{
    fields::FIELDS,
    model::{Activity, host},
    schema::q_audit,
    store::ACTIVITY,
};

/// Where a period begins: not a field of an activity, but something a list is narrowed to.
const OCCURRED_FROM: Field = Field::shown("occurred_from", Kind::Timestamp).filterable().incomparable();
/// Where a period ends; what happened at that moment is outside.
const OCCURRED_UNTIL: Field = Field::shown("occurred_until", Kind::Timestamp).filterable().incomparable();

static OCCURRED_AT: Field = Field::shown("occurred_at", Kind::Timestamp);

/// What narrows the audit list to a period, beside the fields of an activity.
pub static PERIOD: &[Field] = &[OCCURRED_FROM, OCCURRED_UNTIL];

type Rows<'a> = q_audit::BoxedQuery<'a, diesel::pg::Pg>;

/// Up to one activity more than the page holds.
pub(crate) async fn list(tx: &mut Tx, query: &ListQuery) -> Result<Vec<Activity>> {
    cost::settle(tx, FIELDS, query, |tx, query| Ok(ordered(tx, query))).await?;
    let rows = ordered(tx, query);
    let columns = (
        q_audit::id,
        q_audit::activity_type,
        q_audit::entity_type,
        q_audit::entity_id,
        q_audit::subject_type,
        q_audit::subject_id,
        q_audit::user_id,
        q_audit::actor_kind,
        q_audit::description,
        q_audit::fields,
        q_audit::changes,
        q_audit::record_version,
        q_audit::operation_id,
        q_audit::request_id,
        q_audit::occurred_at,
        q_audit::created_at,
        host(q_audit::ip),
        q_audit::user_agent,
    );
    rows.select(columns).load(tx).await.expect_any(ACTIVITY)
}

pub(crate) async fn count(tx: &mut Tx, query: &ListQuery) -> Result<i64> {
    let rows = |tx: &Tx| narrowed(tx, query).select(q_audit::id).limit(COUNT_BOUND + 1);
    cost::settle(tx, FIELDS, query, |tx, _| Ok(Counted(rows(tx)))).await?;
    Counted(rows(tx)).get_result(tx).await.expect_any(ACTIVITY)
}

fn ordered<'a>(tx: &Tx, query: &ListQuery) -> Rows<'a> {
    seek_id!(narrowed(tx, query), query, q_audit::id).limit(i64::from(query.limit) + 1)
}

fn everything<'a>(tx: &Tx) -> Rows<'a> {
    q_audit::table.filter(q_audit::organization_id.eq(tx.organization_id())).into_boxed()
}

fn narrowed<'a>(tx: &Tx, query: &ListQuery) -> Rows<'a> {
    everything(tx).filter(Matching::new(tx, "q_audit", &within_period(query.filter.condition())))
}

/// A period's bounds are not fields: what is compared is when it happened.
fn within_period(condition: Condition) -> Condition {
    let happened = |operator: Operator, values: &[FilterValue]| {
        let compare =
            |value: &FilterValue| Comparison { field: FieldPath::of(&OCCURRED_AT), operator, values: vec![value.clone()] };
        Condition::All(values.iter().map(compare).map(Condition::Compare).collect())
    };
    match condition {
        Condition::All(parts) => Condition::All(parts.into_iter().map(within_period).collect()),
        Condition::Compare(Comparison { field, values, .. }) if *field.field == OCCURRED_FROM => {
            happened(Operator::GreaterOrEqual, &values)
        }
        Condition::Compare(Comparison { field, values, .. }) if *field.field == OCCURRED_UNTIL => {
            happened(Operator::Less, &values)
        }
        other => other,
    }
}
