//! `/auth/exchange` and `/auth/identities`: coming in with a token of an external provider, and which identities are mine.

use actix_web::{
    HttpRequest,
    web::{Data, Path},
};
use crm_kernel::{ExternalIdentityId, Result, validation};
use crm_tenancy::identity::{
    Tokens,
    external::{ExchangeRequest, ExternalIdentity, LinkRequest, UnlinkRequest},
};
use paperclip::actix::{Apiv2Schema, api_v2_operation, web};
use serde::Serialize;

use super::session::origin;
use crate::{
    answer::{Empty, Made, Plain},
    body::{Body, Input},
    caller::{Caller, RecordCaller},
    problem::Answer,
    services::Services,
};

/// The routes of this file.
pub fn routes(configuration: &mut web::ServiceConfig) {
    configuration
        .route("/exchange", web::post().to(exchange))
        .route("/identities", web::post().to(link))
        .route("/identities", web::get().to(list))
        .route("/identities/{id}", web::delete().to(unlink));
}

/// The external identities of a person; there are ten at most.
#[derive(Serialize, Apiv2Schema)]
pub struct ExternalIdentityList {
    /// In the order in which they were linked.
    pub data: Vec<ExternalIdentity>,
}

impl Input for ExchangeRequest {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

impl Input for LinkRequest {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

impl Input for UnlinkRequest {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

/// Log in with a token of an external provider
///
/// Of who has a second factor its code is asked, unless the provider vouches for one and is trusted in that: without it the answer is 401
/// `second_factor_required`, and the token can be sent again with a code.
#[api_v2_operation(operation_id = "exchangeToken", tags("Session"))]
async fn exchange(request: HttpRequest, services: Data<Services>, body: Body<ExchangeRequest>) -> Answer<Plain<Tokens>> {
    Ok(Plain(services.external_identities.exchange(&body.0, &origin(&request)).await?))
}

/// Link an external identity to me
///
/// Takes the password of who has one. Of who has a second factor only in a session that has given it.
#[api_v2_operation(operation_id = "linkIdentity", tags("External identities"))]
async fn link(caller: Caller, services: Data<Services>, body: Body<LinkRequest>) -> Answer<Made<ExternalIdentity>> {
    Ok(Made(services.external_identities.link(&caller.context, &body.0).await?))
}

/// Which external identities are mine?
#[api_v2_operation(operation_id = "listIdentities", tags("External identities"))]
async fn list(caller: Caller, services: Data<Services>) -> Answer<Plain<ExternalIdentityList>> {
    let data = services.external_identities.list(&caller.context).await?;
    Ok(Plain(ExternalIdentityList { data }))
}

/// Remove an external identity of mine
///
/// Takes the password of who has one. The sessions that it opened end, but for the one that asks.
#[api_v2_operation(operation_id = "unlinkIdentity", tags("External identities"))]
async fn unlink(
    caller: RecordCaller,
    services: Data<Services>,
    path: Path<ExternalIdentityId>,
    body: Body<UnlinkRequest>,
) -> Answer<Empty> {
    let id = path.into_inner();
    let context = caller.allowed(services.external_identities.get(&caller.context, id)).await?;
    services.external_identities.unlink(context, id, &body.0).await?;
    Ok(Empty)
}
