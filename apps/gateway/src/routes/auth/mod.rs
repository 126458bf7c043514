//! `/auth`: who someone is, and how they come in. A file per capability; each adds its routes to the scope.

mod account;
mod external;
mod invitations;
mod keys;
mod password;
mod registration;
mod second_factor;
mod session;
mod sessions;
mod tokens;

use paperclip::actix::web;
pub use tokens::{ApiTokenNoun, made};

/// The routes of this folder.
#[must_use]
pub fn scope() -> web::Scope {
    web::scope("/auth")
        .configure(session::routes)
        .configure(sessions::routes)
        .configure(second_factor::routes)
        .configure(registration::routes)
        .configure(password::routes)
        .configure(account::routes)
        .configure(tokens::routes)
        .configure(keys::routes)
        .configure(external::routes)
        .configure(invitations::routes)
}
