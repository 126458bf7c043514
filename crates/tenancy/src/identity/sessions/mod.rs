//! Sessions: where somebody is logged in, and ending that, one's own or, for managers, a member's.
//!
//! Opening a session is the login's; ending the one that calls is [`super::Identity::logout`].
//! Must stay true: another person's session is answered like one that never was; what is ended is refused with the next request on
//! every node, because every transaction asks whether its session lives.

mod model;
mod service;
mod store;

pub use model::{Session, SessionList, SessionMethod};
pub use service::{PgSessions, Sessions};
