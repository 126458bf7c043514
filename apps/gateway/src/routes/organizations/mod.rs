//! `/organizations/current`: the organisation of the token and who belongs to it. A file per capability; each adds its routes to the
//! scope.

mod audit;
mod current;
mod invitations;
mod member_sessions;
mod members;
mod service_users;
mod teams;

pub use invitations::InvitationNoun;
pub use members::MemberNoun;
use paperclip::actix::web;
pub use service_users::ServiceUserNoun;

/// The routes of this folder.
#[must_use]
pub fn scope() -> web::Scope {
    web::scope("/organizations/current")
        .configure(current::routes)
        .configure(members::routes)
        .configure(teams::routes)
        .configure(audit::routes)
        .configure(service_users::routes)
        .configure(invitations::routes)
        .configure(member_sessions::routes)
}
