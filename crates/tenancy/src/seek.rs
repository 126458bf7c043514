//! Keyset paging: order by one key, the id breaks ties, and a page begins behind a place.
//!
//! Macros, because the column is a type in Diesel and bounds over all of them fill more lines than they save. They
//! expand to two filters and an order, nothing else.
//! Must stay true: the comparison is written `key >= k AND (key > k OR id > i)`, whose first half is an index condition.

use std::io::Write;

use crm_kernel::{Condition, ListQuery};
use diesel::{
    expression::AsExpression,
    pg::Pg,
    serialize::{self, IsNull, Output, ToSql},
    sql_types,
};

/// Which part of an order a statement reads: records that have a value, then those that have none, which come last in
/// both directions. Two statements, because no one index has its NULLs last both ways; the second runs only when the
/// first did not fill the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Records with a value in the key.
    Valued,
    /// Records without one.
    Empty,
}

impl Phase {
    /// The phases that a page of this list goes through, in order, until it is full.
    #[must_use]
    pub fn of(query: &ListQuery) -> &'static [Self] {
        let behind_values = query.after.as_ref().is_some_and(|after| after.key.is_null());
        match (query.sort.field.nullable, behind_values) {
            (false, _) => &[Self::Valued],
            (true, false) => &[Self::Valued, Self::Empty],
            (true, true) => &[Self::Empty],
        }
    }
}

/// Whether a condition asks for what lies in the narrow table of times, whose indexes begin with whether a record is in the bin: the
/// statement has to say that too.
#[must_use]
pub fn by_times(condition: &Condition) -> bool {
    condition.compares("updated_at") || condition.compares("last_activity_at")
}

/// What a generated date key holds where the field is NULL: PostgreSQL's infinity, which is no day of a calendar. Keys
/// that are numbers hold `i64::MAX`.
#[derive(Debug, Clone, Copy, AsExpression)]
#[diesel(sql_type = sql_types::Date)]
pub struct NoDate;

impl ToSql<sql_types::Date, Pg> for NoDate {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        // A date travels as days since 2000; the largest number stands for infinity.
        out.write_all(&i32::MAX.to_be_bytes())?;
        Ok(IsNull::No)
    }
}

/// The same for a generated key of instants.
#[derive(Debug, Clone, Copy, AsExpression)]
#[diesel(sql_type = sql_types::Timestamptz)]
pub struct NoTime;

impl ToSql<sql_types::Timestamptz, Pg> for NoTime {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        // An instant travels as microseconds since 2000; the largest number stands for infinity.
        out.write_all(&i64::MAX.to_be_bytes())?;
        Ok(IsNull::No)
    }
}

/// Orders `$rows` by a key that is never NULL and continues behind `$query.after`, whose key is read as `$type`.
#[macro_export]
macro_rules! seek {
    ($rows:expr, $query:expr, $key:expr, $id:expr, $type:ty) => {{
        let rows = $rows;
        let after = match &$query.after {
            Some(after) => Some((after.key::<$type>()?, after.id)),
            None => None,
        };
        match ($query.sort.direction, after) {
            (crm_kernel::Direction::Ascending, None) => rows.order(($key.asc(), $id.asc())),
            (crm_kernel::Direction::Descending, None) => rows.order(($key.desc(), $id.desc())),
            (crm_kernel::Direction::Ascending, Some((key, id))) => {
                rows.filter($key.ge(key.clone()).and($key.gt(key).or($id.gt(id)))).order(($key.asc(), $id.asc()))
            }
            (crm_kernel::Direction::Descending, Some((key, id))) => {
                rows.filter($key.le(key.clone()).and($key.lt(key).or($id.lt(id)))).order(($key.desc(), $id.desc()))
            }
        }
    }};
}

/// Orders `$rows` by id alone, which is by time of making, and continues behind `$query.after`.
#[macro_export]
macro_rules! seek_id {
    ($rows:expr, $query:expr, $id:expr) => {{
        let rows = $rows;
        match ($query.sort.direction, $query.after.as_ref().map(|after| after.id)) {
            (crm_kernel::Direction::Ascending, None) => rows.order($id.asc()),
            (crm_kernel::Direction::Descending, None) => rows.order($id.desc()),
            (crm_kernel::Direction::Ascending, Some(id)) => rows.filter($id.gt(id)).order($id.asc()),
            (crm_kernel::Direction::Descending, Some(id)) => rows.filter($id.lt(id)).order($id.desc()),
        }
    }};
}

/// Orders `$rows` by a generated key that holds `$mark` where the field is NULL; one phase of the two.
#[macro_export]
macro_rules! seek_nullable {
    ($rows:expr, $query:expr, $phase:expr, $key:expr, $mark:expr, $id:expr, $type:ty) => {
        match $phase {
            $crate::seek::Phase::Valued => $crate::seek!($rows.filter($key.lt($mark)), $query, $key, $id, $type),
            $crate::seek::Phase::Empty => {
                let begun = $query.after.as_ref().is_some_and(|after| after.key.is_null());
                let rows = $rows.filter($key.eq($mark));
                match ($query.sort.direction, $query.after.as_ref().filter(|_| begun).map(|after| after.id)) {
                    (crm_kernel::Direction::Ascending, None) => rows.order(($key.asc(), $id.asc())),
                    (crm_kernel::Direction::Descending, None) => rows.order(($key.desc(), $id.desc())),
                    (crm_kernel::Direction::Ascending, Some(id)) => rows.filter($id.gt(id)).order(($key.asc(), $id.asc())),
                    (crm_kernel::Direction::Descending, Some(id)) => rows.filter($id.lt(id)).order(($key.desc(), $id.desc())),
                }
            }
        }
    };
}
