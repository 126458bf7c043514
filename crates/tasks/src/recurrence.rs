//! How a task comes again: rules of RFC 5545, read and counted by the crate `rrule`. No SQL here.
//!
//! Must stay true: a rule is daily or rarer, and a bounded number of its days is looked at; the clock of a rule is that of the person who
//! does the task, so nine in the morning stays nine in the morning when the clocks change; a day stays a day.

use crm_kernel::Timestamp;
use jiff::{Timestamp as Instant, tz::TimeZone};
use rrule::{Frequency, RRule, RRuleSet, RRuleSetIter, Unvalidated};
use time::OffsetDateTime;

use crate::model::Task;

/// Days of a rule that are looked at for the one after today: 27 years of a daily one.
const MOST_DAYS: usize = 10_000;

/// Whether this is a rule that can be kept.
pub(crate) fn rule(text: &str, (): &()) -> garde::Result {
    let refused =
        |reason: &str| Err(garde::Error::new(format!("recurrence: {reason}, expected a rule such as FREQ=WEEKLY;BYDAY=MO")));
    match read(text) {
        None => refused("not a rule of RFC 5545"),
        Some(rule) if !is_daily_or_rarer(rule.get_freq()) => refused("oftener than every day"),
        Some(rule) if rule.get_interval() == 0 => refused("an interval of nothing"),
        Some(_) => Ok(()),
    }
}

fn is_daily_or_rarer(frequency: Frequency) -> bool {
    matches!(frequency, Frequency::Yearly | Frequency::Monthly | Frequency::Weekly | Frequency::Daily)
}

fn read(text: &str) -> Option<RRule<Unvalidated>> {
    // One rule on one line: what follows would be read as more of the calendar.
    if text.chars().any(char::is_control) { None } else { text.parse().ok() }
}

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
    /// On the day that begins at this moment in UTC.
    Day(Timestamp),
}

/// The first day of the rule after the one the task was due on that is not over, on the clock of this zone. None when the rule ends
/// before. Days that were passed over count for a rule that says how often.
pub(crate) fn after(text: &str, due: Due, now: Timestamp, zone: &str) -> Option<Next> {
    let rule = read(text)?;
    let (begins, zone) = match due {
        Due::Moment(begins) => (begins, zone),
        Due::Day(begins) => (begins, "UTC"),
    };
    let earliest = match due {
        Due::Moment(_) => now.0,
        // Today's is not over.
        Due::Day(_) => now.0 - time::Duration::days(1),
    };
    let days = occurrences(&rule, begins, zone)?.take(MOST_DAYS).enumerate();
    let instant = |seconds: i64| OffsetDateTime::from_unix_timestamp(seconds).ok();
    let mut coming = days.filter_map(|(place, day)| Some((place, instant(day.timestamp())?)));
    let (passed, day) = coming.find(|(_, day)| *day > begins.0 && *day > earliest)?;
    let left = rule.get_count().map(|count| count.saturating_sub(u32::try_from(passed).unwrap_or(u32::MAX)));
    let rule = match left {
        Some(left) => rule.count(left),
        None => rule,
    };
    Some(Next { due_date: Timestamp(day), recurrence: rule.to_string() })
}

/// Whether the rule can begin there at all.
pub(crate) fn fits(text: &str, due: Due, zone: &str) -> bool {
    let (Due::Moment(begins) | Due::Day(begins)) = due;
    read(text).is_some_and(|rule| occurrences(&rule, begins, zone).is_some())
}

/// The library is told in the text of a calendar, so that its types of time stay its own. It gives up by itself where a rule has no days.
fn occurrences(rule: &RRule<Unvalidated>, begins: Timestamp, zone: &str) -> Option<RRuleSetIter> {
    let begins = Instant::from_second(begins.0.unix_timestamp()).ok()?;
    let local = begins.to_zoned(TimeZone::get(zone).ok()?).strftime("%Y%m%dT%H%M%S").to_string();
    let set: RRuleSet = format!("DTSTART;TZID={zone}:{local}\nRRULE:{rule}").parse().ok()?;
    Some(set.limit().into_iter())
}

#[cfg(test)]
mod tests {
    use crm_kernel::Timestamp;

    use super::{Due, after, fits, rule};

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    /// The days that a task comes on, each completed at the moment it was due.
    fn days(text: &str, begins: &str, zone: &str) -> Vec<String> {
        let (mut due, mut text, mut days) = (at(begins), text.to_owned(), Vec::new());
        while let Some(next) = after(&text, Due::Moment(due), due, zone).filter(|_| days.len() < 4) {
            days.push(next.due_date.to_string());
            (due, text) = (next.due_date, next.recurrence);
        }
        days
    }

    #[test]
    fn nine_in_the_morning_stays_so_when_the_clocks_change() {
        let weekly = days("FREQ=WEEKLY", "2026-03-23T08:00:00Z", "Europe/Berlin");
        assert_eq!(weekly[..2], ["2026-03-30T07:00:00Z", "2026-04-06T07:00:00Z"]);
    }

    #[test]
    fn a_rule_that_says_how_often_or_until_when_ends() {
        assert_eq!(days("FREQ=DAILY;COUNT=3", "2026-01-01T09:00:00Z", "UTC"), ["2026-01-02T09:00:00Z", "2026-01-03T09:00:00Z"]);
        assert_eq!(days("FREQ=DAILY;UNTIL=20260103T000000Z", "2026-01-01T09:00:00Z", "UTC"), ["2026-01-02T09:00:00Z"]);
    }

    #[test]
    fn months_without_the_day_and_years_without_it_are_passed_over() {
        let last = days("FREQ=MONTHLY;BYMONTHDAY=31", "2026-01-31T09:00:00Z", "UTC");
        assert_eq!(last[..2], ["2026-03-31T09:00:00Z", "2026-05-31T09:00:00Z"]);
        let leap = days("FREQ=YEARLY", "2024-02-29T09:00:00Z", "UTC");
        assert_eq!(leap[0], "2028-02-29T09:00:00Z");
    }

    #[test]
    fn days_that_are_over_are_passed_over_and_counted() {
        let next = after("FREQ=DAILY;COUNT=10", Due::Moment(at("2026-01-01T09:00:00Z")), at("2026-01-05T12:00:00Z"), "UTC");
        let next = next.expect("there are days left");
        assert_eq!((next.due_date, next.recurrence.contains("COUNT=5")), (at("2026-01-06T09:00:00Z"), true), "{next:?}");
        // A day is not over before it ends.
        let day = after("FREQ=DAILY", Due::Day(at("2026-01-01T00:00:00Z")), at("2026-01-05T12:00:00Z"), "Asia/Tokyo");
        assert_eq!(day.expect("there is a day").due_date, at("2026-01-05T00:00:00Z"));
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        for text in
            ["", "weekly", "FREQ=HOURLY", "FREQ=SECONDLY", "FREQ=DAILY\nRDATE:20260101T000000Z", "FREQ=DAILY;BYMONTH=13;BYDAY=XX"]
        {
            assert!(rule(text, &()).is_err(), "{text}");
        }
        assert!(!fits("FREQ=MONTHLY;BYMONTHDAY=40", Due::Moment(at("2026-01-01T09:00:00Z")), "UTC"));
        let never = after(
            "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
            Due::Moment(at("2026-01-01T09:00:00Z")),
            at("2026-01-01T09:00:00Z"),
            "UTC",
        );
        assert_eq!(never, None, "no February has it, and the search ends");
    }
}
