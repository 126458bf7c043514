#![doc = include_str!("../README.md")]

mod compose;
mod deliver;
mod mailbox;
mod route;
mod smtp;
mod text;

use async_trait::async_trait;
pub use compose::{Composer, PublicUrl, Sender};
use crm_tenancy::identity::letters::Failure;
pub use deliver::Delivery;
pub use mailbox::Mailbox;
pub use route::Route;
pub use smtp::Smtp;

/// Where letters go.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Hands a written letter over.
    async fn send(&self, message: lettre::Message) -> Result<(), Failure>;
}
