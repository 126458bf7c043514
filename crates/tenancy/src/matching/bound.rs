//! The values of a condition as bind parameters, each of its column's type.

use bigdecimal::BigDecimal;
use crm_kernel::{Date, Field, FilterValue, Kind, Money, Timestamp};
use diesel::{
    QueryResult,
    pg::Pg,
    query_builder::{AstPass, QueryFragment},
    sql_types::{Array, BigInt, Bool, Date as SqlDate, Numeric, Text, Timestamptz, Uuid as SqlUuid},
};
use uuid::Uuid;

/// A bind parameter.
#[derive(Debug)]
pub(super) enum Bound {
    Text(String),
    Texts(Vec<String>),
    Number(i64),
    Numbers(Vec<i64>),
    Decimal(BigDecimal),
    Decimals(Vec<BigDecimal>),
    Boolean(bool),
    Booleans(Vec<bool>),
    Date(Date),
    Dates(Vec<Date>),
    Timestamp(Timestamp),
    Timestamps(Vec<Timestamp>),
    Id(Uuid),
    Ids(Vec<Uuid>),
}

pub(super) fn text(value: &FilterValue) -> String {
    if let FilterValue::Text(text) = value { text.clone() } else { String::new() }
}

/// The values of one variant; there are no others where a field is compared.
macro_rules! every {
    ($values:expr, $variant:path, $read:expr) => {
        $values.iter().filter_map(|value| if let $variant(inner) = value { Some($read(inner)) } else { None }).collect()
    };
}

pub(super) fn texts(values: &[&FilterValue]) -> Vec<String> {
    every!(values, FilterValue::Text, String::clone)
}

/// The value as its column holds it.
pub(super) fn one(field: &'static Field, value: &FilterValue) -> Option<Bound> {
    Some(match (field.kind, value) {
        (Kind::Text | Kind::Caseless | Kind::Choice(_), FilterValue::Text(text)) => Bound::Text(text.clone()),
        (Kind::Integer, FilterValue::Integer(number)) => Bound::Number(below_mark(number)),
        (Kind::Decimal, FilterValue::Decimal(amount)) if field.key.is_some() => Bound::Number(amount.thousandths()),
        (Kind::Decimal, FilterValue::Decimal(amount)) => Bound::Decimal(amount.decimal().clone()),
        (Kind::Boolean, FilterValue::Boolean(boolean)) => Bound::Boolean(*boolean),
        (Kind::Date, FilterValue::Date(date)) => Bound::Date(*date),
        (Kind::Timestamp, FilterValue::Timestamp(instant)) => Bound::Timestamp(*instant),
        (Kind::Id | Kind::Member, FilterValue::Id(id)) => Bound::Id(*id),
        _ => return None,
    })
}

pub(super) fn many(field: &'static Field, values: &[&FilterValue]) -> Bound {
    match field.kind {
        Kind::Integer => Bound::Numbers(every!(values, FilterValue::Integer, below_mark)),
        Kind::Decimal if field.key.is_some() => Bound::Numbers(every!(values, FilterValue::Decimal, Money::thousandths)),
        Kind::Decimal => Bound::Decimals(every!(values, FilterValue::Decimal, |amount: &Money| amount.decimal().clone())),
        Kind::Date => Bound::Dates(every!(values, FilterValue::Date, Date::clone)),
        Kind::Timestamp => Bound::Timestamps(every!(values, FilterValue::Timestamp, Timestamp::clone)),
        Kind::Id | Kind::Member => Bound::Ids(every!(values, FilterValue::Id, Uuid::clone)),
        Kind::Boolean => Bound::Booleans(every!(values, FilterValue::Boolean, bool::clone)),
        Kind::Text | Kind::Caseless | Kind::Choice(_) | Kind::Tags | Kind::Object => Bound::Texts(texts(values)),
    }
}

/// No column holds the largest bigint, and a key that holds it means that there is no value.
fn below_mark(number: &i64) -> i64 {
    (*number).min(i64::MAX - 1)
}

impl QueryFragment<Pg> for Bound {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        match self {
            Self::Text(text) => out.push_bind_param::<Text, _>(text),
            Self::Texts(texts) => out.push_bind_param::<Array<Text>, _>(texts),
            Self::Number(number) => out.push_bind_param::<BigInt, _>(number),
            Self::Numbers(numbers) => out.push_bind_param::<Array<BigInt>, _>(numbers),
            Self::Decimal(decimal) => out.push_bind_param::<Numeric, _>(decimal),
            Self::Decimals(decimals) => out.push_bind_param::<Array<Numeric>, _>(decimals),
            Self::Boolean(boolean) => out.push_bind_param::<Bool, _>(boolean),
            Self::Booleans(booleans) => out.push_bind_param::<Array<Bool>, _>(booleans),
            Self::Date(date) => out.push_bind_param::<SqlDate, _>(date),
            Self::Dates(dates) => out.push_bind_param::<Array<SqlDate>, _>(dates),
            Self::Timestamp(instant) => out.push_bind_param::<Timestamptz, _>(instant),
            Self::Timestamps(instants) => out.push_bind_param::<Array<Timestamptz>, _>(instants),
            Self::Id(id) => out.push_bind_param::<SqlUuid, _>(id),
            Self::Ids(ids) => out.push_bind_param::<Array<SqlUuid>, _>(ids),
        }
    }
}
