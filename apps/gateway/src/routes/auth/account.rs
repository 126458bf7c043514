//! `/auth/me` and `/auth/email`: what people say of themselves, and where mail reaches them.

use actix_web::web::Data;
use crm_kernel::{Result, validation};
use crm_tenancy::identity::{
    Me,
    accounts::{Accepted, EmailChange, LinkToken, ProfileChanges},
};
use paperclip::actix::{api_v2_operation, web};

use crate::{
    answer::{Empty, Plain, Promised},
    body::{Body, Input},
    caller::Caller,
    problem::Answer,
    services::Services,
};

/// The routes of this file.
pub fn routes(configuration: &mut web::ServiceConfig) {
    configuration
        .route("/me", web::patch().to(update))
        .route("/email", web::post().to(change_email))
        .route("/email/confirm", web::post().to(confirm_email));
}

impl Input for ProfileChanges {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

impl Input for EmailChange {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

impl Input for LinkToken {
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// Change my name, time zone or language
#[api_v2_operation(operation_id = "updateMe", tags("Account"))]
async fn update(caller: Caller, services: Data<Services>, body: Body<ProfileChanges>) -> Answer<Plain<Me>> {
    services.accounts.update_profile(&caller.context, &body.0).await?;
    Ok(Plain(services.identity.me(&caller.context).await?))
}

/// Ask for a letter that confirms a new address of mine
///
/// The answer is the same whether or not somebody else has the address. It counts once the link in the letter was used.
#[api_v2_operation(operation_id = "changeEmail", tags("Account"))]
async fn change_email(caller: Caller, services: Data<Services>, body: Body<EmailChange>) -> Answer<Promised<Accepted>> {
    Ok(Promised(services.accounts.change_email(&caller.context, &body.0).await?))
}

/// Confirm a new address by the link of its letter
///
/// A link that was used, has expired or never was is a 422 at `/token`; an address that somebody has taken meanwhile is a 409 at
/// `/email`.
#[api_v2_operation(operation_id = "confirmEmail", tags("Account"))]
async fn confirm_email(caller: Caller, services: Data<Services>, body: Body<LinkToken>) -> Answer<Empty> {
    services.accounts.confirm_email(&caller.context, &body.0).await?;
    Ok(Empty)
}
