//! `/organizations/current/service-users`: members that are programs, and their tokens. For owner and admin at a login; people are
//! not addressed here.

use actix_web::web::{Data, Path};
use crm_kernel::{Field, Sort, UserId};
use crm_tenancy::identity::{
    api_tokens::{IssuedApiToken, NewApiToken},
    service_users::{self, NewServiceUser, ServiceUser, ServiceUserChanges},
};
use paperclip::actix::{api_v2_operation, web};

use crate::{
    answer::{Empty, Listed, Placed, Plain},
    body::{Body, Input},
    caller::Caller,
    problem::Answer,
    question::{Noun, Question},
    related::Relation,
    routes::auth::made,
    services::Services,
};

const COLLECTION: &str = "/api/v1/organizations/current/service-users";

/// The routes of this file.
pub fn routes(configuration: &mut web::ServiceConfig) {
    configuration
        .route("/service-users", web::get().to(list))
        .route("/service-users", web::post().to(create))
        .route("/service-users/{id}", web::get().to(get))
        .route("/service-users/{id}", web::patch().to(update))
        .route("/service-users/{id}", web::delete().to(remove))
        .route("/service-users/{id}/tokens", web::post().to(mint));
}

/// Service users, as a noun of questions.
#[derive(Debug)]
pub struct ServiceUserNoun;

impl Noun for ServiceUserNoun {
    const NAME: &'static str = "service_user";

    fn fields() -> &'static [Field] {
        service_users::FIELDS
    }
    fn default_sort() -> Sort {
        service_users::default_sort()
    }
    const RELATIONS: &'static [Relation] = &[];
    const BIN: bool = false;
}

impl Input for NewServiceUser {
    fn check(&self) -> crm_kernel::Result<()> {
        crm_kernel::validation::check(self)
    }
}

impl Input for ServiceUserChanges {
    fn check(&self) -> crm_kernel::Result<()> {
        crm_kernel::validation::check(self)
    }
}

/// List service users
#[api_v2_operation(operation_id = "listServiceUsers", tags("Service users"))]
async fn list(caller: Caller, question: Question<ServiceUserNoun>, services: Data<Services>) -> Answer<Listed<ServiceUser>> {
    let (query, shape) = question.read(&services, &caller).await?;
    let page = services.service_users.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// Create a service user
#[api_v2_operation(operation_id = "createServiceUser", tags("Service users"))]
async fn create(caller: Caller, services: Data<Services>, body: Body<NewServiceUser>) -> Answer<Placed<ServiceUser>> {
    let user = services.service_users.create(&caller.context, &body.0).await?;
    Ok(Placed::new(format!("{COLLECTION}/{}", user.id), &user)?)
}

/// Get a service user
#[api_v2_operation(operation_id = "getServiceUser", tags("Service users"))]
async fn get(caller: Caller, id: Path<UserId>, services: Data<Services>) -> Answer<Plain<ServiceUser>> {
    Ok(Plain(services.service_users.get(&caller.context, *id).await?))
}

/// Change a service user: a JSON Merge Patch
#[api_v2_operation(operation_id = "updateServiceUser", tags("Service users"))]
async fn update(
    caller: Caller,
    id: Path<UserId>,
    services: Data<Services>,
    body: Body<ServiceUserChanges>,
) -> Answer<Plain<ServiceUser>> {
    Ok(Plain(services.service_users.update(&caller.context, *id, &body.0).await?))
}

/// Remove a service user and end its tokens
#[api_v2_operation(operation_id = "deleteServiceUser", tags("Service users"))]
async fn remove(caller: Caller, id: Path<UserId>, services: Data<Services>) -> Answer<Empty> {
    services.service_users.remove(&caller.context, *id).await?;
    Ok(Empty)
}

/// Make an API token that acts as a service user; it is shown this once
///
/// Takes the password of the manager who has one; a missing or wrong one is a 422 at `/password`.
#[api_v2_operation(operation_id = "createServiceUserToken", tags("Service users"))]
async fn mint(
    caller: Caller,
    id: Path<UserId>,
    services: Data<Services>,
    body: Body<NewApiToken>,
) -> Answer<Placed<IssuedApiToken>> {
    if let Err(invalid) = body.0.check() {
        // Not there comes before not right.
        services.service_users.get(&caller.context, *id).await?;
        return Err(invalid.into());
    }
    made(&services.api_tokens.create_for_service_user(&caller.context, *id, &body.0).await?)
}
