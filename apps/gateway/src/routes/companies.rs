//! `/a-crm/companies`.

use actix_web::{
    HttpRequest,
    web::{Data, Path},
};
use crm_activities::Activity;
use crm_companies::{Company, CompanyChanges, NewCompany};
use crm_contacts::Contact;
use crm_deals::Deal;
use crm_kernel::{CompanyId, Field, Result, Sort, Vocabulary, validation};
use paperclip::actix::{api_v2_operation, web};
use uuid::Uuid;

use super::{activities::ActivityNoun, contacts::ContactNoun, deals::DealNoun};
use crate::{
    answer::{Created, Empty, Found, Listed, Plain, Record, if_match},
    body::{Body, Input},
    caller::{Caller, RecordCaller},
    problem::Answer,
    question::{FieldList, Noun, Question, SearchRequest, Show},
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
        .route("/{id}", web::get().to(get))
        .route("/{id}", web::put().to(replace))
        .route("/{id}", web::patch().to(update))
        .route("/{id}", web::delete().to(delete))
        .route("/{id}/restore", web::post().to(restore))
        .route("/{id}/contacts", web::get().to(list_contacts))
        .route("/{id}/deals", web::get().to(list_deals))
        .route("/{id}/activities", web::get().to(list_activities))
}

/// Companies, as a noun of questions.
#[derive(Debug)]
pub struct CompanyNoun;

impl Noun for CompanyNoun {
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
async fn fields(_: Caller) -> Answer<Plain<FieldList>> {
    Ok(Plain(FieldList::of::<CompanyNoun>()))
}

/// Search companies: the question as a body
#[api_v2_operation(operation_id = "searchCompanies", tags("Companies"))]
async fn search(caller: Caller, services: Data<Services>, body: Body<SearchRequest>) -> Answer<Listed<Company>> {
    let (query, shape) = body.0.read::<CompanyNoun>(&services, &caller).await?;
    let page = services.companies.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// Create a company
#[api_v2_operation(operation_id = "createCompany", tags("Companies"))]
async fn create(caller: Caller, services: Data<Services>, body: Body<NewCompany>) -> Answer<Created<Company>> {
    let company = services.companies.create(&caller.context, body.0).await?;
    Ok(created(COLLECTION, &company)?)
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
async fn restore(caller: RecordCaller, id: Path<CompanyId>, services: Data<Services>) -> Answer<Found<Company>> {
    let context = caller.allowed(services.companies.get(&caller.context, *id)).await?;
    let company = services.companies.restore(context, *id).await?;
    Ok(Found::plain(&company)?)
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
