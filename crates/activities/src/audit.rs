//! The audit list: what concerns the security of an organisation, out of the log. Logins, sessions, members and their roles,
//! invitations, tokens, second factors, settings, teams.
//!
//! Must stay true: which kinds of records these are stands in q_audit, beside the index that serves it; the view shows nothing to
//! members and viewers.

use crm_kernel::{Field, Kind, ListQuery, Result, page::COUNT_BOUND};
use crm_tenancy::{Counted, Expect, Tx, any_of, seek_id};
use diesel::{BoolExpressionMethods, ExpressionMethods, QueryDsl};
use diesel_async::RunQueryDsl;

use crate::{
    model::{Activity, host},
    schema::q_audit,
    store::ACTIVITY,
};

/// Where a period begins: not a field of an activity, but something a list is narrowed to.
const OCCURRED_FROM: Field = Field::shown("occurred_from", Kind::Timestamp).filterable();
/// Where a period ends; what happened at that moment is outside.
const OCCURRED_UNTIL: Field = Field::shown("occurred_until", Kind::Timestamp).filterable();

/// What narrows the audit list to a period, beside the fields of an activity.
pub static PERIOD: &[Field] = &[OCCURRED_FROM, OCCURRED_UNTIL];

type Rows<'a> = q_audit::BoxedQuery<'a, diesel::pg::Pg>;

/// Up to one activity more than the page holds.
pub(crate) async fn list(tx: &mut Tx, query: &ListQuery) -> Result<Vec<Activity>> {
    let rows = seek_id!(narrowed(everything(tx), query), query, q_audit::id);
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
    rows.limit(i64::from(query.limit) + 1).select(columns).load(tx).await.expect_any(ACTIVITY)
}

pub(crate) async fn count(tx: &mut Tx, query: &ListQuery) -> Result<i64> {
    let rows = narrowed(everything(tx), query).select(q_audit::id).limit(COUNT_BOUND + 1);
    Counted(rows).get_result(tx).await.expect_any(ACTIVITY)
}

fn everything<'a>(tx: &Tx) -> Rows<'a> {
    q_audit::table.filter(q_audit::organization_id.eq(tx.organization_id())).into_boxed()
}

fn narrowed<'a>(mut rows: Rows<'a>, query: &ListQuery) -> Rows<'a> {
    for term in &query.filter.terms {
        rows = match term.field.name {
            "activity_type" => rows.filter(q_audit::activity_type.eq_any(term.texts())),
            "entity_type" => rows.filter(q_audit::entity_type.eq_any(term.texts())),
            "entity_id" => rows.filter(q_audit::entity_id.eq_any(term.ids())),
            "subject_id" => rows.filter(q_audit::subject_id.eq_any(term.ids())),
            "user_id" => any_of!(rows, q_audit::user_id, term, ids),
            "operation_id" => any_of!(rows, q_audit::operation_id, term, ids),
            "occurred_from" => term.timestamps().into_iter().fold(rows, |rows, from| rows.filter(q_audit::occurred_at.ge(from))),
            "occurred_until" => {
                term.timestamps().into_iter().fold(rows, |rows, until| rows.filter(q_audit::occurred_at.lt(until)))
            }
            _ => rows,
        };
    }
    rows
}
