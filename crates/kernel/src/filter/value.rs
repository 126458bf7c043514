//! Values, read as their field demands.
//!
//! Must stay true: text that PostgreSQL cannot store is refused here, where it can still be named.

use super::{FieldPath, FilterValue, Relative, bounds::LONGEST_TEXT, bounds::MOST_DIGITS, expected_one_of, syntax::Spelling};
use crate::{Context, CustomField, Field, FieldType, Kind};

/// A value of the text or the JSON form; `null` and `*` are the comparison's business.
pub(super) fn read(path: &FieldPath, spelling: &Spelling) -> Result<FilterValue, String> {
    match (&path.custom, &path.key) {
        (Some(custom), _) => read_custom(custom, spelling),
        (None, Some(_)) => read_untyped(spelling),
        (None, None) => read_as(path.field.kind, spelling),
    }
}

fn read_as(kind: Kind, spelling: &Spelling) -> Result<FilterValue, String> {
    match (kind, spelling) {
        (Kind::Text | Kind::Caseless | Kind::Tags, Spelling::Quoted(text)) => storable(text),
        (Kind::Text | Kind::Caseless | Kind::Tags, _) => Err("expected text in quotes".into()),
        (Kind::Choice(words), Spelling::Quoted(text)) => choice(words, text),
        (Kind::Choice(words), _) => Err(format!("expected one of {}, in quotes", words.join(", "))),
        (Kind::Integer, Spelling::Bare(text)) => integer(text),
        (Kind::Integer, _) => Err("expected a whole number".into()),
        (Kind::Decimal, Spelling::Bare(text) | Spelling::Quoted(text)) => text.parse().map(FilterValue::Decimal),
        (Kind::Decimal, _) => Err("expected a decimal number such as 1250000.00".into()),
        (Kind::Boolean, Spelling::Boolean(value)) => Ok(FilterValue::Boolean(*value)),
        (Kind::Boolean, _) => Err("expected true or false".into()),
        (Kind::Date, Spelling::Bare(text) | Spelling::Quoted(text)) => text.parse().map(FilterValue::Date),
        (Kind::Date | Kind::Timestamp, Spelling::Relative(day @ (Relative::Today(_) | Relative::Start(..)))) => {
            Ok(FilterValue::Relative(*day))
        }
        (Kind::Date, _) => Err("expected a date such as \"2026-01-31\", today() or quarter_start()".into()),
        (Kind::Timestamp, Spelling::Bare(text) | Spelling::Quoted(text)) => instant_or_day(text),
        (Kind::Timestamp, Spelling::Relative(now @ Relative::Now(_))) => Ok(FilterValue::Relative(*now)),
        (Kind::Timestamp, _) => Err(INSTANT.into()),
        (Kind::Member, Spelling::Relative(people @ (Relative::Me | Relative::MyTeam))) => Ok(FilterValue::Relative(*people)),
        (Kind::Id | Kind::Member, Spelling::Quoted(text)) => id(text),
        (Kind::Id, _) => Err("expected an id (UUID) in quotes".into()),
        (Kind::Member, _) => Err("expected an id (UUID) in quotes, me or my_team".into()),
        (Kind::Object, _) => Err("an object is compared by one of its keys".into()),
    }
}

/// The kind that is read and compared in the same way; choices have words of their own.
fn kind_of(field_type: FieldType) -> Kind {
    match field_type {
        FieldType::Text | FieldType::LongText | FieldType::Url | FieldType::Email | FieldType::Choice | FieldType::Choices => {
            Kind::Text
        }
        FieldType::Integer => Kind::Integer,
        FieldType::Decimal | FieldType::Money => Kind::Decimal,
        FieldType::Date => Kind::Date,
        FieldType::Time => Kind::Timestamp,
        FieldType::Boolean => Kind::Boolean,
        FieldType::Member => Kind::Member,
        FieldType::Company | FieldType::Contact | FieldType::Deal => Kind::Id,
    }
}

fn read_custom(custom: &CustomField, spelling: &Spelling) -> Result<FilterValue, String> {
    let value = read_as(kind_of(custom.field_type), spelling)?;
    as_stored(custom, value)
}

/// As the field's values are stored: a word of its options, an e-mail address in lower case.
fn as_stored(custom: &CustomField, value: FilterValue) -> Result<FilterValue, String> {
    match (custom.field_type, value) {
        (FieldType::Choice | FieldType::Choices, FilterValue::Text(text)) => {
            let words: Vec<&str> = custom.options.iter().map(String::as_str).collect();
            choice(&words, &text)
        }
        (FieldType::Email, FilterValue::Text(text)) => Ok(FilterValue::Text(text.trim().to_lowercase())),
        (_, value) => Ok(value),
    }
}

const INSTANT: &str = "expected a time such as \"2026-01-31T09:30:00Z\", a date, now(), today() or quarter_start()";

/// Without a definition of the key, the value itself says what it is compared as.
fn read_untyped(spelling: &Spelling) -> Result<FilterValue, String> {
    match spelling {
        Spelling::Quoted(text) => storable(text),
        Spelling::Bare(text) => number(text),
        Spelling::Boolean(value) => Ok(FilterValue::Boolean(*value)),
        _ => Err("expected text in quotes, a number, true or false".into()),
    }
}

/// A value of the short form, taken whole.
pub(super) fn read_word(context: &Context, field: &Field, text: &str) -> Result<FilterValue, String> {
    // For text `null` is a word like any other: a company may be called that.
    if text == "null" && field.nullable && !matches!(field.kind, Kind::Text | Kind::Caseless) {
        return Ok(FilterValue::Null);
    }
    read_word_as(context, field.kind, text)
}

/// The same of a custom field.
pub(super) fn read_custom_word(context: &Context, custom: &CustomField, text: &str) -> Result<FilterValue, String> {
    let kind = kind_of(custom.field_type);
    if text == "null" && kind != Kind::Text {
        return Ok(FilterValue::Null);
    }
    read_word_as(context, kind, text).and_then(|value| as_stored(custom, value))
}

fn read_word_as(context: &Context, kind: Kind, text: &str) -> Result<FilterValue, String> {
    match kind {
        Kind::Text | Kind::Caseless | Kind::Tags => storable(text),
        Kind::Choice(words) => choice(words, text),
        Kind::Integer => integer(text),
        Kind::Decimal => text.parse().map(FilterValue::Decimal),
        Kind::Boolean => text.parse().map(FilterValue::Boolean).map_err(|_| "expected true or false".into()),
        Kind::Date => text.parse().map(FilterValue::Date),
        Kind::Timestamp => text.parse().map(FilterValue::Timestamp),
        Kind::Member if text == "me" => Ok(FilterValue::Id(context.user_id.uuid())),
        Kind::Id | Kind::Member => id(text),
        Kind::Object => Err("an object cannot be compared".into()),
    }
}

pub(super) fn storable(text: &str) -> Result<FilterValue, String> {
    if text.contains('\0') {
        Err("the character U+0000 cannot be stored and so cannot be searched".into())
    } else if text.chars().count() > LONGEST_TEXT {
        Err(format!("at most {LONGEST_TEXT} characters"))
    } else {
        Ok(FilterValue::Text(text.to_owned()))
    }
}

fn choice(words: &[&str], text: &str) -> Result<FilterValue, String> {
    if words.contains(&text) { Ok(FilterValue::Text(text.to_owned())) } else { Err(expected_one_of(words, text)) }
}

fn integer(text: &str) -> Result<FilterValue, String> {
    text.parse().map(FilterValue::Integer).map_err(|_| "expected a whole number".into())
}

fn id(text: &str) -> Result<FilterValue, String> {
    text.parse().map(FilterValue::Id).map_err(|_| "expected an id (UUID)".into())
}

fn instant_or_day(text: &str) -> Result<FilterValue, String> {
    let instant = text.parse().map(FilterValue::Timestamp);
    instant.or_else(|_| text.parse().map(FilterValue::Date)).map_err(|_: String| INSTANT.into())
}

/// Digits with at most one point; no exponent, which could name a number that fills the memory.
fn number(text: &str) -> Result<FilterValue, String> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (integer, decimals) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(integer) || !digits(decimals) {
        return Err("expected a number such as 12.5; text stands in quotes".into());
    }
    if unsigned.bytes().filter(u8::is_ascii_digit).count() > MOST_DIGITS {
        return Err(format!("at most {MOST_DIGITS} digits"));
    }
    text.parse().map(FilterValue::Number).map_err(|_| "expected a number such as 12.5".into())
}
