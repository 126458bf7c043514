//! A rule as somebody has written it: how it is read, what of RFC 5545 is kept, and which days the library finds for it.
//!
//! Must stay true: a rule is daily or rarer, and a bounded number of its days is looked at; it stays as it was written, but for its COUNT.

use jiff::{
    Timestamp as Instant, ToSpan,
    civil::{Date, DateTime},
    tz::TimeZone,
};
use rrule::RRuleSet;

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
pub(super) struct Rule<'a> {
    text: &'a str,
    frequency: Frequency,
    interval: i64,
    pub(super) count: Option<u32>,
    until: Option<Until>,
}

impl<'a> Rule<'a> {
    pub(super) fn read(text: &'a str) -> Result<Self, String> {
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
    pub(super) fn moments_from(
        &self,
        begins: DateTime,
        zone: &TimeZone,
    ) -> Result<impl Iterator<Item = Instant> + use<>, String> {
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
    pub(super) fn aligned(&self, begins: DateTime, most: DateTime) -> DateTime {
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
    pub(super) fn with_count(&self, count: u32) -> String {
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
