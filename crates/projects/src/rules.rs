//! What a project must keep when it is made or changed, where one value depends on another or on the day. All faults at once.
//!
//! Must stay true: a completed project has the day of its completion and every other one has none; it is due no earlier than it begins.

use crm_kernel::{Date, Error, FieldError, Result, validation};
use crm_tenancy::{Tx, organizations};

use crate::{
    model::{NewProject, ProjectChanges},
    store::Held,
    words::ProjectStatus,
};

/// The new projects with the day of their completion filled in; with each come the faults of its custom fields. The day is asked for
/// once for all of them, and only when one needs it.
pub(crate) async fn completed(tx: &mut Tx, all: Vec<(NewProject, Vec<FieldError>)>) -> Result<Vec<NewProject>> {
    let ends = |new: &NewProject| new.project_status == Some(ProjectStatus::Completed);
    let today = if all.iter().any(|(new, _)| ends(new)) { Some(organizations::today(tx).await?) } else { None };
    let complete = |(new, faults): (NewProject, Vec<FieldError>)| {
        let judged = judge(&ProjectChanges::from(new.clone()), &Before::default(), today, faults)?;
        Ok(NewProject { completion_date: judged.completion_date.flatten(), ..new })
    };
    all.into_iter().map(complete).collect()
}

/// The changes as they are kept, of a project that is held; `faults` are those of custom fields.
pub(crate) async fn settled(
    tx: &mut Tx,
    held: &Held,
    changes: ProjectChanges,
    faults: Vec<FieldError>,
) -> Result<ProjectChanges> {
    let after = changes.project_status.unwrap_or(held.project_status);
    let today = if after == ProjectStatus::Completed { Some(organizations::today(tx).await?) } else { None };
    let before = Before {
        status: Some(held.project_status),
        start_date: held.start_date,
        due_date: held.due_date,
        completion_date: held.completion_date,
    };
    judge(&changes, &before, today, faults)
}

/// What a project was before; a new one was nothing.
#[derive(Debug, Clone, Copy, Default)]
struct Before {
    status: Option<ProjectStatus>,
    start_date: Option<Date>,
    due_date: Option<Date>,
    completion_date: Option<Date>,
}

/// `today` is needed for a project that is completed afterwards, and not there otherwise.
fn judge(changes: &ProjectChanges, before: &Before, today: Option<Date>, faults: Vec<FieldError>) -> Result<ProjectChanges> {
    let mut faults = match validation::check_with(changes, faults) {
        Err(Error::Invalid(faults)) => faults,
        other => other.map(|()| Vec::new())?,
    };
    let mut fault = |broken: bool, pointer: &str, code: &str, message: &str| {
        if broken && !faults.iter().any(|known: &FieldError| known.pointer == pointer) {
            faults.push(FieldError::new(pointer, code, message));
        }
    };
    let begins = changes.start_date.unwrap_or(before.start_date);
    let due = changes.due_date.unwrap_or(before.due_date);
    let reversed = begins.zip(due).is_some_and(|(begins, due)| due < begins);
    // Who moves the beginning alone is told so there.
    let moved = if changes.due_date.is_some() { "/due_date" } else { "/start_date" };
    fault(reversed, moved, "order", "it would be due before it begins");

    let status = changes.project_status.or(before.status).unwrap_or(ProjectStatus::Planning);
    let asked = changes.completion_date.flatten();
    let is_completed = status == ProjectStatus::Completed;
    // A day that is taken away while the project stays completed is no day; today would be a lie about the past.
    let taken_away = changes.completion_date == Some(None) && before.completion_date.is_some();
    fault(
        is_completed && taken_away,
        "/completion_date",
        "required",
        "a completed project has one: change the status to take it away",
    );
    fault(!is_completed && asked.is_some(), "/completion_date", "only_when_completed", "only a completed project has one");
    // What is stored was judged when it was set: it may be written back as it was read, wherever the organisation has moved since.
    fault(
        is_completed && asked > today && asked != before.completion_date,
        "/completion_date",
        "future",
        "must not lie in the future",
    );
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    let day = asked.or(before.completion_date).or(today).filter(|_| is_completed);
    Ok(ProjectChanges { completion_date: Some(day), ..changes.clone() })
}
