//! `/auth/second-factor`: what I prove myself with beside the password. Works in a session that the organisation does not let in yet.

use actix_web::web::Data;
use crm_kernel::{Result, validation};
use crm_tenancy::identity::second_factor::{
    CodeRequest, EnrollmentRequest, FirstCodeRequest, RecoveryCodes, SecondFactorSeed, SecondFactorStatus, TurnOffRequest,
};
use paperclip::actix::{api_v2_operation, web};

use crate::{
    answer::{Empty, Plain},
    body::{Body, Input},
    caller::Caller,
    problem::Answer,
    services::Services,
};

/// The routes of this file.
pub fn routes(configuration: &mut web::ServiceConfig) {
    configuration
        .route("/second-factor", web::get().to(status))
        .route("/second-factor", web::post().to(enroll))
        .route("/second-factor", web::delete().to(disable))
        .route("/second-factor/confirm", web::post().to(confirm))
        .route("/second-factor/replace", web::post().to(replace))
        .route("/second-factor/verify", web::post().to(verify))
        .route("/second-factor/recovery-codes", web::post().to(renew_codes));
}

impl Input for CodeRequest {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

impl Input for EnrollmentRequest {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

impl Input for FirstCodeRequest {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

impl Input for TurnOffRequest {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

/// Whether I have a second factor, and whether I need one
#[api_v2_operation(operation_id = "getSecondFactor", tags("Second factor"))]
async fn status(caller: Caller, services: Data<Services>) -> Answer<Plain<SecondFactorStatus>> {
    Ok(Plain(services.second_factors.status(&caller.context).await?))
}

/// Begin: a seed for my authenticator, shown once
///
/// Takes the password of who has one.
#[api_v2_operation(operation_id = "enrollSecondFactor", tags("Second factor"))]
async fn enroll(caller: Caller, services: Data<Services>, body: Body<EnrollmentRequest>) -> Answer<Plain<SecondFactorSeed>> {
    Ok(Plain(services.second_factors.enroll(&caller.context, &body.0).await?))
}

/// Turn it on with the first code; answers recovery codes, shown once
///
/// Every other session of mine ends.
#[api_v2_operation(operation_id = "confirmSecondFactor", tags("Second factor"))]
async fn confirm(caller: Caller, services: Data<Services>, body: Body<FirstCodeRequest>) -> Answer<Plain<RecoveryCodes>> {
    Ok(Plain(services.second_factors.confirm(&caller.context, &body.0).await?))
}

/// Begin with another authenticator; the old one stays good until the new one is confirmed
#[api_v2_operation(operation_id = "replaceSecondFactor", tags("Second factor"))]
async fn replace(caller: Caller, services: Data<Services>, body: Body<CodeRequest>) -> Answer<Plain<SecondFactorSeed>> {
    Ok(Plain(services.second_factors.replace(&caller.context, &body.0).await?))
}

/// Give a code in a session that began without one
#[api_v2_operation(operation_id = "verifySecondFactor", tags("Second factor"))]
async fn verify(caller: Caller, services: Data<Services>, body: Body<CodeRequest>) -> Answer<Empty> {
    services.second_factors.verify(&caller.context, &body.0).await?;
    Ok(Empty)
}

/// New recovery codes in place of the old ones
#[api_v2_operation(operation_id = "renewRecoveryCodes", tags("Second factor"))]
async fn renew_codes(caller: Caller, services: Data<Services>, body: Body<CodeRequest>) -> Answer<Plain<RecoveryCodes>> {
    Ok(Plain(services.second_factors.renew_codes(&caller.context, &body.0).await?))
}

/// Turn it off, unless an organisation of mine requires it
#[api_v2_operation(operation_id = "disableSecondFactor", tags("Second factor"))]
async fn disable(caller: Caller, services: Data<Services>, body: Body<TurnOffRequest>) -> Answer<Empty> {
    services.second_factors.disable(&caller.context, &body.0).await?;
    Ok(Empty)
}
