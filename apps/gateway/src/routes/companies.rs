//! `/a-crm/companies`.

use actix_web::{
    HttpRequest,
    web::{Data, Path},
};
use async_trait::async_trait;
use crm_activities::{
    Activity,
    timeline::{Subject, TimelineEntry},
};
use crm_companies::{BulkCompanies, Company, CompanyChanges, NewCompany, within};
use crm_contacts::Contact;
use crm_deals::Deal;
use crm_kernel::{CompanyId, Context, Field, ListQuery, Page, Result, Sort, Vocabulary, validation};
use crm_notes::Note;
use crm_projects::Project;
use crm_tasks::Task;
use crm_tenancy::custom_fields::RecordKind;
use paperclip::actix::{api_v2_operation, web};
use uuid::Uuid;

use super::{
    activities::ActivityNoun, contacts::ContactNoun, deals::DealNoun, notes::NoteNoun, projects::ProjectNoun, tasks::TaskNoun,
};
use crate::{
    answer::{Created, Empty, Found, Listed, Plain, Record, if_match},
    body::{Body, EitherBody, Input},
    bulk::{self, BulkRequest, Bulked},
    caller::{Caller, PartsCaller, RecordCaller},
    external_ids::{self, ExternalIdList, Upserted},
    once::{Once, RequestKey, once},
    problem::Answer,
    question::{FieldList, Noun, Question, SearchRequest, Show, TimelineParameters, in_where, letting_in},
    related::{Relation, Target},
    services::Services,
    shape::created,
};

const COLLECTION: &str = "/api/v1/a-crm/companies";

/// The routes of this file.
#[must_use]
pub fn scope() -> web::Scope {
    web::scope("/companies")
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
        .route("/{id}/contacts", web::get().to(list_contacts))
        .route("/{id}/deals", web::get().to(list_deals))
        .route("/{id}/projects", web::get().to(list_projects))
        .route("/{id}/tasks", web::get().to(list_tasks))
        .route("/{id}/notes", web::get().to(list_notes))
        .route("/{id}/activities", web::get().to(list_activities))
        .route("/{id}/timeline", web::get().to(list_timeline))
}

/// Companies, as a noun of questions.
#[derive(Debug)]
pub struct CompanyNoun;

impl Noun for CompanyNoun {
    const NAME: &'static str = "company";

    fn fields() -> &'static [Field] {
        crm_companies::FIELDS
    }
    fn vocabulary() -> Vocabulary {
        crm_companies::VOCABULARY
    }
    fn default_sort() -> Sort {
        crm_companies::default_sort()
    }
    const RELATIONS: &'static [Relation] = &[
        Relation { name: "parent", key: "parent_id", target: Target::Company },
        Relation { name: "owner", key: "owner_id", target: Target::Member },
        Relation { name: "created_by", key: "created_by_id", target: Target::Member },
    ];
    const BIN: bool = true;
    const CUSTOM: Option<RecordKind> = Some(RecordKind::Company);
}

#[async_trait]
impl bulk::Noun for CompanyNoun {
    type Bulk = BulkCompanies;

    const COLLECTION: &'static str = COLLECTION;

    async fn list(services: &Services, context: &Context, query: &ListQuery) -> Result<Page<Company>> {
        services.companies.list(context, query).await
    }
}

impl Record for Company {
    fn id(&self) -> Uuid {
        self.id.uuid()
    }
    fn version(&self) -> i32 {
        self.version
    }
}

impl Input for NewCompany {
    fn check(&self) -> Result<()> {
        validation::check(&CompanyChanges::from(self.clone()))
    }
}

impl Input for CompanyChanges {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

/// List companies
#[api_v2_operation(operation_id = "listCompanies", tags("Companies"))]
async fn list(caller: Caller, question: Question<CompanyNoun>, services: Data<Services>) -> Answer<Listed<Company>> {
    let (query, shape) = question.read(&services, &caller).await?;
    let page = services.companies.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// What can be asked about companies
#[api_v2_operation(operation_id = "listCompanyFields", tags("Companies"))]
async fn fields(caller: Caller, services: Data<Services>) -> Answer<Plain<FieldList>> {
    Ok(Plain(FieldList::of::<CompanyNoun>(&services, &caller).await?))
}

/// Search companies: the question as a body
#[api_v2_operation(operation_id = "searchCompanies", tags("Companies"))]
async fn search(caller: Caller, services: Data<Services>, body: Body<SearchRequest>) -> Answer<Listed<Company>> {
    let (query, shape) = body.0.read::<CompanyNoun>(&services, &caller).await?;
    let page = services.companies.list(&caller.context, &query).await.map_err(in_where)?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// Create a company
#[api_v2_operation(operation_id = "createCompany", tags("Companies"))]
async fn create(
    caller: Caller,
    key: RequestKey,
    services: Data<Services>,
    body: Body<NewCompany>,
) -> Answer<Once<Created<Company>>> {
    once::<BulkCompanies, _>(&key, &services, &caller, async |tx| {
        let company = within::create(tx, body.0).await?;
        Ok((created(COLLECTION, &company)?, vec![company.id.uuid()]))
    })
    .await
}

/// Create, change, delete and upsert many companies at once, or change all that match a filter
#[api_v2_operation(operation_id = "bulkCompanies", tags("Companies"))]
async fn change_many(
    caller: PartsCaller,
    key: RequestKey,
    services: Data<Services>,
    body: Body<BulkRequest>,
) -> Answer<Once<Bulked<Company>>> {
    bulk::run::<CompanyNoun>(&services, caller, &key, body.0).await
}

/// Get a company by what another system calls it
#[api_v2_operation(operation_id = "getCompanyByExternalId", tags("Companies"))]
async fn get_by_external_id(
    caller: PartsCaller,
    name: Path<(String, String)>,
    services: Data<Services>,
) -> Answer<Found<Company>> {
    let (source, id) = name.into_inner();
    external_ids::get::<CompanyNoun>(&services, &caller, source, id).await
}

/// Change the company that another system calls so, or create it: what the body does not say stays
#[api_v2_operation(operation_id = "upsertCompanyByExternalId", tags("Companies"))]
async fn upsert_by_external_id(
    caller: PartsCaller,
    request: HttpRequest,
    name: Path<(String, String)>,
    services: Data<Services>,
    body: EitherBody<NewCompany, CompanyChanges>,
) -> Answer<Upserted<Company>> {
    external_ids::upsert::<CompanyNoun>(&services, &caller, name.into_inner(), &if_match(&request), body).await
}

/// Get a company
#[api_v2_operation(operation_id = "getCompany", tags("Companies"))]
async fn get(caller: Caller, id: Path<CompanyId>, show: Show<CompanyNoun>, services: Data<Services>) -> Answer<Found<Company>> {
    let shown = show.read()?;
    let company = match shown.from_bin {
        true => services.companies.get_with_deleted(&caller.context, *id).await?,
        false => services.companies.get(&caller.context, *id).await?,
    };
    Ok(shown.shape.record(&services, &caller, company).await?)
}

/// Replace a company: what the body does not say becomes empty
#[api_v2_operation(operation_id = "replaceCompany", tags("Companies"))]
async fn replace(
    caller: RecordCaller,
    request: HttpRequest,
    id: Path<CompanyId>,
    services: Data<Services>,
    body: Body<NewCompany>,
) -> Answer<Found<Company>> {
    let context = caller.allowed(services.companies.get(&caller.context, *id)).await?;
    let company = services.companies.replace(context, *id, &if_match(&request), body.0).await?;
    Ok(Found::plain(&company)?)
}

/// Change a company: a JSON Merge Patch
#[api_v2_operation(operation_id = "updateCompany", tags("Companies"))]
async fn update(
    caller: RecordCaller,
    request: HttpRequest,
    id: Path<CompanyId>,
    services: Data<Services>,
    body: Body<CompanyChanges>,
) -> Answer<Found<Company>> {
    let context = caller.allowed(services.companies.get(&caller.context, *id)).await?;
    let company = services.companies.update(context, *id, &if_match(&request), &body.0).await?;
    Ok(Found::plain(&company)?)
}

/// Move a company to the bin
#[api_v2_operation(operation_id = "deleteCompany", tags("Companies"))]
async fn delete(caller: RecordCaller, request: HttpRequest, id: Path<CompanyId>, services: Data<Services>) -> Answer<Empty> {
    let context = caller.allowed(services.companies.get(&caller.context, *id)).await?;
    services.companies.delete(context, *id, &if_match(&request)).await?;
    Ok(Empty)
}

/// Bring a company back from the bin
#[api_v2_operation(operation_id = "restoreCompany", tags("Companies"))]
async fn restore(
    caller: RecordCaller,
    key: RequestKey,
    id: Path<CompanyId>,
    services: Data<Services>,
) -> Answer<Once<Found<Company>>> {
    let context = caller.context.clone();
    let caller = caller.admitted(services.companies.get(&context, *id)).await?;
    once::<BulkCompanies, _>(&key, &services, &caller, async |tx| {
        let company = within::restore(tx, *id).await?;
        Ok((Found::plain(&company)?, vec![company.id.uuid()]))
    })
    .await
}

/// List what other systems call a company
#[api_v2_operation(operation_id = "listCompanyExternalIds", tags("Companies"))]
async fn list_external_ids(caller: Caller, id: Path<CompanyId>, services: Data<Services>) -> Answer<Plain<ExternalIdList>> {
    Ok(Plain(external_ids::list::<CompanyNoun>(&services, &caller, id.uuid()).await?))
}

/// Say that another system calls a company so
#[api_v2_operation(operation_id = "attachCompanyExternalId", tags("Companies"))]
async fn attach_external_id(
    caller: RecordCaller,
    name: Path<(CompanyId, String, String)>,
    services: Data<Services>,
) -> Answer<Empty> {
    let (id, source, external_id) = name.into_inner();
    let context = caller.allowed(services.companies.get(&caller.context, id)).await?;
    Ok(external_ids::attach::<CompanyNoun>(&services, context, id.uuid(), (source, external_id)).await?)
}

/// Say that another system calls a company so no more
#[api_v2_operation(operation_id = "detachCompanyExternalId", tags("Companies"))]
async fn detach_external_id(
    caller: RecordCaller,
    name: Path<(CompanyId, String, String)>,
    services: Data<Services>,
) -> Answer<Empty> {
    let (id, source, external_id) = name.into_inner();
    let context = caller.allowed(services.companies.get(&caller.context, id)).await?;
    Ok(external_ids::detach::<CompanyNoun>(&services, context, id.uuid(), (source, external_id)).await?)
}

/// List the contacts of a company
#[api_v2_operation(operation_id = "listCompanyContacts", tags("Companies"))]
async fn list_contacts(
    caller: Caller,
    id: Path<CompanyId>,
    question: Question<ContactNoun>,
    services: Data<Services>,
) -> Answer<Listed<Contact>> {
    let (query, shape) = question.read_within(&services, &caller, "company_id", id.uuid()).await?;
    services.companies.get(&caller.context, *id).await?;
    let further = services.contacts.further_of(&caller.context, *id).await?;
    let query = letting_in::<ContactNoun>(query, "company_id", further.iter().map(|contact| contact.uuid()));
    let page = services.contacts.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// List the deals of a company
#[api_v2_operation(operation_id = "listCompanyDeals", tags("Companies"))]
async fn list_deals(
    caller: Caller,
    id: Path<CompanyId>,
    question: Question<DealNoun>,
    services: Data<Services>,
) -> Answer<Listed<Deal>> {
    let (query, shape) = question.read_within(&services, &caller, "company_id", id.uuid()).await?;
    services.companies.get(&caller.context, *id).await?;
    let page = services.deals.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// List the projects of a company
#[api_v2_operation(operation_id = "listCompanyProjects", tags("Companies"))]
async fn list_projects(
    caller: Caller,
    id: Path<CompanyId>,
    question: Question<ProjectNoun>,
    services: Data<Services>,
) -> Answer<Listed<Project>> {
    let (query, shape) = question.read_within(&services, &caller, "company_id", id.uuid()).await?;
    services.companies.get(&caller.context, *id).await?;
    let page = services.projects.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// List the tasks about a company
#[api_v2_operation(operation_id = "listCompanyTasks", tags("Companies"))]
async fn list_tasks(
    caller: Caller,
    id: Path<CompanyId>,
    question: Question<TaskNoun>,
    services: Data<Services>,
) -> Answer<Listed<Task>> {
    let (query, shape) = question.read_about(&services, &caller, "company", id.uuid()).await?;
    services.companies.get(&caller.context, *id).await?;
    let page = services.tasks.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// List the notes about a company
#[api_v2_operation(operation_id = "listCompanyNotes", tags("Companies"))]
async fn list_notes(
    caller: Caller,
    id: Path<CompanyId>,
    question: Question<NoteNoun>,
    services: Data<Services>,
) -> Answer<Listed<Note>> {
    let (query, shape) = question.read_about(&services, &caller, "company", id.uuid()).await?;
    services.companies.get(&caller.context, *id).await?;
    let page = services.notes.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// List what happened to a company
#[api_v2_operation(operation_id = "listCompanyActivities", tags("Companies"))]
async fn list_activities(
    caller: Caller,
    id: Path<CompanyId>,
    question: Question<ActivityNoun>,
    services: Data<Services>,
) -> Answer<Listed<Activity>> {
    let (query, shape) = question.read_within(&services, &caller, "entity_id", id.uuid()).await?;
    services.companies.get(&caller.context, *id).await?;
    caller.may_read(&services, "company", Some(id.uuid()))?;
    let page = services.activities.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// List what happened on the page of a company, newest first, in sentences: notes, tasks and parts of it too
#[api_v2_operation(operation_id = "listCompanyTimeline", tags("Companies"))]
async fn list_timeline(
    caller: Caller,
    id: Path<CompanyId>,
    parameters: TimelineParameters,
    services: Data<Services>,
) -> Answer<Listed<TimelineEntry>> {
    let question = parameters.read(&services, &caller, Subject::Company, id.uuid())?;
    services.companies.get(&caller.context, *id).await?;
    Ok(Listed::new(&services.activities.timeline(&caller.context, &question).await?)?)
}
