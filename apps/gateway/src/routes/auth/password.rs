//! `/auth/password`: forgotten, set anew, changed.

use actix_web::{HttpRequest, web::Data};
use crm_kernel::{Result, validation};
use crm_tenancy::identity::{
    Tokens,
    accounts::{Accepted, ForgottenPassword, PasswordChange, PasswordReset, PasswordSet},
};
use paperclip::actix::{api_v2_operation, web};

use super::session::origin;
use crate::{
    answer::{Plain, Promised},
    body::{Body, Input},
    caller::Caller,
    problem::Answer,
    services::Services,
};

/// The routes of this file.
pub fn routes(configuration: &mut web::ServiceConfig) {
    configuration
        .route("/password/forgot", web::post().to(forgot))
        .route("/password/reset", web::post().to(reset))
        .route("/password/change", web::post().to(change));
}

impl Input for ForgottenPassword {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

impl Input for PasswordReset {
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

impl Input for PasswordChange {
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// Ask for a letter with which a password can be set
///
/// The answer is the same whether or not the address has an account. The link works once, within an hour; an address gets three letters
/// an hour at most.
#[api_v2_operation(operation_id = "forgotPassword", tags("Account"))]
async fn forgot(request: HttpRequest, services: Data<Services>, body: Body<ForgottenPassword>) -> Answer<Promised<Accepted>> {
    Ok(Promised(services.accounts.forget_password(&body.0, &origin(&request)).await?))
}

/// Set a password by the link of a letter
///
/// Every session of the person ends; their API tokens stay, and are ended with `DELETE /auth/tokens`. Send the answer's `device_token` with
/// the login: it is not turned away then, however many tries others have made. A link that was used, has expired or never was is a 422 at `/token`.
#[api_v2_operation(operation_id = "resetPassword", tags("Account"))]
async fn reset(request: HttpRequest, services: Data<Services>, body: Body<PasswordReset>) -> Answer<Plain<PasswordSet>> {
    Ok(Plain(services.accounts.reset_password(&body.0, &origin(&request)).await?))
}

/// Change my password
///
/// Every session of mine ends, this one too; the answer holds the tokens of a new one. API tokens stay, and are ended with `DELETE /auth/tokens`.
#[api_v2_operation(operation_id = "changePassword", tags("Account"))]
async fn change(
    caller: Caller,
    request: HttpRequest,
    services: Data<Services>,
    body: Body<PasswordChange>,
) -> Answer<Plain<Tokens>> {
    Ok(Plain(services.accounts.change_password(&caller.context, &body.0, &origin(&request)).await?))
}
