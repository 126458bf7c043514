//! Every SQL statement about definitions of custom fields. Each names the organisation, although the database confines it anyway.

use crm_kernel::{CustomFieldId, Error, Expected, FieldType, Result, Timestamp};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, IntoSql, JoinOnDsl, OptionalExtension, QueryDsl, SelectableHelper,
    dsl::now,
    sql_types::{Bool, Integer, Jsonb, Text, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use serde_json::Value;

use super::{
    model::{
        ConversionReport, ConversionRequest, CustomFieldChanges, CustomFieldDefinition, CustomFieldWork, DefinitionRow, Misfits,
        NewCustomField, RecordKind,
    },
    schema::{crm_custom_fields, q_custom_field_work, q_custom_fields},
};
use crate::{Entity, Expect, Tx};

pub(super) const CUSTOM_FIELD: Entity = Entity { name: "custom field", table: "crm_custom_fields" };

/// More than an organisation may have of all kinds: a bound that is never met.
const MOST: i64 = 2_000;
/// Records that a report looks at.
const MOST_REPORTED: i32 = 50_000;

diesel::define_sql_function! {
    /// Takes the organisation's definitions for reading, until the end of the transaction.
    #[sql_name = "app.hold_custom_fields"]
    fn hold_custom_fields() -> Bool;
}

diesel::define_sql_function! {
    /// Counts what fits another type.
    #[sql_name = "app.custom_conversion_report"]
    fn custom_conversion_report(field: SqlUuid, field_type: Text, options: Jsonb, most: Integer) -> Jsonb;
}

diesel::define_sql_function! {
    /// Begins a conversion.
    #[sql_name = "app.convert_custom_field"]
    fn convert_custom_field(field: SqlUuid, field_type: Text, options: Jsonb, misfits: Text) -> Bool;
}

type Found = (DefinitionRow, Option<CustomFieldWork>);

/// Retired ones included, by kind, position and key.
pub(super) async fn list(tx: &mut Tx, kinds: &[RecordKind]) -> Result<Vec<CustomFieldDefinition>> {
    let same = q_custom_field_work::organization_id
        .eq(q_custom_fields::organization_id)
        .and(q_custom_field_work::field_id.eq(q_custom_fields::id));
    let found: Vec<Found> = q_custom_fields::table
        .left_join(q_custom_field_work::table.on(same))
        .filter(q_custom_fields::organization_id.eq(tx.organization_id()))
        .filter(q_custom_fields::entity.eq_any(kinds.to_vec()))
        .order((q_custom_fields::entity, q_custom_fields::position, q_custom_fields::key))
        .limit(MOST)
        .select((DefinitionRow::as_select(), Option::<CustomFieldWork>::as_select()))
        .load(tx)
        .await
        .expect_any(CUSTOM_FIELD)?;
    Ok(found.into_iter().map(CustomFieldDefinition::of).collect())
}

pub(super) async fn get(tx: &mut Tx, id: CustomFieldId) -> Result<CustomFieldDefinition> {
    let same = q_custom_field_work::organization_id
        .eq(q_custom_fields::organization_id)
        .and(q_custom_field_work::field_id.eq(q_custom_fields::id));
    let found: Found = q_custom_fields::table
        .left_join(q_custom_field_work::table.on(same))
        .filter(q_custom_fields::organization_id.eq(tx.organization_id()))
        .filter(q_custom_fields::id.eq(id))
        .select((DefinitionRow::as_select(), Option::<CustomFieldWork>::as_select()))
        .first(tx)
        .await
        .expect_one(CUSTOM_FIELD)?;
    Ok(CustomFieldDefinition::of(found))
}

/// Nobody changes what the definitions mean before this transaction is over.
pub(super) async fn hold(tx: &mut Tx) -> Result<()> {
    diesel::select(hold_custom_fields()).get_result::<bool>(tx).await.expect_one(CUSTOM_FIELD).map(|_| ())
}

pub(super) async fn insert(tx: &mut Tx, new: &NewCustomField) -> Result<CustomFieldDefinition> {
    let made = diesel::insert_into(crm_custom_fields::table).values(new).returning(crm_custom_fields::id);
    let id = made.get_result(tx).await.expect_one(CUSTOM_FIELD)?;
    get(tx, id).await
}

pub(super) async fn update(
    tx: &mut Tx,
    id: CustomFieldId,
    expected: &Expected,
    changes: &CustomFieldChanges,
) -> Result<CustomFieldDefinition> {
    let this = crm_custom_fields::table.find((tx.organization_id(), id));
    let this = this.filter(expected.is_any().into_sql::<Bool>().or(crm_custom_fields::version.eq_any(expected.versions())));
    let changed = diesel::update(this).set(changes).returning(crm_custom_fields::id).get_result(tx).await;
    done(tx, id, changed).await
}

pub(super) async fn retire(tx: &mut Tx, id: CustomFieldId, expected: &Expected) -> Result<CustomFieldDefinition> {
    let this = crm_custom_fields::table.find((tx.organization_id(), id));
    let this = this.filter(expected.is_any().into_sql::<Bool>().or(crm_custom_fields::version.eq_any(expected.versions())));
    let retired = diesel::update(this).set(crm_custom_fields::retired_at.eq(now));
    let changed = retired.returning(crm_custom_fields::id).get_result(tx).await;
    done(tx, id, changed).await
}

pub(super) async fn reinstate(tx: &mut Tx, id: CustomFieldId) -> Result<CustomFieldDefinition> {
    let this = crm_custom_fields::table.find((tx.organization_id(), id));
    let back = diesel::update(this).set(crm_custom_fields::retired_at.eq(None::<Timestamp>));
    let changed = back.returning(crm_custom_fields::id).get_result(tx).await;
    done(tx, id, changed).await
}

pub(super) async fn report(tx: &mut Tx, id: CustomFieldId, request: &ConversionRequest) -> Result<ConversionReport> {
    let asked = custom_conversion_report(id, request.field_type.as_str(), &request.options, MOST_REPORTED);
    let found: Value = diesel::select(asked).get_result(tx).await.expect_one(CUSTOM_FIELD)?;
    let mut report: ConversionReport = serde_json::from_value(found).map_err(Error::internal)?;
    report.complete = report.records < i64::from(MOST_REPORTED);
    Ok(report)
}

pub(super) async fn convert(tx: &mut Tx, id: CustomFieldId, request: &ConversionRequest) -> Result<CustomFieldDefinition> {
    let (to, misfits): (FieldType, Misfits) = (request.field_type, request.misfits.unwrap_or(Misfits::Keep));
    let begun = convert_custom_field(id, to.as_str(), &request.options, misfits.as_str());
    diesel::select(begun).get_result::<bool>(tx).await.expect_one(CUSTOM_FIELD)?;
    get(tx, id).await
}

async fn done(tx: &mut Tx, id: CustomFieldId, changed: diesel::QueryResult<CustomFieldId>) -> Result<CustomFieldDefinition> {
    match changed.optional().expect_any(CUSTOM_FIELD)? {
        Some(id) => get(tx, id).await,
        // It was there and of the right version a moment ago, so somebody was faster.
        None => get(tx, id).await.and(Err(Error::Stale(CUSTOM_FIELD.name))),
    }
}
