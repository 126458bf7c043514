//! When a task comes next by its rule, on the clock of the person who does it.
//!
//! Must stay true: nine in the morning stays nine in the morning when the clocks change; a day stays a day; what goes wrong in here is
//! never taken for the end of a rule.

use crm_kernel::{Error, Result, Timestamp};
use jiff::{
    Timestamp as Instant, ToSpan,
    civil::{DateTime, Time},
    tz::TimeZone,
};
use time::OffsetDateTime;

use super::rule::Rule;
use crate::model::Task;

/// When a task comes next, and the rule that it has then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Next {
    pub(crate) due_date: Timestamp,
    pub(crate) recurrence: String,
}

impl Next {
    /// When the person is to be reminded then: as long before, or after, as for the task before.
    pub(crate) fn remind_at(&self, before: &Task) -> Option<Timestamp> {
        let (remind, due) = (before.remind_at?, before.due_date?);
        remind.0.checked_add(self.due_date.0 - due.0).map(Timestamp)
    }
}

/// When a task is due.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Due {
    /// At a moment.
    Moment(Timestamp),
    /// At a moment, as one of a series whose task before was due at the second one.
    Following(Timestamp, Timestamp),
    /// On the day that begins at this moment in UTC.
    Day(Timestamp),
}

impl Due {
    fn begins(self) -> Timestamp {
        let (Self::Moment(begins) | Self::Following(begins, _) | Self::Day(begins)) = self;
        begins
    }
}

/// The first day of the rule after the one the task was due on that is not over, on the clock of this zone. None when the rule ends
/// before. Days that were passed over count for a rule that says how often.
///
/// # Errors
/// `Invalid` for a rule that cannot be kept; `Internal` for a zone that nobody knows.
pub(super) fn after(text: &str, due: Due, now: Timestamp, zone: &str) -> Result<Option<Next>> {
    let refused = |reason: String| Error::invalid("/recurrence", "recurrence", &reason);
    let unknown = |what: jiff::Error| Error::internal(format!("a rule cannot be counted: {what}"));
    let rule = Rule::read(text).map_err(refused)?;
    let zone = match due {
        Due::Day(_) => TimeZone::UTC,
        Due::Moment(_) | Due::Following(..) => TimeZone::get(zone).map_err(unknown)?,
    };
    // A day is not over before it ends.
    let over = if matches!(due, Due::Day(_)) { now.0 - time::Duration::days(1) } else { now.0 };
    let moment = |time: OffsetDateTime| Instant::from_second(time.unix_timestamp()).map_err(unknown);
    let due_at = moment(due.begins().0)?;
    let earliest = moment(over)?.max(due_at);
    let begins = match due {
        Due::Following(_, before) => nominal(due_at, moment(before.0)?, &zone),
        Due::Moment(_) | Due::Day(_) => zone.to_datetime(due_at),
    };
    let day_before = zone.to_datetime(earliest).checked_sub(1.day()).map_err(unknown)?;
    let coming = rule.moments_from(rule.aligned(begins, day_before), &zone).map_err(refused)?;
    let Some((passed, day)) = coming.zip(0_u32..).map(|(day, place)| (place, day)).find(|(_, day)| *day > earliest) else {
        return Ok(None);
    };
    let day = OffsetDateTime::from_unix_timestamp(day.as_second()).map_err(|_| Error::internal("a day beyond all calendars"))?;
    let recurrence = rule.count.map_or_else(|| text.to_owned(), |count| rule.with_count(count.saturating_sub(passed)));
    Ok(Some(Next { due_date: Timestamp(day), recurrence }))
}

/// The local time that a task of a series is meant for: where the clocks left out the hour of the task before, it is due an hour later
/// that day, and that day alone.
fn nominal(due: Instant, before: Instant, zone: &TimeZone) -> DateTime {
    let local = zone.to_datetime(due);
    let time: Time = zone.to_datetime(before).time();
    let meant = local.date().to_datetime(time);
    if zone.to_timestamp(meant).is_ok_and(|moment| moment == due) { meant } else { local }
}

/// Whether the rule has a day at all, when it begins there.
pub(super) fn fits(text: &str, due: Due) -> bool {
    // Which clock it goes by plays no part here.
    let has_day = |rule: Rule<'_>| {
        let begins = Instant::from_second(due.begins().0.unix_timestamp()).ok()?;
        rule.moments_from(TimeZone::UTC.to_datetime(begins), &TimeZone::UTC).ok()?.next()
    };
    Rule::read(text).is_ok_and(|rule| has_day(rule).is_some())
}
