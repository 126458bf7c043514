//! The one place where values of custom fields are judged: for what is created, replaced, patched, one record or many.
//!
//! Must stay true: every bad value is named with its pointer, and all of them at once; what is written is in the normal form. While a
//! kind of record has no living definition, its `custom_fields` are an object of the caller's choice; from the first one on only
//! defined keys can be written, and others only removed.

use std::{collections::BTreeMap, sync::Arc};

use crm_kernel::{Error, FieldError, FieldType, Object, ObjectChange, Result};
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryResult};
use diesel_async::RunQueryDsl;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    model::{CustomFieldDefinition, RecordKind},
    schema::{
        crm_campaigns, crm_companies, crm_contacts, crm_deals, crm_notes, crm_projects, crm_tasks, q_companies, q_contacts,
        q_deals,
    },
    store,
};
use crate::{Expect, Tx, schema::q_members};

/// Definitions as a transaction remembers them.
pub(crate) type Remembered = BTreeMap<&'static str, Arc<[CustomFieldDefinition]>>;

/// The types whose values name something.
const REFERENCES: [FieldType; 4] = [FieldType::Member, FieldType::Company, FieldType::Contact, FieldType::Deal];

/// What is being judged.
struct Judged<'d> {
    fields: &'d [CustomFieldDefinition],
    faults: Vec<FieldError>,
    references: Vec<(FieldType, Uuid, String)>,
}

/// Reads the definitions of this kind into the transaction, so that they are the ones by which everything in it is judged. Those who do
/// several things call it before the first attempt that may be undone.
///
/// # Errors
/// When the database cannot be asked.
pub async fn hold(tx: &mut Tx, kind: RecordKind) -> Result<()> {
    definitions(tx, kind).await.map(|_| ())
}

/// The `custom_fields` of a new record, with defaults, and what is wrong with them.
///
/// # Errors
/// When the database cannot be asked.
pub async fn judged_new(tx: &mut Tx, kind: RecordKind, given: Option<Object>) -> Result<(Option<Object>, Vec<FieldError>)> {
    let fields = definitions(tx, kind).await?;
    if fields.iter().all(|field| field.retired_at.is_some()) {
        return Ok((given, Vec::new()));
    }
    let mut judged = Judged { fields: &fields, faults: Vec::new(), references: Vec::new() };
    let mut values = Map::new();
    for (key, value) in given.unwrap_or_default().0 {
        let field = judged.field(&key, &value);
        let normal = field.and_then(|field| judged.value(field, &field.offered(), &value));
        values.extend(normal.map(|normal| (key, normal)));
    }
    for field in living(&fields) {
        if let (false, Some(default)) = (values.contains_key(&field.key) || judged.is_faulty(field), &field.default_value) {
            values.insert(field.key.clone(), default.clone());
        }
        judged.require(field, values.get(&field.key));
    }
    let faults = judged.faults(tx, Stored::Nowhere).await?;
    Ok((Some(Object(values)), faults))
}

/// A change to the `custom_fields` of this record as it is to be written, and what is wrong with it. Keys that are not defined, or no
/// longer, keep their values when all others are replaced. What the record refers to already it may go on referring to, so that it can
/// be written back as it was read.
///
/// # Errors
/// When the database cannot be asked.
pub async fn judged_change(
    tx: &mut Tx,
    kind: RecordKind,
    record: Uuid,
    change: &ObjectChange,
) -> Result<(ObjectChange, Vec<FieldError>)> {
    let (given, replaces) = match change {
        ObjectChange::Keep => return Ok((ObjectChange::Keep, Vec::new())),
        ObjectChange::Merge(Value::Object(patch)) => (patch.clone(), false),
        ObjectChange::Merge(_) => (Map::new(), true),
        ObjectChange::Replace(values) => (values.clone().unwrap_or_default().0, true),
    };
    let fields = definitions(tx, kind).await?;
    if fields.iter().all(|field| field.retired_at.is_some()) {
        return Ok((change.clone(), Vec::new()));
    }
    let mut judged = Judged { fields: &fields, faults: Vec::new(), references: Vec::new() };
    let mut patch = Map::new();
    for (key, value) in given {
        match judged.field(&key, &value) {
            Some(field) => {
                let normal = judged.value(field, &field.option_keys(), &value);
                judged.require(field, normal.as_ref());
                patch.insert(key, normal.unwrap_or_default());
            }
            None => {
                patch.insert(key, Value::Null);
            }
        }
    }
    if replaces {
        for field in living(&fields).filter(|field| !patch.contains_key(&field.key)).collect::<Vec<_>>() {
            judged.require(field, None);
            patch.insert(field.key.clone(), Value::Null);
        }
    }
    let faults = judged.faults(tx, Stored::In(kind, record)).await?;
    Ok((ObjectChange::Merge(Value::Object(patch)), faults))
}

/// The `custom_fields` of rows that are brought in, put into the normal form where they stand; and what is wrong with the first row that
/// has a fault. History has neither defaults nor what was required later. A text that does not fit is read as JSON: a spreadsheet has
/// nothing but texts.
///
/// # Errors
/// When the database cannot be asked.
pub(crate) async fn judge_imported(tx: &mut Tx, kind: RecordKind, rows: &mut [Value]) -> Result<Vec<FieldError>> {
    let fields = definitions(tx, kind).await?;
    if fields.iter().all(|field| field.retired_at.is_some()) {
        return Ok(Vec::new());
    }
    let mut judged = Judged { fields: &fields, faults: Vec::new(), references: Vec::new() };
    for values in rows.iter_mut().filter_map(|row| row.get_mut("custom_fields")?.as_object_mut()) {
        for (key, value) in std::mem::take(values) {
            let Some(field) = judged.field(&key, &value) else { continue };
            let options = field.option_keys();
            let read = value.as_str().filter(|_| field.field_type.normal(&options, &value).is_err());
            let read = read.and_then(|text| serde_json::from_str(text).ok());
            let normal = judged.value(field, &options, read.as_ref().unwrap_or(&value));
            values.extend(normal.map(|normal| (key, normal)));
        }
        if !judged.faults.is_empty() {
            break;
        }
    }
    judged.faults(tx, Stored::Nowhere).await
}

impl<'d> Judged<'d> {
    /// The definition of this key; without one only null is right.
    fn field(&mut self, key: &str, value: &Value) -> Option<&'d CustomFieldDefinition> {
        let found = self.fields.iter().find(|field| field.key == key);
        match found {
            Some(field) if field.retired_at.is_none() => return Some(field),
            _ if value.is_null() => {}
            Some(_) => self.fault(key, "retired", "this field is retired: its values can only be removed".into()),
            None => {
                let known: Vec<&str> = living(self.fields).map(|field| field.key.as_str()).collect();
                self.fault(key, "unknown", crm_kernel::custom::unknown_key(&known, key));
            }
        }
        None
    }

    /// The value in its normal form, and noted if it names something.
    fn value(&mut self, field: &CustomFieldDefinition, options: &[String], value: &Value) -> Option<Value> {
        match field.field_type.normal(options, value) {
            Ok(normal) => {
                let id = normal.as_ref().and_then(id_in);
                if let (true, Some(id)) = (field.field_type.is_reference(), id) {
                    self.references.push((field.field_type, id, field.key.clone()));
                }
                normal
            }
            Err(misfit) => {
                self.fault(&field.key, misfit.code, misfit.message);
                None
            }
        }
    }

    /// That a required field has a value; what is wrong with it otherwise is said once.
    fn require(&mut self, field: &CustomFieldDefinition, value: Option<&Value>) {
        let blank = value.is_none_or(|value| value.as_str().is_some_and(|text| text.trim().is_empty()));
        if field.required && blank && !self.is_faulty(field) {
            self.fault(&field.key, "required", "is required".into());
        }
    }

    fn is_faulty(&self, field: &CustomFieldDefinition) -> bool {
        let pointer = pointer(&field.key);
        self.faults.iter().any(|fault| fault.pointer == pointer)
    }

    fn fault(&mut self, key: &str, code: &'static str, message: String) {
        self.faults.push(FieldError::new(pointer(key), code, message));
    }

    /// Everything that is wrong, what is named and not there among it: one question for each kind of thing, and one more for the stored
    /// values when something is not there.
    async fn faults(mut self, tx: &mut Tx, stored: Stored) -> Result<Vec<FieldError>> {
        let mut missing = Vec::new();
        for target in REFERENCES {
            let named: Vec<&(FieldType, Uuid, String)> = self.references.iter().filter(|(kind, ..)| *kind == target).collect();
            if named.is_empty() {
                continue;
            }
            let there = present(tx, target, &named.iter().map(|(_, id, _)| *id).collect::<Vec<_>>()).await?;
            missing.extend(named.into_iter().filter(|(_, id, _)| !there.contains(id)));
        }
        if missing.is_empty() {
            return Ok(self.faults);
        }
        let before = stored.values(tx).await?;
        let is_new = |(_, id, key): &&&(FieldType, Uuid, String)| before.get(key).and_then(id_in) != Some(*id);
        let new = missing.iter().filter(is_new);
        self.faults.extend(new.map(|(.., key)| FieldError::new(pointer(key), "reference", "no such record")));
        Ok(self.faults)
    }
}

/// Where the record that is judged stands as it was.
#[derive(Clone, Copy)]
enum Stored {
    Nowhere,
    In(RecordKind, Uuid),
}

impl Stored {
    /// Held until the transaction ends: what the record refers to is not replaced by another between the look and the change. Those who may
    /// not change it see no values of it, and are told so when they try.
    async fn values(self, tx: &mut Tx) -> Result<Map<String, Value>> {
        macro_rules! values_in {
            ($table:ident, $id:ident) => {
                $table::table.find((tx.organization_id(), $id)).select($table::custom_fields).for_no_key_update().first(tx).await
            };
        }
        let found: QueryResult<Value> = match self {
            Self::Nowhere => return Ok(Map::new()),
            Self::In(RecordKind::Company, id) => values_in!(crm_companies, id),
            Self::In(RecordKind::Contact, id) => values_in!(crm_contacts, id),
            Self::In(RecordKind::Deal, id) => values_in!(crm_deals, id),
            Self::In(RecordKind::Project, id) => values_in!(crm_projects, id),
            Self::In(RecordKind::Task, id) => values_in!(crm_tasks, id),
            Self::In(RecordKind::Note, id) => values_in!(crm_notes, id),
            Self::In(RecordKind::Campaign, id) => values_in!(crm_campaigns, id),
        };
        // A record that is not there has no values; whoever changes it is told so.
        match found.optional().expect_any(store::CUSTOM_FIELD)? {
            Some(Value::Object(values)) => Ok(values),
            _ => Ok(Map::new()),
        }
    }
}

fn living(fields: &[CustomFieldDefinition]) -> impl Iterator<Item = &CustomFieldDefinition> {
    fields.iter().filter(|field| field.retired_at.is_none())
}

fn pointer(key: &str) -> String {
    let shown: String = key.chars().take(100).collect();
    format!("/custom_fields/{}", shown.replace('~', "~0").replace('/', "~1"))
}

/// Which of these are active members, or living records, of the organisation.
async fn present(tx: &mut Tx, target: FieldType, ids: &[Uuid]) -> Result<Vec<Uuid>> {
    macro_rules! living_records {
        ($view:ident) => {
            $view::table
                .filter($view::organization_id.eq(tx.organization_id()))
                .filter($view::id.eq_any(ids))
                .filter($view::deleted_at.is_null())
                .select($view::id)
                .load(tx)
                .await
        };
    }
    let found = match target {
        FieldType::Company => living_records!(q_companies),
        FieldType::Contact => living_records!(q_contacts),
        FieldType::Deal => living_records!(q_deals),
        _ => {
            let members = q_members::table.filter(q_members::organization_id.eq(tx.organization_id()));
            let active = members.filter(q_members::user_id.eq_any(ids)).filter(q_members::status.eq("active"));
            active.select(q_members::user_id).load(tx).await
        }
    };
    found.expect_any(store::CUSTOM_FIELD)
}

/// Read once in a transaction, under the lock that keeps them as they are.
async fn definitions(tx: &mut Tx, kind: RecordKind) -> Result<Arc<[CustomFieldDefinition]>> {
    if let Some(known) = tx.custom_fields.get(kind.as_str()) {
        return Ok(Arc::clone(known));
    }
    store::hold(tx).await?;
    let mut fields = store::list(tx, &[kind]).await?;
    forget_lapsed_defaults(tx, &mut fields).await?;
    let fields: Arc<[CustomFieldDefinition]> = fields.into();
    tx.custom_fields.insert(kind.as_str(), Arc::clone(&fields));
    Ok(fields)
}

/// Takes away defaults that are no values any more: of an option that was retired, of a person who has left, of a record in the bin.
/// Nobody has sent them with the record at hand, so they are no fault of it; one that is required is missing then.
async fn forget_lapsed_defaults(tx: &mut Tx, fields: &mut [CustomFieldDefinition]) -> Result<()> {
    let mut references = Vec::new();
    for field in fields.iter_mut().filter(|field| field.retired_at.is_none()) {
        let Some(default) = field.default_value.take() else { continue };
        field.default_value = field.field_type.normal(&field.offered(), &default).ok().flatten();
        let id = field.default_value.as_ref().filter(|_| field.field_type.is_reference()).and_then(id_in);
        references.extend(id.map(|id| (field.field_type, id)));
    }
    for target in REFERENCES {
        let ids: Vec<Uuid> = references.iter().filter(|(kind, _)| *kind == target).map(|(_, id)| *id).collect();
        if ids.is_empty() {
            continue;
        }
        let there = present(tx, target, &ids).await?;
        let is_gone = |default: &mut Value| id_in(default).is_none_or(|id| !there.contains(&id));
        for field in fields.iter_mut().filter(|field| field.field_type == target && field.retired_at.is_none()) {
            drop(field.default_value.take_if(is_gone));
        }
    }
    Ok(())
}

/// Refuses a default that names what is not there.
///
/// # Errors
/// `Invalid`.
pub(super) async fn judge_default(tx: &mut Tx, field_type: FieldType, default: Option<&Value>) -> Result<()> {
    let Some(id) = default.filter(|_| field_type.is_reference()).and_then(id_in) else { return Ok(()) };
    if present(tx, field_type, &[id]).await?.is_empty() {
        return Err(Error::invalid("/default_value", "reference", "no such record"));
    }
    Ok(())
}

fn id_in(value: &Value) -> Option<Uuid> {
    value.as_str().and_then(|text| text.parse().ok())
}
