//! `/a-crm/activities`: the log, read only.

use actix_web::web::{Data, Path};
use crm_activities::Activity;
use crm_kernel::{ActivityId, Field, Sort};
use paperclip::actix::{api_v2_operation, web};

use crate::{
    answer::{Listed, Plain},
    caller::Caller,
    problem::Answer,
    question::{Noun, Question},
    related::{Relation, Target},
    services::Services,
};

/// The routes of this file.
#[must_use]
pub fn scope() -> web::Scope {
    web::scope("/activities").route("", web::get().to(list)).route("/{id}", web::get().to(get))
}

/// Activities, as a noun of questions.
#[derive(Debug)]
pub struct ActivityNoun;

impl Noun for ActivityNoun {
    fn fields() -> &'static [Field] {
        crm_activities::FIELDS
    }
    fn default_sort() -> Sort {
        crm_activities::default_sort()
    }
    const RELATIONS: &'static [Relation] = &[Relation { name: "user", key: "user_id", target: Target::Member }];
    const BIN: bool = false;
}

/// List what happened in the organisation, newest first
#[api_v2_operation(operation_id = "listActivities", tags("Activities"))]
async fn list(caller: Caller, question: Question<ActivityNoun>, services: Data<Services>) -> Answer<Listed<Activity>> {
    let (query, shape) = question.read(&caller.context)?;
    let page = services.activities.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller.context, page).await?)
}

/// Get one activity
#[api_v2_operation(operation_id = "getActivity", tags("Activities"))]
async fn get(caller: Caller, id: Path<ActivityId>, services: Data<Services>) -> Answer<Plain<Activity>> {
    Ok(Plain(services.activities.get(&caller.context, *id).await?))
}
