//! `/a-crm/tasks`.

use actix_web::{
    HttpRequest,
    web::{Data, Path},
};
use async_trait::async_trait;
use crm_activities::{
    Activity,
    timeline::{Subject, TimelineEntry},
};
use crm_kernel::{Context, Field, ListQuery, Page, Result, Sort, TaskId, Vocabulary, validation};
use crm_notes::Note;
use crm_tasks::{BulkTasks, MyTasks, NewTask, Task, TaskChanges, within};
use crm_tenancy::custom_fields::RecordKind;
use paperclip::actix::{api_v2_operation, web};
use uuid::Uuid;

use super::{activities::ActivityNoun, notes::NoteNoun};
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

const COLLECTION: &str = "/api/v1/a-crm/tasks";

/// The routes of this file.
#[must_use]
pub fn scope() -> web::Scope {
    web::scope("/tasks")
        .route("", web::get().to(list))
        .route("", web::post().to(create))
        .route("/fields", web::get().to(fields))
        .route("/search", web::post().to(search))
        .route("/my-tasks", web::get().to(list_mine))
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
        .route("/{id}/complete", web::put().to(complete))
        .route("/{id}/reopen", web::put().to(reopen))
        .route("/{id}/notes", web::get().to(list_notes))
        .route("/{id}/activities", web::get().to(list_activities))
        .route("/{id}/timeline", web::get().to(list_timeline))
}

/// Tasks, as a noun of questions.
#[derive(Debug)]
pub struct TaskNoun;

impl Noun for TaskNoun {
    const NAME: &'static str = "task";

    fn fields() -> &'static [Field] {
        crm_tasks::FIELDS
    }
    fn vocabulary() -> Vocabulary {
        crm_tasks::VOCABULARY
    }
    fn default_sort() -> Sort {
        crm_tasks::default_sort()
    }
    const RELATIONS: &'static [Relation] = &[
        Relation { name: "assigned_to", key: "assigned_to_id", target: Target::Member },
        Relation { name: "created_by", key: "created_by_id", target: Target::Member },
    ];
    const BIN: bool = true;
    const CUSTOM: Option<RecordKind> = Some(RecordKind::Task);
}

#[async_trait]
impl bulk::Noun for TaskNoun {
    type Bulk = BulkTasks;

    const COLLECTION: &'static str = COLLECTION;

    async fn list(services: &Services, context: &Context, query: &ListQuery) -> Result<Page<Task>> {
        services.tasks.list(context, query).await
    }
}

impl Record for Task {
    fn id(&self) -> Uuid {
        self.id.uuid()
    }
    fn version(&self) -> i32 {
        self.version
    }
}

impl Input for NewTask {
    fn check(&self) -> Result<()> {
        validation::check(&TaskChanges::from(self.clone()))
    }
}

impl Input for TaskChanges {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

/// List tasks
#[api_v2_operation(operation_id = "listTasks", tags("Tasks"))]
async fn list(caller: Caller, question: Question<TaskNoun>, services: Data<Services>) -> Answer<Listed<Task>> {
    let (query, shape) = question.read(&services, &caller).await?;
    let page = services.tasks.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// What can be asked about tasks
#[api_v2_operation(operation_id = "listTaskFields", tags("Tasks"))]
async fn fields(caller: Caller, services: Data<Services>) -> Answer<Plain<FieldList>> {
    Ok(Plain(FieldList::of::<TaskNoun>(&services, &caller).await?))
}

/// Search tasks: the question as a body
#[api_v2_operation(operation_id = "searchTasks", tags("Tasks"))]
async fn search(caller: Caller, services: Data<Services>, body: Body<SearchRequest>) -> Answer<Listed<Task>> {
    let (query, shape) = body.0.read::<TaskNoun>(&services, &caller).await?;
    let page = services.tasks.list(&caller.context, &query).await.map_err(in_where)?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// Create a task
#[api_v2_operation(operation_id = "createTask", tags("Tasks"))]
async fn create(caller: Caller, key: RequestKey, services: Data<Services>, body: Body<NewTask>) -> Answer<Once<Created<Task>>> {
    once::<BulkTasks, _>(&key, &services, &caller, async |tx| {
        let task = within::create(tx, body.0).await?;
        Ok((created(COLLECTION, &task)?, vec![task.id.uuid()]))
    })
    .await
}

/// Create, change, delete and upsert many tasks at once, or change all that match a filter
#[api_v2_operation(operation_id = "bulkTasks", tags("Tasks"))]
async fn change_many(
    caller: PartsCaller,
    key: RequestKey,
    services: Data<Services>,
    body: Body<BulkRequest>,
) -> Answer<Once<Bulked<Task>>> {
    bulk::run::<TaskNoun>(&services, caller, &key, body.0).await
}

/// Get a task by what another system calls it
#[api_v2_operation(operation_id = "getTaskByExternalId", tags("Tasks"))]
async fn get_by_external_id(caller: PartsCaller, name: Path<(String, String)>, services: Data<Services>) -> Answer<Found<Task>> {
    let (source, id) = name.into_inner();
    external_ids::get::<TaskNoun>(&services, &caller, source, id).await
}

/// Change the task that another system calls so, or create it: what the body does not say stays
#[api_v2_operation(operation_id = "upsertTaskByExternalId", tags("Tasks"))]
async fn upsert_by_external_id(
    caller: PartsCaller,
    request: HttpRequest,
    name: Path<(String, String)>,
    services: Data<Services>,
    body: EitherBody<NewTask, TaskChanges>,
) -> Answer<Upserted<Task>> {
    external_ids::upsert::<TaskNoun>(&services, &caller, name.into_inner(), &if_match(&request), body).await
}

/// Get a task
#[api_v2_operation(operation_id = "getTask", tags("Tasks"))]
async fn get(caller: Caller, id: Path<TaskId>, show: Show<TaskNoun>, services: Data<Services>) -> Answer<Found<Task>> {
    let shown = show.read()?;
    let task = match shown.from_bin {
        true => services.tasks.get_with_deleted(&caller.context, *id).await?,
        false => services.tasks.get(&caller.context, *id).await?,
    };
    Ok(shown.shape.record(&services, &caller, task).await?)
}

/// Replace a task: what the body does not say becomes empty
#[api_v2_operation(operation_id = "replaceTask", tags("Tasks"))]
async fn replace(
    caller: RecordCaller,
    request: HttpRequest,
    id: Path<TaskId>,
    services: Data<Services>,
    body: Body<NewTask>,
) -> Answer<Found<Task>> {
    let context = caller.allowed(services.tasks.get(&caller.context, *id)).await?;
    let task = services.tasks.replace(context, *id, &if_match(&request), body.0).await?;
    Ok(Found::plain(&task)?)
}

/// Change a task: a JSON Merge Patch
#[api_v2_operation(operation_id = "updateTask", tags("Tasks"))]
async fn update(
    caller: RecordCaller,
    request: HttpRequest,
    id: Path<TaskId>,
    services: Data<Services>,
    body: Body<TaskChanges>,
) -> Answer<Found<Task>> {
    let context = caller.allowed(services.tasks.get(&caller.context, *id)).await?;
    let task = services.tasks.update(context, *id, &if_match(&request), &body.0).await?;
    Ok(Found::plain(&task)?)
}

/// Move a task to the bin
#[api_v2_operation(operation_id = "deleteTask", tags("Tasks"))]
async fn delete(caller: RecordCaller, request: HttpRequest, id: Path<TaskId>, services: Data<Services>) -> Answer<Empty> {
    let context = caller.allowed(services.tasks.get(&caller.context, *id)).await?;
    services.tasks.delete(context, *id, &if_match(&request)).await?;
    Ok(Empty)
}

/// Bring a task back from the bin
#[api_v2_operation(operation_id = "restoreTask", tags("Tasks"))]
async fn restore(caller: RecordCaller, key: RequestKey, id: Path<TaskId>, services: Data<Services>) -> Answer<Once<Found<Task>>> {
    let context = caller.context.clone();
    let caller = caller.admitted(services.tasks.get(&context, *id)).await?;
    once::<BulkTasks, _>(&key, &services, &caller, async |tx| {
        let task = within::restore(tx, *id).await?;
        Ok((Found::plain(&task)?, vec![task.id.uuid()]))
    })
    .await
}

/// List what other systems call a task
#[api_v2_operation(operation_id = "listTaskExternalIds", tags("Tasks"))]
async fn list_external_ids(caller: Caller, id: Path<TaskId>, services: Data<Services>) -> Answer<Plain<ExternalIdList>> {
    Ok(Plain(external_ids::list::<TaskNoun>(&services, &caller, id.uuid()).await?))
}

/// Say that another system calls a task so
#[api_v2_operation(operation_id = "attachTaskExternalId", tags("Tasks"))]
async fn attach_external_id(
    caller: RecordCaller,
    name: Path<(TaskId, String, String)>,
    services: Data<Services>,
) -> Answer<Empty> {
    let (id, source, external_id) = name.into_inner();
    let context = caller.allowed(services.tasks.get(&caller.context, id)).await?;
    Ok(external_ids::attach::<TaskNoun>(&services, context, id.uuid(), (source, external_id)).await?)
}

/// Say that another system calls a task so no more
#[api_v2_operation(operation_id = "detachTaskExternalId", tags("Tasks"))]
async fn detach_external_id(
    caller: RecordCaller,
    name: Path<(TaskId, String, String)>,
    services: Data<Services>,
) -> Answer<Empty> {
    let (id, source, external_id) = name.into_inner();
    let context = caller.allowed(services.tasks.get(&caller.context, id)).await?;
    Ok(external_ids::detach::<TaskNoun>(&services, context, id.uuid(), (source, external_id)).await?)
}

/// List my open tasks: what is overdue, for today, to come, and without a date
#[api_v2_operation(operation_id = "listMyTasks", tags("Tasks"))]
async fn list_mine(caller: Caller, services: Data<Services>) -> Answer<Plain<MyTasks>> {
    Ok(Plain(services.tasks.mine(&caller.context).await?))
}

/// Complete a task; one that comes again is followed by the next
#[api_v2_operation(operation_id = "completeTask", tags("Tasks"))]
async fn complete(caller: RecordCaller, request: HttpRequest, id: Path<TaskId>, services: Data<Services>) -> Answer<Found<Task>> {
    let context = caller.allowed(services.tasks.get(&caller.context, *id)).await?;
    let task = services.tasks.complete(context, *id, &if_match(&request)).await?;
    Ok(Found::plain(&task)?)
}

/// Open a task again
#[api_v2_operation(operation_id = "reopenTask", tags("Tasks"))]
async fn reopen(caller: RecordCaller, request: HttpRequest, id: Path<TaskId>, services: Data<Services>) -> Answer<Found<Task>> {
    let context = caller.allowed(services.tasks.get(&caller.context, *id)).await?;
    let task = services.tasks.reopen(context, *id, &if_match(&request)).await?;
    Ok(Found::plain(&task)?)
}

/// List the notes about a task
#[api_v2_operation(operation_id = "listTaskNotes", tags("Tasks"))]
async fn list_notes(
    caller: Caller,
    id: Path<TaskId>,
    question: Question<NoteNoun>,
    services: Data<Services>,
) -> Answer<Listed<Note>> {
    let (query, shape) = question.read_about(&services, &caller, "task", id.uuid()).await?;
    services.tasks.get(&caller.context, *id).await?;
    let page = services.notes.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// List what happened to a task
#[api_v2_operation(operation_id = "listTaskActivities", tags("Tasks"))]
async fn list_activities(
    caller: Caller,
    id: Path<TaskId>,
    question: Question<ActivityNoun>,
    services: Data<Services>,
) -> Answer<Listed<Activity>> {
    let (query, shape) = question.read_within(&services, &caller, "entity_id", id.uuid()).await?;
    services.tasks.get(&caller.context, *id).await?;
    caller.may_read(&services, "task", Some(id.uuid()))?;
    let page = services.activities.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// List what happened to a task and the notes about it, newest first, in sentences
#[api_v2_operation(operation_id = "listTaskTimeline", tags("Tasks"))]
async fn list_timeline(
    caller: Caller,
    id: Path<TaskId>,
    parameters: TimelineParameters,
    services: Data<Services>,
) -> Answer<Listed<TimelineEntry>> {
    let question = parameters.read(&services, &caller, Subject::Task, id.uuid())?;
    services.tasks.get(&caller.context, *id).await?;
    Ok(Listed::new(&services.activities.timeline(&caller.context, &question).await?)?)
}
