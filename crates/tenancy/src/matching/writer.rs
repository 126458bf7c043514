//! Writes the pieces of a statement, one after the other.
//!
//! Must stay true: whatever is pushed as SQL is a text of this file; names come from a `fields.rs`.

use crm_kernel::{Comparison, Condition, CustomField, Field, FilterValue, Kind, Operator, OrganizationId, Parent};
use serde_json::Value;

use crate::members;

use super::{
    Part,
    bound::{Bound, many, one, text, texts},
};

/// What generated keys hold where the field is NULL.
const NO_NUMBER: &str = "9223372036854775807";
const NO_DATE: &str = "'infinity'::date";

/// `row` is the name that columns belong to.
pub(super) struct Writer {
    parts: Vec<Part>,
    organization: OrganizationId,
    row: &'static str,
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
        let mut writer = Self { parts: Vec::new(), organization, row: view };
        writer.condition(condition);
        writer.parts
    }

    pub(super) fn sql(&mut self, sql: &'static str) {
        self.parts.push(Part::Sql(sql));
    }

    pub(super) fn value(&mut self, value: Bound) {
        self.parts.push(Part::Value(value));
    }

    pub(super) fn column(&mut self, name: &'static str) {
        self.parts.extend([Part::Name(self.row), Part::Sql("."), Part::Name(name)]);
    }

    pub(super) fn organization(&mut self) {
        self.value(Bound::Id(self.organization.uuid()));
    }

    fn condition(&mut self, condition: &Condition) {
        match condition {
            Condition::All(parts) => self.joined(parts, " AND ", "TRUE"),
            Condition::Any(parts) => self.joined(parts, " OR ", "FALSE"),
            Condition::Not(inner) => {
                self.sql("((");
                self.condition(inner);
                self.sql(") IS NOT TRUE)");
            }
            Condition::Compare(comparison) => self.comparison(comparison),
        }
    }

    fn joined(&mut self, parts: &[Condition], word: &'static str, none: &'static str) {
        self.each(parts, word, none, |writer, part| writer.condition(part));
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

    fn comparison(&mut self, comparison: &Comparison) {
        let path = &comparison.field;
        let (field, key) = (path.field, path.key.as_deref());
        let missing = comparison.values.contains(&FilterValue::Null);
        let values = comparison.values.iter().filter(|value| **value != FilterValue::Null).collect();
        let asked = Asked { operator: comparison.operator, values, missing, custom: path.custom.as_deref() };
        match (comparison.operator, path.parent) {
            (Operator::NotEqual, None) if missing => self.is_there(field, key),
            (Operator::NotEqual, Some(parent)) if missing => self.of_parent(parent, |writer| writer.is_there(field, key)),
            // Whether there is such a parent is never unknown, and the database joins what is spelled so.
            (Operator::NotEqual, Some(parent)) if !is_small(parent) => {
                self.sql("NOT ");
                self.of_parent(parent, |writer| writer.compared(field, key, &Asked { operator: Operator::Equal, ..asked }));
            }
            (Operator::NotEqual, _) => {
                self.sql("((");
                self.is(path.parent, field, key, &Asked { operator: Operator::Equal, ..asked });
                self.sql(") IS NOT TRUE)");
            }
            _ => self.is(path.parent, field, key, &asked),
        }
    }

    /// The field is one of what is asked for.
    fn is(&mut self, parent: Option<&'static Parent>, field: &'static Field, key: Option<&str>, asked: &Asked<'_>) {
        if asked.missing && asked.values.is_empty() {
            return self.is_missing(parent, field, key);
        }
        if asked.missing {
            self.sql("(");
        }
        match parent {
            None => self.compared(field, key, asked),
            Some(parent) => self.of_parent(parent, |writer| writer.compared(field, key, asked)),
        }
        if asked.missing {
            self.sql(" OR ");
            self.is_missing(parent, field, key);
            self.sql(")");
        }
    }

    /// Where there is no parent, what it has is missing too.
    fn is_missing(&mut self, parent: Option<&'static Parent>, field: &'static Field, key: Option<&str>) {
        match parent {
            None => self.is_not_there(field, key),
            Some(parent) => {
                self.sql("((");
                self.of_parent(parent, |writer| writer.is_there(field, key));
                self.sql(") IS NOT TRUE)");
            }
        }
    }

    /// The row's parent is such. The first of a parent's fields is its id. Where there are few, those that are such are found
    /// first, so that the index on the row's key answers.
    fn of_parent(&mut self, parent: &'static Parent, write: impl FnOnce(&mut Self)) {
        let Some(id) = parent.fields.first() else { return self.sql("FALSE") };
        if is_small(parent) {
            self.column(parent.key);
            self.sql(" = ANY (ARRAY(SELECT parent.");
            self.parts.extend([Part::Name(id.name), Part::Sql(" FROM "), Part::Name(parent.view)]);
            self.sql(" AS parent WHERE parent.organization_id = ");
            self.value(Bound::Id(self.organization.uuid()));
            self.sql(" AND ");
            let row = std::mem::replace(&mut self.row, "parent");
            write(self);
            self.row = row;
            return self.sql("))");
        }
        self.sql("EXISTS (SELECT FROM ");
        self.parts.push(Part::Name(parent.view));
        self.sql(" AS parent WHERE parent.organization_id = ");
        self.organization();
        self.sql(" AND parent.");
        self.parts.push(Part::Name(id.name));
        self.sql(" = ");
        self.column(parent.key);
        self.sql(" AND ");
        let row = std::mem::replace(&mut self.row, "parent");
        write(self);
        self.row = row;
        self.sql(")");
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

/// An organisation has few members, and many of everything else.
fn is_small(parent: &Parent) -> bool {
    parent.view == members::VIEW
}

/// The key column that stands in for the field, and what it holds where the field is NULL.
fn marked(field: &'static Field) -> Option<(&'static str, &'static str)> {
    match field.kind {
        Kind::Integer | Kind::Decimal => field.key.map(|key| (key, NO_NUMBER)),
        Kind::Date => field.key.map(|key| (key, NO_DATE)),
        _ => None,
    }
}

/// The column that holds the field as it is. `key` is a column beside it for the kinds that have one, else its other name.
fn own_column(field: &'static Field) -> &'static str {
    match field.kind {
        Kind::Caseless | Kind::Integer | Kind::Decimal | Kind::Date => field.name,
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
