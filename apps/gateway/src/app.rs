//! The application: every route in one tree, every limit and every wrapper around it.

use actix_web::{
    App, Error as ActixError, HttpResponse,
    body::MessageBody,
    dev::{ServiceFactory, ServiceRequest, ServiceResponse},
    middleware::{Compress, from_fn},
    web::Data,
};
use crm_kernel::Error;
use paperclip::actix::{OpenApiExt, web};
use serde_json::Value;

use crate::{
    contract::{self, Contract},
    cross_origin, limits, openapi,
    problem::{self, Problem},
    request, routes,
    services::Services,
};

/// The application on these services, ready for a server or a test.
pub fn app(
    services: Data<Services>,
    document: Data<Value>,
) -> App<
    impl ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse<impl MessageBody>, Error = ActixError, InitError = ()>,
> {
    // A bad id in an address is an address that leads nowhere; the default answer would be text, and tell why.
    let paths = actix_web::web::PathConfig::default().error_handler(|_, _| Problem(Error::NotFound("record")).into());
    let origins = services.front.origins.clone();
    App::new()
        .app_data(services)
        .app_data(Data::new(Contract::of(&document)))
        .app_data(document)
        .app_data(paths)
        // The last is the first that a request comes through.
        .wrap(from_fn(contract::keep))
        .wrap(Compress::default())
        .wrap(from_fn(limits::by_address))
        .wrap(cross_origin::wrapper(&origins))
        .wrap(from_fn(request::around))
        .configure(routes::docs::routes)
        .wrap_api()
        .configure(api)
        .build()
        .route("/healthz", actix_web::web::get().to(routes::health::alive))
        .route("/readyz", actix_web::web::get().to(routes::health::ready))
        .default_service(actix_web::web::to(problem::no_route))
}

/// Every route that the document describes.
fn api(configuration: &mut web::ServiceConfig) {
    configuration.service(
        web::scope("/api/v1").service(routes::auth::scope()).service(routes::organizations::scope()).service(
            web::scope("/a-crm")
                .service(routes::companies::scope())
                .service(routes::contacts::scope())
                .service(routes::pipelines::scope())
                .service(routes::products::scope())
                .service(routes::exchange_rates::scope())
                .service(routes::deals::scope())
                .service(routes::projects::scope())
                .service(routes::notes::scope())
                .service(routes::tasks::scope())
                .service(routes::campaigns::scope())
                .service(routes::activities::scope())
                .service(routes::custom_fields::scope()),
        ),
    );
}

/// The document of the API. Needs no database: it is what the routes say of themselves.
#[must_use]
pub fn document() -> Value {
    let mut raw = Value::Null;
    App::new()
        .wrap_api()
        .configure(api)
        .with_raw_json_spec_v3(|app, document| {
            raw = document;
            app
        })
        .build()
        .default_service(actix_web::web::to(HttpResponse::NotFound));
    openapi::finish(raw)
}
