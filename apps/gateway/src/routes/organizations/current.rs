//! `/organizations/current`: the organisation of the token, and its members.

use actix_web::web::Data;
use crm_kernel::{Field, Sort};
use crm_tenancy::{Member, Organization, members};
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
pub fn routes(configuration: &mut web::ServiceConfig) {
    configuration.route("", web::get().to(current)).route("/members", web::get().to(list_members));
}

/// Members, as a noun of questions.
#[derive(Debug)]
pub struct MemberNoun;

impl Noun for MemberNoun {
    fn fields() -> &'static [Field] {
        members::FIELDS
    }
    fn default_sort() -> Sort {
        members::default_sort()
    }
    const RELATIONS: &'static [Relation] = &[Relation { name: "manager", key: "manager_id", target: Target::Member }];
    const BIN: bool = false;
}

/// The organisation of my token
#[api_v2_operation(operation_id = "getOrganization", tags("Organization"))]
async fn current(caller: Caller, services: Data<Services>) -> Answer<Plain<Organization>> {
    Ok(Plain(services.members.organization(&caller.context).await?))
}

/// List members
#[api_v2_operation(operation_id = "listMembers", tags("Organization"))]
async fn list_members(caller: Caller, question: Question<MemberNoun>, services: Data<Services>) -> Answer<Listed<Member>> {
    let (query, shape) = question.read(&caller.context)?;
    let page = services.members.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}
