//! `/a-crm/custom-fields`: what the organisation defines beside the fields of its records.

use actix_web::{
    HttpRequest,
    web::{Data, Path},
};
use crm_kernel::{CustomFieldId, Result, validation};
use crm_tenancy::custom_fields::{
    ConversionReport, ConversionRequest, CustomFieldChanges, CustomFieldDefinition, CustomFieldList, NewCustomField, RecordKind,
};
use paperclip::{
    actix::{api_v2_operation, web},
    v2::models::DataTypeFormat,
};
use uuid::Uuid;

use crate::{
    answer::{Created, Found, Plain, Record, if_match},
    body::{Body, Input},
    caller::{Caller, RecordCaller},
    problem::Answer,
    question::{Given, QueryParameter},
    services::Services,
    shape::created,
};

const COLLECTION: &str = "/api/v1/a-crm/custom-fields";

/// The routes of this file.
#[must_use]
pub fn scope() -> web::Scope {
    web::scope("/custom-fields")
        .route("", web::get().to(list))
        .route("", web::post().to(create))
        .route("/{id}", web::get().to(get))
        .route("/{id}", web::patch().to(update))
        .route("/{id}/retire", web::post().to(retire))
        .route("/{id}/reinstate", web::post().to(reinstate))
        .route("/{id}/conversion-report", web::post().to(conversion_report))
        .route("/{id}/convert", web::post().to(convert))
}

impl Record for CustomFieldDefinition {
    fn id(&self) -> Uuid {
        self.id.uuid()
    }
    fn version(&self) -> i32 {
        self.version
    }
}

impl Input for NewCustomField {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

impl Input for CustomFieldChanges {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

impl Input for ConversionRequest {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

/// The kind of record whose fields are listed.
#[derive(Debug)]
pub struct OfEntity;

impl QueryParameter for OfEntity {
    const NAME: &'static str = "entity";
    const DESCRIPTION: &'static str = "Only the fields of this kind of record: company, contact or deal.";
    const FORMAT: Option<DataTypeFormat> = None;
}

/// List custom fields, retired ones too
#[api_v2_operation(operation_id = "listCustomFields", tags("Custom fields"))]
async fn list(caller: Caller, entity: Given<OfEntity>, services: Data<Services>) -> Answer<Plain<CustomFieldList>> {
    let kind: Option<RecordKind> = entity.parsed("expected company, contact or deal")?;
    Ok(Plain(services.custom_fields.list(&caller.context, kind).await?))
}

/// Define a custom field
#[api_v2_operation(operation_id = "createCustomField", tags("Custom fields"))]
async fn create(caller: Caller, services: Data<Services>, body: Body<NewCustomField>) -> Answer<Created<CustomFieldDefinition>> {
    let field = services.custom_fields.create(&caller.context, body.0).await?;
    Ok(created(COLLECTION, &field)?)
}

/// Get a custom field
#[api_v2_operation(operation_id = "getCustomField", tags("Custom fields"))]
async fn get(caller: Caller, id: Path<CustomFieldId>, services: Data<Services>) -> Answer<Found<CustomFieldDefinition>> {
    Ok(Found::plain(&services.custom_fields.get(&caller.context, *id).await?)?)
}

/// Change a custom field: a JSON Merge Patch
#[api_v2_operation(operation_id = "updateCustomField", tags("Custom fields"))]
async fn update(
    caller: RecordCaller,
    request: HttpRequest,
    id: Path<CustomFieldId>,
    services: Data<Services>,
    body: Body<CustomFieldChanges>,
) -> Answer<Found<CustomFieldDefinition>> {
    let context = caller.allowed(services.custom_fields.get(&caller.context, *id)).await?;
    Ok(Found::plain(&services.custom_fields.update(context, *id, &if_match(&request), body.0).await?)?)
}

/// Take a custom field out of use; what records hold stays
#[api_v2_operation(operation_id = "retireCustomField", tags("Custom fields"))]
async fn retire(
    caller: RecordCaller,
    request: HttpRequest,
    id: Path<CustomFieldId>,
    services: Data<Services>,
) -> Answer<Found<CustomFieldDefinition>> {
    let context = caller.allowed(services.custom_fields.get(&caller.context, *id)).await?;
    Ok(Found::plain(&services.custom_fields.retire(context, *id, &if_match(&request)).await?)?)
}

/// Bring a custom field back into use
#[api_v2_operation(operation_id = "reinstateCustomField", tags("Custom fields"))]
async fn reinstate(
    caller: RecordCaller,
    id: Path<CustomFieldId>,
    services: Data<Services>,
) -> Answer<Found<CustomFieldDefinition>> {
    let context = caller.allowed(services.custom_fields.get(&caller.context, *id)).await?;
    Ok(Found::plain(&services.custom_fields.reinstate(context, *id).await?)?)
}

/// What giving it another type would find: nothing is changed
#[api_v2_operation(operation_id = "reportCustomFieldConversion", tags("Custom fields"))]
async fn conversion_report(
    caller: RecordCaller,
    id: Path<CustomFieldId>,
    services: Data<Services>,
    body: Body<ConversionRequest>,
) -> Answer<Plain<ConversionReport>> {
    let context = caller.allowed(services.custom_fields.get(&caller.context, *id)).await?;
    Ok(Plain(services.custom_fields.conversion_report(context, *id, &body.0).await?))
}

/// Give a custom field another type; values follow in steps
#[api_v2_operation(operation_id = "convertCustomField", tags("Custom fields"))]
async fn convert(
    caller: RecordCaller,
    request: HttpRequest,
    id: Path<CustomFieldId>,
    services: Data<Services>,
    body: Body<ConversionRequest>,
) -> Answer<Found<CustomFieldDefinition>> {
    let context = caller.allowed(services.custom_fields.get(&caller.context, *id)).await?;
    Ok(Found::plain(&services.custom_fields.convert(context, *id, &if_match(&request), &body.0).await?)?)
}
