//! Instants and calendar dates.

use std::{fmt, str::FromStr};

use ::time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339, macros::format_description};
use diesel::{
    deserialize::{self, FromSql, FromSqlRow},
    expression::AsExpression,
    pg::{Pg, PgValue},
    serialize::{self, Output, ToSql},
    sql_types,
};
#[cfg(feature = "openapi")]
use paperclip::v2::{
    models::{DataType, DataTypeFormat},
    schema::TypedData,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An instant: RFC 3339 in UTC with up to six decimal digits in JSON, `timestamptz` in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Timestamptz)]
pub struct Timestamp(pub OffsetDateTime);

impl Timestamp {
    /// This moment, in microseconds as the database keeps them.
    #[must_use]
    pub fn now() -> Self {
        Self::micros(OffsetDateTime::now_utc())
    }

    /// In UTC, if it is in the years 1 to 9999 there: an offset moves the first and the last hours beyond them, where neither RFC 3339
    /// nor the order of texts holds any more.
    fn in_utc(instant: OffsetDateTime) -> Option<Self> {
        let instant = instant.checked_to_offset(UtcOffset::UTC)?;
        (1..=9999).contains(&instant.year()).then(|| Self::micros(instant))
    }

    fn micros(instant: OffsetDateTime) -> Self {
        let excess = instant.nanosecond() % 1000;
        Self(instant - ::time::Duration::nanoseconds(i64::from(excess)))
    }
}

impl FromStr for Timestamp {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let instant = OffsetDateTime::parse(text, &Rfc3339).ok().and_then(Self::in_utc);
        instant.ok_or_else(|| "expected a time such as 2026-01-31T09:30:00Z".into())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.format(&Rfc3339).map_err(|_| fmt::Error)?)
    }
}

impl ToSql<sql_types::Timestamptz, Pg> for Timestamp {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        ToSql::<sql_types::Timestamptz, Pg>::to_sql(&self.0, out)
    }
}

impl FromSql<sql_types::Timestamptz, Pg> for Timestamp {
    fn from_sql(bytes: PgValue<'_>) -> deserialize::Result<Self> {
        FromSql::<sql_types::Timestamptz, Pg>::from_sql(bytes).map(Self)
    }
}

/// A calendar date without a time: `YYYY-MM-DD` in JSON, `date` in the database; years 0001 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Date)]
pub struct Date(pub ::time::Date);

impl FromStr for Date {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain =
            text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') && !text.starts_with("0000");
        let parsed = ::time::Date::parse(text, format_description!("[year]-[month]-[day]")).ok().filter(|_| plain);
        parsed.map(Self).ok_or_else(|| "expected a date such as 2026-01-31".into())
    }
}

impl fmt::Display for Date {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:04}-{:02}-{:02}", self.0.year(), u8::from(self.0.month()), self.0.day())
    }
}

impl ToSql<sql_types::Date, Pg> for Date {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        ToSql::<sql_types::Date, Pg>::to_sql(&self.0, out)
    }
}

impl FromSql<sql_types::Date, Pg> for Date {
    fn from_sql(bytes: PgValue<'_>) -> deserialize::Result<Self> {
        FromSql::<sql_types::Date, Pg>::from_sql(bytes).map(Self)
    }
}

/// JSON as text: both types read and write their `Display` form.
macro_rules! text_in_json {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}
text_in_json!(Timestamp);
text_in_json!(Date);

#[cfg(feature = "openapi")]
impl TypedData for Timestamp {
    fn data_type() -> DataType {
        DataType::String
    }
    fn format() -> Option<DataTypeFormat> {
        Some(DataTypeFormat::DateTime)
    }
}

#[cfg(feature = "openapi")]
impl TypedData for Date {
    fn data_type() -> DataType {
        DataType::String
    }
    fn format() -> Option<DataTypeFormat> {
        Some(DataTypeFormat::Date)
    }
}

#[cfg(test)]
mod tests {
    use super::{Date, Timestamp};

    #[test]
    fn dates_and_times_have_one_spelling() {
        assert_eq!("2017-03-01".parse::<Date>().expect("a date").to_string(), "2017-03-01");
        for bad in ["2017-3-1", "2017-02-30", "0000-01-01", "+2017-01-01", "20170301"] {
            assert!(bad.parse::<Date>().is_err(), "{bad} was accepted");
        }
        let time: Timestamp = "2026-01-31T10:30:00.1234567+01:00".parse().expect("a time");
        assert_eq!(time.to_string(), "2026-01-31T09:30:00.123456Z");
    }

    #[test]
    fn times_are_in_the_years_one_to_9999_where_they_are_kept() {
        for bad in ["9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+01:00", "0000-12-31T23:59:59Z", "-0001-01-01T00:00:00Z"] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad} was accepted");
        }
        for (good, kept) in [
            ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
            ("0000-12-31T23:30:00-01:00", "0001-01-01T00:30:00Z"),
        ] {
            assert_eq!(good.parse::<Timestamp>().expect(good).to_string(), kept);
        }
    }
}
