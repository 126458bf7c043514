//! The door: whoever floods from one address is turned away before anything is done for the request.
//!
//! Callers are counted where they are known, in [`crate::caller`].

use actix_web::{
    Error as ActixError,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
    web::Data,
};

use crate::{current, problem::Problem, services::Services};

/// What those ask who watch over the process, and must be answered however busy it is.
const EXEMPT: [&str; 2] = ["/healthz", "/readyz"];

/// The middleware.
///
/// # Errors
/// Those of the inner service.
pub async fn by_address<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, ActixError> {
    let services = request.app_data::<Data<Services>>().cloned();
    if let (Some(services), Some(address)) = (services, current::address())
        && !EXEMPT.contains(&request.path())
        && let Err(error) = services.limits.admit_address(address).await
    {
        // An answer, not an error: the wrappers around this one have something to add to it.
        return Ok(request.error_response(Problem(error)).map_into_right_body());
    }
    next.call(request).await.map(ServiceResponse::map_into_left_body)
}
