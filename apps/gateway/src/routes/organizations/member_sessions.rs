//! `/organizations/current/members/{id}/sessions`: putting a member out.

use actix_web::web::Data;
use crm_kernel::UserId;
use paperclip::actix::{api_v2_operation, web};

use crate::{answer::Empty, caller::RecordCaller, problem::Answer, services::Services};

/// The routes of this file.
pub fn routes(configuration: &mut web::ServiceConfig) {
    configuration.route("/members/{id}/sessions", web::delete().to(end));
}

/// End a member's sessions in this organisation
#[api_v2_operation(operation_id = "endMemberSessions", tags("Members"))]
async fn end(caller: RecordCaller, id: web::Path<UserId>, services: Data<Services>) -> Answer<Empty> {
    let id = id.into_inner();
    let context = caller.allowed(services.members.get(&caller.context, id)).await?;
    services.sessions.end_of_member(context, id).await?;
    Ok(Empty)
}
