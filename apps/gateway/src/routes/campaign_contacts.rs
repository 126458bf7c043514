//! `/a-crm/campaigns/{id}/contacts`: who takes part in a campaign. The list of a contact's campaigns is in `contacts.rs`.

use actix_web::{
    HttpRequest,
    web::{Data, Path},
};
use crm_campaigns::{Audience, CampaignContact, CampaignContactChanges, NewMembers};
use crm_kernel::{CampaignId, Condition, ContactId, Error, Field, Result, Sort, Vocabulary, validation};
use paperclip::actix::{Apiv2Schema, api_v2_operation};
use serde::Serialize;
use uuid::Uuid;

use super::contacts::ContactNoun;
use crate::{
    answer::{Found, Listed, Plain, Record, if_match},
    audience::{self, Added, Wanted},
    body::{Body, Input},
    caller::{Caller, RecordCaller},
    once::{Once, RequestKey},
    problem::Answer,
    question::{Narrowing, Noun, Question, Show, asked_at, narrowed},
    related::{Relation, Target},
    services::Services,
};

/// Members of campaigns, as a noun of questions.
#[derive(Debug)]
pub struct CampaignContactNoun;

impl Noun for CampaignContactNoun {
    const NAME: &'static str = "campaign_contact";

    fn fields() -> &'static [Field] {
        crm_campaigns::MEMBER_FIELDS
    }
    fn vocabulary() -> Vocabulary {
        crm_campaigns::MEMBER_VOCABULARY
    }
    fn default_sort() -> Sort {
        crm_campaigns::default_sort()
    }
    const RELATIONS: &'static [Relation] = &[
        Relation { name: "campaign", key: "campaign_id", target: Target::Campaign },
        Relation { name: "contact", key: "contact_id", target: Target::Contact },
    ];
    const BIN: bool = false;
}

impl Record for CampaignContact {
    fn id(&self) -> Uuid {
        self.id.uuid()
    }
    fn version(&self) -> i32 {
        self.version
    }
}

impl Input for CampaignContactChanges {
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

impl Input for NewMembers {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

/// How many members were taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Apiv2Schema)]
pub struct MembersRemoved {
    /// How many there were.
    pub removed: usize,
}

/// List the members of a campaign
#[api_v2_operation(operation_id = "listCampaignContacts", tags("Campaigns"))]
pub(super) async fn list(
    caller: Caller,
    id: Path<CampaignId>,
    question: Question<CampaignContactNoun>,
    services: Data<Services>,
) -> Answer<Listed<CampaignContact>> {
    let (query, shape) = question.read_within(&services, &caller, "campaign_id", id.uuid()).await?;
    services.campaigns.get(&caller.context, *id).await?;
    let page = services.campaign_contacts.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// Add contacts to a campaign, by their ids or as the audience of a filter; nobody who opted out, and nobody twice
#[api_v2_operation(operation_id = "addCampaignContacts", tags("Campaigns"))]
pub(super) async fn add(
    caller: RecordCaller,
    key: RequestKey,
    id: Path<CampaignId>,
    services: Data<Services>,
    body: Body<NewMembers>,
) -> Answer<Once<Added>> {
    let context = caller.context.clone();
    let caller = caller.admitted(services.campaigns.get(&context, *id)).await?;
    // Whoever may not list contacts may not find out about them by adding them.
    caller.may_read(&services, "contact", None)?;
    match body.0 {
        NewMembers { contact_ids: Some(contacts), filter: None, dry_run: None } => {
            audience::add(&services, caller, &key, *id, &contacts).await
        }
        NewMembers { contact_ids: None, filter: Some(filter), dry_run } => {
            let audience = described(&services, &caller, &filter).await?;
            let wanted = if dry_run == Some(true) { Wanted::Look } else { Wanted::Run };
            audience::run(&services, caller, &key, *id, &audience, wanted).await
        }
        _ => Err(Error::malformed("", "either_or", "send either contact_ids, or filter (with dry_run)").into()),
    }
}

async fn described(services: &Services, caller: &Caller, filter: &str) -> Result<Audience> {
    // A program whose variable was never set must not write to everybody there is.
    if filter.trim().is_empty() {
        return Err(Error::malformed("/filter", "required", "say whom; all of them are those with version >= 1"));
    }
    let condition = Condition::parse(filter, &ContactNoun::vocabulary());
    let condition = condition.map_err(|error| asked_at("/filter", Error::Malformed(vec![error])))?;
    let filter = narrowed(services, caller, crm_kernel::Filter::default(), Some(condition)).await;
    let filter = filter.map_err(|error| asked_at("/filter", error))?;
    Ok(Audience { filter, fields: ContactNoun::fields() })
}

/// Take members out of a campaign: those that the filters ask for
#[api_v2_operation(operation_id = "removeCampaignContacts", tags("Campaigns"))]
pub(super) async fn remove(
    caller: RecordCaller,
    id: Path<CampaignId>,
    narrowing: Narrowing<CampaignContactNoun>,
    services: Data<Services>,
) -> Answer<Plain<MembersRemoved>> {
    let (caller, asked) = caller.asking();
    let filter = narrowing.read(&services, &caller).await?;
    asked.allowed(&caller, services.campaigns.get(&caller.context, *id)).await?;
    services.campaigns.get(&caller.context, *id).await?;
    if matches!(filter.condition(), Condition::All(parts) if parts.is_empty()) {
        return Err(Error::malformed("filter", "required", "say whom; all of them are those with version >= 1").into());
    }
    let removed = services.campaign_contacts.remove(&caller.context, *id, &filter).await?;
    Ok(Plain(MembersRemoved { removed }))
}

/// Get a member of a campaign
#[api_v2_operation(operation_id = "getCampaignContact", tags("Campaigns"))]
pub(super) async fn get(
    caller: Caller,
    ids: Path<(CampaignId, ContactId)>,
    show: Show<CampaignContactNoun>,
    services: Data<Services>,
) -> Answer<Found<CampaignContact>> {
    let shown = show.read()?;
    let (campaign, contact) = ids.into_inner();
    services.campaigns.get(&caller.context, campaign).await?;
    let member = services.campaign_contacts.get(&caller.context, campaign, contact).await?;
    Ok(shown.shape.record(&services, &caller, member).await?)
}

/// Say how far a member has come: forward only
#[api_v2_operation(operation_id = "updateCampaignContact", tags("Campaigns"))]
pub(super) async fn update(
    caller: RecordCaller,
    request: HttpRequest,
    ids: Path<(CampaignId, ContactId)>,
    services: Data<Services>,
    body: Body<CampaignContactChanges>,
) -> Answer<Found<CampaignContact>> {
    let (campaign, contact) = ids.into_inner();
    let context = caller.allowed(services.campaign_contacts.get(&caller.context, campaign, contact)).await?;
    let member = services.campaign_contacts.update(context, campaign, contact, &if_match(&request), &body.0).await?;
    Ok(Found::plain(&member)?)
}
