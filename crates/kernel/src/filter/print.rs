//! The tree as text, in one spelling: what a saved search shows, and what a cursor is bound to.
//!
//! Must stay true: reading what was printed gives the same tree. A tree built by a program may hold what the text has no
//! words for, a join of one condition or of none; it is printed as the shortest text with the same meaning.

use std::fmt::{Display, Formatter, Result, Write};

use super::{Comparison, Condition, FieldPath, FilterValue, Operator, Relative, Span};

impl Display for Condition {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        match self {
            Self::All(parts) if parts.is_empty() => Ok(()),
            other => write_condition(formatter, other),
        }
    }
}

fn write_condition(formatter: &mut Formatter<'_>, condition: &Condition) -> Result {
    match condition {
        Condition::All(parts) => write_joined(formatter, parts, " AND ", "()"),
        Condition::Any(parts) => write_joined(formatter, parts, " OR ", "NOT ()"),
        Condition::Not(part) => {
            formatter.write_str("NOT ")?;
            write_operand(formatter, part)
        }
        Condition::Compare(comparison) => comparison.fmt(formatter),
    }
}

fn write_joined(formatter: &mut Formatter<'_>, parts: &[Condition], joint: &str, none: &str) -> Result {
    match parts {
        [] => formatter.write_str(none),
        [only] => write_condition(formatter, only),
        [first, others @ ..] => {
            write_operand(formatter, first)?;
            others.iter().try_for_each(|other| {
                formatter.write_str(joint)?;
                write_operand(formatter, other)
            })
        }
    }
}

/// In parentheses if it is a join: they keep the nesting as it is.
fn write_operand(formatter: &mut Formatter<'_>, condition: &Condition) -> Result {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => match parts.as_slice() {
            [] => write_condition(formatter, condition),
            [only] => write_operand(formatter, only),
            _ => {
                formatter.write_char('(')?;
                write_condition(formatter, condition)?;
                formatter.write_char(')')
            }
        },
        _ => write_condition(formatter, condition),
    }
}

impl Display for Comparison {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        write!(formatter, "{} {} ", self.field, if self.operator == Operator::In { "IN" } else { self.operator.as_str() })?;
        if let ([value], false) = (self.values.as_slice(), self.operator == Operator::In) {
            return value.fmt(formatter);
        }
        let mut before = '(';
        for value in &self.values {
            formatter.write_char(before)?;
            if before == ',' {
                formatter.write_char(' ')?;
            }
            value.fmt(formatter)?;
            before = ',';
        }
        formatter.write_char(')')
    }
}

impl Display for FieldPath {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        if let Some(parent) = self.parent {
            write!(formatter, "{}.", parent.name)?;
        }
        formatter.write_str(self.field.name)?;
        match &self.key {
            None => Ok(()),
            Some(key) if is_plain(key) => write!(formatter, ".{key}"),
            Some(key) => {
                formatter.write_char('.')?;
                write_quoted(formatter, key)
            }
        }
    }
}

fn is_plain(key: &str) -> bool {
    !key.starts_with(|character: char| character.is_ascii_digit())
        && !key.is_empty()
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl Display for FilterValue {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        match self {
            Self::Null => formatter.write_str("null"),
            Self::Text(text) => write_quoted(formatter, text),
            Self::Integer(number) => number.fmt(formatter),
            Self::Decimal(money) => formatter.write_str(&money.decimal().normalized().to_plain_string()),
            Self::Number(number) => formatter.write_str(&number.normalized().to_plain_string()),
            Self::Boolean(value) => value.fmt(formatter),
            Self::Date(date) => write!(formatter, "\"{date}\""),
            Self::Timestamp(instant) => write!(formatter, "\"{instant}\""),
            Self::Id(id) => write!(formatter, "\"{id}\""),
            Self::Relative(relative) => relative.fmt(formatter),
        }
    }
}

impl Display for Relative {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        match self {
            Self::Me => formatter.write_str("me"),
            Self::Now(span) => write!(formatter, "now(){span}"),
            Self::Today(span) => write!(formatter, "today(){span}"),
            Self::MyTeam => formatter.write_str("my_team"),
            Self::Start(period, 0, span) => write!(formatter, "{}(){span}", period.function()),
            Self::Start(period, offset, span) => write!(formatter, "{}({offset}){span}", period.function()),
        }
    }
}

impl Display for Span {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        let (amount, unit) = match self.seconds {
            seconds if seconds % 3_600 == 0 => (seconds / 3_600, 'h'),
            seconds if seconds % 60 == 0 => (seconds / 60, 'm'),
            seconds => (seconds, 's'),
        };
        for (amount, unit) in [(i64::from(self.days), 'd'), (amount, unit)] {
            if amount != 0 {
                write!(formatter, " {} {}{unit}", if amount < 0 { '-' } else { '+' }, amount.unsigned_abs())?;
            }
        }
        Ok(())
    }
}

fn write_quoted(formatter: &mut Formatter<'_>, text: &str) -> Result {
    formatter.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' | '\\' => write!(formatter, "\\{character}")?,
            '\n' => formatter.write_str("\\n")?,
            '\r' => formatter.write_str("\\r")?,
            '\t' => formatter.write_str("\\t")?,
            other if other.is_control() => write!(formatter, "\\u{{{:x}}}", u32::from(other))?,
            other => formatter.write_char(other)?,
        }
    }
    formatter.write_char('"')
}
