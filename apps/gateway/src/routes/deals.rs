//! `/a-crm/deals`.

use actix_web::{
    HttpRequest,
    web::{Data, Path},
};
use async_trait::async_trait;
use crm_activities::{
    Activity,
    timeline::{Subject, TimelineEntry},
};
use crm_deals::{
    BulkDeals, Deal, DealChanges, DealContactList, DealContactsRequest, LineItemList, LineItemsRequest, NewDeal, StageHistory,
    StageStep, within,
};
use crm_kernel::{Context, DealId, Error, Field, ListQuery, Page, Result, Sort, Vocabulary, validation};
use crm_notes::Note;
use crm_projects::{BulkProjects, Project, ProjectOfDeal};
use crm_tasks::Task;
use crm_tenancy::custom_fields::RecordKind;
use paperclip::actix::{api_v2_operation, web};
use uuid::Uuid;

use super::{
    activities::ActivityNoun,
    figures,
    notes::NoteNoun,
    projects::{self, ProjectNoun},
    tasks::TaskNoun,
};
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

const COLLECTION: &str = "/api/v1/a-crm/deals";

/// The routes of this file.
#[must_use]
pub fn scope() -> web::Scope {
    web::scope("/deals")
        .route("", web::get().to(list))
        .route("", web::post().to(create))
        .route("/fields", web::get().to(fields))
        .route("/search", web::post().to(search))
        .route("/pipeline", web::get().to(figures::pipeline))
        .route("/forecast", web::get().to(figures::forecast))
        .route("/board", web::get().to(figures::board))
        .route("/board/{stage}", web::get().to(figures::cards))
        .route("/win-loss", web::get().to(figures::win_loss))
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
        .route("/{id}/stage", web::put().to(move_to))
        .route("/{id}/stage-history", web::get().to(stage_history))
        .route("/{id}/line-items", web::get().to(line_items))
        .route("/{id}/line-items", web::put().to(replace_line_items))
        .route("/{id}/contacts", web::get().to(contacts))
        .route("/{id}/contacts", web::put().to(replace_contacts))
        .route("/{id}/projects", web::get().to(list_projects))
        .route("/{id}/projects", web::post().to(create_project))
        .route("/{id}/tasks", web::get().to(list_tasks))
        .route("/{id}/notes", web::get().to(list_notes))
        .route("/{id}/activities", web::get().to(list_activities))
        .route("/{id}/timeline", web::get().to(list_timeline))
}

/// Deals, as a noun of questions.
#[derive(Debug)]
pub struct DealNoun;

impl Noun for DealNoun {
    const NAME: &'static str = "deal";

    fn fields() -> &'static [Field] {
        crm_deals::FIELDS
    }
    fn vocabulary() -> Vocabulary {
        crm_deals::VOCABULARY
    }
    fn default_sort() -> Sort {
        crm_deals::default_sort()
    }
    const RELATIONS: &'static [Relation] = &[
        Relation { name: "company", key: "company_id", target: Target::Company },
        Relation { name: "primary_contact", key: "primary_contact_id", target: Target::Contact },
        Relation { name: "campaign", key: "campaign_id", target: Target::Campaign },
        Relation { name: "owner", key: "owner_id", target: Target::Member },
        Relation { name: "created_by", key: "created_by_id", target: Target::Member },
    ];
    const BIN: bool = true;
    const CUSTOM: Option<RecordKind> = Some(RecordKind::Deal);
}

#[async_trait]
impl bulk::Noun for DealNoun {
    type Bulk = BulkDeals;

    const COLLECTION: &'static str = COLLECTION;

    async fn list(services: &Services, context: &Context, query: &ListQuery) -> Result<Page<Deal>> {
        services.deals.list(context, query).await
    }
}

impl Record for Deal {
    fn id(&self) -> Uuid {
        self.id.uuid()
    }
    fn version(&self) -> i32 {
        self.version
    }
}

impl Input for NewDeal {
    fn check(&self) -> Result<()> {
        validation::check(&DealChanges::from(self.clone()))
    }
}

impl Input for DealChanges {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

impl Input for StageStep {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

impl Record for LineItemList {
    fn id(&self) -> Uuid {
        self.deal_id.uuid()
    }
    fn version(&self) -> i32 {
        self.version
    }
}

impl Record for DealContactList {
    fn id(&self) -> Uuid {
        self.deal_id.uuid()
    }
    fn version(&self) -> i32 {
        self.version
    }
}

impl Input for LineItemsRequest {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

impl Input for DealContactsRequest {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

/// List deals
#[api_v2_operation(operation_id = "listDeals", tags("Deals"))]
async fn list(caller: Caller, question: Question<DealNoun>, services: Data<Services>) -> Answer<Listed<Deal>> {
    let (query, shape) = question.read(&services, &caller).await?;
    let page = services.deals.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// What can be asked about deals
#[api_v2_operation(operation_id = "listDealFields", tags("Deals"))]
async fn fields(caller: Caller, services: Data<Services>) -> Answer<Plain<FieldList>> {
    Ok(Plain(FieldList::of::<DealNoun>(&services, &caller).await?))
}

/// Search deals: the question as a body
#[api_v2_operation(operation_id = "searchDeals", tags("Deals"))]
async fn search(caller: Caller, services: Data<Services>, body: Body<SearchRequest>) -> Answer<Listed<Deal>> {
    let (query, shape) = body.0.read::<DealNoun>(&services, &caller).await?;
    let page = services.deals.list(&caller.context, &query).await.map_err(in_where)?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// Create a deal
#[api_v2_operation(operation_id = "createDeal", tags("Deals"))]
async fn create(caller: Caller, key: RequestKey, services: Data<Services>, body: Body<NewDeal>) -> Answer<Once<Created<Deal>>> {
    once::<BulkDeals, _>(&key, &services, &caller, async |tx| {
        let deal = within::create(tx, body.0).await?;
        Ok((created(COLLECTION, &deal)?, vec![deal.id.uuid()]))
    })
    .await
}

/// Create, change, delete and upsert many deals at once, or change all that match a filter
#[api_v2_operation(operation_id = "bulkDeals", tags("Deals"))]
async fn change_many(
    caller: PartsCaller,
    key: RequestKey,
    services: Data<Services>,
    body: Body<BulkRequest>,
) -> Answer<Once<Bulked<Deal>>> {
    bulk::run::<DealNoun>(&services, caller, &key, body.0).await
}

/// Get a deal by what another system calls it
#[api_v2_operation(operation_id = "getDealByExternalId", tags("Deals"))]
async fn get_by_external_id(caller: PartsCaller, name: Path<(String, String)>, services: Data<Services>) -> Answer<Found<Deal>> {
    let (source, id) = name.into_inner();
    external_ids::get::<DealNoun>(&services, &caller, source, id).await
}

/// Change the deal that another system calls so, or create it: what the body does not say stays
#[api_v2_operation(operation_id = "upsertDealByExternalId", tags("Deals"))]
async fn upsert_by_external_id(
    caller: PartsCaller,
    request: HttpRequest,
    name: Path<(String, String)>,
    services: Data<Services>,
    body: EitherBody<NewDeal, DealChanges>,
) -> Answer<Upserted<Deal>> {
    external_ids::upsert::<DealNoun>(&services, &caller, name.into_inner(), &if_match(&request), body).await
}

/// Get a deal
#[api_v2_operation(operation_id = "getDeal", tags("Deals"))]
async fn get(caller: Caller, id: Path<DealId>, show: Show<DealNoun>, services: Data<Services>) -> Answer<Found<Deal>> {
    let shown = show.read()?;
    let deal = match shown.from_bin {
        true => services.deals.get_with_deleted(&caller.context, *id).await?,
        false => services.deals.get(&caller.context, *id).await?,
    };
    Ok(shown.shape.record(&services, &caller, deal).await?)
}

/// Replace a deal: what the body does not say becomes empty
#[api_v2_operation(operation_id = "replaceDeal", tags("Deals"))]
async fn replace(
    caller: RecordCaller,
    request: HttpRequest,
    id: Path<DealId>,
    services: Data<Services>,
    body: Body<NewDeal>,
) -> Answer<Found<Deal>> {
    let context = caller.allowed(services.deals.get(&caller.context, *id)).await?;
    let deal = services.deals.replace(context, *id, &if_match(&request), body.0).await?;
    Ok(Found::plain(&deal)?)
}

/// Change a deal: a JSON Merge Patch
#[api_v2_operation(operation_id = "updateDeal", tags("Deals"))]
async fn update(
    caller: RecordCaller,
    request: HttpRequest,
    id: Path<DealId>,
    services: Data<Services>,
    body: Body<DealChanges>,
) -> Answer<Found<Deal>> {
    let context = caller.allowed(services.deals.get(&caller.context, *id)).await?;
    let deal = services.deals.update(context, *id, &if_match(&request), &body.0).await?;
    Ok(Found::plain(&deal)?)
}

/// Move a deal to the bin
#[api_v2_operation(operation_id = "deleteDeal", tags("Deals"))]
async fn delete(caller: RecordCaller, request: HttpRequest, id: Path<DealId>, services: Data<Services>) -> Answer<Empty> {
    let context = caller.allowed(services.deals.get(&caller.context, *id)).await?;
    services.deals.delete(context, *id, &if_match(&request)).await?;
    Ok(Empty)
}

/// Bring a deal back from the bin
#[api_v2_operation(operation_id = "restoreDeal", tags("Deals"))]
async fn restore(caller: RecordCaller, key: RequestKey, id: Path<DealId>, services: Data<Services>) -> Answer<Once<Found<Deal>>> {
    let context = caller.context.clone();
    let caller = caller.admitted(services.deals.get(&context, *id)).await?;
    once::<BulkDeals, _>(&key, &services, &caller, async |tx| {
        let deal = within::restore(tx, *id).await?;
        Ok((Found::plain(&deal)?, vec![deal.id.uuid()]))
    })
    .await
}

/// List what other systems call a deal
#[api_v2_operation(operation_id = "listDealExternalIds", tags("Deals"))]
async fn list_external_ids(caller: Caller, id: Path<DealId>, services: Data<Services>) -> Answer<Plain<ExternalIdList>> {
    Ok(Plain(external_ids::list::<DealNoun>(&services, &caller, id.uuid()).await?))
}

/// Say that another system calls a deal so
#[api_v2_operation(operation_id = "attachDealExternalId", tags("Deals"))]
async fn attach_external_id(
    caller: RecordCaller,
    name: Path<(DealId, String, String)>,
    services: Data<Services>,
) -> Answer<Empty> {
    let (id, source, external_id) = name.into_inner();
    let context = caller.allowed(services.deals.get(&caller.context, id)).await?;
    Ok(external_ids::attach::<DealNoun>(&services, context, id.uuid(), (source, external_id)).await?)
}

/// Say that another system calls a deal so no more
#[api_v2_operation(operation_id = "detachDealExternalId", tags("Deals"))]
async fn detach_external_id(
    caller: RecordCaller,
    name: Path<(DealId, String, String)>,
    services: Data<Services>,
) -> Answer<Empty> {
    let (id, source, external_id) = name.into_inner();
    let context = caller.allowed(services.deals.get(&caller.context, id)).await?;
    Ok(external_ids::detach::<DealNoun>(&services, context, id.uuid(), (source, external_id)).await?)
}

/// Move a deal to another stage: closing it, losing it, opening it again
#[api_v2_operation(operation_id = "moveDeal", tags("Deals"))]
async fn move_to(
    caller: RecordCaller,
    request: HttpRequest,
    id: Path<DealId>,
    services: Data<Services>,
    body: Body<StageStep>,
) -> Answer<Found<Deal>> {
    let context = caller.allowed(services.deals.get(&caller.context, *id)).await?;
    let deal = services.deals.move_to(context, *id, &if_match(&request), &body.0).await?;
    Ok(Found::plain(&deal)?)
}

/// List the stages a deal has been in, and for how long
#[api_v2_operation(operation_id = "listDealStageHistory", tags("Deals"))]
async fn stage_history(caller: Caller, id: Path<DealId>, services: Data<Services>) -> Answer<Plain<StageHistory>> {
    Ok(Plain(services.deals.stage_history(&caller.context, *id).await?))
}

/// List the lines of a deal: what it consists of
#[api_v2_operation(operation_id = "listDealLineItems", tags("Deals"))]
async fn line_items(caller: Caller, id: Path<DealId>, services: Data<Services>) -> Answer<Found<LineItemList>> {
    Ok(Found::plain(&services.deals.line_items(&caller.context, *id).await?)?)
}

/// Replace the lines of a deal, which is worth their sum from then on. The version is the deal's
#[api_v2_operation(operation_id = "replaceDealLineItems", tags("Deals"))]
async fn replace_line_items(
    caller: RecordCaller,
    request: HttpRequest,
    id: Path<DealId>,
    services: Data<Services>,
    body: Body<LineItemsRequest>,
) -> Answer<Found<LineItemList>> {
    let context = caller.context.clone();
    let caller = caller.admitted(services.deals.get(&context, *id)).await?;
    // A new line shows what its product is called and costs.
    for product in body.0.data.iter().filter(|line| line.id.is_none()).filter_map(|line| line.product_id) {
        caller.may_read(&services, "product", Some(product.uuid()))?;
    }
    Ok(Found::plain(&services.deals.replace_line_items(&caller.context, *id, &if_match(&request), &body.0).await?)?)
}

/// List who takes part in a deal, with their roles
#[api_v2_operation(operation_id = "listDealContacts", tags("Deals"))]
async fn contacts(caller: Caller, id: Path<DealId>, services: Data<Services>) -> Answer<Found<DealContactList>> {
    let mut contacts = services.deals.contacts(&caller.context, *id).await?;
    match caller.may_read(&services, "contact", None) {
        Err(Error::Forbidden(_)) => contacts.hide_names(),
        allowed => allowed?,
    }
    Ok(Found::plain(&contacts)?)
}

/// Replace who takes part in a deal. The version is the deal's
#[api_v2_operation(operation_id = "replaceDealContacts", tags("Deals"))]
async fn replace_contacts(
    caller: RecordCaller,
    request: HttpRequest,
    id: Path<DealId>,
    services: Data<Services>,
    body: Body<DealContactsRequest>,
) -> Answer<Found<DealContactList>> {
    let context = caller.context.clone();
    let caller = caller.admitted(services.deals.get(&context, *id)).await?;
    let mut contacts = services.deals.replace_contacts(&caller.context, *id, &if_match(&request), &body.0).await?;
    match caller.may_read(&services, "contact", None) {
        Err(Error::Forbidden(_)) => contacts.hide_names(),
        allowed => allowed?,
    }
    Ok(Found::plain(&contacts)?)
}

/// List the projects of a deal
#[api_v2_operation(operation_id = "listDealProjects", tags("Deals"))]
async fn list_projects(
    caller: Caller,
    id: Path<DealId>,
    question: Question<ProjectNoun>,
    services: Data<Services>,
) -> Answer<Listed<Project>> {
    let (query, shape) = question.read_within(&services, &caller, "deal_id", id.uuid()).await?;
    services.deals.get(&caller.context, *id).await?;
    let page = services.projects.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// Make a project of a won deal: for its company and, unless the body says another, under its name
#[api_v2_operation(operation_id = "createDealProject", tags("Deals"))]
async fn create_project(
    caller: RecordCaller,
    key: RequestKey,
    id: Path<DealId>,
    services: Data<Services>,
    body: Body<ProjectOfDeal>,
) -> Answer<Once<Created<Project>>> {
    let context = caller.context.clone();
    let caller = caller.admitted(services.deals.get(&context, *id)).await?;
    // The project shows the deal's name and company.
    caller.may_read(&services, "deal", Some(id.uuid()))?;
    once::<BulkProjects, _>(&key, &services, &caller, async |tx| {
        let project = crm_projects::within::create_of_deal(tx, *id, body.0).await?;
        Ok((created(projects::COLLECTION, &project)?, vec![project.id.uuid()]))
    })
    .await
}

/// List the tasks about a deal
#[api_v2_operation(operation_id = "listDealTasks", tags("Deals"))]
async fn list_tasks(
    caller: Caller,
    id: Path<DealId>,
    question: Question<TaskNoun>,
    services: Data<Services>,
) -> Answer<Listed<Task>> {
    let (query, shape) = question.read_about(&services, &caller, "deal", id.uuid()).await?;
    services.deals.get(&caller.context, *id).await?;
    let page = services.tasks.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// List the notes about a deal
#[api_v2_operation(operation_id = "listDealNotes", tags("Deals"))]
async fn list_notes(
    caller: Caller,
    id: Path<DealId>,
    question: Question<NoteNoun>,
    services: Data<Services>,
) -> Answer<Listed<Note>> {
    let (query, shape) = question.read_about(&services, &caller, "deal", id.uuid()).await?;
    services.deals.get(&caller.context, *id).await?;
    let page = services.notes.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// List what happened to a deal
#[api_v2_operation(operation_id = "listDealActivities", tags("Deals"))]
async fn list_activities(
    caller: Caller,
    id: Path<DealId>,
    question: Question<ActivityNoun>,
    services: Data<Services>,
) -> Answer<Listed<Activity>> {
    let (query, shape) = question.read_within(&services, &caller, "entity_id", id.uuid()).await?;
    services.deals.get(&caller.context, *id).await?;
    caller.may_read(&services, "deal", Some(id.uuid()))?;
    let page = services.activities.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// List what happened on the page of a deal, newest first, in sentences: notes, tasks and parts of it too
#[api_v2_operation(operation_id = "listDealTimeline", tags("Deals"))]
async fn list_timeline(
    caller: Caller,
    id: Path<DealId>,
    parameters: TimelineParameters,
    services: Data<Services>,
) -> Answer<Listed<TimelineEntry>> {
    let question = parameters.read(&services, &caller, Subject::Deal, id.uuid())?;
    services.deals.get(&caller.context, *id).await?;
    Ok(Listed::new(&services.activities.timeline(&caller.context, &question).await?)?)
}
