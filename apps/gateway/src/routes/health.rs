//! Liveness and readiness: for machines that have no token.

use actix_web::{HttpResponse, web::Data};
use crm_kernel::Error;
use serde_json::json;

use crate::{problem::Problem, services::Services};

/// The process runs.
pub async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "alive" }))
}

/// The process can serve: the database answers, and it goes on.
///
/// # Errors
/// 503 when it does not, or when this process is about to end.
pub async fn ready(services: Data<Services>) -> Result<HttpResponse, Problem> {
    if services.readiness.is_ending() {
        return Err(Error::unavailable("this process is about to end").into());
    }
    services.db.ping().await?;
    Ok(HttpResponse::Ok().json(json!({ "status": "ready" })))
}
