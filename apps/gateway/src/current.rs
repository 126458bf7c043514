//! The request that runs here: its id, and who calls, for answers and the log.
//!
//! Must stay true: known only inside the request's own future, so that two requests on one thread never mix.

use std::{cell::RefCell, net::IpAddr};

use crate::limits::Level;

tokio::task_local! {
    static CURRENT: Current;
}

struct Current {
    id: String,
    address: Option<IpAddr>,
    caller: RefCell<Option<(String, String)>>,
    levels: RefCell<Vec<Level>>,
}

/// Runs the future as the request with this id, from this address.
pub async fn scope<T>(id: String, address: Option<IpAddr>, request: impl Future<Output = T>) -> T {
    CURRENT.scope(Current { id, address, caller: RefCell::new(None), levels: RefCell::default() }, request).await
}

/// The id of the request that runs here; empty outside of one.
#[must_use]
pub fn id() -> String {
    CURRENT.try_with(|current| current.id.clone()).unwrap_or_default()
}

/// The address of the client of the request that runs here, as far as it is known.
#[must_use]
pub fn address() -> Option<IpAddr> {
    CURRENT.try_with(|current| current.address).ok().flatten()
}

/// Notes for the log who calls.
pub fn note_caller(organization: &str, user: &str) {
    let note = |current: &Current| *current.caller.borrow_mut() = Some((organization.to_owned(), user.to_owned()));
    // Outside of a request there is no line to write it on.
    let _ = CURRENT.try_with(note);
}

/// Organisation and user, as far as they are known; empty otherwise.
#[must_use]
pub fn caller() -> (String, String) {
    CURRENT.try_with(|current| current.caller.borrow().clone()).ok().flatten().unwrap_or_default()
}

/// Notes for the answer how limits stand.
pub fn note_levels(levels: impl Iterator<Item = Level>) {
    // Outside of a request there is no answer to tell it with.
    let _ = CURRENT.try_with(|current| current.levels.borrow_mut().extend(levels));
}

/// How the limits stand that this request counts in.
#[must_use]
pub fn levels() -> Vec<Level> {
    CURRENT.try_with(|current| current.levels.borrow().clone()).unwrap_or_default()
}
