//! The day it is where the caller is, and what is overdue on it. Two expressions of SQL and nothing else.
//!
//! Must stay true: the day is the `today()` of filters, so that what is shown as overdue is what `open_due_date < today()` finds; it is asked
//! for once for each statement, not for each row: it hangs on no column of the projects.

use diesel::{
    ExpressionMethods, IntoSql, NullableExpressionMethods, PgTimestampExpressionMethods, QueryDsl,
    dsl::{auto_type, date, now},
    sql_types::Timestamptz,
};

use crate::schema::{q_members, q_projects};

diesel::define_sql_function! {
    /// The organisation of the transaction.
    #[sql_name = "app.org_id"]
    fn org_id() -> diesel::sql_types::Uuid;
}

diesel::define_sql_function! {
    /// Who began the transaction.
    #[sql_name = "app.user_id"]
    fn user_id() -> diesel::sql_types::Uuid;
}

/// Today, in the time zone of who asks.
#[auto_type]
pub(crate) fn today() -> _ {
    q_members::table
        .filter(q_members::organization_id.eq(org_id()))
        .filter(q_members::user_id.eq(user_id()))
        .select(date(now.into_sql::<Timestamptz>().at_time_zone(q_members::time_zone)))
        .single_value()
}

/// Whether a project should have been done before today and is not.
#[auto_type]
pub(crate) fn is_overdue() -> _ {
    q_projects::open_due_key.nullable().lt(today()).assume_not_null()
}
