//! Money and other exact decimals.

use std::{fmt, str::FromStr};

use bigdecimal::{BigDecimal, RoundingMode, ToPrimitive, num_bigint::Sign};
use diesel::{
    deserialize::{self, FromSql, FromSqlRow},
    expression::AsExpression,
    pg::{Pg, PgValue},
    serialize::{self, Output, ToSql},
    sql_types,
};
#[cfg(feature = "openapi")]
use paperclip::v2::{
    models::{DataType, DefaultSchemaRaw},
    schema::Apiv2Schema,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

/// An amount of money or another exact decimal: `numeric(18,3)` in the database, a decimal string in JSON.
///
/// At least two decimal digits are shown; [`Money::in_currency`] sets the digits of ISO 4217.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Numeric)]
pub struct Money(BigDecimal);

/// Digits before the point that `numeric(18,3)` can hold.
const INTEGER_DIGITS: usize = 15;
/// Digits after the point that are kept.
const DECIMAL_DIGITS: usize = 3;
/// The same, as decimals count them.
const DECIMALS_KEPT: i64 = 3;

impl Money {
    /// Zero.
    #[must_use]
    pub fn zero() -> Self {
        Self(BigDecimal::from(0))
    }

    /// From an exact decimal, such as a sum made by the database.
    #[must_use]
    pub fn from_decimal(decimal: &BigDecimal) -> Self {
        Self(short(decimal, 2).unwrap_or_else(|| long(decimal, 2)))
    }

    /// The decimal itself.
    #[must_use]
    pub fn decimal(&self) -> &BigDecimal {
        &self.0
    }

    /// The same amount with the digits its currency has; digits beyond them stay when they are not zero.
    #[must_use]
    pub fn in_currency(&self, code: &str) -> Self {
        let digits = i64::from(crate::currency::digits(code).unwrap_or(2));
        Self(short(&self.0, digits).unwrap_or_else(|| long(&self.0, digits)))
    }

    /// Significant digits after the point.
    #[must_use]
    pub fn decimal_digits(&self) -> i64 {
        self.0.normalized().fractional_digit_count().max(0)
    }

    /// Whether the amount is below zero.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.0.sign() == Sign::Minus
    }

    /// The amount in thousandths, as the generated sort keys of the database hold it.
    #[must_use]
    pub fn thousandths(&self) -> i64 {
        (&self.0 * BigDecimal::from(1000)).with_scale(0).to_i64().unwrap_or(i64::MAX - 1)
    }
}

/// Rounded to what is kept, with at least these digits after the point and no zero beyond them.
fn long(decimal: &BigDecimal, digits: i64) -> BigDecimal {
    let exact = decimal.with_scale_round(DECIMALS_KEPT, RoundingMode::HalfEven).normalized();
    let shown = exact.fractional_digit_count().max(digits);
    exact.with_scale(shown)
}

/// The same in whole numbers of a processor, for all but enormous amounts: a summary shows thousands, and a decimal of any length is
/// taken to its digits one by one before it is rounded.
fn short(decimal: &BigDecimal, digits: i64) -> Option<BigDecimal> {
    let (number, mut scale) = decimal.as_bigint_and_scale();
    let mut number = number.to_i128()?;
    if scale > DECIMALS_KEPT {
        let unit = 10_i128.checked_pow(u32::try_from(scale - DECIMALS_KEPT).ok()?)?;
        let (kept, rest) = (number.checked_div(unit)?, number.checked_rem(unit)?.unsigned_abs());
        let half = unit.unsigned_abs() / 2;
        let is_off = rest > half || rest == half && kept % 2 != 0;
        number = kept + if is_off { number.signum() } else { 0 };
        scale = DECIMALS_KEPT;
    }
    while scale > digits && number % 10 == 0 {
        number /= 10;
        scale -= 1;
    }
    let missing = u32::try_from((digits - scale).max(0)).ok()?;
    number = number.checked_mul(10_i128.checked_pow(missing)?)?;
    Some(BigDecimal::new(number.into(), scale.max(digits)))
}

impl FromStr for Money {
    type Err = String;

    /// Reads `-?digits(.digits)?` and nothing else: an exponent could name a number that fills the memory.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (integer, decimals) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !all_digits(integer) || !all_digits(decimals) {
            return Err("expected a decimal number such as 1250000.00".into());
        }
        if integer.trim_start_matches('0').len() > INTEGER_DIGITS {
            return Err(format!("at most {INTEGER_DIGITS} digits before the point"));
        }
        if decimals.trim_end_matches('0').len() > DECIMAL_DIGITS || decimals.len() > INTEGER_DIGITS {
            return Err(format!("at most {DECIMAL_DIGITS} digits after the point"));
        }
        BigDecimal::from_str(text).map(|decimal| Self::from_decimal(&decimal)).map_err(|error| error.to_string())
    }
}

impl fmt::Display for Money {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.to_plain_string())
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => text.parse().map_err(de::Error::custom),
            Value::Number(number) => {
                let text = number.to_string();
                let digits = text.bytes().filter(u8::is_ascii_digit).count();
                // A JSON number beyond 15 digits has passed through a float and may no longer be what was meant.
                if digits > 15 {
                    return Err(de::Error::custom("send amounts of more than 15 digits as a string"));
                }
                text.parse().map_err(de::Error::custom)
            }
            _ => Err(de::Error::custom("expected a decimal string or number")),
        }
    }
}

impl ToSql<sql_types::Numeric, Pg> for Money {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        ToSql::<sql_types::Numeric, Pg>::to_sql(&self.0, out)
    }
}

impl FromSql<sql_types::Numeric, Pg> for Money {
    fn from_sql(bytes: PgValue<'_>) -> deserialize::Result<Self> {
        let decimal: BigDecimal = FromSql::<sql_types::Numeric, Pg>::from_sql(bytes)?;
        Ok(Self::from_decimal(&decimal))
    }
}

/// The generator has no place for what it looks like: the gateway knows it by its title.
#[cfg(feature = "openapi")]
impl Apiv2Schema for Money {
    fn raw_schema() -> DefaultSchemaRaw {
        DefaultSchemaRaw { data_type: Some(DataType::String), title: Some("Money".into()), ..Default::default() }
    }
}

#[cfg(test)]
mod tests {
    use bigdecimal::{BigDecimal, num_bigint::BigInt};

    use super::{Money, long, short};

    #[test]
    fn the_short_way_comes_to_the_same_as_the_long_one() {
        let around_halves = |scale: i64| (-1_050..1_050).map(move |number| (number, scale));
        let large = [i128::from(i64::MAX), i128::MAX / 10_000, -(i128::MAX / 10_000), 10_i128.pow(30), 125 * 10_i128.pow(20)];
        let small = (-2..9).flat_map(around_halves);
        for (number, scale) in small.chain(large.into_iter().flat_map(|number| (-3..30).map(move |scale| (number, scale)))) {
            let decimal = BigDecimal::new(BigInt::from(number), scale);
            for digits in [0, 2, 3] {
                let (short, long) = (short(&decimal, digits), long(&decimal, digits));
                if let Some(short) = short {
                    assert_eq!(short.to_plain_string(), long.to_plain_string(), "{number} / 10^{scale} with {digits}");
                } else {
                    assert!(number.unsigned_abs() > u128::from(u64::MAX), "{number} / 10^{scale} is no enormous amount");
                }
            }
        }
        assert!(short(&BigDecimal::new(BigInt::from(1), 60), 2).is_none(), "a unit that no processor has");
    }

    #[test]
    fn money_shows_the_digits_of_its_currency_and_never_a_float() {
        let amount: Money = "1054".parse().expect("a plain number");
        assert_eq!(amount.to_string(), "1054.00");
        assert_eq!(amount.in_currency("JPY").to_string(), "1054");
        assert_eq!(amount.in_currency("KWD").to_string(), "1054.000");
        assert_eq!(serde_json::from_str::<Money>("0.1").expect("a number").to_string(), "0.10");
        assert_eq!("999999999999999.999".parse::<Money>().expect("the largest").thousandths(), 999_999_999_999_999_999);
    }

    #[test]
    fn money_refuses_what_the_database_cannot_hold() {
        for bad in ["1e5", "", ".", "1.", ".5", "1.2345", "1000000000000000", "--1", "0x1", "NaN", "1,5", " 1"] {
            assert!(bad.parse::<Money>().is_err(), "{bad} was accepted");
        }
        assert!(serde_json::from_str::<Money>("1234567890123456.5").is_err());
        assert!(serde_json::from_str::<Money>("1e400").is_err());
        assert!(serde_json::from_str::<Money>("true").is_err());
    }
}
