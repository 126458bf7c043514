//! Writes the pieces of a statement, one after the other.
//!
//! Must stay true: whatever is pushed as SQL is a text of this file; names come from a `fields.rs`.

use std::borrow::Cow;

use crm_kernel::{Comparison, Condition, CustomField, Field, FilterValue, Kind, Operator, OrganizationId};
use serde_json::Value;

use super::{
    Part,
    bound::{Bound, many, one, text, texts},
    parents::{Joint, Place, by_parent, sole_parent},
};

/// What generated keys hold where the field is NULL.
const NO_NUMBER: &str = "9223372036854775807";
const NO_DATE: &str = "'infinity'::date";
const NO_TIME: &str = "'infinity'::timestamptz";

/// `row` is what columns belong to.
pub(super) struct Writer {
    parts: Vec<Part>,
    organization: OrganizationId,
    row: Row,
}

/// Which row a condition is about.
#[derive(Clone, Copy)]
pub(super) enum Row {
    /// One of the noun's view of this name.
    Own(&'static str),
    /// The parent's.
    Parent,
}

/// What a field is compared with: values of its kind, and whether the missing value is among them.
pub(super) struct Asked<'c> {
    pub(super) operator: Operator,
    pub(super) values: Vec<&'c FilterValue>,
    missing: bool,
    custom: Option<&'c CustomField>,
}

impl Writer {
    /// The whole condition, over the rows of this view.
    pub(super) fn written(organization: OrganizationId, view: &'static str, condition: &Condition) -> Vec<Part> {
        let mut writer = Self { parts: Vec::new(), organization, row: Row::Own(view) };
        writer.condition(condition, Place::Required);
        writer.parts
    }

    pub(super) fn sql(&mut self, sql: &'static str) {
        self.parts.push(Part::Sql(sql));
    }

    pub(super) fn name(&mut self, name: &'static str) {
        self.parts.push(Part::Name(name));
    }

    pub(super) fn value(&mut self, value: Bound) {
        self.parts.push(Part::Value(value));
    }

    pub(super) fn column(&mut self, name: &'static str) {
        match self.row {
            Row::Own(view) => self.name(view),
            Row::Parent => self.sql("parent"),
        }
        self.sql(".");
        self.name(name);
    }

    pub(super) fn organization(&mut self) {
        self.value(Bound::Id(self.organization.uuid()));
    }

    /// What `write` writes is about this row.
    pub(super) fn about(&mut self, row: Row, write: impl FnOnce(&mut Self)) {
        let before = std::mem::replace(&mut self.row, row);
        write(self);
        self.row = before;
    }

    pub(super) fn condition(&mut self, condition: &Condition, place: Place) {
        if let (Row::Own(_), Some(parent)) = (self.row, sole_parent(condition)) {
            return self.through(parent, condition, place);
        }
        match condition {
            Condition::All(parts) => self.joined(parts, Joint::And, place),
            Condition::Any(parts) => self.joined(parts, Joint::Or, place),
            Condition::Not(inner) => self.is_not_true(|writer| writer.condition(inner, Place::Among)),
            Condition::Compare(comparison) => self.comparison(comparison),
        }
    }

    /// Those parts that are asked of one parent are one question to it.
    fn joined(&mut self, parts: &[Condition], joint: Joint, place: Place) {
        let parts = match self.row {
            Row::Own(_) => by_parent(parts, joint),
            Row::Parent => parts.iter().map(Cow::Borrowed).collect(),
        };
        let (word, none) = match joint {
            Joint::And => (" AND ", "TRUE"),
            Joint::Or => (" OR ", "FALSE"),
        };
        let place = if joint == Joint::Or && parts.len() > 1 { Place::Among } else { place };
        self.each(&parts, word, none, |writer, part| writer.condition(part, place));
    }

    /// `(a OR b OR c)`; `none` when there is nothing to join.
    pub(super) fn each<I>(&mut self, items: &[I], word: &'static str, none: &'static str, write: impl Fn(&mut Self, &I)) {
        let Some((first, others)) = items.split_first() else { return self.sql(none) };
        if others.is_empty() {
            return write(self, first);
        }
        self.sql("(");
        write(self, first);
        for item in others {
            self.sql(word);
            write(self, item);
        }
        self.sql(")");
    }

    pub(super) fn is_not_true(&mut self, write: impl FnOnce(&mut Self)) {
        self.sql("((");
        write(self);
        self.sql(") IS NOT TRUE)");
    }

    /// A comparison with a field of the row, whose parent it may be.
    fn comparison(&mut self, comparison: &Comparison) {
        let path = &comparison.field;
        let (field, key) = (path.field, path.key.as_deref());
        let missing = comparison.values.contains(&FilterValue::Null);
        let values = comparison.values.iter().filter(|value| **value != FilterValue::Null).collect();
        let asked = Asked { operator: comparison.operator, values, missing, custom: path.custom.as_deref() };
        match comparison.operator {
            Operator::NotEqual if missing => self.is_there(field, key),
            Operator::NotEqual => {
                self.is_not_true(|writer| writer.is(field, key, &Asked { operator: Operator::Equal, ..asked }));
            }
            _ => self.is(field, key, &asked),
        }
    }

    /// The field is one of what is asked for.
    fn is(&mut self, field: &'static Field, key: Option<&str>, asked: &Asked<'_>) {
        match (asked.missing, asked.values.is_empty()) {
            (true, true) => self.is_not_there(field, key),
            (false, _) => self.compared(field, key, asked),
            (true, false) => {
                self.sql("(");
                self.compared(field, key, asked);
                self.sql(" OR ");
                self.is_not_there(field, key);
                self.sql(")");
            }
        }
    }

    fn is_there(&mut self, field: &'static Field, key: Option<&str>) {
        self.presence(field, key, [" < ", " <> ", " IS NOT NULL"]);
    }

    fn is_not_there(&mut self, field: &'static Field, key: Option<&str>) {
        self.presence(field, key, [" = ", " = ", " IS NULL"]);
    }

    /// How a missing value is told depends on the column: by the mark of its key, by a list without words, by NULL.
    fn presence(&mut self, field: &'static Field, key: Option<&str>, [of_mark, of_list, of_null]: [&'static str; 3]) {
        match (marked(field), field.kind, field.key) {
            (Some((column, mark)), ..) => self.with_mark(column, of_mark, mark),
            (None, Kind::Tags, _) => self.with_mark(own_column(field), of_list, "'[]'::jsonb"),
            (None, _, Some(column)) => {
                self.column(column);
                self.sql(of_null);
            }
            (None, _, None) => {
                self.stored(field, key);
                self.sql(of_null);
            }
        }
    }

    fn with_mark(&mut self, column: &'static str, operator: &'static str, mark: &'static str) {
        self.column(column);
        self.sql(operator);
        self.sql(mark);
    }

    /// The value as it is stored: the column, or the text under the key of an object.
    fn stored(&mut self, field: &'static Field, key: Option<&str>) {
        match key {
            None => self.column(own_column(field)),
            Some(key) => {
                self.sql("(");
                self.column(field.name);
                self.sql(" ->> ");
                self.value(Bound::Text(key.to_owned()));
                self.sql(")");
            }
        }
    }

    fn compared(&mut self, field: &'static Field, key: Option<&str>, asked: &Asked<'_>) {
        if let Some(custom) = asked.custom {
            return self.custom_compared(field, custom, asked);
        }
        match (asked.operator, field.kind, key) {
            (_, Kind::Object, key) => self.key_compared(field, key.unwrap_or_default(), asked),
            (_, Kind::Tags, _) => {
                let documents = asked.values.iter().map(|value| Value::from(texts(&[value])).to_string());
                self.holds(own_column(field), documents.collect());
            }
            (Operator::Contains, ..) => {
                self.each(&asked.values, " OR ", "FALSE", |writer, value| {
                    writer.sql("strpos(app.fold(");
                    writer.column(own_column(field));
                    writer.sql("), app.fold(");
                    writer.value(Bound::Text(text(value)));
                    writer.sql(")) > 0");
                });
            }
            (_, Kind::Caseless, _) => self.caseless_compared(field, asked),
            _ => self.plainly_compared(field, asked),
        }
    }

    /// The database lowers both sides, because its key columns hold its own idea of lower case.
    fn caseless_compared(&mut self, field: &'static Field, asked: &Asked<'_>) {
        match field.key {
            Some(key) => self.column(key),
            None => {
                self.sql("lower(");
                self.column(field.name);
                self.sql(")");
            }
        }
        match asked.values.as_slice() {
            [value] => {
                self.sql(symbol(asked.operator));
                self.sql("lower(");
                self.value(Bound::Text(text(value)));
                self.sql(")");
            }
            values => {
                self.sql(" = ANY (app.lower_all(");
                self.value(Bound::Texts(texts(values)));
                self.sql("))");
            }
        }
    }

    fn plainly_compared(&mut self, field: &'static Field, asked: &Asked<'_>) {
        let marked = marked(field);
        let (before, bound, after) = match asked.values.as_slice() {
            [value] => (symbol(asked.operator), one(field, value), ""),
            values => (" = ANY (", Some(many(field, values)), ")"),
        };
        // Only a tree that was not read by the kernel has a value of another kind: nothing is equal to it.
        let Some(bound) = bound else { return self.sql("FALSE") };
        let open_ended = matches!(asked.operator, Operator::Greater | Operator::GreaterOrEqual);
        let without_missing = marked.filter(|_| open_ended);
        if without_missing.is_some() {
            self.sql("(");
        }
        self.column(marked.map_or(own_column(field), |(column, _)| column));
        self.sql(before);
        self.value(bound);
        self.sql(after);
        // The mark of a missing value is larger than every value.
        if let Some((column, mark)) = without_missing {
            self.sql(" AND ");
            self.with_mark(column, " < ", mark);
            self.sql(")");
        }
    }

    /// The JSON column holds one of these documents: the only form for which the index on tags and custom fields answers.
    pub(super) fn holds(&mut self, column: &'static str, mut documents: Vec<String>) {
        self.column(column);
        if documents.len() == 1 {
            self.sql(" @> ");
            self.value(Bound::Text(documents.remove(0)));
            return self.sql("::text::jsonb");
        }
        self.sql(" @> ANY (");
        self.value(Bound::Texts(documents));
        self.sql("::text[]::jsonb[])");
    }

    /// A key of an object holds what its JSON says: a text is compared with texts, a number with numbers.
    pub(super) fn key_compared(&mut self, field: &'static Field, key: &str, asked: &Asked<'_>) {
        if matches!(asked.operator, Operator::Equal | Operator::In) {
            return self.holds(field.name, asked.values.iter().map(|value| entry(key, value)).collect());
        }
        self.each(&asked.values, " OR ", "FALSE", |writer, value| match (asked.operator, value) {
            (Operator::Contains, value) => {
                writer.sql("strpos(app.fold(");
                writer.when_it_is("'string'", field, key, |writer| writer.stored(field, Some(key)));
                writer.sql("), app.fold(");
                writer.value(Bound::Text(text(value)));
                writer.sql(")) > 0");
            }
            (operator, FilterValue::Number(number)) => writer.when_it_is("'number'", field, key, |writer| {
                writer.sql("(");
                writer.column(field.name);
                writer.sql(" -> ");
                writer.value(Bound::Text(key.to_owned()));
                writer.sql(")::numeric");
                writer.sql(symbol(operator));
                writer.value(Bound::Decimal(number.clone()));
            }),
            (_, FilterValue::Boolean(_)) => writer.sql("FALSE"),
            (operator, value) => writer.when_it_is("'string'", field, key, |writer| {
                writer.stored(field, Some(key));
                writer.sql(" COLLATE \"C\"");
                writer.sql(symbol(operator));
                writer.value(Bound::Text(text(value)));
            }),
        });
    }

    /// `CASE`, because nothing else keeps the database from casting first what is not a number.
    fn when_it_is(&mut self, json_type: &'static str, field: &'static Field, key: &str, write: impl FnOnce(&mut Self)) {
        self.sql("CASE WHEN jsonb_typeof(");
        self.column(field.name);
        self.sql(" -> ");
        self.value(Bound::Text(key.to_owned()));
        self.sql(") = ");
        self.sql(json_type);
        self.sql(" THEN ");
        write(self);
        self.sql(" END");
    }
}

/// An object of this one entry, as JSON. A number is spelled out digit by digit: the database keeps what a float would not.
fn entry(key: &str, value: &FilterValue) -> String {
    let value = match value {
        FilterValue::Number(number) => number.to_plain_string(),
        FilterValue::Boolean(boolean) => boolean.to_string(),
        other => Value::String(text(other)).to_string(),
    };
    format!("{{{}:{value}}}", Value::from(key))
}

/// The key column that stands in for the field, and what it holds where the field is NULL.
fn marked(field: &'static Field) -> Option<(&'static str, &'static str)> {
    match field.kind {
        Kind::Integer | Kind::Decimal => field.key.map(|key| (key, NO_NUMBER)),
        Kind::Date => field.key.map(|key| (key, NO_DATE)),
        Kind::Timestamp if field.nullable => field.key.map(|key| (key, NO_TIME)),
        _ => None,
    }
}

/// The column that holds the field as it is. `key` is a column beside it for the kinds that have one, else its other name.
fn own_column(field: &'static Field) -> &'static str {
    match field.kind {
        Kind::Caseless | Kind::Integer | Kind::Decimal | Kind::Date => field.name,
        Kind::Timestamp if field.nullable => field.name,
        _ => field.key.unwrap_or(field.name),
    }
}

pub(super) fn symbol(operator: Operator) -> &'static str {
    match operator {
        Operator::Less => " < ",
        Operator::LessOrEqual => " <= ",
        Operator::Greater => " > ",
        Operator::GreaterOrEqual => " >= ",
        Operator::NotEqual => " <> ",
        Operator::Equal | Operator::In | Operator::Has | Operator::Contains => " = ",
    }
}
