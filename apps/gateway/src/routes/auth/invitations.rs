//! `/auth/invitations`: what a link is for, and coming in by it.

use actix_web::{HttpRequest, web::Data};
use crm_kernel::{Result, validation};
use crm_tenancy::identity::{
    Tokens,
    invitations::{AcceptRequest, InvitationPreview, InvitationTokenRequest, JoinRequest},
};
use paperclip::actix::{api_v2_operation, web};

use super::session::origin;
use crate::{
    answer::{Made, Plain},
    body::{Body, Input},
    caller::Caller,
    problem::Answer,
    services::Services,
};

/// The routes of this file.
pub fn routes(configuration: &mut web::ServiceConfig) {
    configuration
        .route("/invitations/look", web::post().to(look))
        .route("/invitations/accept", web::post().to(accept))
        .route("/invitations/join", web::post().to(join));
}

impl Input for InvitationTokenRequest {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

impl Input for JoinRequest {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

impl Input for AcceptRequest {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

/// What is this invitation for?
#[api_v2_operation(operation_id = "lookAtInvitation", tags("Invitations"))]
async fn look(
    request: HttpRequest,
    services: Data<Services>,
    body: Body<InvitationTokenRequest>,
) -> Answer<Plain<InvitationPreview>> {
    Ok(Plain(services.invitations.look(&body.0, &origin(&request)).await?))
}

/// Accept an invitation: as a new person, or with what proves who I am
///
/// Of who has a second factor its code is asked: without it the answer is 401 `second_factor_required`, and nothing has happened.
#[api_v2_operation(operation_id = "acceptInvitation", tags("Invitations"))]
async fn accept(request: HttpRequest, services: Data<Services>, body: Body<AcceptRequest>) -> Answer<Made<Tokens>> {
    Ok(Made(services.invitations.accept(&body.0, &origin(&request)).await?))
}

/// Accept an invitation as who I am logged in
///
/// The login moves to the organisation that is joined, as with `POST /auth/switch`.
#[api_v2_operation(operation_id = "joinByInvitation", tags("Invitations"))]
async fn join(caller: Caller, request: HttpRequest, services: Data<Services>, body: Body<JoinRequest>) -> Answer<Made<Tokens>> {
    Ok(Made(services.invitations.join(&caller.context, &body.0, &origin(&request)).await?))
}
