//! What somebody has to do, by the clock of where they are: what is overdue, what is for today, what comes, and what has no date.
//!
//! Must stay true: every open task of a person is in exactly one of the four, whatever the zone; each is one walk through an index.

use crm_kernel::{Error, Result, Timestamp};
use jiff::{Timestamp as Instant, ToSpan, Zoned, tz::TimeZone};
use serde::Serialize;
use time::OffsetDateTime;

use crate::model::Task;

/// The open tasks of somebody, each part in the order in which they are due.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct MyTasks {
    /// The time zone by which the day was found: the caller's.
    pub time_zone: String,
    /// Due at a moment that is over, or on a day that is.
    pub overdue: MyTasksPart,
    /// Due later today, or on this day.
    pub today: MyTasksPart,
    /// Due on a later day.
    pub upcoming: MyTasksPart,
    /// Due at no time.
    pub undated: MyTasksPart,
}

/// A part of somebody's tasks.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct MyTasksPart {
    /// The first hundred.
    pub data: Vec<Task>,
    /// Whether there are more.
    pub has_more: bool,
}

/// One of the four parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Overdue,
    Today,
    Upcoming,
    Undated,
}

/// The borders of somebody's day. Moments are compared with `now` and `ends`; days, which are kept as midnight UTC, with `day` and `next_day`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Borders {
    pub(crate) now: Timestamp,
    /// The first moment of tomorrow there.
    pub(crate) ends: Timestamp,
    /// Today's date there.
    pub(crate) day: Timestamp,
    /// Tomorrow's date there.
    pub(crate) next_day: Timestamp,
}

impl Borders {
    /// Of the day that it is now in this zone.
    pub(crate) fn of(now: Timestamp, zone: &str) -> Result<Self> {
        let zone = TimeZone::get(zone).map_err(Error::internal)?;
        let here = Instant::from_second(now.0.unix_timestamp()).map_err(Error::internal)?.to_zoned(zone);
        let tomorrow = here.date().tomorrow().map_err(Error::internal)?;
        let ends = tomorrow.to_zoned(here.time_zone().clone()).map_err(Error::internal)?;
        let day = here.date().to_zoned(TimeZone::UTC).map_err(Error::internal)?;
        let next_day = day.checked_add(1.day()).map_err(Error::internal)?;
        Ok(Self { now, ends: moment(&ends)?, day: moment(&day)?, next_day: moment(&next_day)? })
    }
}

fn moment(zoned: &Zoned) -> Result<Timestamp> {
    OffsetDateTime::from_unix_timestamp(zoned.timestamp().as_second()).map(Timestamp).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::Borders;

    #[test]
    fn a_day_begins_and_ends_where_its_person_is() {
        for (zone, now, ends, day) in [
            ("UTC", "2026-03-01T23:59:59Z", "2026-03-02T00:00:00Z", "2026-03-01T00:00:00Z"),
            ("Pacific/Kiritimati", "2026-03-01T11:00:00Z", "2026-03-02T10:00:00Z", "2026-03-02T00:00:00Z"),
            ("Pacific/Pago_Pago", "2026-03-01T10:59:59Z", "2026-03-01T11:00:00Z", "2026-02-28T00:00:00Z"),
            // A day of 23 hours, and one whose midnight does not exist.
            ("Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-29T22:00:00Z", "2026-03-29T00:00:00Z"),
            ("Africa/Cairo", "2026-04-23T12:00:00Z", "2026-04-23T22:00:00Z", "2026-04-23T00:00:00Z"),
        ] {
            let borders = Borders::of(now.parse().expect("a time"), zone).expect("a zone");
            assert_eq!((borders.ends.to_string(), borders.day.to_string()), (ends.to_owned(), day.to_owned()), "{zone}");
        }
    }
}
