//! `/organizations/current`: the organisation of the token and who belongs to it. A file per capability; each adds its routes to the
//! scope.

mod current;
mod service_users;

pub use current::MemberNoun;
use paperclip::actix::web;
pub use service_users::ServiceUserNoun;

/// The routes of this folder.
#[must_use]
pub fn scope() -> web::Scope {
    web::scope("/organizations/current").configure(current::routes).configure(service_users::routes)
}
