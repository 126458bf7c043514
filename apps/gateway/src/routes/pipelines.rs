//! `/a-crm/pipelines`: the pipelines of the organisation and their stages.

use actix_web::web::Data;
use crm_deals::PipelineList;
use paperclip::actix::{api_v2_operation, web};

use crate::{answer::Plain, caller::Caller, problem::Answer, services::Services};

/// The routes of this file.
#[must_use]
pub fn scope() -> web::Scope {
    web::scope("/pipelines").route("", web::get().to(list))
}

/// List the pipelines with their stages
#[api_v2_operation(operation_id = "listPipelines", tags("Pipelines"))]
async fn list(caller: Caller, services: Data<Services>) -> Answer<Plain<PipelineList>> {
    Ok(Plain(services.pipelines.list(&caller.context).await?))
}
