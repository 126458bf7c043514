//! How a task comes again: rules of RFC 5545, read and counted by the crate `rrule`. No SQL here.
//!
//! Must stay true: a rule is daily or rarer, and a bounded number of its days is looked at; the clock of a rule is that of the person who
//! does the task, so nine in the morning stays nine in the morning when the clocks change; a day stays a day; a rule stays as somebody has
//! written it, but for its COUNT; what goes wrong in here is never taken for the end of a rule.

use crm_kernel::{Error, Result, Timestamp};
use jiff::{
    Timestamp as Instant, ToSpan,
    civil::{Date, DateTime, Time},
    tz::TimeZone,
};
use rrule::RRuleSet;
use time::OffsetDateTime;

use crate::model::Task;

/// How often a rule may say that a task comes: 27 years of a daily one. All of them are counted.
const MOST_DAYS: u32 = 10_000;

/// Whether this is a rule that can be kept.
pub(crate) fn rule(text: &str, (): &()) -> garde::Result {
    let refused = |reason| garde::Error::new(format!("recurrence: {reason}, expected a rule such as FREQ=WEEKLY;BYDAY=MO"));
    Rule::read(text).map(drop).map_err(refused)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frequency {
    Daily,
    Weekly,
    Monthly,
    Yearly,
}

/// Until when a rule goes, inclusive.
#[derive(Debug, Clone, Copy)]
enum Until {
    Moment(Instant),
    /// On the clock of the person.
    Local(DateTime),
}

/// A rule that can be kept.
#[derive(Debug)]
struct Rule<'a> {
    text: &'a str,
    frequency: Frequency,
    interval: i64,
    count: Option<u32>,
    until: Option<Until>,
}

impl<'a> Rule<'a> {
    fn read(text: &'a str) -> Result<Self, String> {
        // One rule on one line: what follows would be read as more of the calendar.
        if text.chars().any(char::is_control) {
            return Err("not a rule of RFC 5545 on one line".to_owned());
        }
        let mut rule = Self { text, frequency: Frequency::Daily, interval: 1, count: None, until: None };
        let mut seen: Vec<String> = Vec::new();
        for (name, value) in parts(text) {
            let name = name.to_ascii_uppercase();
            match name.as_str() {
                "FREQ" => rule.frequency = frequency(value)?,
                "INTERVAL" => rule.interval = value.parse().map_err(|_| "INTERVAL is not a number".to_owned())?,
                "COUNT" => rule.count = Some(value.parse().map_err(|_| "COUNT is not a number".to_owned())?),
                "UNTIL" => rule.until = Some(until(value)?),
                "BYHOUR" | "BYMINUTE" | "BYSECOND" => {
                    return Err(format!("{name} is not known, a task is due at one time of a day"));
                }
                _ => {}
            }
            if seen.contains(&name) {
                return Err(format!("{name} stands there twice"));
            }
            seen.push(name);
        }
        if rule.interval <= 0 {
            return Err("INTERVAL is not above 0".to_owned());
        }
        if rule.count.is_some_and(|count| !(1..=MOST_DAYS).contains(&count)) {
            return Err(format!("COUNT is not between 1 and {MOST_DAYS}"));
        }
        let begins = Date::constant(2000, 1, 1).at(0, 0, 0, 0);
        rule.counted_from(begins).map(drop).map_err(|reason| format!("not a rule of RFC 5545: {reason}"))?;
        Ok(rule)
    }

    /// Its days on the clock of whoever does the task, from this one on. The library is told in the text of a calendar, so that its types of
    /// time stay its own, and is left to believe that the clock is UTC's: there no time is missing and none is there twice. It gives up
    /// by itself where a rule has no days. UNTIL is not for it: that goes by the zone.
    fn counted_from(&self, begins: DateTime) -> Result<impl Iterator<Item = DateTime> + use<>, String> {
        let without_end: Vec<String> = parts(self.text)
            .filter(|(name, _)| !name.eq_ignore_ascii_case("UNTIL"))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let local = begins.strftime("%Y%m%dT%H%M%SZ");
        let text = format!("DTSTART:{local}\nRRULE:{}", without_end.join(";"));
        let set: RRuleSet = text.parse().map_err(|error: rrule::RRuleError| error.to_string())?;
        let local = |seconds: i64| Instant::from_second(seconds).ok().map(|moment| TimeZone::UTC.to_datetime(moment));
        Ok(set.limit().into_iter().map_while(move |day| local(day.timestamp())))
    }

    /// The same with the moments of its days in a zone, until it ends.
    fn moments_from(&self, begins: DateTime, zone: &TimeZone) -> Result<impl Iterator<Item = Instant> + use<>, String> {
        let (zone, until) = (zone.clone(), self.until);
        let moments = self.counted_from(begins)?.map_while(move |local| {
            // What the clocks leave out is an hour later, what they show twice is the first.
            let moment = zone.to_timestamp(local).ok()?;
            let is_over = match until {
                None => false,
                Some(Until::Moment(last)) => moment > last,
                Some(Until::Local(last)) => local > last,
            };
            (!is_over).then_some(moment)
        });
        Ok(moments)
    }

    /// A later time from which the rule has the same days, at most this one: so that what was left for years costs no more than what was
    /// not. Where COUNT counts there is none.
    fn aligned(&self, begins: DateTime, most: DateTime) -> DateTime {
        let days = i64::from(begins.date().until(most.date()).map_or(0, |span| span.get_days()));
        if self.count.is_some() || days <= 0 {
            return begins;
        }
        let unit = match self.frequency {
            Frequency::Daily => return begins.checked_add((days - days % self.interval).days()).unwrap_or(begins),
            Frequency::Weekly => return begins.checked_add((days - days % (7 * self.interval)).days()).unwrap_or(begins),
            Frequency::Monthly => self.interval,
            Frequency::Yearly => 12 * self.interval,
        };
        // Whole leap cycles, so that a 29th of February finds itself again; 2100 has none and is passed over.
        let unit = (1..=48).map(|times| times * unit).find(|months| months % 48 == 0).unwrap_or(48 * unit);
        let months = days / 31;
        let later = (1..=months / unit).rev().filter_map(|times| begins.checked_add((times * unit).months()).ok());
        later.into_iter().find(|found| found.day() == begins.day() && *found <= most).unwrap_or(begins)
    }

    /// As somebody has written it, with this COUNT in place of its own.
    fn with_count(&self, count: u32) -> String {
        let kept = self.text.split(';').map(|part| match part.split_once('=') {
            Some((name, _)) if bare(name).eq_ignore_ascii_case("COUNT") => format!("{name}={count}"),
            _ => part.to_owned(),
        });
        kept.collect::<Vec<_>>().join(";")
    }
}

/// The parts of a rule, each a name and a value; what has no value has an empty one, which the library refuses.
fn parts(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(';').map(|part| part.split_once('=').unwrap_or((part, ""))).map(|(name, value)| (bare(name), value))
}

/// Calendars put the name of the line before the rule.
fn bare(name: &str) -> &str {
    name.strip_prefix("RRULE:").unwrap_or(name)
}

fn frequency(value: &str) -> Result<Frequency, String> {
    match value.to_ascii_uppercase().as_str() {
        "DAILY" => Ok(Frequency::Daily),
        "WEEKLY" => Ok(Frequency::Weekly),
        "MONTHLY" => Ok(Frequency::Monthly),
        "YEARLY" => Ok(Frequency::Yearly),
        "HOURLY" | "MINUTELY" | "SECONDLY" => Err("oftener than every day".to_owned()),
        _ => Err("not a rule of RFC 5545: FREQ is none of DAILY, WEEKLY, MONTHLY and YEARLY".to_owned()),
    }
}

fn until(value: &str) -> Result<Until, String> {
    let refused = || "UNTIL is neither a day such as 20271231 nor a moment such as 20271231T090000Z".to_owned();
    if let Some(moment) = value.strip_suffix('Z') {
        let moment = DateTime::strptime("%Y%m%dT%H%M%S", moment).map_err(|_| refused())?;
        return TimeZone::UTC.to_timestamp(moment).map(Until::Moment).map_err(|_| refused());
    }
    if value.len() == 8 {
        let day = Date::strptime("%Y%m%d", value).map_err(|_| refused())?;
        return Ok(Until::Local(day.at(23, 59, 59, 0)));
    }
    DateTime::strptime("%Y%m%dT%H%M%S", value).map(Until::Local).map_err(|_| refused())
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
pub(crate) fn after(text: &str, due: Due, now: Timestamp, zone: &str) -> Result<Option<Next>> {
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
pub(crate) fn fits(text: &str, due: Due) -> bool {
    // Which clock it goes by plays no part here.
    let has_day = |rule: Rule<'_>| {
        let begins = Instant::from_second(due.begins().0.unix_timestamp()).ok()?;
        rule.moments_from(TimeZone::UTC.to_datetime(begins), &TimeZone::UTC).ok()?.next()
    };
    Rule::read(text).is_ok_and(|rule| has_day(rule).is_some())
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
        let mut is_from = Due::Moment(due);
        while let Some(next) = after(&text, is_from, due, zone).expect("it can be counted").filter(|_| days.len() < 4) {
            days.push(next.due_date.to_string());
            is_from = Due::Following(next.due_date, due);
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
        let next = next.expect("it can be counted").expect("there are days left");
        assert_eq!((next.due_date, next.recurrence.contains("COUNT=5")), (at("2026-01-06T09:00:00Z"), true), "{next:?}");
        // A day is not over before it ends.
        let day = after("FREQ=DAILY", Due::Day(at("2026-01-01T00:00:00Z")), at("2026-01-05T12:00:00Z"), "Asia/Tokyo");
        assert_eq!(day.expect("it can be counted").expect("there is a day").due_date, at("2026-01-05T00:00:00Z"));
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        for text in
            ["", "weekly", "FREQ=HOURLY", "FREQ=SECONDLY", "FREQ=DAILY\nRDATE:20260101T000000Z", "FREQ=DAILY;BYMONTH=13;BYDAY=XX"]
        {
            assert!(rule(text, &()).is_err(), "{text}");
        }
        for (text, part) in [
            ("FREQ=DAILY;BYHOUR=9", "BYHOUR"),
            ("FREQ=YEARLY;BYMINUTE=0", "BYMINUTE"),
            ("FREQ=WEEKLY;BYSECOND=0,1", "BYSECOND"),
            ("FREQ=DAILY;COUNT=0", "COUNT"),
            ("FREQ=DAILY;COUNT=10001", "COUNT"),
            ("FREQ=DAILY;INTERVAL=0", "INTERVAL"),
            ("FREQ=DAILY;UNTIL=soon", "UNTIL"),
            ("FREQ=MONTHLY;BYMONTHDAY=40", "BYMONTHDAY"),
            ("FREQ=DAILY;COUNT=2;COUNT=3", "twice"),
        ] {
            let refused = rule(text, &()).expect_err(text).to_string();
            assert!(refused.contains(part), "{text}: {refused}");
        }
        let begins = Due::Moment(at("2026-01-01T09:00:00Z"));
        for never in ["FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "FREQ=DAILY;UNTIL=20251231"] {
            assert!(rule(never, &()).is_ok() && !fits(never, begins), "{never}: no year has it, and the search ends");
            assert_eq!(after(never, begins, at("2026-01-01T09:00:00Z"), "UTC").expect("it can be counted"), None, "{never}");
        }
        assert!(after("FREQ=DAILY", begins, at("2026-01-01T09:00:00Z"), "Mars/Olympus").is_err(), "that is no end of the rule");
    }

    #[test]
    fn a_rule_stays_as_it_was_written() {
        for (text, coming) in [
            ("FREQ=MONTHLY;BYDAY=1MO", "2027-02-01T09:00:00Z"),
            ("FREQ=MONTHLY;BYDAY=+1FR", "2027-02-05T09:00:00Z"),
            ("FREQ=YEARLY;BYDAY=1MO", "2028-01-03T09:00:00Z"),
            ("FREQ=MONTHLY;BYDAY=2MO", "2027-01-11T09:00:00Z"),
            ("FREQ=MONTHLY;BYDAY=-1FR", "2027-01-29T09:00:00Z"),
            ("FREQ=MONTHLY;BYMONTHDAY=-1", "2027-01-31T09:00:00Z"),
            ("freq=weekly;wkst=SU", "2027-01-11T09:00:00Z"),
        ] {
            let due = if text.contains("FR") { at("2027-01-08T09:00:00Z") } else { at("2027-01-04T09:00:00Z") };
            let next = after(text, Due::Moment(due), due, "UTC").expect("it can be counted").expect(text);
            assert_eq!((next.due_date, next.recurrence.as_str()), (at(coming), text));
        }
        let due = at("2027-01-04T09:00:00Z");
        let next = after("FREQ=MONTHLY;COUNT=5;BYDAY=1MO", Due::Moment(due), due, "UTC").expect("it can be counted");
        assert_eq!(next.expect("four are left").recurrence, "FREQ=MONTHLY;COUNT=4;BYDAY=1MO");
    }

    #[test]
    fn clocks_that_change_end_no_series_and_move_none() {
        // The hour that is there twice.
        let autumn = days("FREQ=DAILY", "2027-10-31T00:30:00Z", "Europe/Berlin");
        assert_eq!(autumn[..2], ["2027-11-01T01:30:00Z", "2027-11-02T01:30:00Z"]);
        let second = days("FREQ=DAILY", "2027-10-31T01:30:00Z", "Europe/Berlin");
        assert_eq!(second[0], "2027-11-01T01:30:00Z");
        // The hour that is left out: 02:30, 03:30 that day, 02:30.
        let spring = days("FREQ=DAILY", "2027-03-27T01:30:00Z", "Europe/Berlin");
        assert_eq!(spring[..3], ["2027-03-28T01:30:00Z", "2027-03-29T00:30:00Z", "2027-03-30T00:30:00Z"]);
    }

    #[test]
    fn a_last_day_is_one_of_the_person() {
        // Until five in the morning of the next day in UTC it is still that day in New York.
        let days = days("FREQ=DAILY;UNTIL=20270103", "2027-01-02T02:00:00Z", "America/New_York");
        assert_eq!(days, ["2027-01-03T02:00:00Z", "2027-01-04T02:00:00Z"]);
    }

    #[test]
    fn what_was_left_for_centuries_comes_next_in_the_order_of_its_rule() {
        for (text, begins, coming) in [
            ("FREQ=DAILY;INTERVAL=2", "1901-01-01T09:00:00Z", "2027-01-06T09:00:00Z"),
            ("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "1901-01-01T09:00:00Z", "2027-01-05T09:00:00Z"),
            ("FREQ=MONTHLY", "1901-01-31T09:00:00Z", "2027-01-31T09:00:00Z"),
            ("FREQ=YEARLY", "1904-02-29T09:00:00Z", "2028-02-29T09:00:00Z"),
            ("FREQ=YEARLY;INTERVAL=3", "1901-03-01T09:00:00Z", "2027-03-01T09:00:00Z"),
        ] {
            let next = after(text, Due::Moment(at(begins)), at("2027-01-04T12:00:00Z"), "UTC").expect("it can be counted");
            assert_eq!(next.expect(text).due_date, at(coming), "{text}");
        }
    }
}
