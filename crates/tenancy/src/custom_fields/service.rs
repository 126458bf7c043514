//! The contract of definitions of custom fields, and its use cases on PostgreSQL.

use async_trait::async_trait;
use crm_kernel::{Context, CustomFieldId, CustomFields, Error, Expected, Result, Role};

use super::{
    model::{
        ConversionReport, ConversionRequest, CustomFieldChanges, CustomFieldDefinition, CustomFieldList, NewCustomField,
        RecordKind,
    },
    rules, store, values,
};
use crate::{Db, Tx};

/// What an organisation defines beside the fields of its records. Another organisation's field does not exist here: every method says
/// `NotFound`. Everybody reads; owner and admin change.
#[async_trait]
pub trait CustomFieldDefinitions: Send + Sync {
    /// Those of one kind of record, or all; retired ones too.
    async fn list(&self, context: &Context, kind: Option<RecordKind>) -> Result<CustomFieldList>;

    /// One, retired or not.
    async fn get(&self, context: &Context, id: CustomFieldId) -> Result<CustomFieldDefinition>;

    /// As filters need them: the living ones of these kinds.
    async fn known(&self, context: &Context, kinds: &[RecordKind]) -> Result<CustomFields>;

    /// A new one. `Conflict` when the key is taken, by a retired one too; with `unique`, when records share a value under the key.
    async fn create(&self, context: &Context, new: NewCustomField) -> Result<CustomFieldDefinition>;

    /// Changes what is named. Index and uniqueness are built in steps where there are many records.
    async fn update(
        &self,
        context: &Context,
        id: CustomFieldId,
        expected: &Expected,
        changes: CustomFieldChanges,
    ) -> Result<CustomFieldDefinition>;

    /// Takes it out of use: it cannot be written, and is neither required, unique nor indexed. What records hold stays.
    async fn retire(&self, context: &Context, id: CustomFieldId, expected: &Expected) -> Result<CustomFieldDefinition>;

    /// Brings it back into use.
    async fn reinstate(&self, context: &Context, id: CustomFieldId) -> Result<CustomFieldDefinition>;

    /// What a conversion would find among the newest records; changes nothing.
    async fn conversion_report(
        &self,
        context: &Context,
        id: CustomFieldId,
        request: &ConversionRequest,
    ) -> Result<ConversionReport>;

    /// Gives it another type: at once for what is written from now on, in steps for what is stored. `Conflict` while something is being
    /// done to its values already.
    async fn convert(
        &self,
        context: &Context,
        id: CustomFieldId,
        expected: &Expected,
        request: &ConversionRequest,
    ) -> Result<CustomFieldDefinition>;
}

/// Definitions kept in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgCustomFieldDefinitions {
    db: Db,
}

impl PgCustomFieldDefinitions {
    /// On this database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db }
    }
}

/// Every kind of record that has custom fields.
const KINDS: [RecordKind; 7] = [
    RecordKind::Company,
    RecordKind::Contact,
    RecordKind::Deal,
    RecordKind::Campaign,
    RecordKind::Project,
    RecordKind::Task,
    RecordKind::Note,
];

#[async_trait]
impl CustomFieldDefinitions for PgCustomFieldDefinitions {
    async fn list(&self, context: &Context, kind: Option<RecordKind>) -> Result<CustomFieldList> {
        let mut tx = self.db.begin(context).await?;
        let kinds = kind.map_or_else(|| KINDS.to_vec(), |kind| vec![kind]);
        Ok(CustomFieldList { data: store::list(&mut tx, &kinds).await? })
    }

    async fn get(&self, context: &Context, id: CustomFieldId) -> Result<CustomFieldDefinition> {
        store::get(&mut self.db.begin(context).await?, id).await
    }

    async fn known(&self, context: &Context, kinds: &[RecordKind]) -> Result<CustomFields> {
        let mut known = CustomFields::default();
        for field in store::list(&mut self.db.begin(context).await?, kinds).await? {
            if field.retired_at.is_none() {
                known.add(field.entity.as_str(), field.known());
            }
        }
        Ok(known)
    }

    async fn create(&self, context: &Context, new: NewCustomField) -> Result<CustomFieldDefinition> {
        let mut tx = self.db.begin(context).await?;
        tx.require(Role::is_manager, "define custom fields")?;
        let new = rules::judged_new(new)?;
        values::judge_default(&mut tx, new.field_type, new.default_value.as_ref()).await?;
        let field = store::insert(&mut tx, &new).await?;
        tx.commit().await?;
        Ok(field)
    }

    async fn update(
        &self,
        context: &Context,
        id: CustomFieldId,
        expected: &Expected,
        changes: CustomFieldChanges,
    ) -> Result<CustomFieldDefinition> {
        let mut tx = self.db.begin(context).await?;
        let field = changeable(&mut tx, id, expected).await?;
        let changes = rules::judged_change(&field, changes)?;
        values::judge_default(&mut tx, field.field_type, changes.default_value.as_ref().and_then(Option::as_ref)).await?;
        if changes == CustomFieldChanges::default() {
            return Ok(field);
        }
        let field = store::update(&mut tx, id, expected, &changes).await?;
        tx.commit().await?;
        Ok(field)
    }

    async fn retire(&self, context: &Context, id: CustomFieldId, expected: &Expected) -> Result<CustomFieldDefinition> {
        let mut tx = self.db.begin(context).await?;
        let field = changeable(&mut tx, id, expected).await?;
        if field.retired_at.is_some() {
            return Ok(field);
        }
        let field = store::retire(&mut tx, id, expected).await?;
        tx.commit().await?;
        Ok(field)
    }

    async fn reinstate(&self, context: &Context, id: CustomFieldId) -> Result<CustomFieldDefinition> {
        let mut tx = self.db.begin(context).await?;
        changeable(&mut tx, id, &Expected::Any).await?;
        let field = store::reinstate(&mut tx, id).await?;
        tx.commit().await?;
        Ok(field)
    }

    async fn conversion_report(
        &self,
        context: &Context,
        id: CustomFieldId,
        request: &ConversionRequest,
    ) -> Result<ConversionReport> {
        let mut tx = self.db.begin(context).await?;
        let field = changeable(&mut tx, id, &Expected::Any).await?;
        rules::judge_conversion(&field, request)?;
        store::report(&mut tx, id, request).await
    }

    async fn convert(
        &self,
        context: &Context,
        id: CustomFieldId,
        expected: &Expected,
        request: &ConversionRequest,
    ) -> Result<CustomFieldDefinition> {
        let mut tx = self.db.begin(context).await?;
        let field = changeable(&mut tx, id, expected).await?;
        rules::judge_conversion(&field, request)?;
        let field = store::convert(&mut tx, id, request).await?;
        tx.commit().await?;
        Ok(field)
    }
}

/// The field, if this caller may change it as it is: 404, 403, 412 in this order.
async fn changeable(tx: &mut Tx, id: CustomFieldId, expected: &Expected) -> Result<CustomFieldDefinition> {
    let field = store::get(tx, id).await?;
    tx.require(Role::is_manager, "change custom fields")?;
    if expected.accepts(field.version) { Ok(field) } else { Err(Error::Stale(store::CUSTOM_FIELD.name)) }
}
