//! Definitions of custom fields as they are read, made and changed. The rules that need more than one value are in `rules`.

use crm_kernel::{
    CustomField, CustomFieldId, FieldType, Timestamp, UserId, validation,
    values::{nullable, present},
};
use diesel::{
    AsChangeset, Insertable, Queryable, Selectable,
    deserialize::{self, FromSql, FromSqlRow},
    expression::AsExpression,
    pg::{Pg, PgValue},
    serialize::{self, Output, ToSql},
    sql_types,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::schema::{crm_custom_fields, q_custom_field_work, q_custom_fields};

crm_kernel::text_enum!(
    /// Whose custom fields.
    RecordKind {
        /// Of companies.
        Company = "company",
        /// Of contacts.
        Contact = "contact",
        /// Of deals.
        Deal = "deal",
        /// Of projects.
        Project = "project",
        /// Of tasks.
        Task = "task",
        /// Of notes.
        Note = "note",
        /// Of campaigns.
        Campaign = "campaign",
    }
);

crm_kernel::text_enum!(
    /// What becomes of values that are none of the new type.
    Misfits {
        /// They stay as they are: shown, and equal to nothing until somebody corrects them.
        Keep = "keep",
        /// They are removed from the records; the log has them.
        Clear = "clear",
    }
);

/// One of the values of a choice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
pub struct FieldOption {
    /// What records hold: lower case letters, digits, `_` and `-`. It never changes.
    pub key: String,
    /// What people read.
    pub label: String,
    /// A colour as `#rrggbb`.
    #[serde(default)]
    pub color: Option<String>,
    /// Whether it is no longer offered: new records cannot have it, those that have it keep it.
    #[serde(default)]
    pub retired: bool,
}

/// The options of a choice, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq, AsExpression, FromSqlRow, Serialize, Deserialize)]
#[diesel(sql_type = sql_types::Jsonb)]
#[serde(transparent)]
pub struct Options(pub Vec<FieldOption>);

impl Options {
    /// The keys of those that new records may have.
    pub(super) fn offered(&self) -> Vec<String> {
        self.0.iter().filter(|option| !option.retired).map(|option| option.key.clone()).collect()
    }
}

impl ToSql<sql_types::Jsonb, Pg> for Options {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let value = serde_json::to_value(&self.0)?;
        ToSql::<sql_types::Jsonb, Pg>::to_sql(&value, &mut out.reborrow())
    }
}

impl FromSql<sql_types::Jsonb, Pg> for Options {
    fn from_sql(bytes: PgValue<'_>) -> deserialize::Result<Self> {
        let value = <Value as FromSql<sql_types::Jsonb, Pg>>::from_sql(bytes)?;
        Ok(serde_json::from_value(value)?)
    }
}

#[cfg(feature = "openapi")]
impl paperclip::v2::schema::Apiv2Schema for Options {
    fn raw_schema() -> paperclip::v2::models::DefaultSchemaRaw {
        Vec::<FieldOption>::raw_schema()
    }
}

/// A custom field.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct CustomFieldDefinition {
    /// Its id.
    pub id: CustomFieldId,
    /// Of which records.
    pub entity: RecordKind,
    /// The key in `custom_fields`; it never changes.
    pub key: String,
    /// What people read.
    pub label: String,
    /// What people read beside it.
    pub help_text: Option<String>,
    /// What it holds; another type takes a conversion.
    pub field_type: FieldType,
    /// What a choice is made of.
    pub options: Options,
    /// Whether a record must have a value when it is made or replaced.
    pub required: bool,
    /// Whether no two living records may have the same value.
    pub unique: bool,
    /// Whether the database keeps its values in order, for lists that are sorted by it and for comparisons with `<` and `>`.
    pub indexed: bool,
    /// What new records get that say nothing.
    pub default_value: Option<Value>,
    /// Where it stands among the others, smallest first.
    pub position: i32,
    /// What is being done to its values, or was last.
    pub work: Option<CustomFieldWork>,
    /// When it was retired: it is not offered, cannot be written, and what records hold stays.
    pub retired_at: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// The member who created it.
    pub created_by_id: Option<UserId>,
    /// Counts its changes, from 1; see If-Match.
    pub version: i32,
    /// Under which number its values are kept in order.
    #[serde(skip)]
    pub(super) generation: i32,
}

/// As it is stored.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = q_custom_fields, check_for_backend(diesel::pg::Pg))]
pub(super) struct DefinitionRow {
    id: CustomFieldId,
    entity: RecordKind,
    key: String,
    label: String,
    help_text: Option<String>,
    field_type: FieldType,
    options: Options,
    is_required: bool,
    is_unique: bool,
    is_indexed: bool,
    default_value: Option<Value>,
    position: i32,
    generation: i32,
    retired_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
    version: i32,
    created_by_id: Option<UserId>,
}

/// What is being done to the values of a field, or was last.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = q_custom_field_work, check_for_backend(diesel::pg::Pg))]
pub struct CustomFieldWork {
    /// `build`: its values are put in order, or made unique. `convert`: they become those of another type.
    pub task: String,
    /// The type before a conversion.
    pub from_type: Option<String>,
    /// Records that were looked at so far.
    pub records: i64,
    /// Values that fitted the new type.
    pub converted: i64,
    /// Values that did not.
    pub misfitting: i64,
    /// Whether two records share a value, so that the field is not unique.
    pub has_duplicates: bool,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; null while it goes on.
    pub finished_at: Option<Timestamp>,
}

/// All custom fields, or those of one kind of record, retired ones included; by kind, position and key.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct CustomFieldList {
    /// The fields.
    pub data: Vec<CustomFieldDefinition>,
}

/// A custom field to be created.
#[derive(Debug, Clone, PartialEq, Deserialize, Insertable, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = crm_custom_fields)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct NewCustomField {
    /// An id chosen by the client: UUID version 7.
    #[serde(default)]
    pub id: Option<CustomFieldId>,
    /// Of which records.
    pub entity: RecordKind,
    /// The key in `custom_fields`: a lower case letter, then letters, digits and `_`, at most 50. It never changes.
    #[garde(custom(super::rules::machine_name))]
    pub key: String,
    /// What people read.
    #[garde(length(chars, max = 100), custom(validation::readable))]
    pub label: String,
    /// What people read beside it.
    #[serde(default)]
    #[garde(length(chars, max = 500), inner(custom(validation::storable)))]
    pub help_text: Option<String>,
    /// What it holds.
    pub field_type: FieldType,
    /// What a choice is made of: 1 to 200.
    #[serde(default)]
    #[garde(custom(super::rules::options))]
    pub options: Options,
    /// Whether a record must have a value when it is made or replaced.
    #[serde(default, rename = "required")]
    #[diesel(column_name = is_required)]
    pub required: bool,
    /// Whether no two living records may have the same value.
    #[serde(default, rename = "unique")]
    #[diesel(column_name = is_unique)]
    pub unique: bool,
    /// Whether the database keeps its values in order.
    #[serde(default, rename = "indexed")]
    #[diesel(column_name = is_indexed)]
    pub indexed: bool,
    /// What new records get that say nothing.
    #[serde(default)]
    pub default_value: Option<Value>,
    /// Where it stands among the others.
    #[serde(default)]
    #[garde(range(min = 0, max = 100_000))]
    pub position: i32,
}

/// A change to a custom field: what is absent stays. Key, kind of record and type are none of it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, AsChangeset, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = crm_custom_fields)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct CustomFieldChanges {
    /// What people read.
    #[serde(deserialize_with = "present")]
    #[garde(length(chars, max = 100), inner(custom(validation::readable)))]
    pub label: Option<String>,
    /// What people read beside it.
    #[serde(deserialize_with = "nullable")]
    #[garde(length(chars, max = 500), inner(inner(custom(validation::storable))))]
    pub help_text: Option<Option<String>>,
    /// What a choice is made of, all of it; none of those that were there may be missing.
    #[serde(deserialize_with = "present")]
    #[garde(inner(custom(super::rules::options)))]
    pub options: Option<Options>,
    /// Whether a record must have a value when it is made or replaced.
    #[serde(deserialize_with = "present")]
    #[diesel(column_name = is_required)]
    pub required: Option<bool>,
    /// Whether no two living records may have the same value.
    #[serde(deserialize_with = "present")]
    #[diesel(column_name = is_unique)]
    pub unique: Option<bool>,
    /// Whether the database keeps its values in order.
    #[serde(deserialize_with = "present")]
    #[diesel(column_name = is_indexed)]
    pub indexed: Option<bool>,
    /// What new records get that say nothing.
    #[serde(deserialize_with = "nullable")]
    pub default_value: Option<Option<Value>>,
    /// Where it stands among the others.
    #[serde(deserialize_with = "present")]
    #[garde(inner(range(min = 0, max = 100_000)))]
    pub position: Option<i32>,
}

/// What a custom field should become.
#[derive(Debug, Clone, PartialEq, Deserialize, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct ConversionRequest {
    /// The new type.
    pub field_type: FieldType,
    /// What a choice is made of; a value becomes the option that has it as key or label.
    #[serde(default)]
    #[garde(custom(super::rules::options))]
    pub options: Options,
    /// What becomes of values that do not fit; they are kept when absent.
    #[serde(default)]
    pub misfits: Option<Misfits>,
}

/// What a conversion would find.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct ConversionReport {
    /// Records that were looked at: the newest living ones.
    pub records: i64,
    /// Values that fit the new type.
    pub fits: i64,
    /// Values that do not.
    pub misfits: i64,
    /// Some of those, at most 20.
    pub sample: Vec<SampleValue>,
    /// Whether these are all records, or only the newest.
    #[serde(default)]
    pub complete: bool,
}

/// A value that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct SampleValue {
    /// The record that has it.
    pub id: Uuid,
    /// The value as text, its first 100 characters.
    pub value: String,
}

impl CustomFieldDefinition {
    pub(super) fn of((row, work): (DefinitionRow, Option<CustomFieldWork>)) -> Self {
        Self {
            id: row.id,
            entity: row.entity,
            key: row.key,
            label: row.label,
            help_text: row.help_text,
            field_type: row.field_type,
            options: row.options,
            required: row.is_required,
            unique: row.is_unique,
            indexed: row.is_indexed,
            default_value: row.default_value,
            position: row.position,
            work,
            retired_at: row.retired_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
            created_by_id: row.created_by_id,
            version: row.version,
            generation: row.generation,
        }
    }

    /// The keys of its options, retired ones included.
    #[must_use]
    pub fn option_keys(&self) -> Vec<String> {
        self.options.0.iter().map(|option| option.key.clone()).collect()
    }

    /// Those that new records may have.
    pub(super) fn offered(&self) -> Vec<String> {
        self.options.offered()
    }

    /// Whether lists can be sorted by it: the database has its values in order, all of them.
    #[must_use]
    pub fn is_sortable(&self) -> bool {
        self.indexed && self.work.as_ref().is_none_or(|work| work.finished_at.is_some())
    }

    /// As filters know it.
    #[must_use]
    pub fn known(&self) -> CustomField {
        CustomField {
            id: self.id,
            key: self.key.clone(),
            field_type: self.field_type,
            options: self.option_keys(),
            ordered: self.is_sortable().then_some(self.generation),
        }
    }
}
