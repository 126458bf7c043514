//! Custom fields in questions: which the organisation has defined for a noun and the records it points to.
//!
//! Must stay true: definitions are asked for only when the question mentions `custom_fields`.

use crm_kernel::{CustomField, CustomFields, Direction, FieldError, FieldType, ListQuery, Result, filter::Known};
use crm_tenancy::custom_fields::{CustomFieldDefinition, RecordKind};

use super::Noun;
use crate::{caller::Caller, services::Services};

/// The field whose keys organisations define.
pub(super) const FIELD: &str = "custom_fields";

/// What `sort` takes of them, as a regular expression.
pub(super) const SORT: &str = r"^-?custom_fields\.[a-z][a-z0-9_]{0,49}$";

/// In front of a key, in filters and in `sort`.
pub(super) const PREFIX: &str = "custom_fields.";

/// Those that a question may name.
#[derive(Debug, Default)]
pub(super) struct Defined {
    pub(super) custom: CustomFields,
    pub(super) entity: &'static str,
}

impl Defined {
    /// Of this noun and its parents, if the question mentions them at all.
    pub(super) async fn of<N: Noun>(services: &Services, caller: &Caller, is_mentioned: bool) -> Result<Self> {
        let kinds = kinds::<N>();
        let entity = N::CUSTOM.map_or("", RecordKind::as_str);
        if !is_mentioned || kinds.is_empty() {
            return Ok(Self { entity, ..Self::default() });
        }
        Ok(Self { custom: services.custom_fields.known(&caller.context, &kinds).await?, entity })
    }

    /// What a filter of the noun may name.
    pub(super) fn known<'k>(&'k self, vocabulary: &'k crm_kernel::Vocabulary) -> Known<'k> {
        Known { vocabulary, entity: self.entity, custom: &self.custom }
    }

    /// The noun's own field of a name such as `custom_fields.region`.
    pub(super) fn find(&self, name: &str) -> Option<&std::sync::Arc<CustomField>> {
        self.custom.find(self.entity, name.strip_prefix(PREFIX)?)
    }

    /// Orders the list by a custom field.
    pub(super) fn sort(&self, query: &mut ListQuery, name: &str, direction: Direction) -> Result<(), FieldError> {
        let Some(field) = self.find(name) else {
            return Err(FieldError::new("sort", "unknown", format!("there is no custom field {name}")));
        };
        if field.ordered.is_none() || !field.field_type.is_sortable() {
            let message = format!("{name} is not in order: it must be indexed, and all its values be in place");
            return Err(FieldError::new("sort", "not_indexed", message));
        }
        query.sort.direction = direction;
        query.custom_sort = Some(std::sync::Arc::clone(field));
        Ok(())
    }
}

/// The definitions of this noun and its parents, living ones, for showing what can be asked.
pub(super) async fn definitions<N: Noun>(services: &Services, caller: &Caller) -> Result<Vec<CustomFieldDefinition>> {
    if kinds::<N>().is_empty() {
        return Ok(Vec::new());
    }
    let mut all = services.custom_fields.list(&caller.context, None).await?.data;
    all.retain(|field| field.retired_at.is_none());
    Ok(all)
}

fn kinds<N: Noun>() -> Vec<RecordKind> {
    let parents = N::vocabulary().parents;
    let mut kinds: Vec<RecordKind> = parents.iter().filter_map(|parent| parent.entity.parse().ok()).collect();
    kinds.extend(N::CUSTOM);
    kinds.dedup();
    kinds
}

/// The word by which the list of fields calls a type; those of the other fields, where there is one.
pub(super) fn word(field_type: FieldType) -> &'static str {
    match field_type {
        FieldType::Time => "timestamp",
        FieldType::Company | FieldType::Contact | FieldType::Deal => "id",
        other => other.as_str(),
    }
}
