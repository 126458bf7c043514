//! `/auth/sessions`: where I am logged in, and ending that.

use actix_web::web::Data;
use crm_kernel::SessionId;
use crm_tenancy::identity::sessions::SessionList;
use paperclip::actix::{api_v2_operation, web};

use crate::{
    answer::{Empty, Plain},
    caller::Caller,
    problem::Answer,
    services::Services,
};

/// The routes of this file.
pub fn routes(configuration: &mut web::ServiceConfig) {
    configuration
        .route("/sessions", web::get().to(list))
        .route("/sessions/revoke-others", web::post().to(end_others))
        .route("/sessions/{id}", web::delete().to(end));
}

/// My sessions in all organisations, newest first
#[api_v2_operation(operation_id = "listSessions", tags("Session"))]
async fn list(caller: Caller, services: Data<Services>) -> Answer<Plain<SessionList>> {
    Ok(Plain(services.sessions.list(&caller.context).await?))
}

/// End one of my sessions, everywhere and at once
#[api_v2_operation(operation_id = "endSession", tags("Session"))]
async fn end(caller: Caller, id: web::Path<SessionId>, services: Data<Services>) -> Answer<Empty> {
    services.sessions.end(&caller.context, id.into_inner()).await?;
    Ok(Empty)
}

/// End all my sessions but this one
#[api_v2_operation(operation_id = "endOtherSessions", tags("Session"))]
async fn end_others(caller: Caller, services: Data<Services>) -> Answer<Empty> {
    services.sessions.end_others(&caller.context).await?;
    Ok(Empty)
}
