//! What a task must keep when it is made or changed, where one value depends on another. All faults at once.
//!
//! Must stay true: what a task is about is a kind and an id or neither; an all-day task is due at midnight UTC; one that comes again is due.

use crm_kernel::{Error, FieldError, Result, Timestamp, validation};
use time::Time;
use uuid::Uuid;

use crate::{
    model::{NewTask, RelatedType, TaskChanges},
    recurrence::{self, Due},
    store::Held,
};

/// Whether these tasks may be made; with each come the faults of its custom fields.
pub(crate) async fn judge_new(new: &NewTask, faults: Vec<FieldError>) -> Result<()> {
    judge(&TaskChanges::from(new.clone()), &Before::default(), faults).await
}

/// Whether a task that is held may be changed so; `faults` are those of custom fields.
pub(crate) async fn judge_change(held: &Held, changes: &TaskChanges, faults: Vec<FieldError>) -> Result<()> {
    let before = Before {
        related_to_type: held.related_to_type,
        related_to_id: held.related_to_id,
        due_date: held.due_date,
        is_all_day: held.is_all_day,
        recurrence: held.recurrence.clone(),
    };
    judge(changes, &before, faults).await
}

/// What a task was before; a new one was nothing.
#[derive(Debug, Clone, Default)]
struct Before {
    related_to_type: Option<RelatedType>,
    related_to_id: Option<Uuid>,
    due_date: Option<Timestamp>,
    is_all_day: bool,
    recurrence: Option<String>,
}

async fn judge(changes: &TaskChanges, before: &Before, faults: Vec<FieldError>) -> Result<()> {
    let mut faults = match validation::check_with(changes, faults) {
        Err(Error::Invalid(faults)) => faults,
        other => other.map(|()| Vec::new())?,
    };
    let mut fault = |broken: bool, pointer: &str, code: &str, message: &str| {
        if broken && !faults.iter().any(|known: &FieldError| known.pointer == pointer) {
            faults.push(FieldError::new(pointer, code, message));
        }
    };
    let kind = changes.related_to_type.unwrap_or(before.related_to_type);
    let id = changes.related_to_id.unwrap_or(before.related_to_id);
    fault(kind.is_none() && id.is_some(), "/related_to_type", "pair", "say what kind of record it is");
    fault(kind.is_some() && id.is_none(), "/related_to_id", "pair", "say which record it is");

    let due = changes.due_date.unwrap_or(before.due_date);
    let is_all_day = changes.is_all_day.unwrap_or(before.is_all_day);
    let is_midnight = due.is_some_and(|due| due.0.time() == Time::MIDNIGHT);
    fault(is_all_day && !is_midnight, "/due_date", "day", "an all-day task is due at midnight UTC of its day");
    let rule = changes.recurrence.as_ref().unwrap_or(&before.recurrence);
    if let Some(rule) = rule {
        let pointer = if changes.recurrence.is_some() { "/recurrence" } else { "/due_date" };
        fault(due.is_none(), pointer, "due", "a task that comes again is due at some time");
        // What this change leaves alone was judged before.
        let is_judged = changes.recurrence.is_some() || changes.due_date.is_some();
        let begins = due.filter(|_| is_judged).map(|due| if is_all_day { Due::Day(due) } else { Due::Moment(due) });
        let has_days = match begins {
            Some(begins) => recurrence::fits(rule, begins).await?,
            None => true,
        };
        fault(!has_days, pointer, "recurrence", "the rule has no day from then on");
    }
    if faults.is_empty() { Ok(()) } else { Err(Error::Invalid(faults)) }
}
