//! The timeline of a record: what happened on its page, newest first, in sentences. Notes, tasks and parts of the record are there
//! because the log has them on that page; a contact's campaigns come beside it, for the log has those on the campaign's.
//!
//! Must stay true: the log is the only source of what it has, so that nothing shows twice; a page takes a fixed number of statements,
//! each bounded by the page; a sentence shows no id, and no name that the question does not allow.

mod model;
#[cfg(test)]
mod plans;
mod sentence;
mod store;

pub use model::{KIND, Names, SUBJECT, Subject, TimelineEntry, TimelineKind, TimelineQuestion, question};
pub(crate) use store::page;
