//! What can be asked about a noun, for clients that build questions: the answer of `GET /{noun}/fields`.
//!
//! Must stay true: it is made of the same declarations that questions are read by.

use crm_kernel::{Field, Kind, fields::Parent};
use paperclip::actix::Apiv2Schema;
use serde::Serialize;

use super::Noun;

/// The fields of a noun.
#[derive(Debug, Serialize, Apiv2Schema)]
pub struct FieldList {
    /// Its own, in the order of its JSON.
    pub data: Vec<KnownField>,
    /// The records it points to, whose fields a filter may name too: `company.industry`.
    pub parents: Vec<KnownParent>,
}

/// One field.
#[derive(Debug, Serialize, Apiv2Schema)]
pub struct KnownField {
    /// The name, in JSON and in filters.
    pub name: String,
    /// What it holds: text, choice, integer, decimal, boolean, date, timestamp, id, member, tags or object.
    pub kind: String,
    /// Whether `=` takes text whatever its case.
    pub ignores_case: bool,
    /// The words it is one of, if it is a choice.
    pub options: Option<Vec<String>>,
    /// How a filter may compare it, or a key of it if it is an object; nothing when it is only shown.
    pub operators: Vec<String>,
    /// Whether it may be null.
    pub nullable: bool,
    /// Whether lists take it as a parameter, `field=value`.
    pub filterable: bool,
    /// Whether lists sort by it.
    pub sortable: bool,
}

/// A record that the noun points to.
#[derive(Debug, Serialize, Apiv2Schema)]
pub struct KnownParent {
    /// What filters call it.
    pub name: String,
    /// The field that holds its id.
    pub key: String,
    /// What filters may ask of it.
    pub fields: Vec<KnownField>,
}

impl FieldList {
    /// Of this noun.
    #[must_use]
    pub fn of<N: Noun>() -> Self {
        let vocabulary = N::vocabulary();
        Self { data: known(vocabulary.fields), parents: vocabulary.parents.iter().map(known_parent).collect() }
    }
}

fn known_parent(parent: &Parent) -> KnownParent {
    KnownParent { name: parent.name.into(), key: parent.key.into(), fields: known(parent.fields) }
}

fn known(fields: &[Field]) -> Vec<KnownField> {
    let known = |field: &Field| KnownField {
        name: field.name.into(),
        kind: word(field.kind).into(),
        ignores_case: field.kind == Kind::Caseless,
        options: if let Kind::Choice(words) = field.kind {
            Some(words.iter().map(|word| (*word).into()).collect())
        } else {
            None
        },
        operators: field.operators().iter().map(|operator| operator.as_str().into()).collect(),
        nullable: field.nullable,
        filterable: field.filterable,
        sortable: field.sortable,
    };
    fields.iter().map(known).collect()
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Caseless => "text",
        Kind::Choice(_) => "choice",
        Kind::Integer => "integer",
        Kind::Decimal => "decimal",
        Kind::Boolean => "boolean",
        Kind::Date => "date",
        Kind::Timestamp => "timestamp",
        Kind::Id => "id",
        Kind::Member => "member",
        Kind::Tags => "tags",
        Kind::Object => "object",
    }
}
