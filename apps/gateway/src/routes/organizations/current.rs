//! `/organizations/current`: the organisation of the token, its security settings, its end.

use actix_web::{HttpRequest, web::Data};
use crm_kernel::{Result, validation};
use crm_tenancy::{
    Organization,
    organizations::{OrganizationChanges, SecuritySettings, SecuritySettingsChanges},
};
use paperclip::{
    actix::{api_v2_operation, web},
    v2::models::DataTypeFormat,
};
use uuid::Uuid;

use crate::{
    answer::{Empty, Found, Record, if_match},
    body::{Body, Input},
    caller::Caller,
    problem::Answer,
    question::{Given, QueryParameter},
    services::Services,
};

/// The routes of this file.
pub fn routes(configuration: &mut web::ServiceConfig) {
    configuration
        .route("", web::get().to(current))
        .route("", web::patch().to(update))
        .route("", web::delete().to(delete))
        .route("/security", web::get().to(security))
        .route("/security", web::patch().to(update_security));
}

impl Record for Organization {
    fn id(&self) -> Uuid {
        self.id.uuid()
    }
    fn version(&self) -> i32 {
        self.version
    }
}

impl Record for SecuritySettings {
    fn id(&self) -> Uuid {
        self.id.uuid()
    }
    fn version(&self) -> i32 {
        self.version
    }
}

impl Input for OrganizationChanges {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

impl Input for SecuritySettingsChanges {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

/// The slug of the organisation that is to be deleted.
#[derive(Debug)]
pub struct Confirm;

impl QueryParameter for Confirm {
    const NAME: &'static str = "confirm";
    const DESCRIPTION: &'static str = "The slug of the organisation, so that nobody deletes one by mistake. Required.";
    const FORMAT: Option<DataTypeFormat> = None;
}

/// The organisation of my token
#[api_v2_operation(operation_id = "getOrganization", tags("Organization"))]
async fn current(caller: Caller, services: Data<Services>) -> Answer<Found<Organization>> {
    Ok(Found::plain(&services.organizations.current(&caller.context).await?)?)
}

/// Change the organisation: a JSON Merge Patch
#[api_v2_operation(operation_id = "updateOrganization", tags("Organization"))]
async fn update(
    caller: Caller,
    request: HttpRequest,
    services: Data<Services>,
    body: Body<OrganizationChanges>,
) -> Answer<Found<Organization>> {
    let organization = services.organizations.update(&caller.context, &if_match(&request), &body.0).await?;
    Ok(Found::plain(&organization)?)
}

/// Delete the organisation: nobody enters it any more from the next request on
#[api_v2_operation(operation_id = "deleteOrganization", tags("Organization"))]
async fn delete(caller: Caller, request: HttpRequest, confirm: Given<Confirm>, services: Data<Services>) -> Answer<Empty> {
    services.organizations.delete(&caller.context, &if_match(&request), &confirm.required()?).await?;
    Ok(Empty)
}

/// How the organisation wants to be entered
#[api_v2_operation(operation_id = "getSecuritySettings", tags("Organization"))]
async fn security(caller: Caller, services: Data<Services>) -> Answer<Found<SecuritySettings>> {
    Ok(Found::plain(&services.organizations.security(&caller.context).await?)?)
}

/// Change how the organisation wants to be entered: a JSON Merge Patch
#[api_v2_operation(operation_id = "updateSecuritySettings", tags("Organization"))]
async fn update_security(
    caller: Caller,
    request: HttpRequest,
    services: Data<Services>,
    body: Body<SecuritySettingsChanges>,
) -> Answer<Found<SecuritySettings>> {
    let settings = services.organizations.update_security(&caller.context, &if_match(&request), &body.0).await?;
    Ok(Found::plain(&settings)?)
}
