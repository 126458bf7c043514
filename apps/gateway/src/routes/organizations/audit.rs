//! `/organizations/current/audit`: what concerns security, out of the log.

use actix_web::web::Data;
use crm_activities::{Activity, audit};
use crm_kernel::{Field, Sort};
use paperclip::actix::{api_v2_operation, web};

use crate::{
    answer::Listed,
    caller::Caller,
    problem::Answer,
    question::{Noun, Question},
    related::{Relation, Target},
    services::Services,
};

/// The routes of this file.
pub fn routes(configuration: &mut web::ServiceConfig) {
    configuration.route("/audit", web::get().to(list));
}

/// Activities that concern security, as a noun of questions.
#[derive(Debug)]
pub struct AuditNoun;

impl Noun for AuditNoun {
    const NAME: &'static str = "audit";

    fn fields() -> &'static [Field] {
        crm_activities::FIELDS
    }
    fn default_sort() -> Sort {
        crm_activities::default_sort()
    }
    fn bounds() -> &'static [Field] {
        audit::PERIOD
    }
    const RELATIONS: &'static [Relation] = &[Relation { name: "user", key: "user_id", target: Target::Member }];
    const BIN: bool = false;
}

/// List what concerns security, newest first: logins, sessions, members, tokens, invitations, second factors, settings
#[api_v2_operation(operation_id = "listAudit", tags("Audit"))]
async fn list(caller: Caller, question: Question<AuditNoun>, services: Data<Services>) -> Answer<Listed<Activity>> {
    let (query, shape) = question.read(&services, &caller).await?;
    let page = services.activities.audit(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}
