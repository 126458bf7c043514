//! What can be asked about a noun, for clients that build questions: the answer of `GET /{noun}/fields`.
//!
//! Must stay true: it is made of the same declarations that questions are read by, and of the organisation's definitions.

use crm_kernel::{Field, Kind, Result, fields::Parent};
use crm_tenancy::custom_fields::{CustomFieldDefinition, RecordKind};
use paperclip::actix::Apiv2Schema;
use serde::Serialize;

use super::{Noun, custom};
use crate::{caller::Caller, services::Services};

/// The fields of a noun.
#[derive(Debug, Serialize, Apiv2Schema)]
pub struct FieldList {
    /// Its own, in the order of its JSON, and behind them the organisation's custom fields.
    pub data: Vec<KnownField>,
    /// The records it points to, whose fields a filter may name too: `company.industry`.
    pub parents: Vec<KnownParent>,
}

/// One field.
#[derive(Debug, Serialize, Apiv2Schema)]
pub struct KnownField {
    /// The name, in JSON and in filters; `custom_fields.region` of a custom field.
    pub name: String,
    /// What people read, if the organisation says so.
    pub label: Option<String>,
    /// What it holds: text, choice, integer, decimal, boolean, date, timestamp, id, member, tags or object; and of custom fields
    /// long_text, money, choices, url and email as well.
    pub kind: String,
    /// Whether `=` takes text whatever its case.
    pub ignores_case: bool,
    /// The words it is one of, if it is a choice.
    pub options: Option<Vec<String>>,
    /// What people read of those, in the same order, if the organisation says so.
    pub option_labels: Option<Vec<String>>,
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
    /// Of this noun, for this caller.
    ///
    /// # Errors
    /// When the definitions cannot be read.
    pub async fn of<N: Noun>(services: &Services, caller: &Caller) -> Result<Self> {
        let (vocabulary, custom) = (N::vocabulary(), custom::definitions::<N>(services, caller).await?);
        let parents = vocabulary.parents.iter().map(|parent| known_parent(parent, &custom)).collect();
        Ok(Self { data: known(vocabulary.fields, N::CUSTOM, &custom), parents })
    }
}

fn known_parent(parent: &Parent, custom: &[CustomFieldDefinition]) -> KnownParent {
    let fields = known(parent.fields, parent.entity.parse().ok(), custom);
    KnownParent { name: parent.name.into(), key: parent.key.into(), fields }
}

fn known(fields: &[Field], kind: Option<RecordKind>, custom: &[CustomFieldDefinition]) -> Vec<KnownField> {
    let own = fields.iter().map(known_field);
    own.chain(custom.iter().filter(|field| Some(field.entity) == kind).map(known_custom)).collect()
}

fn known_field(field: &Field) -> KnownField {
    KnownField {
        name: field.name.into(),
        label: None,
        kind: word(field.kind).into(),
        ignores_case: field.kind == Kind::Caseless,
        options: if let Kind::Choice(words) = field.kind {
            Some(words.iter().map(|word| (*word).into()).collect())
        } else {
            None
        },
        option_labels: None,
        operators: field.operators().iter().map(|operator| operator.as_str().into()).collect(),
        nullable: field.nullable,
        filterable: field.filterable,
        sortable: field.sortable,
    }
}

fn known_custom(field: &CustomFieldDefinition) -> KnownField {
    let operators = field.field_type.operators().iter().map(|operator| operator.as_str().into()).collect();
    let options = field.field_type.has_options().then(|| field.option_keys());
    let labels = || field.options.0.iter().map(|option| option.label.clone()).collect();
    KnownField {
        name: format!("{}{}", custom::PREFIX, field.key),
        label: Some(field.label.clone()),
        kind: custom::word(field.field_type).into(),
        ignores_case: false,
        options,
        option_labels: field.field_type.has_options().then(labels),
        operators,
        nullable: true,
        filterable: true,
        sortable: field.is_sortable(),
    }
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
