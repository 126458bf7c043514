//! Liveness, readiness and the document of the API: for machines that have no token.

use actix_web::{HttpResponse, web::Data};
use serde_json::{Value, json};

use crate::{problem::Problem, services::Services};

/// The process runs.
pub async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "alive" }))
}

/// The process can serve: the database answers.
///
/// # Errors
/// 503 when it does not.
pub async fn ready(services: Data<Services>) -> Result<HttpResponse, Problem> {
    services.db.ping().await?;
    Ok(HttpResponse::Ok().json(json!({ "status": "ready" })))
}

/// The OpenAPI document.
pub async fn document(document: Data<Value>) -> HttpResponse {
    HttpResponse::Ok().insert_header(("cache-control", "public, max-age=300")).json(document.get_ref())
}
