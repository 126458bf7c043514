//! Who asks and when: what `me`, `my_team`, `now()`, `today()`, `quarter_start()` and days stand for in one request.
//!
//! A day is the caller's: it begins at midnight of their time zone, and a moment moved by a day keeps its time of the clock.
//! An instant compared with a day is on it, before it or after it; such a comparison becomes one of instants.
//! Must stay true: the moment is fixed once for a request, and a resolved condition holds nothing that depends on it.

use jiff::{Timestamp as Instant, ToSpan, Zoned, civil, tz::TimeZone};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Comparison, Condition, FieldPath, FilterValue, Operator, Period, Relative, Span};
use crate::{Date, FieldError, FieldType, Kind, Timestamp, UserId};

/// The moment of one request.
#[derive(Debug, Clone)]
pub struct Moment {
    caller: UserId,
    now: Timestamp,
    zone: TimeZone,
    team: Vec<UserId>,
}

impl Moment {
    /// This caller, now, in the time zone of this IANA name.
    ///
    /// # Errors
    /// When the time zone is not known.
    pub fn new(caller: UserId, now: Timestamp, zone: &str) -> Result<Self, FieldError> {
        let unknown = |_| FieldError::new("filter", "time_zone", format!("the time zone {zone} is not known here"));
        Ok(Self { caller, now, zone: TimeZone::get(zone).map_err(unknown)?, team: Vec::new() })
    }

    /// This caller, now, for conditions that do not depend on a time zone; others take UTC.
    #[must_use]
    pub fn utc(caller: UserId, now: Timestamp) -> Self {
        Self { caller, now, zone: TimeZone::UTC, team: Vec::new() }
    }

    /// With these people in the caller's team, for a condition that [names it](Condition::names_team).
    #[must_use]
    pub fn with_team(mut self, team: Vec<UserId>) -> Self {
        self.team = team;
        self
    }

    fn zoned(&self) -> Option<Zoned> {
        let instant = Instant::from_microsecond(i64::try_from(self.now.0.unix_timestamp_nanos() / 1_000).ok()?).ok()?;
        Some(instant.to_zoned(self.zone.clone()))
    }

    fn moved_now(&self, span: Span) -> Option<Timestamp> {
        let moved = self.zoned()?.checked_add(span.days.days()).ok()?.checked_add(span.seconds.seconds()).ok()?;
        instant(moved.timestamp())
    }

    fn moved_today(&self, span: Span) -> Option<Date> {
        day(self.zoned()?.date().checked_add(span.days.days()).ok()?)
    }

    /// Periods are counted in months, but for weeks.
    fn moved_start(&self, period: Period, offset: i32, span: Span) -> Option<Date> {
        let today = self.zoned()?.date();
        let offset = i64::from(offset);
        let monday = i64::from(today.weekday().to_monday_zero_offset());
        let months_of = |length: i64| {
            today.first_of_month().checked_add((offset * length - i64::from(today.month() - 1) % length).months()).ok()
        };
        let start = match period {
            Period::Week => today.checked_add((offset * 7 - monday).days()).ok()?,
            Period::Month => months_of(1)?,
            Period::Quarter => months_of(3)?,
            Period::Year => months_of(12)?,
        };
        day(start.checked_add(span.days.days()).ok()?)
    }

    /// The first instant of the day, and where it ends.
    fn bounds_of(&self, date: Date) -> Option<(Timestamp, End)> {
        Some((clamped(self.begin_of(date, 0)?).0, End::at(clamped(self.begin_of(date, 1)?))))
    }

    /// When the day begins that is so many after this one, in seconds since 1970; both may lie outside the calendar of instants.
    fn begin_of(&self, date: Date, later: i64) -> Option<i64> {
        let (year, month) = (i16::try_from(date.0.year()).ok()?, i8::try_from(u8::from(date.0.month())).ok()?);
        let day = civil::Date::new(year, month, i8::try_from(date.0.day()).ok()?).ok()?;
        let zoned = day.checked_add(later.days()).and_then(|day| day.to_zoned(self.zone.clone()));
        Some(zoned.map_or_else(
            // The last day of the calendar, which no clock is known for: as far from UTC as the day before it.
            |_| {
                let offset = i64::from(self.zone.to_offset(Instant::MAX).seconds());
                date.0.midnight().assume_utc().unix_timestamp() + later * SECONDS_OF_A_DAY - offset
            },
            |zoned| zoned.timestamp().as_second(),
        ))
    }
}

const SECONDS_OF_A_DAY: i64 = 86_400;

/// The first and the last instant that have a spelling, in seconds since 1970; the last one goes on for all but one of its microseconds.
const FIRST: i64 = -62_135_596_800;
const LAST: i64 = 253_402_300_799;

/// Where a day ends: what is before the end, and what is not.
struct End {
    before: Operator,
    behind: Operator,
    at: Timestamp,
}

impl End {
    /// With the first instant of the next day; or with the last one there is, when the day goes on behind it.
    fn at((instant, is_beyond): (Timestamp, bool)) -> Self {
        match is_beyond {
            false => Self { before: Operator::Less, behind: Operator::GreaterOrEqual, at: instant },
            true => Self { before: Operator::LessOrEqual, behind: Operator::Greater, at: instant },
        }
    }
}

/// This instant, or the first or last that there is; and whether it lies behind that one.
fn clamped(seconds: i64) -> (Timestamp, bool) {
    let second = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    match seconds {
        ..FIRST => (Timestamp(second(FIRST)), false),
        FIRST..=LAST => (Timestamp(second(seconds)), false),
        _ => (Timestamp(second(LAST) + time::Duration::microseconds(999_999)), true),
    }
}

fn instant(instant: Instant) -> Option<Timestamp> {
    let instant = OffsetDateTime::from_unix_timestamp_nanos(instant.as_nanosecond()).ok()?;
    Some(Timestamp(instant)).filter(|_| in_calendar(instant.year()))
}

fn day(day: civil::Date) -> Option<Date> {
    let month = u8::try_from(day.month()).ok()?.try_into().ok()?;
    let date = time::Date::from_calendar_date(i32::from(day.year()), month, u8::try_from(day.day()).ok()?).ok()?;
    Some(Date(date)).filter(|_| in_calendar(date.year()))
}

/// Years that have a spelling in RFC 3339.
fn in_calendar(year: i32) -> bool {
    (1..=9999).contains(&year)
}

impl Condition {
    /// Whether it asks for a day, so that the caller's time zone decides what it means.
    #[must_use]
    pub fn depends_on_time_zone(&self) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::depends_on_time_zone),
            Self::Not(part) => part.depends_on_time_zone(),
            Self::Compare(Comparison { field, values, .. }) => values.iter().any(|value| match value {
                FilterValue::Relative(Relative::Now(span)) => span.days != 0,
                FilterValue::Relative(Relative::Today(_) | Relative::Start(..)) => true,
                FilterValue::Date(_) => compares_instants(field),
                _ => false,
            }),
        }
    }

    /// Whether it names the caller's team, so that somebody has to say who is in it.
    #[must_use]
    pub fn names_team(&self) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::names_team),
            Self::Not(part) => part.names_team(),
            Self::Compare(comparison) => comparison.values.contains(&FilterValue::Relative(Relative::MyTeam)),
        }
    }

    /// The same condition for this caller and moment, with nothing relative in it.
    ///
    /// # Errors
    /// When a moment is moved out of the calendar.
    pub fn resolved(&self, moment: &Moment) -> Result<Self, FieldError> {
        let each = |parts: &[Self]| parts.iter().map(|part| part.resolved(moment)).collect::<Result<Vec<Self>, FieldError>>();
        match self {
            Self::All(parts) => each(parts).map(Self::All),
            Self::Any(parts) => each(parts).map(Self::Any),
            Self::Not(part) => part.resolved(moment).map(|part| Self::Not(Box::new(part))),
            Self::Compare(comparison) => comparison.resolved(moment).ok_or_else(|| {
                let message = format!("`{comparison}` leaves the calendar, which ends with the year 9999");
                FieldError::new("filter", "value", message)
            }),
        }
    }
}

impl Comparison {
    fn resolved(&self, moment: &Moment) -> Option<Condition> {
        let values: Option<Vec<Vec<FilterValue>>> = self.values.iter().map(|value| resolved(value, moment)).collect();
        let comparison = Self { values: values?.concat(), ..self.clone() };
        if comparison.values.len() > self.values.len() {
            return Some(comparison.with_several());
        }
        let days = comparison.values.iter().any(|value| matches!(value, FilterValue::Date(_)));
        if !days || !compares_instants(&self.field) {
            return Some(Condition::Compare(comparison));
        }
        let conditions: Option<Vec<Condition>> = comparison.values.iter().map(|value| comparison.with(value, moment)).collect();
        let mut conditions = conditions?;
        Some(if conditions.len() == 1 { conditions.remove(0) } else { Condition::Any(conditions) })
    }

    /// What was compared with one value, and turned out to be many.
    fn with_several(self) -> Condition {
        let differs = self.operator == Operator::NotEqual;
        let is_one_of = Condition::Compare(Self { operator: Operator::In, ..self });
        if differs { Condition::Not(Box::new(is_one_of)) } else { is_one_of }
    }

    /// The comparison with one of its values, a day becoming the time between two instants.
    fn with(&self, value: &FilterValue, moment: &Moment) -> Option<Condition> {
        let compare = |operator, value| Condition::Compare(Self { field: self.field.clone(), operator, values: vec![value] });
        let alone = if self.operator == Operator::In { Operator::Equal } else { self.operator };
        let FilterValue::Date(date) = value else { return Some(compare(alone, value.clone())) };
        let (begin, end) = moment.bounds_of(*date)?;
        let (begin, until) = (FilterValue::Timestamp(begin), FilterValue::Timestamp(end.at));
        let on_the_day =
            |begin, until| Condition::All(vec![compare(Operator::GreaterOrEqual, begin), compare(end.before, until)]);
        Some(match alone {
            Operator::Less => compare(Operator::Less, begin),
            Operator::LessOrEqual => compare(end.before, until),
            Operator::Greater => compare(end.behind, until),
            Operator::GreaterOrEqual => compare(Operator::GreaterOrEqual, begin),
            Operator::NotEqual => Condition::Not(Box::new(on_the_day(begin, until))),
            _ => on_the_day(begin, until),
        })
    }
}

fn compares_instants(field: &FieldPath) -> bool {
    field.field.kind == Kind::Timestamp || field.custom.as_ref().is_some_and(|custom| custom.field_type == FieldType::Time)
}

fn resolved(value: &FilterValue, moment: &Moment) -> Option<Vec<FilterValue>> {
    let FilterValue::Relative(relative) = value else { return Some(vec![value.clone()]) };
    Some(vec![match relative {
        Relative::Me => FilterValue::Id(moment.caller.uuid()),
        Relative::MyTeam if moment.team.is_empty() => FilterValue::Id(Uuid::nil()),
        Relative::MyTeam => return Some(moment.team.iter().map(|member| FilterValue::Id(member.uuid())).collect()),
        Relative::Now(span) => FilterValue::Timestamp(moment.moved_now(*span)?),
        Relative::Today(span) => FilterValue::Date(moment.moved_today(*span)?),
        Relative::Start(period, offset, span) => FilterValue::Date(moment.moved_start(*period, *offset, *span)?),
    }])
}
