//! Conditions through a parent: what is asked of one parent is one question to it, however many comparisons it has.
//!
//! Must stay true: a row has at most one parent of a kind, and what a missing one has is missing. So a condition that names nothing but one
//! parent's fields is either false without a parent, and then it is asked whether there is a parent for which it holds; or true without
//! one, and then whether there is none for which it does not hold.

use std::borrow::Cow;

use crm_kernel::{Comparison, Condition, FilterValue, Operator, Parent};
use serde_json::Value;

use crate::members;

use super::writer::{Row, Writer};

/// Where a condition stands in the whole one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A row of the answer fulfils it, whatever else it does: the planner may join the parents.
    Required,
    /// It is one of several, or denied: it is asked of each row whether it holds.
    Among,
}

/// How conditions are joined.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Joint {
    And,
    Or,
}

/// The parent whose fields alone are compared.
pub(super) fn sole_parent(condition: &Condition) -> Option<&'static Parent> {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => {
            let (first, others) = parts.split_first()?;
            let parent = sole_parent(first)?;
            others.iter().all(|part| sole_parent(part).is_some_and(|other| other.name == parent.name)).then_some(parent)
        }
        Condition::Not(part) => sole_parent(part),
        Condition::Compare(comparison) => comparison.field.parent,
    }
}

/// The parts of one AND or OR, those of one parent as one.
pub(super) fn by_parent(parts: &[Condition], joint: Joint) -> Vec<Cow<'_, Condition>> {
    let mut grouped = Vec::new();
    let mut of_parents: Vec<(&Parent, Vec<&Condition>)> = Vec::new();
    for part in parts {
        match sole_parent(part) {
            None => grouped.push(Cow::Borrowed(part)),
            Some(parent) => match of_parents.iter_mut().find(|(known, _)| known.name == parent.name) {
                Some((_, same)) => same.push(part),
                None => of_parents.push((parent, vec![part])),
            },
        }
    }
    grouped.extend(of_parents.into_iter().map(|(_, parts)| match (parts.as_slice(), joint) {
        ([alone], _) => Cow::Borrowed(*alone),
        (several, Joint::And) => Cow::Owned(Condition::All(several.iter().copied().cloned().collect())),
        (several, Joint::Or) => Cow::Owned(Condition::Any(several.iter().copied().cloned().collect())),
    }));
    grouped
}

/// What holds exactly where this does not, with as few NOT as can be.
fn denied(condition: &Condition) -> Condition {
    match condition {
        Condition::All(parts) => Condition::Any(parts.iter().map(denied).collect()),
        Condition::Any(parts) => Condition::All(parts.iter().map(denied).collect()),
        Condition::Not(part) => (**part).clone(),
        Condition::Compare(comparison) => match comparison.operator {
            Operator::NotEqual => Condition::Compare(Comparison { operator: Operator::Equal, ..comparison.clone() }),
            Operator::Equal if comparison.values == [FilterValue::Null] => {
                Condition::Compare(Comparison { operator: Operator::NotEqual, ..comparison.clone() })
            }
            _ => Condition::Not(Box::new(condition.clone())),
        },
    }
}

/// Whether there are so few of them in an organisation that all are looked at first.
fn is_small(parent: &Parent) -> bool {
    parent.view == members::VIEW
}

impl Writer {
    /// A condition on one parent's fields alone.
    pub(super) fn through(&mut self, parent: &'static Parent, condition: &Condition, place: Place) {
        if !condition.holds(&Value::Null) {
            return self.has_parent(parent, condition, place);
        }
        let denied = denied(condition);
        if place == Place::Required && !is_small(parent) {
            // Whether there is such a parent is never unknown, and the database joins what is spelled so.
            self.sql("NOT ");
            self.has_parent(parent, &denied, place);
        } else {
            self.is_not_true(|writer| writer.has_parent(parent, &denied, Place::Among));
        }
    }

    /// The row's parent is such. The first of a parent's fields is its id. Where there are few, those that are such are found first, so
    /// that the index on the row's key answers; and so they are where each row is asked, because looking each parent up costs more.
    fn has_parent(&mut self, parent: &'static Parent, condition: &Condition, place: Place) {
        let Some(id) = parent.fields.first() else { return self.sql("FALSE") };
        let (begin, end) = match (is_small(parent), place) {
            (true, _) => (" = ANY (ARRAY(SELECT parent.", "))"),
            (false, Place::Among) => (" IN (SELECT parent.", ")"),
            (false, Place::Required) => ("", ")"),
        };
        if begin.is_empty() {
            self.sql("EXISTS (SELECT");
        } else {
            self.column(parent.key);
            self.sql(begin);
            self.name(id.name);
        }
        self.sql(" FROM ");
        self.name(parent.view);
        self.sql(" AS parent WHERE parent.organization_id = ");
        self.organization();
        if begin.is_empty() {
            self.sql(" AND parent.");
            self.name(id.name);
            self.sql(" = ");
            self.column(parent.key);
        }
        self.sql(" AND ");
        self.about(Row::Parent, |writer| writer.condition(condition, Place::Among));
        self.sql(end);
    }
}
