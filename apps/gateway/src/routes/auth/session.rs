//! `/auth`: entering, staying, leaving.

use actix_web::{HttpRequest, web::Data};
use crm_kernel::{Result, validation};
use crm_tenancy::{
    identity::{Credentials, Me, Origin, SwitchRequest, Tokens},
    token::Reach,
};
use paperclip::actix::{Apiv2Schema, api_v2_operation, web};
use serde::Deserialize;

use crate::{
    answer::{Empty, Plain},
    body::{Body, Input},
    caller::Caller,
    current,
    problem::Answer,
    services::Services,
};

/// The routes of this file.
pub fn routes(configuration: &mut web::ServiceConfig) {
    configuration
        .route("/login", web::post().to(login))
        .route("/refresh", web::post().to(refresh))
        .route("/logout", web::post().to(logout))
        .route("/switch", web::post().to(switch))
        .route("/me", web::get().to(me));
}

/// A refresh token.
#[derive(Deserialize, Apiv2Schema)]
#[serde(deny_unknown_fields)]
pub struct RefreshRequest {
    /// From the last login or refresh; good for one use.
    pub refresh_token: String,
}

impl Input for Credentials {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

impl Input for RefreshRequest {
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

impl Input for SwitchRequest {
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// Log in with e-mail and password
#[api_v2_operation(operation_id = "login", tags("Session"))]
async fn login(request: HttpRequest, services: Data<Services>, body: Body<Credentials>) -> Answer<Plain<Tokens>> {
    Ok(Plain(services.identity.login(&body.0, &origin(&request)).await?))
}

/// Exchange a refresh token for new tokens
#[api_v2_operation(operation_id = "refresh", tags("Session"))]
async fn refresh(services: Data<Services>, body: Body<RefreshRequest>) -> Answer<Plain<Tokens>> {
    Ok(Plain(services.identity.refresh(&body.0.refresh_token).await?))
}

/// End this session, everywhere and at once
#[api_v2_operation(operation_id = "logout", tags("Session"))]
async fn logout(caller: Caller, services: Data<Services>) -> Answer<Empty> {
    services.identity.logout(&caller.context).await?;
    Ok(Empty)
}

/// Enter another organisation of mine
///
/// The login moves: the session that asks ends with the next request, its refresh token is spent, and the tokens of the answer go on in
/// their place. A refresh token that was spent before ends the login, as with a second refresh.
#[api_v2_operation(operation_id = "switchOrganization", tags("Session"))]
async fn switch(
    caller: Caller,
    request: HttpRequest,
    services: Data<Services>,
    body: Body<SwitchRequest>,
) -> Answer<Plain<Tokens>> {
    Ok(Plain(services.identity.switch(&caller.context, &body.0, &origin(&request)).await?))
}

/// Who am I, and where do I belong?
///
/// Only the whole token of a login is told of my other organisations.
#[api_v2_operation(operation_id = "me", tags("Session"))]
async fn me(caller: Caller, services: Data<Services>) -> Answer<Plain<Me>> {
    let mut me = services.identity.me(&caller.context).await?;
    // Whoever was given a narrowed token was given something of this organisation, and cannot enter another one with it.
    if !matches!(caller.reach(), Reach::Whole) {
        me.organizations.retain(|known| known.organization_id == caller.context.organization_id);
    }
    Ok(Plain(me))
}

/// Where the request comes from.
pub(super) fn origin(request: &HttpRequest) -> Origin {
    let user_agent = request.headers().get("user-agent").map(|agent| String::from_utf8_lossy(agent.as_bytes()).into_owned());
    Origin { ip: current::address(), user_agent, request_id: current::id() }
}
