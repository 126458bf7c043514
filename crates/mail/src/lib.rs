//! Mail: the letters that identity wants sent, written as text and put into a local mailbox or sent by SMTP.
//!
//! Does not live here: the queue of letters (the database's, through `crm_tenancy`), and who may be written to.
//! Must stay true: what a stranger typed never becomes a header or markup of a letter; a link's secret is in the letter and nowhere
//! else; a mail server that is away stops nothing but letters.

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
