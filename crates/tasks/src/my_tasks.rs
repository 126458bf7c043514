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
    use crm_kernel::{Context, Timestamp};
    use crm_testkit::TestDatabase;

    use super::{Borders, Part};
    use crate::{NewTask, PgTasks, Tasks, store};

    async fn task(tasks: &PgTasks, context: &Context, due: &str, is_all_day: bool) {
        let due_date = Some(due.parse().expect("a time"));
        let title = format!("{due}{}", if is_all_day { " day" } else { "" });
        let new = NewTask { title, due_date, is_all_day: Some(is_all_day), ..NewTask::default() };
        tasks.create(context, new).await.expect("a member creates");
    }

    /// Days turn over at midnight where the person is, and moments pass at once: on both sides of every border, in zones on both sides of
    /// the date line, with half hours, and on days of 23 and 25 hours.
    #[tokio::test(flavor = "multi_thread")]
    async fn at_every_border_a_task_is_on_its_side() {
        let database = TestDatabase::create().await;
        let acme = database.tenant("Acme").await;
        let tasks = PgTasks::new(database.db());
        let (before, on, after) = ("2026-03-28T00:00:00Z", "2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z");
        for due in [before, on, after] {
            task(&tasks, &acme.member, due, true).await;
        }
        let days = |day: &str| format!("{day} day");
        for (zone, begins, ends) in [
            ("UTC", "2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z"),
            ("Pacific/Kiritimati", "2026-03-28T10:00:00Z", "2026-03-29T10:00:00Z"),
            ("Pacific/Pago_Pago", "2026-03-29T11:00:00Z", "2026-03-30T11:00:00Z"),
            ("Asia/Kathmandu", "2026-03-28T18:15:00Z", "2026-03-29T18:15:00Z"),
            // Of 23 hours.
            ("Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
            ("America/New_York", "2026-03-29T04:00:00Z", "2026-03-30T04:00:00Z"),
        ] {
            let (begins, ends): (Timestamp, Timestamp) = (begins.parse().expect("a time"), ends.parse().expect("a time"));
            let moment = time::Duration::microseconds(1);
            let last = Timestamp(ends.0 - moment);
            let eve = Timestamp(begins.0 - moment);
            for (now, overdue, today, upcoming) in [
                (eve, vec![], vec![days(before)], vec![days(on), days(after)]),
                (begins, vec![days(before)], vec![days(on)], vec![days(after)]),
                (last, vec![days(before)], vec![days(on)], vec![days(after)]),
                (ends, vec![days(before), days(on)], vec![days(after)], vec![]),
            ] {
                let borders = Borders::of(now, zone).expect("a zone");
                let mut found = Vec::new();
                for part in [Part::Overdue, Part::Today, Part::Upcoming] {
                    let mut tx = database.db().begin(&acme.member).await.expect("a member");
                    let rows = store::mine(&mut tx, part, &borders, 100).await.expect("mine");
                    found.push(rows.into_iter().map(|task| task.title).collect::<Vec<_>>());
                }
                assert_eq!(found, [overdue, today, upcoming], "{zone} at {now}");
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_moment_is_over_after_it_and_tomorrow_begins_at_midnight_there() {
        let database = TestDatabase::create().await;
        let acme = database.tenant("Acme").await;
        let tasks = PgTasks::new(database.db());
        // A day of 25 hours in Berlin: it ends at 23:00 UTC.
        let dues = ["2026-10-25T11:59:59.999999Z", "2026-10-25T12:00:00Z", "2026-10-25T22:59:59.999999Z", "2026-10-25T23:00:00Z"];
        for due in dues {
            task(&tasks, &acme.member, due, false).await;
        }
        let borders = Borders::of("2026-10-25T12:00:00Z".parse().expect("a time"), "Europe/Berlin").expect("a zone");
        for (part, expected) in [(Part::Overdue, &dues[..1]), (Part::Today, &dues[1..3]), (Part::Upcoming, &dues[3..])] {
            let mut tx = database.db().begin(&acme.member).await.expect("a member");
            let rows = store::mine(&mut tx, part, &borders, 100).await.expect("mine");
            assert_eq!(rows.iter().map(|task| task.title.as_str()).collect::<Vec<_>>(), expected, "{part:?}");
        }
    }

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
