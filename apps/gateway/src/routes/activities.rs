//! `/a-crm/activities`: the log, read only.

use actix_web::web::{Data, Path};
use crm_activities::Activity;
use crm_kernel::{ActivityId, Error, Field, ListQuery, Result, Sort, Vocabulary};
use crm_tenancy::token::Reach;
use paperclip::actix::{api_v2_operation, web};

use crate::{
    answer::{Listed, Plain},
    caller::Caller,
    problem::Answer,
    question::{FieldList, Noun, Question},
    related::{Relation, Target},
    services::Services,
};

/// The routes of this file.
#[must_use]
pub fn scope() -> web::Scope {
    web::scope("/activities")
        .route("", web::get().to(list))
        .route("/fields", web::get().to(fields))
        .route("/{id}", web::get().to(get))
}

/// Activities, as a noun of questions.
#[derive(Debug)]
pub struct ActivityNoun;

impl Noun for ActivityNoun {
    const NAME: &'static str = "activity";

    fn fields() -> &'static [Field] {
        crm_activities::FIELDS
    }
    fn vocabulary() -> Vocabulary {
        crm_activities::VOCABULARY
    }
    fn default_sort() -> Sort {
        crm_activities::default_sort()
    }
    const RELATIONS: &'static [Relation] = &[Relation { name: "user", key: "user_id", target: Target::Member }];
    const BIN: bool = false;
}

/// Kinds of records that the log speaks of.
pub const LOGGED: &[&str] = &[
    "campaign",
    "campaign_contact",
    "api_token",
    "company",
    "contact",
    "contact_company",
    "contact_point",
    "credential",
    "custom_field",
    "deal",
    "deal_contact",
    "deal_line_item",
    "exchange_rate",
    "external_id",
    "external_identity",
    "invitation",
    "member",
    "organization",
    "pipeline",
    "pipeline_stage",
    "product",
    "project",
    "second_factor",
    "session",
    "task",
    "note",
    "team",
    "user",
];

/// The log shows values of the records it speaks of: a token that may not read those may not read of them here.
fn may_read(services: &Services, caller: &Caller, query: &ListQuery) -> Result<()> {
    if matches!(caller.reach(), Reach::Whole) {
        return Ok(());
    }
    let kinds = query.filter.texts("entity_type").unwrap_or_else(|| LOGGED.iter().map(|kind| (*kind).to_owned()).collect());
    let records = query.filter.ids("entity_id").unwrap_or_default();
    if caller.reach().is_by_record() && records.is_empty() {
        return Err(Error::forbidden("this token names single records: say which with entity_id"));
    }
    for kind in &kinds {
        match records.as_slice() {
            [] => caller.may_read(services, kind, None)?,
            records => records.iter().try_for_each(|record| caller.may_read(services, kind, Some(*record)))?,
        }
    }
    Ok(())
}

/// List what happened in the organisation, newest first
#[api_v2_operation(operation_id = "listActivities", tags("Activities"))]
async fn list(caller: Caller, question: Question<ActivityNoun>, services: Data<Services>) -> Answer<Listed<Activity>> {
    let (query, shape) = question.read(&services, &caller).await?;
    may_read(&services, &caller, &query)?;
    let page = services.activities.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// What can be asked about activities
#[api_v2_operation(operation_id = "listActivityFields", tags("Activities"))]
async fn fields(caller: Caller, services: Data<Services>) -> Answer<Plain<FieldList>> {
    // They are the same for everybody, and nobody's who is out.
    drop(services.db.begin(&caller.context).await?);
    Ok(Plain(FieldList::of::<ActivityNoun>(&services, &caller).await?))
}

/// Get one activity
#[api_v2_operation(operation_id = "getActivity", tags("Activities"))]
async fn get(caller: Caller, id: Path<ActivityId>, services: Data<Services>) -> Answer<Plain<Activity>> {
    let activity = services.activities.get(&caller.context, *id).await?;
    caller.may_read(&services, &activity.entity_type, Some(activity.entity_id))?;
    Ok(Plain(activity))
}
