//! `/a-crm/pipelines`: the pipelines of the organisation and their stages. A stage has no address of its own: it is changed with its
//! pipeline, whose version counts both.

use actix_web::{
    HttpRequest,
    web::{Data, Path},
};
use crm_deals::{NewPipeline, Pipeline, PipelineChanges, PipelineList};
use crm_kernel::{PipelineId, Result, validation};
use paperclip::{
    actix::{api_v2_operation, web},
    v2::models::DataTypeFormat,
};
use uuid::Uuid;

use crate::{
    answer::{Created, Empty, Found, Plain, Record, if_match},
    body::{Body, Input},
    caller::{Caller, RecordCaller},
    policy::Access,
    problem::Answer,
    question::{Given, QueryParameter},
    services::Services,
    shape::created,
};

const COLLECTION: &str = "/api/v1/a-crm/pipelines";

/// The routes of this file.
#[must_use]
pub fn scope() -> web::Scope {
    web::scope("/pipelines")
        .route("", web::get().to(list))
        .route("", web::post().to(create))
        .route("/{id}", web::get().to(get))
        .route("/{id}", web::patch().to(update))
        .route("/{id}", web::delete().to(delete))
        .route("/{id}/restore", web::post().to(restore))
}

impl Record for Pipeline {
    fn id(&self) -> Uuid {
        self.id.uuid()
    }
    fn version(&self) -> i32 {
        self.version
    }
}

impl Input for NewPipeline {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

impl Input for PipelineChanges {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

/// List the pipelines with their stages
#[api_v2_operation(operation_id = "listPipelines", tags("Pipelines"))]
async fn list(caller: Caller, services: Data<Services>) -> Answer<Plain<PipelineList>> {
    Ok(Plain(services.pipelines.list(&caller.context).await?))
}

/// Make a pipeline of one's own
#[api_v2_operation(operation_id = "createPipeline", tags("Pipelines"))]
async fn create(caller: Caller, services: Data<Services>, body: Body<NewPipeline>) -> Answer<Created<Pipeline>> {
    let pipeline = services.pipelines.create(&caller.context, body.0).await?;
    Ok(created(COLLECTION, &pipeline)?)
}

/// Get a pipeline with its stages
#[api_v2_operation(operation_id = "getPipelineWithStages", tags("Pipelines"))]
async fn get(caller: Caller, id: Path<PipelineId>, services: Data<Services>) -> Answer<Found<Pipeline>> {
    Ok(Found::plain(&services.pipelines.get(&caller.context, *id).await?)?)
}

/// Deals that go along are moved as if each were moved by itself: a token that may not do that takes none along.
fn may_move_deals(caller: &RecordCaller, services: &Services) -> Result<()> {
    caller.may_also(services, "deal", "move", Access::Write)
}

/// Change a pipeline and its stages: a JSON Merge Patch
#[api_v2_operation(operation_id = "updatePipeline", tags("Pipelines"))]
async fn update(
    caller: RecordCaller,
    request: HttpRequest,
    id: Path<PipelineId>,
    services: Data<Services>,
    body: Body<PipelineChanges>,
) -> Answer<Found<Pipeline>> {
    let context = caller.allowed(services.pipelines.get(&caller.context, *id)).await?;
    if body.0.moves.as_ref().is_some_and(|moves| !moves.is_empty()) {
        may_move_deals(&caller, &services)?;
    }
    Ok(Found::plain(&services.pipelines.update(context, *id, &if_match(&request), &body.0).await?)?)
}

/// Where the deals of a deleted pipeline go.
#[derive(Debug)]
pub struct MoveDealsTo;

impl QueryParameter for MoveDealsTo {
    const NAME: &'static str = "move_deals_to";
    const DESCRIPTION: &'static str = "The pipeline that its deals go to: to the stage of the same key and outcome, or else to the first of that outcome. \
                                       When absent, a pipeline with living deals is not deleted.";
    const FORMAT: Option<DataTypeFormat> = Some(DataTypeFormat::Uuid);
}

/// Move a pipeline to the bin, and its deals to another one
#[api_v2_operation(operation_id = "deletePipeline", tags("Pipelines"))]
async fn delete(
    caller: RecordCaller,
    request: HttpRequest,
    id: Path<PipelineId>,
    move_deals_to: Given<MoveDealsTo>,
    services: Data<Services>,
) -> Answer<Empty> {
    let target = move_deals_to.parsed("expected an id (UUID)")?;
    let context = caller.allowed(services.pipelines.get(&caller.context, *id)).await?;
    if target.is_some() {
        may_move_deals(&caller, &services)?;
    }
    services.pipelines.delete(context, *id, &if_match(&request), target).await?;
    Ok(Empty)
}

/// Bring a pipeline back from the bin
#[api_v2_operation(operation_id = "restorePipeline", tags("Pipelines"))]
async fn restore(caller: RecordCaller, id: Path<PipelineId>, services: Data<Services>) -> Answer<Found<Pipeline>> {
    let context = caller.allowed(services.pipelines.get(&caller.context, *id)).await?;
    Ok(Found::plain(&services.pipelines.restore(context, *id).await?)?)
}
