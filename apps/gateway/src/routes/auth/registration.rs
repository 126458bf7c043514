//! `/auth/register`: how somebody nobody knows gets an account and an organisation.

use actix_web::{HttpRequest, HttpResponse, Responder, body::BoxBody, web::Data};
use crm_kernel::{Result, validation};
use crm_tenancy::identity::{
    Tokens,
    accounts::{Accepted, Registered, Registration, RegistrationConfirmation},
};
use paperclip::{
    actix::{OperationModifier, api_v2_operation, web},
    v2::{
        models::{DefaultOperationRaw, DefaultSchemaRaw},
        schema::Apiv2Schema,
    },
};

use super::session::origin;
use crate::{
    answer::{Made, Promised},
    body::{Body, Input},
    problem::Answer,
    services::Services,
};

/// The routes of this file.
pub fn routes(configuration: &mut web::ServiceConfig) {
    configuration.route("/register", web::post().to(register)).route("/register/confirm", web::post().to(confirm));
}

impl Input for Registration {
    fn check(&self) -> Result<()> {
        Registration::check(self)
    }
}

impl Input for RegistrationConfirmation {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

/// 202, or 201 with tokens where sign-up needs no confirmation.
struct SignedUp(Registered);

impl Responder for SignedUp {
    type Body = BoxBody;
    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        match self.0 {
            Registered::Pending(accepted) => Promised(accepted).respond_to(request),
            Registered::Entered(tokens) => Made(tokens).respond_to(request),
        }
    }
}

impl Apiv2Schema for SignedUp {}

impl OperationModifier for SignedUp {
    fn update_response(operation: &mut DefaultOperationRaw) {
        Promised::<Accepted>::update_response(operation);
        Made::<Tokens>::update_response(operation);
    }
    fn update_definitions(map: &mut std::collections::BTreeMap<String, DefaultSchemaRaw>) {
        Promised::<Accepted>::update_definitions(map);
        Made::<Tokens>::update_definitions(map);
    }
}

/// Sign up
///
/// The answer is the same whether or not the address has an account: a letter says how to go on. Only a server for development, which
/// asks for no confirmation, answers 201 with tokens at once.
#[api_v2_operation(operation_id = "register", tags("Account"))]
async fn register(request: HttpRequest, services: Data<Services>, body: Body<Registration>) -> Answer<SignedUp> {
    Ok(SignedUp(services.accounts.register(&body.0, &origin(&request)).await?))
}

/// Confirm a sign-up by the link of its letter
///
/// Makes the account and the organisation, whose owner the caller is. The password is the one of the sign-up: a link alone does not tell
/// who chose it. A link that was used, has expired or never was is a 422 at `/token`; another password is a 422 at `/password`, and the
/// link stays; a name in addresses that was chosen at sign-up and is taken by now is a 409 at `/slug`: send the token again with another.
#[api_v2_operation(operation_id = "confirmRegistration", tags("Account"))]
async fn confirm(request: HttpRequest, services: Data<Services>, body: Body<RegistrationConfirmation>) -> Answer<Made<Tokens>> {
    Ok(Made(services.accounts.confirm_registration(&body.0, &origin(&request)).await?))
}
