//! `/a-crm/projects`.

use actix_web::{
    HttpRequest,
    web::{Data, Path},
};
use async_trait::async_trait;
use crm_activities::{
    Activity,
    timeline::{Subject, TimelineEntry},
};
use crm_kernel::{Context, DealId, Field, ListQuery, Page, ProjectId, Result, Sort, Vocabulary, validation};
use crm_notes::Note;
use crm_projects::{BulkProjects, NewProject, Project, ProjectChanges, ProjectOfDeal, ProjectProgress, within};
use crm_tasks::Task;
use crm_tenancy::custom_fields::RecordKind;
use paperclip::actix::{api_v2_operation, web};
use uuid::Uuid;

use super::{activities::ActivityNoun, notes::NoteNoun, tasks::TaskNoun};
use crate::{
    answer::{Created, Empty, Found, Listed, Plain, Record, if_match},
    body::{Body, EitherBody, Input},
    bulk::{self, BulkRequest, Bulked},
    caller::{Caller, PartsCaller, RecordCaller},
    external_ids::{self, ExternalIdList, Upserted},
    once::{Once, RequestKey, once},
    problem::Answer,
    question::{FieldList, Noun, Question, SearchRequest, Show, TimelineParameters, in_where},
    related::{Relation, Target},
    services::Services,
    shape::created,
};

pub(super) const COLLECTION: &str = "/api/v1/a-crm/projects";

/// The routes of this file.
#[must_use]
pub fn scope() -> web::Scope {
    web::scope("/projects")
        .route("", web::get().to(list))
        .route("", web::post().to(create))
        .route("/fields", web::get().to(fields))
        .route("/search", web::post().to(search))
        .route("/bulk", web::post().to(change_many))
        .route("/by-external-id/{source}/{external_id}", web::get().to(get_by_external_id))
        .route("/by-external-id/{source}/{external_id}", web::put().to(upsert_by_external_id))
        .route("/{id}", web::get().to(get))
        .route("/{id}", web::put().to(replace))
        .route("/{id}", web::patch().to(update))
        .route("/{id}", web::delete().to(delete))
        .route("/{id}/restore", web::post().to(restore))
        .route("/{id}/external-ids", web::get().to(list_external_ids))
        .route("/{id}/external-ids/{source}/{external_id}", web::put().to(attach_external_id))
        .route("/{id}/external-ids/{source}/{external_id}", web::delete().to(detach_external_id))
        .route("/{id}/progress", web::get().to(progress))
        .route("/{id}/tasks", web::get().to(list_tasks))
        .route("/{id}/notes", web::get().to(list_notes))
        .route("/{id}/activities", web::get().to(list_activities))
        .route("/{id}/timeline", web::get().to(list_timeline))
}

/// Projects, as a noun of questions.
#[derive(Debug)]
pub struct ProjectNoun;

impl Noun for ProjectNoun {
    const NAME: &'static str = "project";

    fn fields() -> &'static [Field] {
        crm_projects::FIELDS
    }
    fn vocabulary() -> Vocabulary {
        crm_projects::VOCABULARY
    }
    fn default_sort() -> Sort {
        crm_projects::default_sort()
    }
    const RELATIONS: &'static [Relation] = &[
        Relation { name: "company", key: "company_id", target: Target::Company },
        Relation { name: "deal", key: "deal_id", target: Target::Deal },
        Relation { name: "owner", key: "owner_id", target: Target::Member },
        Relation { name: "project_manager", key: "project_manager_id", target: Target::Member },
        Relation { name: "created_by", key: "created_by_id", target: Target::Member },
    ];
    const BIN: bool = true;
    const CUSTOM: Option<RecordKind> = Some(RecordKind::Project);
}

#[async_trait]
impl bulk::Noun for ProjectNoun {
    type Bulk = BulkProjects;

    const COLLECTION: &'static str = COLLECTION;

    async fn list(services: &Services, context: &Context, query: &ListQuery) -> Result<Page<Project>> {
        services.projects.list(context, query).await
    }
}

impl Record for Project {
    fn id(&self) -> Uuid {
        self.id.uuid()
    }
    fn version(&self) -> i32 {
        self.version
    }
}

impl Input for NewProject {
    fn check(&self) -> Result<()> {
        validation::check(&ProjectChanges::from(self.clone()))
    }
}

impl Input for ProjectChanges {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

impl Input for ProjectOfDeal {
    fn check(&self) -> Result<()> {
        // The name that it leaves to the deal is one that a deal has.
        let new = self.clone().into_new(DealId(Uuid::nil()), "as the deal".into());
        validation::check(&ProjectChanges::from(new))
    }
}

/// List projects
#[api_v2_operation(operation_id = "listProjects", tags("Projects"))]
async fn list(caller: Caller, question: Question<ProjectNoun>, services: Data<Services>) -> Answer<Listed<Project>> {
    let (query, shape) = question.read(&services, &caller).await?;
    let page = services.projects.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// What can be asked about projects
#[api_v2_operation(operation_id = "listProjectFields", tags("Projects"))]
async fn fields(caller: Caller, services: Data<Services>) -> Answer<Plain<FieldList>> {
    Ok(Plain(FieldList::of::<ProjectNoun>(&services, &caller).await?))
}

/// Search projects: the question as a body
#[api_v2_operation(operation_id = "searchProjects", tags("Projects"))]
async fn search(caller: Caller, services: Data<Services>, body: Body<SearchRequest>) -> Answer<Listed<Project>> {
    let (query, shape) = body.0.read::<ProjectNoun>(&services, &caller).await?;
    let page = services.projects.list(&caller.context, &query).await.map_err(in_where)?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// Create a project
#[api_v2_operation(operation_id = "createProject", tags("Projects"))]
async fn create(
    caller: Caller,
    key: RequestKey,
    services: Data<Services>,
    body: Body<NewProject>,
) -> Answer<Once<Created<Project>>> {
    once::<BulkProjects, _>(&key, &services, &caller, async |tx| {
        let project = within::create(tx, body.0).await?;
        Ok((created(COLLECTION, &project)?, vec![project.id.uuid()]))
    })
    .await
}

/// Create, change, delete and upsert many projects at once, or change all that match a filter
#[api_v2_operation(operation_id = "bulkProjects", tags("Projects"))]
async fn change_many(
    caller: PartsCaller,
    key: RequestKey,
    services: Data<Services>,
    body: Body<BulkRequest>,
) -> Answer<Once<Bulked<Project>>> {
    bulk::run::<ProjectNoun>(&services, caller, &key, body.0).await
}

/// Get a project by what another system calls it
#[api_v2_operation(operation_id = "getProjectByExternalId", tags("Projects"))]
async fn get_by_external_id(
    caller: PartsCaller,
    name: Path<(String, String)>,
    services: Data<Services>,
) -> Answer<Found<Project>> {
    let (source, id) = name.into_inner();
    external_ids::get::<ProjectNoun>(&services, &caller, source, id).await
}

/// Change the project that another system calls so, or create it: what the body does not say stays
#[api_v2_operation(operation_id = "upsertProjectByExternalId", tags("Projects"))]
async fn upsert_by_external_id(
    caller: PartsCaller,
    request: HttpRequest,
    name: Path<(String, String)>,
    services: Data<Services>,
    body: EitherBody<NewProject, ProjectChanges>,
) -> Answer<Upserted<Project>> {
    external_ids::upsert::<ProjectNoun>(&services, &caller, name.into_inner(), &if_match(&request), body).await
}

/// Get a project
#[api_v2_operation(operation_id = "getProject", tags("Projects"))]
async fn get(caller: Caller, id: Path<ProjectId>, show: Show<ProjectNoun>, services: Data<Services>) -> Answer<Found<Project>> {
    let shown = show.read()?;
    let project = match shown.from_bin {
        true => services.projects.get_with_deleted(&caller.context, *id).await?,
        false => services.projects.get(&caller.context, *id).await?,
    };
    Ok(shown.shape.record(&services, &caller, project).await?)
}

/// Replace a project: what the body does not say becomes empty
#[api_v2_operation(operation_id = "replaceProject", tags("Projects"))]
async fn replace(
    caller: RecordCaller,
    request: HttpRequest,
    id: Path<ProjectId>,
    services: Data<Services>,
    body: Body<NewProject>,
) -> Answer<Found<Project>> {
    let context = caller.allowed(services.projects.get(&caller.context, *id)).await?;
    let project = services.projects.replace(context, *id, &if_match(&request), body.0).await?;
    Ok(Found::plain(&project)?)
}

/// Change a project: a JSON Merge Patch
#[api_v2_operation(operation_id = "updateProject", tags("Projects"))]
async fn update(
    caller: RecordCaller,
    request: HttpRequest,
    id: Path<ProjectId>,
    services: Data<Services>,
    body: Body<ProjectChanges>,
) -> Answer<Found<Project>> {
    let context = caller.allowed(services.projects.get(&caller.context, *id)).await?;
    let project = services.projects.update(context, *id, &if_match(&request), &body.0).await?;
    Ok(Found::plain(&project)?)
}

/// Move a project to the bin
#[api_v2_operation(operation_id = "deleteProject", tags("Projects"))]
async fn delete(caller: RecordCaller, request: HttpRequest, id: Path<ProjectId>, services: Data<Services>) -> Answer<Empty> {
    let context = caller.allowed(services.projects.get(&caller.context, *id)).await?;
    services.projects.delete(context, *id, &if_match(&request)).await?;
    Ok(Empty)
}

/// Bring a project back from the bin
#[api_v2_operation(operation_id = "restoreProject", tags("Projects"))]
async fn restore(
    caller: RecordCaller,
    key: RequestKey,
    id: Path<ProjectId>,
    services: Data<Services>,
) -> Answer<Once<Found<Project>>> {
    let context = caller.context.clone();
    let caller = caller.admitted(services.projects.get(&context, *id)).await?;
    once::<BulkProjects, _>(&key, &services, &caller, async |tx| {
        let project = within::restore(tx, *id).await?;
        Ok((Found::plain(&project)?, vec![project.id.uuid()]))
    })
    .await
}

/// List what other systems call a project
#[api_v2_operation(operation_id = "listProjectExternalIds", tags("Projects"))]
async fn list_external_ids(caller: Caller, id: Path<ProjectId>, services: Data<Services>) -> Answer<Plain<ExternalIdList>> {
    Ok(Plain(external_ids::list::<ProjectNoun>(&services, &caller, id.uuid()).await?))
}

/// Say that another system calls a project so
#[api_v2_operation(operation_id = "attachProjectExternalId", tags("Projects"))]
async fn attach_external_id(
    caller: RecordCaller,
    name: Path<(ProjectId, String, String)>,
    services: Data<Services>,
) -> Answer<Empty> {
    let (id, source, external_id) = name.into_inner();
    let context = caller.allowed(services.projects.get(&caller.context, id)).await?;
    Ok(external_ids::attach::<ProjectNoun>(&services, context, id.uuid(), (source, external_id)).await?)
}

/// Say that another system calls a project so no more
#[api_v2_operation(operation_id = "detachProjectExternalId", tags("Projects"))]
async fn detach_external_id(
    caller: RecordCaller,
    name: Path<(ProjectId, String, String)>,
    services: Data<Services>,
) -> Answer<Empty> {
    let (id, source, external_id) = name.into_inner();
    let context = caller.allowed(services.projects.get(&caller.context, id)).await?;
    Ok(external_ids::detach::<ProjectNoun>(&services, context, id.uuid(), (source, external_id)).await?)
}

/// How far a project is
#[api_v2_operation(operation_id = "getProjectProgress", tags("Projects"))]
async fn progress(caller: Caller, id: Path<ProjectId>, services: Data<Services>) -> Answer<Plain<ProjectProgress>> {
    Ok(Plain(services.projects.progress(&caller.context, *id).await?))
}

/// List the tasks about a project
#[api_v2_operation(operation_id = "listProjectTasks", tags("Projects"))]
async fn list_tasks(
    caller: Caller,
    id: Path<ProjectId>,
    question: Question<TaskNoun>,
    services: Data<Services>,
) -> Answer<Listed<Task>> {
    let (query, shape) = question.read_about(&services, &caller, "project", id.uuid()).await?;
    services.projects.get(&caller.context, *id).await?;
    let page = services.tasks.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// List the notes about a project
#[api_v2_operation(operation_id = "listProjectNotes", tags("Projects"))]
async fn list_notes(
    caller: Caller,
    id: Path<ProjectId>,
    question: Question<NoteNoun>,
    services: Data<Services>,
) -> Answer<Listed<Note>> {
    let (query, shape) = question.read_about(&services, &caller, "project", id.uuid()).await?;
    services.projects.get(&caller.context, *id).await?;
    let page = services.notes.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// List what happened to a project
#[api_v2_operation(operation_id = "listProjectActivities", tags("Projects"))]
async fn list_activities(
    caller: Caller,
    id: Path<ProjectId>,
    question: Question<ActivityNoun>,
    services: Data<Services>,
) -> Answer<Listed<Activity>> {
    let (query, shape) = question.read_within(&services, &caller, "entity_id", id.uuid()).await?;
    services.projects.get(&caller.context, *id).await?;
    caller.may_read(&services, "project", Some(id.uuid()))?;
    let page = services.activities.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// List what happened on the page of a project, newest first, in sentences: notes, tasks and parts of it too
#[api_v2_operation(operation_id = "listProjectTimeline", tags("Projects"))]
async fn list_timeline(
    caller: Caller,
    id: Path<ProjectId>,
    parameters: TimelineParameters,
    services: Data<Services>,
) -> Answer<Listed<TimelineEntry>> {
    let question = parameters.read(&services, &caller, Subject::Project, id.uuid())?;
    services.projects.get(&caller.context, *id).await?;
    Ok(Listed::new(&services.activities.timeline(&caller.context, &question).await?)?)
}
