//! `/organizations/current/members`: the directory, changes of members, how they go and what becomes of their records.

use actix_web::{
    HttpRequest,
    web::{Data, Path},
};
use crm_kernel::{Field, Result, Sort, UserId, validation};
use crm_tenancy::{
    Member,
    members::{self, Handover, MemberChanges, OwnedRecords},
};
use paperclip::{
    actix::{Apiv2Schema, api_v2_operation, web},
    v2::models::DataTypeFormat,
};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    answer::{Found, Listed, Plain, Record, if_match},
    body::{Body, Input},
    caller::{Caller, RecordCaller},
    problem::Answer,
    question::{Given, Noun, QueryParameter, Question, Show},
    related::{Relation, Target},
    services::Services,
};

/// The routes of this file.
pub fn routes(configuration: &mut web::ServiceConfig) {
    configuration
        .route("/members", web::get().to(list))
        .route("/members/{id}", web::get().to(get))
        .route("/members/{id}", web::patch().to(update))
        .route("/members/{id}", web::delete().to(remove))
        .route("/members/{id}/records", web::get().to(records))
        .route("/members/{id}/reassign", web::post().to(reassign))
        .route("/leave", web::post().to(leave));
}

/// Members, as a noun of questions.
#[derive(Debug)]
pub struct MemberNoun;

impl Noun for MemberNoun {
    const NAME: &'static str = "member";

    fn fields() -> &'static [Field] {
        members::FIELDS
    }
    fn default_sort() -> Sort {
        members::default_sort()
    }
    const RELATIONS: &'static [Relation] = &[Relation { name: "manager", key: "manager_id", target: Target::Member }];
    const BIN: bool = false;
}

impl Record for Member {
    fn id(&self) -> Uuid {
        self.user_id.uuid()
    }
    fn version(&self) -> i32 {
        self.version
    }
}

/// To whom the records of a member go.
#[derive(Deserialize, Apiv2Schema)]
#[serde(deny_unknown_fields)]
pub struct ReassignRequest {
    /// An active member.
    pub to: UserId,
}

/// Leaving.
#[derive(Deserialize, Apiv2Schema)]
#[serde(deny_unknown_fields)]
pub struct LeaveRequest {
    /// The active member who gets what the caller has; it stays the caller's when absent.
    #[serde(default)]
    pub reassign_to: Option<UserId>,
}

impl Input for MemberChanges {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

impl Input for ReassignRequest {
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

impl Input for LeaveRequest {
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// Who gets what a removed member had.
#[derive(Debug)]
pub struct ReassignTo;

impl QueryParameter for ReassignTo {
    const NAME: &'static str = "reassign_to";
    const DESCRIPTION: &'static str = "The active member who gets what this one has; it stays as it is when absent.";
    const FORMAT: Option<DataTypeFormat> = Some(DataTypeFormat::Uuid);
}

/// List members
#[api_v2_operation(operation_id = "listMembers", tags("Members"))]
async fn list(caller: Caller, question: Question<MemberNoun>, services: Data<Services>) -> Answer<Listed<Member>> {
    let (query, shape) = question.read(&services, &caller).await?;
    let page = services.members.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// Get a member
#[api_v2_operation(operation_id = "getMember", tags("Members"))]
async fn get(caller: Caller, id: Path<UserId>, show: Show<MemberNoun>, services: Data<Services>) -> Answer<Found<Member>> {
    let shape = show.read()?.shape;
    let member = services.members.get(&caller.context, *id).await?;
    if shape.fields.is_none() && shape.include.is_empty() {
        return Ok(shown(&member)?);
    }
    Ok(shape.record(&services, &caller, member).await?)
}

/// Change a member: a JSON Merge Patch
#[api_v2_operation(operation_id = "updateMember", tags("Members"))]
async fn update(
    caller: RecordCaller,
    request: HttpRequest,
    id: Path<UserId>,
    services: Data<Services>,
    body: Body<MemberChanges>,
) -> Answer<Found<Member>> {
    let context = caller.allowed(services.members.get(&caller.context, *id)).await?;
    Ok(shown(&services.members.update(context, *id, &if_match(&request), &body.0).await?)?)
}

/// Remove a member, and hand over what they have
#[api_v2_operation(operation_id = "removeMember", tags("Members"))]
async fn remove(
    caller: RecordCaller,
    request: HttpRequest,
    id: Path<UserId>,
    reassign_to: Given<ReassignTo>,
    services: Data<Services>,
) -> Answer<Plain<Handover>> {
    let to = reassign_to.parsed("expected an id (UUID)")?;
    let context = caller.allowed(services.members.get(&caller.context, *id)).await?;
    Ok(Plain(services.members.remove(context, *id, &if_match(&request), to).await?))
}

/// What a member has that could be handed over
#[api_v2_operation(operation_id = "getMemberRecords", tags("Members"))]
async fn records(caller: RecordCaller, id: Path<UserId>, services: Data<Services>) -> Answer<Plain<OwnedRecords>> {
    let context = caller.allowed(services.members.get(&caller.context, *id)).await?;
    Ok(Plain(services.members.records(context, *id).await?))
}

/// Hand over what a member has
#[api_v2_operation(operation_id = "reassignMemberRecords", tags("Members"))]
async fn reassign(
    caller: RecordCaller,
    id: Path<UserId>,
    services: Data<Services>,
    body: Body<ReassignRequest>,
) -> Answer<Plain<Handover>> {
    let context = caller.allowed(services.members.get(&caller.context, *id)).await?;
    Ok(Plain(services.members.reassign(context, *id, body.0.to).await?))
}

/// Leave the organisation
#[api_v2_operation(operation_id = "leaveOrganization", tags("Members"))]
async fn leave(caller: Caller, services: Data<Services>, body: Body<LeaveRequest>) -> Answer<Plain<Handover>> {
    Ok(Plain(services.members.leave(&caller.context, body.0.reassign_to).await?))
}

/// With a tag that changes with the person too: a name or address is not counted by the version of the membership.
fn shown(member: &Member) -> Result<Found<Member>> {
    Found::shaped(member.version, member)
}
