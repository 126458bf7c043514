//! The number that an exchange rate is. Not money: it has more digits.
//!
//! Must stay true: exact from JSON to the database and back, never a float.

use std::{fmt, str::FromStr};

use bigdecimal::BigDecimal;
use diesel::{
    deserialize::{self, FromSql, FromSqlRow},
    expression::AsExpression,
    pg::{Pg, PgValue},
    serialize::{self, Output, ToSql},
    sql_types,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Digits before the point that `numeric(18,8)` can hold.
const INTEGER_DIGITS: usize = 10;
/// Digits after the point that are kept.
const DECIMAL_DIGITS: usize = 8;

/// An exchange rate: `numeric(18,8)` in the database, a decimal string in JSON.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Numeric)]
pub struct Rate(BigDecimal);

impl Rate {
    /// Whether it is more than 0.
    #[must_use]
    pub fn is_positive(&self) -> bool {
        self.0.sign() == bigdecimal::num_bigint::Sign::Plus
    }
}

impl FromStr for Rate {
    type Err = String;

    /// Reads `digits(.digits)?` and nothing else: an exponent could name a number that fills the memory.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (integer, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !all_digits(integer) || !all_digits(decimals) {
            return Err("expected a decimal number such as 1.0873".into());
        }
        if integer.trim_start_matches('0').len() > INTEGER_DIGITS || decimals.trim_end_matches('0').len() > DECIMAL_DIGITS {
            return Err(format!("at most {INTEGER_DIGITS} digits before the point and {DECIMAL_DIGITS} after it"));
        }
        BigDecimal::from_str(text).map(|decimal| Self(decimal.normalized())).map_err(|error| error.to_string())
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.to_plain_string())
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    /// A string alone: a JSON number has been a float in most programs.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl ToSql<sql_types::Numeric, Pg> for Rate {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        ToSql::<sql_types::Numeric, Pg>::to_sql(&self.0, out)
    }
}

impl FromSql<sql_types::Numeric, Pg> for Rate {
    fn from_sql(bytes: PgValue<'_>) -> deserialize::Result<Self> {
        let decimal: BigDecimal = FromSql::<sql_types::Numeric, Pg>::from_sql(bytes)?;
        Ok(Self(decimal.normalized()))
    }
}

/// The generator has no place for what it looks like.
#[cfg(feature = "openapi")]
impl paperclip::v2::schema::Apiv2Schema for Rate {
    fn raw_schema() -> paperclip::v2::models::DefaultSchemaRaw {
        paperclip::v2::models::DefaultSchemaRaw { data_type: Some(paperclip::v2::models::DataType::String), ..Default::default() }
    }
}
