//! The day it is where the organisation is, and what is overdue on it. Two expressions of SQL and nothing else.
//!
//! Must stay true: the day is asked for once for each statement, not for each row: it hangs on no column of the projects.

use diesel::{
    ExpressionMethods, IntoSql, NullableExpressionMethods, PgTimestampExpressionMethods, QueryDsl,
    dsl::{auto_type, date, now},
    sql_types::Timestamptz,
};

use crate::schema::{organizations, q_projects};

diesel::define_sql_function! {
    /// The organisation of the transaction.
    #[sql_name = "app.org_id"]
    fn org_id() -> diesel::sql_types::Uuid;
}

/// Today, in the organisation's time zone.
#[auto_type]
pub(crate) fn today() -> _ {
    organizations::table
        .filter(organizations::id.eq(org_id()))
        .select(date(now.into_sql::<Timestamptz>().at_time_zone(organizations::time_zone)))
        .single_value()
}

/// Whether a project should have been done before today and is not.
#[auto_type]
pub(crate) fn is_overdue() -> _ {
    q_projects::open_due_key.nullable().lt(today()).assume_not_null()
}
