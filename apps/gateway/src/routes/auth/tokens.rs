//! `/auth/tokens`: API tokens, for programs. Whoever comes with one, or with a narrowed token, can do nothing here.

use actix_web::web::{Data, Path};
use crm_kernel::{Error, Field, FieldError, Result, Sort, TokenId, validation};
use crm_tenancy::identity::api_tokens::{self, ApiToken, IssuedApiToken, NewApiToken};
use paperclip::actix::{api_v2_operation, web};

use crate::{
    answer::{Empty, Listed, Placed, Plain},
    body::{Body, Input},
    caller::Caller,
    policy,
    problem::Answer,
    question::{Noun, Question},
    related::{Relation, Target},
    services::Services,
};

/// The routes of this file.
pub fn routes(configuration: &mut web::ServiceConfig) {
    configuration
        .route("/tokens", web::get().to(list))
        .route("/tokens", web::post().to(create))
        .route("/tokens", web::delete().to(revoke_own))
        .route("/tokens/{id}", web::get().to(get))
        .route("/tokens/{id}", web::delete().to(revoke));
}

/// API tokens, as a noun of questions.
#[derive(Debug)]
pub struct ApiTokenNoun;

impl Noun for ApiTokenNoun {
    const NAME: &'static str = "api_token";

    fn fields() -> &'static [Field] {
        api_tokens::FIELDS
    }
    fn default_sort() -> Sort {
        api_tokens::default_sort()
    }
    const RELATIONS: &'static [Relation] = &[
        Relation { name: "user", key: "user_id", target: Target::Member },
        Relation { name: "created_by", key: "created_by_id", target: Target::Member },
    ];
    const BIN: bool = false;
}

impl Input for NewApiToken {
    /// What a token can be limited to is the policy's to know: a name that means nothing would be a token that can do nothing.
    fn check(&self) -> Result<()> {
        let mut errors = match validation::check(self) {
            Err(Error::Invalid(errors)) => errors,
            checked => checked.map(|()| Vec::new())?,
        };
        errors.extend(unknown("operations", self.operations.as_deref(), policy::is_grantable));
        errors.extend(unknown("entities", self.entities.as_deref(), policy::is_grantable_entity));
        if errors.is_empty() { Ok(()) } else { Err(Error::Invalid(errors)) }
    }
}

fn unknown(field: &str, names: Option<&[String]>, known: fn(&str) -> bool) -> Vec<FieldError> {
    let strange = names.unwrap_or_default().iter().enumerate().filter(|(_, name)| !known(name));
    let error = |(place, name): (usize, &String)| {
        FieldError::new(format!("/{field}/{place}"), "unknown", format!("an API token cannot be limited to `{name}`"))
    };
    strange.map(error).collect()
}

/// List API tokens: mine, or for owner and admin those of everybody
#[api_v2_operation(operation_id = "listApiTokens", tags("API tokens"))]
async fn list(caller: Caller, question: Question<ApiTokenNoun>, services: Data<Services>) -> Answer<Listed<ApiToken>> {
    let (query, shape) = question.read(&services, &caller).await?;
    let page = services.api_tokens.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// Make an API token that acts as me; it is shown this once
///
/// Takes the password of who has one; a missing or wrong one is a 422 at `/password`.
#[api_v2_operation(operation_id = "createApiToken", tags("API tokens"))]
async fn create(caller: Caller, services: Data<Services>, body: Body<NewApiToken>) -> Answer<Placed<IssuedApiToken>> {
    body.0.check()?;
    made(&services.api_tokens.create(&caller.context, &body.0).await?)
}

/// Get what is known of an API token
#[api_v2_operation(operation_id = "getApiToken", tags("API tokens"))]
async fn get(caller: Caller, id: Path<TokenId>, services: Data<Services>) -> Answer<Plain<ApiToken>> {
    Ok(Plain(services.api_tokens.get(&caller.context, *id).await?))
}

/// Revoke an API token, everywhere and at once
#[api_v2_operation(operation_id = "revokeApiToken", tags("API tokens"))]
async fn revoke(caller: Caller, id: Path<TokenId>, services: Data<Services>) -> Answer<Empty> {
    services.api_tokens.revoke(&caller.context, *id).await?;
    Ok(Empty)
}

/// Revoke all API tokens that act as me in this organisation
///
/// For who thinks that somebody else has been in: a new password ends all sessions, and no API token.
#[api_v2_operation(operation_id = "revokeOwnApiTokens", tags("API tokens"))]
async fn revoke_own(caller: Caller, services: Data<Services>) -> Answer<Empty> {
    services.api_tokens.revoke_own(&caller.context).await?;
    Ok(Empty)
}

/// The answer with a new token, which says where it is found from now on.
///
/// # Errors
/// `Internal` when it cannot be written as JSON.
pub fn made(issued: &IssuedApiToken) -> Answer<Placed<IssuedApiToken>> {
    Ok(Placed::new(format!("/api/v1/auth/tokens/{}", issued.api_token.id), issued)?)
}
