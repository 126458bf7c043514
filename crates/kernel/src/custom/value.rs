//! Values of custom fields: read into their normal form, and compared in it.

use bigdecimal::BigDecimal;
use serde_json::Value;
use uuid::Uuid;

use super::FieldType;
use crate::{Date, FilterValue, Money, Timestamp, validation};

/// Whole numbers go this far from zero: the largest that every reader of JSON keeps exactly.
pub const LARGEST_INTEGER: i64 = 9_007_199_254_740_991;

const LONGEST_TEXT: usize = 255;
const LONGEST_LONG_TEXT: usize = 10_000;
const LONGEST_URL: usize = 500;
const LONGEST_EMAIL: usize = 254;

/// Why something is no value of the field: a stable word and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// For programs.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

fn misfit<T>(code: &'static str, message: impl Into<String>) -> Result<T, Misfit> {
    Err(Misfit { code, message: message.into() })
}

impl FieldType {
    /// The normal form of a value; none for null and for a list without words, which are no value.
    ///
    /// # Errors
    /// What the value should look like.
    pub fn normal(self, options: &[String], value: &Value) -> Result<Option<Value>, Misfit> {
        if value.is_null() {
            return Ok(None);
        }
        let normal = match self {
            Self::Text => Value::from(text(value, LONGEST_TEXT)?),
            Self::LongText => Value::from(text(value, LONGEST_LONG_TEXT)?),
            Self::Integer => integer(value)?,
            Self::Decimal | Self::Money => match serde_json::from_value::<Money>(value.clone()) {
                Ok(amount) => Value::from(amount.to_string()),
                Err(error) => return misfit("type", error.to_string()),
            },
            Self::Date => parsed::<Date>(value)?,
            Self::Time => parsed::<Timestamp>(value)?,
            Self::Boolean if value.is_boolean() => value.clone(),
            Self::Boolean => return misfit("type", "expected true or false"),
            Self::Choice => Value::from(option(options, text(value, LONGEST_TEXT)?)?),
            Self::Choices => return choices(options, value),
            Self::Url => url(text(value, LONGEST_URL)?)?,
            Self::Email => email(text(value, LONGEST_EMAIL)?)?,
            Self::Member | Self::Company | Self::Contact | Self::Deal => id(value)?,
        };
        Ok(Some(normal))
    }

    /// What a record's JSON holds when it is equal to this value of a filter.
    #[must_use]
    pub fn json(self, value: &FilterValue) -> Option<Value> {
        Some(match value {
            FilterValue::Text(text) => Value::from(text.as_str()),
            FilterValue::Integer(number) => Value::from(*number),
            FilterValue::Decimal(amount) => Value::from(amount.to_string()),
            FilterValue::Boolean(boolean) => Value::from(*boolean),
            FilterValue::Date(date) => Value::from(date.to_string()),
            FilterValue::Timestamp(instant) => Value::from(instant.to_string()),
            FilterValue::Id(id) => Value::from(id.to_string()),
            FilterValue::Null | FilterValue::Number(_) | FilterValue::Relative(_) => return None,
        })
    }

    /// Where a stored value stands in the order of its kind: the number itself, thousandths, days or microseconds since 1970, each kind in a
    /// range of its own ([`Self::number_range`]). None for what is not in its normal form.
    #[must_use]
    pub fn number_key(self, stored: &Value) -> Option<i64> {
        let number = match (self, stored) {
            (Self::Integer, Value::Number(number)) => {
                // As the database sees it: 10.0 is a whole number.
                let number: BigDecimal = number.to_string().parse().ok()?;
                let whole = number.normalized().fractional_digit_count() <= 0;
                let bound = BigDecimal::from(LARGEST_INTEGER);
                (whole && number.abs() <= bound).then(|| number.with_scale(0).to_string().parse().ok()).flatten()
            }
            (Self::Decimal | Self::Money, Value::String(text)) => normally::<Money>(text).map(|amount| amount.thousandths()),
            (Self::Date, Value::String(text)) => normally::<Date>(text).map(days),
            (Self::Time, Value::String(text)) => normally::<Timestamp>(text).map(microseconds),
            _ => None,
        };
        number.map(|number| number + self.origin())
    }

    /// Between which keys all values of the type lie. The ranges of types that are counted otherwise do not meet, so that what the
    /// database knows about the keys of all fields together says something about each.
    #[must_use]
    pub fn number_range(self) -> (i64, i64) {
        let reach = match self {
            Self::Date => 5_000_000,
            Self::Time => 500_000_000_000_000_000,
            Self::Decimal | Self::Money => 1_000_000_000_000_000_000,
            _ => LARGEST_INTEGER + 1,
        };
        (self.origin() - reach, self.origin() + reach)
    }

    /// Where zero stands, the same as in `app.custom_number_key`.
    fn origin(self) -> i64 {
        match self {
            Self::Date => 20_000_000_000_000_000,
            Self::Time => 600_000_000_000_000_000,
            Self::Decimal | Self::Money => 3_000_000_000_000_000_000,
            _ => 0,
        }
    }

    /// The same of a value of a filter.
    #[must_use]
    pub fn number_key_of(self, value: &FilterValue) -> Option<i64> {
        let number = match value {
            // What lies beyond every value stands at the end of the range.
            FilterValue::Integer(number) => (*number).clamp(-LARGEST_INTEGER - 1, LARGEST_INTEGER + 1),
            FilterValue::Decimal(amount) => amount.thousandths(),
            FilterValue::Date(date) => days(*date),
            FilterValue::Timestamp(instant) => microseconds(*instant),
            _ => return None,
        };
        Some(number + self.origin())
    }
}

/// Only what is written as we write it.
fn normally<T: std::str::FromStr + ToString>(text: &str) -> Option<T> {
    text.parse::<T>().ok().filter(|parsed| parsed.to_string() == text)
}

fn days(date: Date) -> i64 {
    i64::from(date.0.to_julian_day()) - 2_440_588
}

fn microseconds(instant: Timestamp) -> i64 {
    i64::try_from(instant.0.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)
}

fn text(value: &Value, longest: usize) -> Result<&str, Misfit> {
    let Some(text) = value.as_str() else { return misfit("type", "expected text") };
    if text.chars().count() > longest {
        return misfit("length", format!("at most {longest} characters"));
    }
    if text.contains('\0') { misfit("character", "must not contain U+0000") } else { Ok(text) }
}

fn integer(value: &Value) -> Result<Value, Misfit> {
    let Some(number) = value.as_i64() else { return misfit("type", "expected a whole number") };
    if number.unsigned_abs() > LARGEST_INTEGER.unsigned_abs() {
        return misfit("range", format!("at most {LARGEST_INTEGER} from zero"));
    }
    Ok(Value::from(number))
}

fn parsed<T: std::str::FromStr<Err = String> + ToString>(value: &Value) -> Result<Value, Misfit> {
    let read = value.as_str().ok_or_else(|| "expected text".to_owned()).and_then(str::parse::<T>);
    match read {
        Ok(parsed) => Ok(Value::from(parsed.to_string())),
        Err(message) => misfit("type", message),
    }
}

fn option<'v>(options: &[String], key: &'v str) -> Result<&'v str, Misfit> {
    if options.iter().any(|option| option == key) {
        return Ok(key);
    }
    let known: Vec<&str> = options.iter().map(String::as_str).collect();
    misfit("option", crate::filter::expected_one_of(&known, key))
}

/// In the order of the options, each once.
fn choices(options: &[String], value: &Value) -> Result<Option<Value>, Misfit> {
    let Some(given) = value.as_array() else { return misfit("type", "expected a list of options") };
    let mut keys = Vec::new();
    for key in given {
        keys.push(option(options, text(key, LONGEST_TEXT)?)?);
    }
    let chosen: Vec<Value> =
        options.iter().filter(|option| keys.contains(&option.as_str())).map(|key| Value::from(key.as_str())).collect();
    Ok((!chosen.is_empty()).then_some(Value::Array(chosen)))
}

fn url(text: &str) -> Result<Value, Misfit> {
    match validation::web_address(text, &()) {
        Ok(()) => Ok(Value::from(text)),
        Err(_) => misfit("url", "expected http://… or https://…"),
    }
}

fn email(text: &str) -> Result<Value, Misfit> {
    let address = text.trim();
    if crate::email::is_address(address) {
        return Ok(Value::from(address.to_lowercase()));
    }
    misfit("email", "expected an e-mail address")
}

fn id(value: &Value) -> Result<Value, Misfit> {
    match value.as_str().and_then(|text| text.parse::<Uuid>().ok()) {
        Some(id) => Ok(Value::from(id.to_string())),
        None => misfit("type", "expected an id (UUID)"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::FieldType;

    #[allow(clippy::needless_pass_by_value, reason = "the values are written where they are tried")]
    fn normal(field_type: FieldType, value: Value) -> Result<Option<Value>, &'static str> {
        let options = ["red".to_owned(), "green".to_owned()];
        field_type.normal(&options, &value).map_err(|misfit| misfit.code)
    }

    #[test]
    fn every_type_has_one_normal_form() {
        for (field_type, given, expected) in [
            (FieldType::Text, json!("Łódź"), json!("Łódź")),
            (FieldType::LongText, json!("a\nb"), json!("a\nb")),
            (FieldType::Integer, json!(-7), json!(-7)),
            (FieldType::Decimal, json!("012.500"), json!("12.50")),
            (FieldType::Decimal, json!(0.125), json!("0.125")),
            (FieldType::Money, json!(12), json!("12.00")),
            (FieldType::Date, json!("2026-02-28"), json!("2026-02-28")),
            (FieldType::Time, json!("2026-02-28T01:00:00.500+01:00"), json!("2026-02-28T00:00:00.5Z")),
            (FieldType::Boolean, json!(false), json!(false)),
            (FieldType::Choice, json!("red"), json!("red")),
            (FieldType::Choices, json!(["green", "red", "green"]), json!(["red", "green"])),
            (FieldType::Url, json!("https://example.com/a"), json!("https://example.com/a")),
            (FieldType::Email, json!(" Jo@Example.COM "), json!("jo@example.com")),
            (FieldType::Member, json!("0198A8B0-0000-7000-8000-00000000000A"), json!("0198a8b0-0000-7000-8000-00000000000a")),
        ] {
            assert_eq!(normal(field_type, given.clone()), Ok(Some(expected.clone())), "{field_type} {given}");
            assert_eq!(normal(field_type, expected.clone()), Ok(Some(expected)), "{field_type}: normal is normal");
        }
        assert_eq!(normal(FieldType::Choices, json!([])), Ok(None));
        assert_eq!(normal(FieldType::Integer, Value::Null), Ok(None));
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for (field_type, given, code) in [
            (FieldType::Text, json!(5), "type"),
            (FieldType::Text, json!("a".repeat(256)), "length"),
            (FieldType::Text, json!("a\0"), "character"),
            (FieldType::LongText, json!("a".repeat(10_001)), "length"),
            (FieldType::Integer, json!(1.5), "type"),
            (FieldType::Integer, json!("7"), "type"),
            (FieldType::Integer, json!(9_007_199_254_740_992_i64), "range"),
            (FieldType::Integer, json!(i64::MIN), "range"),
            (FieldType::Decimal, json!("1e3"), "type"),
            (FieldType::Money, json!("0.0001"), "type"),
            (FieldType::Date, json!("2026-02-30"), "type"),
            (FieldType::Time, json!("2026-02-28"), "type"),
            (FieldType::Boolean, json!("true"), "type"),
            (FieldType::Choice, json!("blue"), "option"),
            (FieldType::Choices, json!("red"), "type"),
            (FieldType::Choices, json!(["blue"]), "option"),
            (FieldType::Url, json!("javascript:alert(1)"), "url"),
            (FieldType::Email, json!("nobody"), "email"),
            (FieldType::Deal, json!("12"), "type"),
        ] {
            assert_eq!(normal(field_type, given.clone()), Err(code), "{field_type} {given}");
        }
    }

    #[test]
    fn only_the_normal_form_stands_in_an_order() {
        for (field_type, stored, key) in [
            (FieldType::Integer, json!(10), Some(10)),
            (FieldType::Integer, json!(10.5), None),
            (FieldType::Integer, json!("10"), None),
            (FieldType::Decimal, json!("12.50"), Some(12_500)),
            (FieldType::Decimal, json!("12.5"), None),
            (FieldType::Decimal, json!("-0.00"), None),
            (FieldType::Date, json!("1970-01-02"), Some(1)),
            (FieldType::Date, json!("0001-01-01"), Some(-719_162)),
            (FieldType::Time, json!("1970-01-01T00:00:00.000001Z"), Some(1)),
            (FieldType::Time, json!("1970-01-01T00:00:00.10Z"), None),
            (FieldType::Time, json!("1970-01-01T01:00:00+01:00"), None),
        ] {
            let origin = field_type.origin();
            assert_eq!(field_type.number_key(&stored), key.map(|key: i64| origin + key), "{field_type} {stored}");
        }
    }
}
