//! How a task comes again: rules of RFC 5545, read and counted by the crate `rrule`. No SQL here.
//!
//! Lives here: in `rule` what is kept of the standard and which days a rule has, in `coming` the next of them on somebody's clock. Must stay
//! true: the same rule, time and zone give the same answer; days are counted beside the requests and never on a thread that serves them. A rule
//! without days takes the library 5 to 30 milliseconds until it gives up, ten times that in a program that is not optimised.

mod coming;
mod rule;
#[cfg(test)]
mod tests;

use crm_kernel::{Error, Result, Timestamp};

pub(crate) use self::{
    coming::{Due, Next},
    rule::rule,
};

/// See [`coming::after`].
///
/// # Errors
/// As there, and `Internal` when the library fails.
pub(crate) async fn after(text: &str, due: Due, now: Timestamp, zone: &str) -> Result<Option<Next>> {
    let (text, zone) = (text.to_owned(), zone.to_owned());
    aside(move || coming::after(&text, due, now, &zone)).await?
}

/// See [`coming::fits`].
///
/// # Errors
/// `Internal` when the library fails.
pub(crate) async fn fits(text: &str, due: Due) -> Result<bool> {
    let text = text.to_owned();
    aside(move || coming::fits(&text, due)).await
}

/// One rule at a time for each caller: whoever sends a thousand takes one thread from the others, and stops when nobody waits any more.
async fn aside<T: Send + 'static>(count: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let counted = tokio::task::spawn_blocking(count).await;
    counted.map_err(|error| Error::internal(format!("a rule was not counted: {error}")))
}
