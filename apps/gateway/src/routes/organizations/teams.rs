//! `/organizations/current/teams`.

use actix_web::{
    HttpRequest,
    web::{Data, Path},
};
use crm_kernel::{Field, Result, Sort, TeamId, validation};
use crm_tenancy::teams::{self, NewTeam, Team, TeamChanges};
use paperclip::actix::{api_v2_operation, web};
use uuid::Uuid;

use crate::{
    answer::{Created, Empty, Found, Listed, Record, if_match},
    body::{Body, Input},
    caller::{Caller, RecordCaller},
    problem::Answer,
    question::{Noun, Question, Show},
    related::{Relation, Target},
    services::Services,
    shape::created,
};

const COLLECTION: &str = "/api/v1/organizations/current/teams";

/// The routes of this file.
pub fn routes(configuration: &mut web::ServiceConfig) {
    configuration
        .route("/teams", web::get().to(list))
        .route("/teams", web::post().to(create))
        .route("/teams/{id}", web::get().to(get))
        .route("/teams/{id}", web::put().to(replace))
        .route("/teams/{id}", web::patch().to(update))
        .route("/teams/{id}", web::delete().to(delete));
}

/// Teams, as a noun of questions.
#[derive(Debug)]
pub struct TeamNoun;

impl Noun for TeamNoun {
    const NAME: &'static str = "team";

    fn fields() -> &'static [Field] {
        teams::FIELDS
    }
    fn default_sort() -> Sort {
        teams::default_sort()
    }
    const RELATIONS: &'static [Relation] = &[Relation { name: "manager", key: "manager_id", target: Target::Member }];
    const BIN: bool = false;
}

impl Record for Team {
    fn id(&self) -> Uuid {
        self.id.uuid()
    }
    fn version(&self) -> i32 {
        self.version
    }
}

impl Input for NewTeam {
    fn check(&self) -> Result<()> {
        validation::check(&TeamChanges::from(self.clone()))
    }
}

impl Input for TeamChanges {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

/// List teams
#[api_v2_operation(operation_id = "listTeams", tags("Teams"))]
async fn list(caller: Caller, question: Question<TeamNoun>, services: Data<Services>) -> Answer<Listed<Team>> {
    let (query, shape) = question.read(&services, &caller).await?;
    let page = services.teams.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// Create a team
#[api_v2_operation(operation_id = "createTeam", tags("Teams"))]
async fn create(caller: Caller, services: Data<Services>, body: Body<NewTeam>) -> Answer<Created<Team>> {
    let team = services.teams.create(&caller.context, body.0).await?;
    Ok(created(COLLECTION, &team)?)
}

/// Get a team
#[api_v2_operation(operation_id = "getTeam", tags("Teams"))]
async fn get(caller: Caller, id: Path<TeamId>, show: Show<TeamNoun>, services: Data<Services>) -> Answer<Found<Team>> {
    let shape = show.read()?.shape;
    let team = services.teams.get(&caller.context, *id).await?;
    Ok(shape.record(&services, &caller, team).await?)
}

/// Replace a team: what the body does not say becomes empty
#[api_v2_operation(operation_id = "replaceTeam", tags("Teams"))]
async fn replace(
    caller: RecordCaller,
    request: HttpRequest,
    id: Path<TeamId>,
    services: Data<Services>,
    body: Body<NewTeam>,
) -> Answer<Found<Team>> {
    let context = caller.allowed(services.teams.get(&caller.context, *id)).await?;
    Ok(Found::plain(&services.teams.replace(context, *id, &if_match(&request), body.0).await?)?)
}

/// Change a team: a JSON Merge Patch
#[api_v2_operation(operation_id = "updateTeam", tags("Teams"))]
async fn update(
    caller: RecordCaller,
    request: HttpRequest,
    id: Path<TeamId>,
    services: Data<Services>,
    body: Body<TeamChanges>,
) -> Answer<Found<Team>> {
    let context = caller.allowed(services.teams.get(&caller.context, *id)).await?;
    Ok(Found::plain(&services.teams.update(context, *id, &if_match(&request), &body.0).await?)?)
}

/// Delete a team; its members are in none then
#[api_v2_operation(operation_id = "deleteTeam", tags("Teams"))]
async fn delete(caller: RecordCaller, request: HttpRequest, id: Path<TeamId>, services: Data<Services>) -> Answer<Empty> {
    let context = caller.allowed(services.teams.get(&caller.context, *id)).await?;
    services.teams.delete(context, *id, &if_match(&request)).await?;
    Ok(Empty)
}
