//! `/a-crm/contacts`.

use actix_web::{
    HttpRequest,
    web::{Data, Path},
};
use async_trait::async_trait;
use crm_activities::{
    Activity,
    timeline::{Subject, TimelineEntry},
};
use crm_campaigns::CampaignContact;
use crm_contacts::{
    BulkContacts, Contact, ContactChanges, ContactCompaniesRequest, ContactCompanyList, ContactPointList, ContactPointsRequest,
    NewContact, within,
};
use crm_deals::Deal;
use crm_kernel::{ContactId, Context, Error, Field, ListQuery, Page, Result, Sort, Vocabulary, validation};
use crm_notes::Note;
use crm_tasks::Task;
use crm_tenancy::custom_fields::RecordKind;
use paperclip::actix::{api_v2_operation, web};
use uuid::Uuid;

use super::{
    activities::ActivityNoun, campaign_contacts::CampaignContactNoun, deals::DealNoun, notes::NoteNoun, tasks::TaskNoun,
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

const COLLECTION: &str = "/api/v1/a-crm/contacts";

/// The routes of this file.
#[must_use]
pub fn scope() -> web::Scope {
    web::scope("/contacts")
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
        .route("/{id}/contact-points", web::get().to(points))
        .route("/{id}/contact-points", web::put().to(replace_points))
        .route("/{id}/companies", web::get().to(companies))
        .route("/{id}/companies", web::put().to(replace_companies))
        .route("/{id}/deals", web::get().to(list_deals))
        .route("/{id}/tasks", web::get().to(list_tasks))
        .route("/{id}/notes", web::get().to(list_notes))
        .route("/{id}/campaigns", web::get().to(list_campaigns))
        .route("/{id}/activities", web::get().to(list_activities))
        .route("/{id}/timeline", web::get().to(list_timeline))
}

/// Contacts, as a noun of questions.
#[derive(Debug)]
pub struct ContactNoun;

impl Noun for ContactNoun {
    const NAME: &'static str = "contact";

    fn fields() -> &'static [Field] {
        crm_contacts::FIELDS
    }
    fn vocabulary() -> Vocabulary {
        crm_contacts::VOCABULARY
    }
    fn default_sort() -> Sort {
        crm_contacts::default_sort()
    }
    const RELATIONS: &'static [Relation] = &[
        Relation { name: "company", key: "company_id", target: Target::Company },
        Relation { name: "owner", key: "owner_id", target: Target::Member },
        Relation { name: "created_by", key: "created_by_id", target: Target::Member },
    ];
    const BIN: bool = true;
    const CUSTOM: Option<RecordKind> = Some(RecordKind::Contact);
}

#[async_trait]
impl bulk::Noun for ContactNoun {
    type Bulk = BulkContacts;

    const COLLECTION: &'static str = COLLECTION;

    async fn list(services: &Services, context: &Context, query: &ListQuery) -> Result<Page<Contact>> {
        services.contacts.list(context, query).await
    }
}

impl Record for Contact {
    fn id(&self) -> Uuid {
        self.id.uuid()
    }
    fn version(&self) -> i32 {
        self.version
    }
}

impl Input for NewContact {
    fn check(&self) -> Result<()> {
        validation::check(&ContactChanges::from(self.clone()))
    }
}

impl Input for ContactChanges {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

impl Record for ContactPointList {
    fn id(&self) -> Uuid {
        self.contact_id.uuid()
    }
    fn version(&self) -> i32 {
        self.version
    }
}

impl Record for ContactCompanyList {
    fn id(&self) -> Uuid {
        self.contact_id.uuid()
    }
    fn version(&self) -> i32 {
        self.version
    }
}

impl Input for ContactPointsRequest {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

impl Input for ContactCompaniesRequest {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

/// List contacts
#[api_v2_operation(operation_id = "listContacts", tags("Contacts"))]
async fn list(caller: Caller, question: Question<ContactNoun>, services: Data<Services>) -> Answer<Listed<Contact>> {
    let (query, shape) = question.read(&services, &caller).await?;
    let page = services.contacts.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// What can be asked about contacts
#[api_v2_operation(operation_id = "listContactFields", tags("Contacts"))]
async fn fields(caller: Caller, services: Data<Services>) -> Answer<Plain<FieldList>> {
    Ok(Plain(FieldList::of::<ContactNoun>(&services, &caller).await?))
}

/// Search contacts: the question as a body
#[api_v2_operation(operation_id = "searchContacts", tags("Contacts"))]
async fn search(caller: Caller, services: Data<Services>, body: Body<SearchRequest>) -> Answer<Listed<Contact>> {
    let (query, shape) = body.0.read::<ContactNoun>(&services, &caller).await?;
    let page = services.contacts.list(&caller.context, &query).await.map_err(in_where)?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// Create a contact
#[api_v2_operation(operation_id = "createContact", tags("Contacts"))]
async fn create(
    caller: Caller,
    key: RequestKey,
    services: Data<Services>,
    body: Body<NewContact>,
) -> Answer<Once<Created<Contact>>> {
    once::<BulkContacts, _>(&key, &services, &caller, async |tx| {
        let contact = within::create(tx, body.0).await?;
        Ok((created(COLLECTION, &contact)?, vec![contact.id.uuid()]))
    })
    .await
}

/// Create, change, delete and upsert many contacts at once, or change all that match a filter
#[api_v2_operation(operation_id = "bulkContacts", tags("Contacts"))]
async fn change_many(
    caller: PartsCaller,
    key: RequestKey,
    services: Data<Services>,
    body: Body<BulkRequest>,
) -> Answer<Once<Bulked<Contact>>> {
    bulk::run::<ContactNoun>(&services, caller, &key, body.0).await
}

/// Get a contact by what another system calls it
#[api_v2_operation(operation_id = "getContactByExternalId", tags("Contacts"))]
async fn get_by_external_id(
    caller: PartsCaller,
    name: Path<(String, String)>,
    services: Data<Services>,
) -> Answer<Found<Contact>> {
    let (source, id) = name.into_inner();
    external_ids::get::<ContactNoun>(&services, &caller, source, id).await
}

/// Change the contact that another system calls so, or create it: what the body does not say stays
#[api_v2_operation(operation_id = "upsertContactByExternalId", tags("Contacts"))]
async fn upsert_by_external_id(
    caller: PartsCaller,
    request: HttpRequest,
    name: Path<(String, String)>,
    services: Data<Services>,
    body: EitherBody<NewContact, ContactChanges>,
) -> Answer<Upserted<Contact>> {
    external_ids::upsert::<ContactNoun>(&services, &caller, name.into_inner(), &if_match(&request), body).await
}

/// Get a contact
#[api_v2_operation(operation_id = "getContact", tags("Contacts"))]
async fn get(caller: Caller, id: Path<ContactId>, show: Show<ContactNoun>, services: Data<Services>) -> Answer<Found<Contact>> {
    let shown = show.read()?;
    let contact = match shown.from_bin {
        true => services.contacts.get_with_deleted(&caller.context, *id).await?,
        false => services.contacts.get(&caller.context, *id).await?,
    };
    Ok(shown.shape.record(&services, &caller, contact).await?)
}

/// Replace a contact: what the body does not say becomes empty
#[api_v2_operation(operation_id = "replaceContact", tags("Contacts"))]
async fn replace(
    caller: RecordCaller,
    request: HttpRequest,
    id: Path<ContactId>,
    services: Data<Services>,
    body: Body<NewContact>,
) -> Answer<Found<Contact>> {
    let context = caller.allowed(services.contacts.get(&caller.context, *id)).await?;
    let contact = services.contacts.replace(context, *id, &if_match(&request), body.0).await?;
    Ok(Found::plain(&contact)?)
}

/// Change a contact: a JSON Merge Patch
#[api_v2_operation(operation_id = "updateContact", tags("Contacts"))]
async fn update(
    caller: RecordCaller,
    request: HttpRequest,
    id: Path<ContactId>,
    services: Data<Services>,
    body: Body<ContactChanges>,
) -> Answer<Found<Contact>> {
    let context = caller.allowed(services.contacts.get(&caller.context, *id)).await?;
    let contact = services.contacts.update(context, *id, &if_match(&request), &body.0).await?;
    Ok(Found::plain(&contact)?)
}

/// Move a contact to the bin
#[api_v2_operation(operation_id = "deleteContact", tags("Contacts"))]
async fn delete(caller: RecordCaller, request: HttpRequest, id: Path<ContactId>, services: Data<Services>) -> Answer<Empty> {
    let context = caller.allowed(services.contacts.get(&caller.context, *id)).await?;
    services.contacts.delete(context, *id, &if_match(&request)).await?;
    Ok(Empty)
}

/// Bring a contact back from the bin
#[api_v2_operation(operation_id = "restoreContact", tags("Contacts"))]
async fn restore(
    caller: RecordCaller,
    key: RequestKey,
    id: Path<ContactId>,
    services: Data<Services>,
) -> Answer<Once<Found<Contact>>> {
    let context = caller.context.clone();
    let caller = caller.admitted(services.contacts.get(&context, *id)).await?;
    once::<BulkContacts, _>(&key, &services, &caller, async |tx| {
        let contact = within::restore(tx, *id).await?;
        Ok((Found::plain(&contact)?, vec![contact.id.uuid()]))
    })
    .await
}

/// List what other systems call a contact
#[api_v2_operation(operation_id = "listContactExternalIds", tags("Contacts"))]
async fn list_external_ids(caller: Caller, id: Path<ContactId>, services: Data<Services>) -> Answer<Plain<ExternalIdList>> {
    Ok(Plain(external_ids::list::<ContactNoun>(&services, &caller, id.uuid()).await?))
}

/// Say that another system calls a contact so
#[api_v2_operation(operation_id = "attachContactExternalId", tags("Contacts"))]
async fn attach_external_id(
    caller: RecordCaller,
    name: Path<(ContactId, String, String)>,
    services: Data<Services>,
) -> Answer<Empty> {
    let (id, source, external_id) = name.into_inner();
    let context = caller.allowed(services.contacts.get(&caller.context, id)).await?;
    Ok(external_ids::attach::<ContactNoun>(&services, context, id.uuid(), (source, external_id)).await?)
}

/// Say that another system calls a contact so no more
#[api_v2_operation(operation_id = "detachContactExternalId", tags("Contacts"))]
async fn detach_external_id(
    caller: RecordCaller,
    name: Path<(ContactId, String, String)>,
    services: Data<Services>,
) -> Answer<Empty> {
    let (id, source, external_id) = name.into_inner();
    let context = caller.allowed(services.contacts.get(&caller.context, id)).await?;
    Ok(external_ids::detach::<ContactNoun>(&services, context, id.uuid(), (source, external_id)).await?)
}

/// List the e-mail addresses and telephone numbers of a contact
#[api_v2_operation(operation_id = "listContactPoints", tags("Contacts"))]
async fn points(caller: Caller, id: Path<ContactId>, services: Data<Services>) -> Answer<Found<ContactPointList>> {
    Ok(Found::plain(&services.contacts.points(&caller.context, *id).await?)?)
}

/// Replace the e-mail addresses and telephone numbers of a contact. The version is the contact's
#[api_v2_operation(operation_id = "replaceContactPoints", tags("Contacts"))]
async fn replace_points(
    caller: RecordCaller,
    request: HttpRequest,
    id: Path<ContactId>,
    services: Data<Services>,
    body: Body<ContactPointsRequest>,
) -> Answer<Found<ContactPointList>> {
    let context = caller.context.clone();
    let caller = caller.admitted(services.contacts.get(&context, *id)).await?;
    Ok(Found::plain(&services.contacts.replace_points(&caller.context, *id, &if_match(&request), &body.0).await?)?)
}

/// List the companies that a contact belongs to, with their roles
#[api_v2_operation(operation_id = "listContactCompanies", tags("Contacts"))]
async fn companies(caller: Caller, id: Path<ContactId>, services: Data<Services>) -> Answer<Found<ContactCompanyList>> {
    let companies = services.contacts.companies(&caller.context, *id).await?;
    Ok(Found::plain(&as_readable(&services, &caller, companies)?)?)
}

/// Replace the companies that a contact belongs to. The version is the contact's
#[api_v2_operation(operation_id = "replaceContactCompanies", tags("Contacts"))]
async fn replace_companies(
    caller: RecordCaller,
    request: HttpRequest,
    id: Path<ContactId>,
    services: Data<Services>,
    body: Body<ContactCompaniesRequest>,
) -> Answer<Found<ContactCompanyList>> {
    let context = caller.context.clone();
    let caller = caller.admitted(services.contacts.get(&context, *id)).await?;
    let companies = services.contacts.replace_companies(&caller.context, *id, &if_match(&request), &body.0).await?;
    Ok(Found::plain(&as_readable(&services, &caller, companies)?)?)
}

/// Without names for a token that may not read companies.
fn as_readable(services: &Services, caller: &Caller, mut companies: ContactCompanyList) -> Result<ContactCompanyList> {
    match caller.may_read(services, "company", None) {
        Err(Error::Forbidden(_)) => companies.hide_names(),
        allowed => allowed?,
    }
    Ok(companies)
}

/// List the deals of a contact
#[api_v2_operation(operation_id = "listContactDeals", tags("Contacts"))]
async fn list_deals(
    caller: Caller,
    id: Path<ContactId>,
    question: Question<DealNoun>,
    services: Data<Services>,
) -> Answer<Listed<Deal>> {
    let (query, shape) = question.read_within(&services, &caller, "primary_contact_id", id.uuid()).await?;
    services.contacts.get(&caller.context, *id).await?;
    let taking_part = services.deals.with_contact(&caller.context, *id).await?;
    let query = letting_in::<DealNoun>(query, "primary_contact_id", taking_part.iter().map(|deal| deal.uuid()));
    let page = services.deals.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// List the tasks about a contact
#[api_v2_operation(operation_id = "listContactTasks", tags("Contacts"))]
async fn list_tasks(
    caller: Caller,
    id: Path<ContactId>,
    question: Question<TaskNoun>,
    services: Data<Services>,
) -> Answer<Listed<Task>> {
    let (query, shape) = question.read_about(&services, &caller, "contact", id.uuid()).await?;
    services.contacts.get(&caller.context, *id).await?;
    let page = services.tasks.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// List the notes about a contact
#[api_v2_operation(operation_id = "listContactNotes", tags("Contacts"))]
async fn list_notes(
    caller: Caller,
    id: Path<ContactId>,
    question: Question<NoteNoun>,
    services: Data<Services>,
) -> Answer<Listed<Note>> {
    let (query, shape) = question.read_about(&services, &caller, "contact", id.uuid()).await?;
    services.contacts.get(&caller.context, *id).await?;
    let page = services.notes.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// List the campaigns of a contact: how far it has come in each, which `include=campaign` shows
#[api_v2_operation(operation_id = "listContactCampaigns", tags("Contacts"))]
async fn list_campaigns(
    caller: Caller,
    id: Path<ContactId>,
    question: Question<CampaignContactNoun>,
    services: Data<Services>,
) -> Answer<Listed<CampaignContact>> {
    let (query, shape) = question.read_within(&services, &caller, "contact_id", id.uuid()).await?;
    services.contacts.get(&caller.context, *id).await?;
    let page = services.campaign_contacts.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// List what happened to a contact
#[api_v2_operation(operation_id = "listContactActivities", tags("Contacts"))]
async fn list_activities(
    caller: Caller,
    id: Path<ContactId>,
    question: Question<ActivityNoun>,
    services: Data<Services>,
) -> Answer<Listed<Activity>> {
    let (query, shape) = question.read_within(&services, &caller, "entity_id", id.uuid()).await?;
    services.contacts.get(&caller.context, *id).await?;
    caller.may_read(&services, "contact", Some(id.uuid()))?;
    let page = services.activities.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// List what happened on the page of a contact, newest first, in sentences: notes, tasks and parts of it too
#[api_v2_operation(operation_id = "listContactTimeline", tags("Contacts"))]
async fn list_timeline(
    caller: Caller,
    id: Path<ContactId>,
    parameters: TimelineParameters,
    services: Data<Services>,
) -> Answer<Listed<TimelineEntry>> {
    let question = parameters.read(&services, &caller, Subject::Contact, id.uuid())?;
    services.contacts.get(&caller.context, *id).await?;
    Ok(Listed::new(&services.activities.timeline(&caller.context, &question).await?)?)
}
