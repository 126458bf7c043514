//! `/a-crm/campaigns`.

use actix_web::{
    HttpRequest,
    web::{Data, Path},
};
use async_trait::async_trait;
use crm_activities::{
    Activity,
    timeline::{Subject, TimelineEntry},
};
use crm_campaigns::{BulkCampaigns, Campaign, CampaignChanges, CampaignMetrics, NewCampaign, within};
use crm_deals::Deal;
use crm_kernel::{CampaignId, Context, Field, ListQuery, Page, Result, Sort, Vocabulary, validation};
use crm_notes::Note;
use crm_tasks::Task;
use crm_tenancy::custom_fields::RecordKind;
use paperclip::actix::{api_v2_operation, web};
use uuid::Uuid;

use super::{activities::ActivityNoun, campaign_contacts, deals::DealNoun, notes::NoteNoun, tasks::TaskNoun};
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

pub(super) const COLLECTION: &str = "/api/v1/a-crm/campaigns";

/// The routes of this file.
#[must_use]
pub fn scope() -> web::Scope {
    web::scope("/campaigns")
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
        .route("/{id}/metrics", web::get().to(metrics))
        .route("/{id}/contacts", web::get().to(campaign_contacts::list))
        .route("/{id}/contacts", web::post().to(campaign_contacts::add))
        .route("/{id}/contacts", web::delete().to(campaign_contacts::remove))
        .route("/{id}/contacts/{contact_id}", web::get().to(campaign_contacts::get))
        .route("/{id}/contacts/{contact_id}", web::patch().to(campaign_contacts::update))
        .route("/{id}/deals", web::get().to(list_deals))
        .route("/{id}/tasks", web::get().to(list_tasks))
        .route("/{id}/notes", web::get().to(list_notes))
        .route("/{id}/activities", web::get().to(list_activities))
        .route("/{id}/timeline", web::get().to(list_timeline))
}

/// Campaigns, as a noun of questions.
#[derive(Debug)]
pub struct CampaignNoun;

impl Noun for CampaignNoun {
    const NAME: &'static str = "campaign";

    fn fields() -> &'static [Field] {
        crm_campaigns::FIELDS
    }
    fn vocabulary() -> Vocabulary {
        crm_campaigns::VOCABULARY
    }
    fn default_sort() -> Sort {
        crm_campaigns::default_sort()
    }
    const RELATIONS: &'static [Relation] = &[
        Relation { name: "owner", key: "owner_id", target: Target::Member },
        Relation { name: "created_by", key: "created_by_id", target: Target::Member },
    ];
    const BIN: bool = true;
    const CUSTOM: Option<RecordKind> = Some(RecordKind::Campaign);
}

#[async_trait]
impl bulk::Noun for CampaignNoun {
    type Bulk = BulkCampaigns;

    const COLLECTION: &'static str = COLLECTION;

    async fn list(services: &Services, context: &Context, query: &ListQuery) -> Result<Page<Campaign>> {
        services.campaigns.list(context, query).await
    }
}

impl Record for Campaign {
    fn id(&self) -> Uuid {
        self.id.uuid()
    }
    fn version(&self) -> i32 {
        self.version
    }
}

impl Input for NewCampaign {
    fn check(&self) -> Result<()> {
        validation::check(&CampaignChanges::from(self.clone()))
    }
}

impl Input for CampaignChanges {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

/// List campaigns
#[api_v2_operation(operation_id = "listCampaigns", tags("Campaigns"))]
async fn list(caller: Caller, question: Question<CampaignNoun>, services: Data<Services>) -> Answer<Listed<Campaign>> {
    let (query, shape) = question.read(&services, &caller).await?;
    let page = services.campaigns.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// What can be asked about campaigns
#[api_v2_operation(operation_id = "listCampaignFields", tags("Campaigns"))]
async fn fields(caller: Caller, services: Data<Services>) -> Answer<Plain<FieldList>> {
    Ok(Plain(FieldList::of::<CampaignNoun>(&services, &caller).await?))
}

/// Search campaigns: the question as a body
#[api_v2_operation(operation_id = "searchCampaigns", tags("Campaigns"))]
async fn search(caller: Caller, services: Data<Services>, body: Body<SearchRequest>) -> Answer<Listed<Campaign>> {
    let (query, shape) = body.0.read::<CampaignNoun>(&services, &caller).await?;
    let page = services.campaigns.list(&caller.context, &query).await.map_err(in_where)?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// Create a campaign
#[api_v2_operation(operation_id = "createCampaign", tags("Campaigns"))]
async fn create(
    caller: Caller,
    key: RequestKey,
    services: Data<Services>,
    body: Body<NewCampaign>,
) -> Answer<Once<Created<Campaign>>> {
    once::<BulkCampaigns, _>(&key, &services, &caller, async |tx| {
        let campaign = within::create(tx, body.0).await?;
        Ok((created(COLLECTION, &campaign)?, vec![campaign.id.uuid()]))
    })
    .await
}

/// Create, change, delete and upsert many campaigns at once, or change all that match a filter
#[api_v2_operation(operation_id = "bulkCampaigns", tags("Campaigns"))]
async fn change_many(
    caller: PartsCaller,
    key: RequestKey,
    services: Data<Services>,
    body: Body<BulkRequest>,
) -> Answer<Once<Bulked<Campaign>>> {
    bulk::run::<CampaignNoun>(&services, caller, &key, body.0).await
}

/// Get a campaign by what another system calls it
#[api_v2_operation(operation_id = "getCampaignByExternalId", tags("Campaigns"))]
async fn get_by_external_id(
    caller: PartsCaller,
    name: Path<(String, String)>,
    services: Data<Services>,
) -> Answer<Found<Campaign>> {
    let (source, id) = name.into_inner();
    external_ids::get::<CampaignNoun>(&services, &caller, source, id).await
}

/// Change the campaign that another system calls so, or create it: what the body does not say stays
#[api_v2_operation(operation_id = "upsertCampaignByExternalId", tags("Campaigns"))]
async fn upsert_by_external_id(
    caller: PartsCaller,
    request: HttpRequest,
    name: Path<(String, String)>,
    services: Data<Services>,
    body: EitherBody<NewCampaign, CampaignChanges>,
) -> Answer<Upserted<Campaign>> {
    external_ids::upsert::<CampaignNoun>(&services, &caller, name.into_inner(), &if_match(&request), body).await
}

/// Get a campaign
#[api_v2_operation(operation_id = "getCampaign", tags("Campaigns"))]
async fn get(
    caller: Caller,
    id: Path<CampaignId>,
    show: Show<CampaignNoun>,
    services: Data<Services>,
) -> Answer<Found<Campaign>> {
    let shown = show.read()?;
    let campaign = match shown.from_bin {
        true => services.campaigns.get_with_deleted(&caller.context, *id).await?,
        false => services.campaigns.get(&caller.context, *id).await?,
    };
    Ok(shown.shape.record(&services, &caller, campaign).await?)
}

/// Replace a campaign: what the body does not say becomes empty
#[api_v2_operation(operation_id = "replaceCampaign", tags("Campaigns"))]
async fn replace(
    caller: RecordCaller,
    request: HttpRequest,
    id: Path<CampaignId>,
    services: Data<Services>,
    body: Body<NewCampaign>,
) -> Answer<Found<Campaign>> {
    let context = caller.allowed(services.campaigns.get(&caller.context, *id)).await?;
    let campaign = services.campaigns.replace(context, *id, &if_match(&request), body.0).await?;
    Ok(Found::plain(&campaign)?)
}

/// Change a campaign: a JSON Merge Patch
#[api_v2_operation(operation_id = "updateCampaign", tags("Campaigns"))]
async fn update(
    caller: RecordCaller,
    request: HttpRequest,
    id: Path<CampaignId>,
    services: Data<Services>,
    body: Body<CampaignChanges>,
) -> Answer<Found<Campaign>> {
    let context = caller.allowed(services.campaigns.get(&caller.context, *id)).await?;
    let campaign = services.campaigns.update(context, *id, &if_match(&request), &body.0).await?;
    Ok(Found::plain(&campaign)?)
}

/// Move a campaign to the bin
#[api_v2_operation(operation_id = "deleteCampaign", tags("Campaigns"))]
async fn delete(caller: RecordCaller, request: HttpRequest, id: Path<CampaignId>, services: Data<Services>) -> Answer<Empty> {
    let context = caller.allowed(services.campaigns.get(&caller.context, *id)).await?;
    services.campaigns.delete(context, *id, &if_match(&request)).await?;
    Ok(Empty)
}

/// Bring a campaign back from the bin
#[api_v2_operation(operation_id = "restoreCampaign", tags("Campaigns"))]
async fn restore(
    caller: RecordCaller,
    key: RequestKey,
    id: Path<CampaignId>,
    services: Data<Services>,
) -> Answer<Once<Found<Campaign>>> {
    let context = caller.context.clone();
    let caller = caller.admitted(services.campaigns.get(&context, *id)).await?;
    once::<BulkCampaigns, _>(&key, &services, &caller, async |tx| {
        let campaign = within::restore(tx, *id).await?;
        Ok((Found::plain(&campaign)?, vec![campaign.id.uuid()]))
    })
    .await
}

/// List what other systems call a campaign
#[api_v2_operation(operation_id = "listCampaignExternalIds", tags("Campaigns"))]
async fn list_external_ids(caller: Caller, id: Path<CampaignId>, services: Data<Services>) -> Answer<Plain<ExternalIdList>> {
    Ok(Plain(external_ids::list::<CampaignNoun>(&services, &caller, id.uuid()).await?))
}

/// Say that another system calls a campaign so
#[api_v2_operation(operation_id = "attachCampaignExternalId", tags("Campaigns"))]
async fn attach_external_id(
    caller: RecordCaller,
    name: Path<(CampaignId, String, String)>,
    services: Data<Services>,
) -> Answer<Empty> {
    let (id, source, external_id) = name.into_inner();
    let context = caller.allowed(services.campaigns.get(&caller.context, id)).await?;
    Ok(external_ids::attach::<CampaignNoun>(&services, context, id.uuid(), (source, external_id)).await?)
}

/// Say that another system calls a campaign so no more
#[api_v2_operation(operation_id = "detachCampaignExternalId", tags("Campaigns"))]
async fn detach_external_id(
    caller: RecordCaller,
    name: Path<(CampaignId, String, String)>,
    services: Data<Services>,
) -> Answer<Empty> {
    let (id, source, external_id) = name.into_inner();
    let context = caller.allowed(services.campaigns.get(&caller.context, id)).await?;
    Ok(external_ids::detach::<CampaignNoun>(&services, context, id.uuid(), (source, external_id)).await?)
}

/// What came of a campaign: how far its members came, what was sold, and what that cost
#[api_v2_operation(operation_id = "getCampaignMetrics", tags("Campaigns"))]
async fn metrics(caller: Caller, id: Path<CampaignId>, services: Data<Services>) -> Answer<Plain<CampaignMetrics>> {
    caller.may_read(&services, "deal", None)?;
    Ok(Plain(services.campaigns.metrics(&caller.context, *id).await?))
}

/// List the deals that came of a campaign
#[api_v2_operation(operation_id = "listCampaignDeals", tags("Campaigns"))]
async fn list_deals(
    caller: Caller,
    id: Path<CampaignId>,
    question: Question<DealNoun>,
    services: Data<Services>,
) -> Answer<Listed<Deal>> {
    let (query, shape) = question.read_within(&services, &caller, "campaign_id", id.uuid()).await?;
    services.campaigns.get(&caller.context, *id).await?;
    let page = services.deals.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// List the tasks about a campaign
#[api_v2_operation(operation_id = "listCampaignTasks", tags("Campaigns"))]
async fn list_tasks(
    caller: Caller,
    id: Path<CampaignId>,
    question: Question<TaskNoun>,
    services: Data<Services>,
) -> Answer<Listed<Task>> {
    let (query, shape) = question.read_about(&services, &caller, "campaign", id.uuid()).await?;
    services.campaigns.get(&caller.context, *id).await?;
    let page = services.tasks.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// List the notes about a campaign
#[api_v2_operation(operation_id = "listCampaignNotes", tags("Campaigns"))]
async fn list_notes(
    caller: Caller,
    id: Path<CampaignId>,
    question: Question<NoteNoun>,
    services: Data<Services>,
) -> Answer<Listed<Note>> {
    let (query, shape) = question.read_about(&services, &caller, "campaign", id.uuid()).await?;
    services.campaigns.get(&caller.context, *id).await?;
    let page = services.notes.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// List what happened to a campaign
#[api_v2_operation(operation_id = "listCampaignActivities", tags("Campaigns"))]
async fn list_activities(
    caller: Caller,
    id: Path<CampaignId>,
    question: Question<ActivityNoun>,
    services: Data<Services>,
) -> Answer<Listed<Activity>> {
    let (query, shape) = question.read_within(&services, &caller, "entity_id", id.uuid()).await?;
    services.campaigns.get(&caller.context, *id).await?;
    caller.may_read(&services, "campaign", Some(id.uuid()))?;
    let page = services.activities.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// List what happened on the page of a campaign, newest first, in sentences: notes, tasks and parts of it too
#[api_v2_operation(operation_id = "listCampaignTimeline", tags("Campaigns"))]
async fn list_timeline(
    caller: Caller,
    id: Path<CampaignId>,
    parameters: TimelineParameters,
    services: Data<Services>,
) -> Answer<Listed<TimelineEntry>> {
    let question = parameters.read(&services, &caller, Subject::Campaign, id.uuid())?;
    services.campaigns.get(&caller.context, *id).await?;
    Ok(Listed::new(&services.activities.timeline(&caller.context, &question).await?)?)
}
