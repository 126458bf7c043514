//! What will be sold: in the running month or quarter and so many after it, by month, owner and team, in the organisation's currency.
//!
//! Must stay true: no float; every deal of the time that is looked at is in one month and one period, and there in one owner's and one
//! team's figures, so that all of these add up to the total. A weighted amount is rounded once for each figure, so that those of owners or
//! months may differ from the total's by a cent each.

use std::collections::BTreeMap;

use bigdecimal::BigDecimal;
use crm_kernel::{Date, Error, Filter, Money, PipelineId, Result, TeamId, UserId};
use crm_tenancy::{Tx, organizations};
use serde::Serialize;

use crate::{
    pipeline::{ForecastCategory, StageOutcome},
    pipeline_store as store,
    store::base_currency,
    sums::Sum,
};

/// How many owners are shown.
const MOST_OWNERS: usize = 1_000;
/// How far a forecast looks at most, in months.
const MOST_MONTHS: u8 = 24;
/// From which probability of its stage on a deal is a commitment, in percent, where the stage does not say.
const COMMIT_FROM: i32 = 75;
/// From which on it belongs to the best case.
const BEST_CASE_FROM: i32 = 50;

crm_kernel::text_enum!(
    /// How long the periods of a forecast are.
    PeriodLength {
        /// From the first of a month to its last day.
        Month = "month",
        /// Of the calendar: January to March is the first.
        Quarter = "quarter",
    }
);

impl PeriodLength {
    /// How many months one of them has.
    #[must_use]
    pub fn months(self) -> u8 {
        match self {
            Self::Month => 1,
            Self::Quarter => 3,
        }
    }

    /// How many of them a forecast has at most.
    #[must_use]
    pub fn most(self) -> u8 {
        MOST_MONTHS / self.months()
    }
}

/// Which periods a forecast has: the running one and those after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForecastPeriods {
    /// How long each is.
    pub length: PeriodLength,
    /// How many there are, the running one included; from 1 to [`PeriodLength::most`].
    pub count: u8,
}

impl ForecastPeriods {
    fn check(self) -> Result<()> {
        let most = self.length.most();
        if (1..=most).contains(&self.count) {
            return Ok(());
        }
        Err(Error::malformed("periods", "value", format!("expected 1 to {most} of a {}", self.length.as_str())))
    }
}

impl Default for ForecastPeriods {
    /// Four quarters.
    fn default() -> Self {
        Self { length: PeriodLength::Quarter, count: 4 }
    }
}

/// The forecast of some periods, four quarters unless others are asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct Forecast {
    /// ISO 4217 code of every amount: the organisation's currency.
    pub currency: String,
    /// The first day of the running period, in the organisation's time zone.
    pub from: Date,
    /// The last day of the last period.
    pub until: Date,
    /// All periods together.
    pub total: ForecastFigures,
    /// Open deals that were expected before them.
    pub overdue: ForecastFigures,
    /// Open deals that are expected after them, or for no day.
    pub later: ForecastFigures,
    /// Each period with its owners and teams.
    pub periods: Vec<ForecastPeriod>,
    /// Their months: won deals by the day of closing, open ones by the day expected.
    pub months: Vec<ForecastMonth>,
    /// All periods by owner, the largest commitment first; at most the first 1,000.
    pub owners: Vec<ForecastOwner>,
    /// All periods by the owners' team, the largest commitment first; owners without a team, and no owner, together have null.
    pub teams: Vec<ForecastTeam>,
}

impl Forecast {
    /// Takes out what owners and teams are called, for whoever may not know.
    pub fn hide_names(&mut self) {
        for owner in self.periods.iter_mut().flat_map(|period| &mut period.owners).chain(&mut self.owners) {
            owner.owner_name = None;
            owner.team_name = None;
        }
        for team in self.periods.iter_mut().flat_map(|period| &mut period.teams).chain(&mut self.teams) {
            team.team_name = None;
        }
    }
}

/// What is sold, and what may be: each of `commit`, `best_case` and `pipeline` contains the one before it, and `won` is in all of
/// them. Deals of stages that are omitted from forecasts are in none.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct ForecastFigures {
    /// How many deals are won.
    pub won_count: i64,
    /// How many are open.
    pub open_count: i64,
    /// What is sold.
    pub won: Money,
    /// With what is as good as sold.
    pub commit: Money,
    /// With what is well on its way.
    pub best_case: Money,
    /// With everything that is open.
    pub pipeline: Money,
    /// What is sold, and each open amount times its probability.
    pub weighted: Money,
}

/// One month or quarter of a forecast.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct ForecastPeriod {
    /// Its first day.
    pub from: Date,
    /// Its last day.
    pub until: Date,
    /// Its figures.
    pub figures: ForecastFigures,
    /// It by owner, the largest commitment first; at most the first 1,000.
    pub owners: Vec<ForecastOwner>,
    /// It by the owners' team, the largest commitment first.
    pub teams: Vec<ForecastTeam>,
}

/// One month of a forecast.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct ForecastMonth {
    /// `2017-03`.
    pub month: String,
    /// Its figures.
    pub figures: ForecastFigures,
}

/// The forecast of one owner.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct ForecastOwner {
    /// The member; null for deals without an owner.
    pub owner_id: Option<UserId>,
    /// The member's name.
    pub owner_name: Option<String>,
    /// The member's team.
    pub team_id: Option<TeamId>,
    /// The team's name.
    pub team_name: Option<String>,
    /// Their figures.
    pub figures: ForecastFigures,
}

/// The forecast of one team's members.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct ForecastTeam {
    /// The team; null for owners without one and deals without an owner.
    pub team_id: Option<TeamId>,
    /// The team's name.
    pub team_name: Option<String>,
    /// Their figures.
    pub figures: ForecastFigures,
}

/// Whose deals, where they belong in a forecast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Won,
    Open(ForecastCategory),
    Nowhere,
}

/// Figures still being added up, each deal in one of the first four.
#[derive(Debug, Clone, Default)]
struct Expected {
    won: Sum,
    commit: Sum,
    best_case: Sum,
    pipeline: Sum,
}

impl Expected {
    fn add(&mut self, place: Place, sum: &Sum) {
        match place {
            Place::Won => self.won.add(sum),
            Place::Open(ForecastCategory::Commit) => self.commit.add(sum),
            Place::Open(ForecastCategory::BestCase) => self.best_case.add(sum),
            Place::Open(ForecastCategory::Pipeline) => self.pipeline.add(sum),
            Place::Open(ForecastCategory::Omitted) | Place::Nowhere => {}
        }
    }

    fn add_all(&mut self, other: &Self) {
        self.won.add(&other.won);
        self.commit.add(&other.commit);
        self.best_case.add(&other.best_case);
        self.pipeline.add(&other.pipeline);
    }

    fn committed(&self) -> BigDecimal {
        &self.won.amount + &self.commit.amount
    }

    fn shown(&self, currency: &str) -> ForecastFigures {
        let money = |amount: &BigDecimal| Money::from_decimal(amount).in_currency(currency);
        let commit = self.committed();
        let best_case = &commit + &self.best_case.amount;
        let pipeline = &best_case + &self.pipeline.amount;
        let hundredfold = &self.commit.weighted + &self.best_case.weighted + &self.pipeline.weighted;
        let weighted = &self.won.amount + hundredfold * BigDecimal::new(1.into(), 2);
        ForecastFigures {
            won_count: self.won.count,
            open_count: self.commit.count + self.best_case.count + self.pipeline.count,
            won: money(&self.won.amount),
            commit: money(&commit),
            best_case: money(&best_case),
            pipeline: money(&pipeline),
            weighted: money(&weighted),
        }
    }
}

/// The forecast of the deals that match.
pub(crate) async fn of(tx: &mut Tx, filter: &Filter, periods: ForecastPeriods) -> Result<Forecast> {
    periods.check()?;
    store::require_affordable(tx, filter).await?;
    let currency = base_currency(tx).await?;
    let time = Time::from_now(organizations::today(tx).await?, periods)?;
    let places = places(tx).await?;

    let (mut total, mut overdue, mut later) = (Expected::default(), Expected::default(), Expected::default());
    let mut months: BTreeMap<String, Expected> = time.months.keys().map(|month| (month.clone(), Expected::default())).collect();
    for (month, pipeline, stage, count, amount, weighted) in store::expected_by_month(tx, filter, time.from).await? {
        let (place, sum) = (placed(&places, &(pipeline, stage))?, Sum::new(count, amount, weighted));
        match month {
            Some(month) if month < time.first_month() => overdue.add(place, &sum),
            Some(month) if months.contains_key(&month) => {
                months.entry(month).or_default().add(place, &sum);
                total.add(place, &sum);
            }
            _ => later.add(place, &sum),
        }
    }
    let mut by_owner = ByOwner::new();
    let mut by_period: Vec<ByOwner> = time.periods.iter().map(|_| ByOwner::new()).collect();
    for (owner, month, pipeline, stage, count, amount, weighted) in
        store::expected_by_owner(tx, filter, (time.from, time.until)).await?
    {
        let (place, sum) = (placed(&places, &(pipeline, stage))?, Sum::new(count, amount, weighted));
        by_owner.entry(owner).or_default().add(place, &sum);
        let period = month.and_then(|month| time.months.get(&month)).and_then(|index| by_period.get_mut(*index));
        if let Some(period) = period {
            period.entry(owner).or_default().add(place, &sum);
        }
    }
    let known = People::of(tx, &by_owner).await?;
    let shown = |((from, until), sums): ((Date, Date), ByOwner)| {
        let mut figures = Expected::default();
        sums.values().for_each(|sums| figures.add_all(sums));
        let (owners, teams) = known.shown(sums, &currency);
        ForecastPeriod { from, until, figures: figures.shown(&currency), owners, teams }
    };
    let periods = time.periods.iter().copied().zip(by_period).map(shown).collect();
    let (owners, teams) = known.shown(by_owner, &currency);
    let months = months.into_iter().map(|(month, sums)| ForecastMonth { month, figures: sums.shown(&currency) }).collect();
    Ok(Forecast {
        from: time.from,
        until: time.until,
        total: total.shown(&currency),
        overdue: overdue.shown(&currency),
        later: later.shown(&currency),
        periods,
        months,
        owners,
        teams,
        currency,
    })
}

/// What is still being added up, by owner.
type ByOwner = BTreeMap<Option<UserId>, Expected>;

/// Where the deals of each stage belong.
async fn places(tx: &mut Tx) -> Result<BTreeMap<(PipelineId, String), Place>> {
    let mut places = BTreeMap::new();
    for (pipeline, stage) in store::all_stages(tx).await? {
        let place = match stage.outcome {
            StageOutcome::Open => Place::Open(stage.forecast_category.unwrap_or_else(|| category(stage.probability))),
            StageOutcome::Won => Place::Won,
            StageOutcome::Lost => Place::Nowhere,
        };
        places.insert((pipeline, stage.key), place);
    }
    Ok(places)
}

fn placed(places: &BTreeMap<(PipelineId, String), Place>, key: &(PipelineId, String)) -> Result<Place> {
    places.get(key).copied().ok_or_else(|| Error::internal("deals stand in more stages than are read at once"))
}

/// Where deals of a stage that does not say so belong.
fn category(probability: i32) -> ForecastCategory {
    match probability {
        COMMIT_FROM.. => ForecastCategory::Commit,
        BEST_CASE_FROM.. => ForecastCategory::BestCase,
        _ => ForecastCategory::Pipeline,
    }
}

/// Name and team of owners.
struct People(BTreeMap<UserId, (String, Option<TeamId>, Option<String>)>);

impl People {
    async fn of(tx: &mut Tx, by_owner: &ByOwner) -> Result<Self> {
        let ids: Vec<UserId> = by_owner.keys().copied().flatten().collect();
        let found = store::owners(tx, &ids).await?.into_iter();
        Ok(Self(found.map(|(owner_id, name, team_id, team_name)| (owner_id, (name, team_id, team_name))).collect()))
    }

    fn shown(&self, by_owner: ByOwner, currency: &str) -> (Vec<ForecastOwner>, Vec<ForecastTeam>) {
        let mut owners = Vec::new();
        let mut by_team: BTreeMap<Option<TeamId>, (Option<String>, Expected)> = BTreeMap::new();
        for (owner_id, sums) in by_owner {
            let (owner_name, team_id, team_name) = match owner_id.and_then(|id| self.0.get(&id)) {
                Some((name, team_id, team_name)) => (Some(name.clone()), *team_id, team_name.clone()),
                None => (None, None, None),
            };
            by_team.entry(team_id).or_insert_with(|| (team_name.clone(), Expected::default())).1.add_all(&sums);
            let figures = sums.shown(currency);
            owners.push((sums.committed(), ForecastOwner { owner_id, owner_name, team_id, team_name, figures }));
        }
        let mut teams: Vec<_> = by_team
            .into_iter()
            .map(|(team_id, (team_name, sums))| {
                (sums.committed(), ForecastTeam { team_id, team_name, figures: sums.shown(currency) })
            })
            .collect();
        // Stable, so that equals stay in the order of their ids.
        owners.sort_by(|(left, _), (right, _)| right.cmp(left));
        teams.sort_by(|(left, _), (right, _)| right.cmp(left));
        let owners = owners.into_iter().map(|(_, owner)| owner).take(MOST_OWNERS).collect();
        (owners, teams.into_iter().map(|(_, team)| team).collect())
    }
}

/// The time that a forecast looks at.
struct Time {
    from: Date,
    until: Date,
    /// First and last day of each period.
    periods: Vec<(Date, Date)>,
    /// Which period each month is in.
    months: BTreeMap<String, usize>,
}

impl Time {
    /// That begins with the period of this day.
    fn from_now(today: Date, ForecastPeriods { length, count }: ForecastPeriods) -> Result<Self> {
        let long = length.months();
        let first = (u8::from(today.0.month()) - 1) / long * long;
        let month = |number: u8| -> Result<time::Date> {
            let (year, month) = (today.0.year() + i32::from(number / 12), number % 12 + 1);
            let month = time::Month::try_from(month).map_err(Error::internal)?;
            time::Date::from_calendar_date(year, month, 1).map_err(Error::internal)
        };
        let before = |day: time::Date| day.previous_day().ok_or_else(|| Error::internal("no day before this one"));
        let (mut periods, mut months) = (Vec::new(), BTreeMap::new());
        for (index, begin) in (first..).step_by(usize::from(long)).take(usize::from(count)).enumerate() {
            periods.push((Date(month(begin)?), Date(before(month(begin + long)?)?)));
            for number in begin..begin + long {
                let day = month(number)?;
                months.insert(format!("{:04}-{:02}", day.year(), u8::from(day.month())), index);
            }
        }
        let until = before(month(first + long * count)?)?;
        Ok(Self { from: Date(month(first)?), until: Date(until), periods, months })
    }

    fn first_month(&self) -> String {
        self.months.keys().next().cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{ForecastPeriods, PeriodLength, Time};

    fn time(day: &str, length: PeriodLength, count: u8) -> (String, String, usize, usize, String) {
        let time = Time::from_now(day.parse().expect("a date"), ForecastPeriods { length, count }).expect("a time");
        (time.from.to_string(), time.until.to_string(), time.periods.len(), time.months.len(), time.first_month())
    }

    #[test]
    fn the_time_is_the_running_period_and_those_after_it() {
        let are = |from: &str, until: &str, periods: usize, months: usize| {
            (from.to_owned(), until.to_owned(), periods, months, from[..7].to_owned())
        };
        let quarters = |day: &str| time(day, PeriodLength::Quarter, 4);
        assert_eq!(quarters("2026-01-01"), are("2026-01-01", "2026-12-31", 4, 12));
        assert_eq!(quarters("2026-03-31"), are("2026-01-01", "2026-12-31", 4, 12));
        assert_eq!(quarters("2026-04-01"), are("2026-04-01", "2027-03-31", 4, 12));
        assert_eq!(quarters("2027-12-31"), are("2027-10-01", "2028-09-30", 4, 12));
        assert_eq!(time("2027-12-31", PeriodLength::Quarter, 8), are("2027-10-01", "2029-09-30", 8, 24));
        assert_eq!(time("2028-02-29", PeriodLength::Month, 1), are("2028-02-01", "2028-02-29", 1, 1));
        assert_eq!(time("2027-12-31", PeriodLength::Month, 24), are("2027-12-01", "2029-11-30", 24, 24));
    }
}
