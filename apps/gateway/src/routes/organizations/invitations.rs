//! `/organizations/current/invitations`: who is asked in.

use actix_web::web::{Data, Path};
use crm_kernel::{Field, InvitationId, Result, Sort, validation};
use crm_tenancy::identity::invitations::{self, Invitation, NewInvitation};
use paperclip::actix::{api_v2_operation, web};
use uuid::Uuid;

use crate::{
    answer::{Created, Empty, Found, Listed, Plain, Record},
    body::{Body, Input},
    caller::{Caller, RecordCaller},
    problem::Answer,
    question::{Noun, Question, Show},
    related::{Relation, Target},
    services::Services,
    shape::created,
};

/// The routes of this file.
pub fn routes(configuration: &mut web::ServiceConfig) {
    configuration
        .route("/invitations", web::post().to(create))
        .route("/invitations", web::get().to(list))
        .route("/invitations/{id}", web::get().to(get))
        .route("/invitations/{id}", web::delete().to(revoke))
        .route("/invitations/{id}/resend", web::post().to(resend));
}

/// Invitations, as a noun of questions.
#[derive(Debug)]
pub struct InvitationNoun;

impl Noun for InvitationNoun {
    const NAME: &'static str = "invitation";

    fn fields() -> &'static [Field] {
        invitations::FIELDS
    }
    fn default_sort() -> Sort {
        invitations::default_sort()
    }
    const RELATIONS: &'static [Relation] = &[
        Relation { name: "invited_by", key: "invited_by_id", target: Target::Member },
        Relation { name: "accepted_by", key: "accepted_by_id", target: Target::Member },
    ];
    const BIN: bool = false;
}

impl Record for Invitation {
    fn id(&self) -> Uuid {
        self.id.uuid()
    }
    fn version(&self) -> i32 {
        self.version
    }
}

impl Input for NewInvitation {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

/// Invite somebody by e-mail
#[api_v2_operation(operation_id = "createInvitation", tags("Invitations"))]
async fn create(caller: Caller, services: Data<Services>, body: Body<NewInvitation>) -> Answer<Created<Invitation>> {
    let invitation = services.invitations.create(&caller.context, &body.0).await?;
    Ok(created("/api/v1/organizations/current/invitations", &invitation)?)
}

/// List invitations
#[api_v2_operation(operation_id = "listInvitations", tags("Invitations"))]
async fn list(caller: Caller, question: Question<InvitationNoun>, services: Data<Services>) -> Answer<Listed<Invitation>> {
    let (query, shape) = question.read(&services, &caller).await?;
    let page = services.invitations.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// One invitation
#[api_v2_operation(operation_id = "getInvitation", tags("Invitations"))]
async fn get(
    caller: RecordCaller,
    show: Show<InvitationNoun>,
    services: Data<Services>,
    path: Path<InvitationId>,
) -> Answer<Found<Invitation>> {
    let (id, shown) = (path.into_inner(), show.read()?);
    let context = caller.context.clone();
    let caller = caller.admitted(services.invitations.require(&context, id)).await?;
    let invitation = services.invitations.get(&caller.context, id).await?;
    Ok(shown.shape.record(&services, &caller, invitation).await?)
}

/// Take an invitation back
#[api_v2_operation(operation_id = "revokeInvitation", tags("Invitations"))]
async fn revoke(caller: RecordCaller, services: Data<Services>, path: Path<InvitationId>) -> Answer<Empty> {
    let id = path.into_inner();
    let context = caller.allowed(services.invitations.require(&caller.context, id)).await?;
    services.invitations.revoke(context, id).await?;
    Ok(Empty)
}

/// Send another letter, and let its link alone work
#[api_v2_operation(operation_id = "resendInvitation", tags("Invitations"))]
async fn resend(caller: RecordCaller, services: Data<Services>, path: Path<InvitationId>) -> Answer<Plain<Invitation>> {
    let id = path.into_inner();
    let context = caller.allowed(services.invitations.require(&caller.context, id)).await?;
    Ok(Plain(services.invitations.resend(context, id).await?))
}
