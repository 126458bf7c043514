//! Letters: mail that identity wants sent, as the process that sends it sees the queue.
//!
//! Lives here: claiming what is due, and saying what became of it. Does not live here: writing the text and speaking to mail servers
//! (`crm_mail`), and queueing, which the database does in the transaction of the cause.
//! Must stay true: a letter is sent at least once unless it is given up, and by one process at a time; the secret of its link is
//! nowhere in the queue.

mod model;
mod service;
mod store;

pub use model::{Claimed, Failure, Letter};
pub use service::{Letters, PgLetters};
