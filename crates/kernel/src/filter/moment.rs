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

    /// The first instants of the day and of the one after it.
    fn bounds_of(&self, date: Date) -> Option<(Timestamp, Timestamp)> {
        let (year, month) = (i16::try_from(date.0.year()).ok()?, i8::try_from(u8::from(date.0.month())).ok()?);
        let day = civil::Date::new(year, month, i8::try_from(date.0.day()).ok()?).ok()?;
        let begin = |day: civil::Date| instant(day.to_zoned(self.zone.clone()).ok()?.timestamp());
        Some((begin(day)?, begin(day.tomorrow().ok()?)?))
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
        let (begin, end) = (FilterValue::Timestamp(begin), FilterValue::Timestamp(end));
        let on_the_day =
            |begin, end| Condition::All(vec![compare(Operator::GreaterOrEqual, begin), compare(Operator::Less, end)]);
        Some(match alone {
            Operator::Less => compare(Operator::Less, begin),
            Operator::LessOrEqual => compare(Operator::Less, end),
            Operator::Greater => compare(Operator::GreaterOrEqual, end),
            Operator::GreaterOrEqual => compare(Operator::GreaterOrEqual, begin),
            Operator::NotEqual => Condition::Not(Box::new(on_the_day(begin, end))),
            _ => on_the_day(begin, end),
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
