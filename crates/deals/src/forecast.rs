//! What will be sold: the running quarter and the three after it, by month, owner and team, in the organisation's currency.
//!
//! Must stay true: no float, and a weighted amount is rounded once; every deal of the period is in one month, and in one owner's and
//! one team's figures, so that each of the three adds up to the total.

use std::collections::BTreeMap;

use bigdecimal::BigDecimal;
use crm_kernel::{Date, Error, Filter, Money, Result, TeamId, UserId};
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
/// A year, in months.
const MONTHS: u8 = 12;
/// From which probability of its stage on a deal is a commitment, in percent, where the stage does not say.
const COMMIT_FROM: i32 = 75;
/// From which on it belongs to the best case.
const BEST_CASE_FROM: i32 = 50;

/// The forecast of four quarters.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct Forecast {
    /// ISO 4217 code of every amount: the organisation's currency.
    pub currency: String,
    /// The first day of the running quarter, in the organisation's time zone.
    pub from: Date,
    /// The last day of the third quarter after it.
    pub until: Date,
    /// The whole period.
    pub total: ForecastFigures,
    /// Open deals that were expected before the period.
    pub overdue: ForecastFigures,
    /// Open deals that are expected after the period, or for no day.
    pub later: ForecastFigures,
    /// The twelve months of the period: won deals by the day of closing, open ones by the day expected.
    pub months: Vec<ForecastMonth>,
    /// The period by owner, the largest commitment first; at most the first 1,000.
    pub owners: Vec<ForecastOwner>,
    /// The period by the owners' team, the largest commitment first; owners without a team, and no owner, together have null.
    pub teams: Vec<ForecastTeam>,
}

impl Forecast {
    /// Takes out what owners and teams are called, for whoever may not know.
    pub fn hide_names(&mut self) {
        for owner in &mut self.owners {
            owner.owner_name = None;
            owner.team_name = None;
        }
        for team in &mut self.teams {
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
pub(crate) async fn of(tx: &mut Tx, filter: &Filter) -> Result<Forecast> {
    store::require_affordable(tx, filter).await?;
    let currency = base_currency(tx).await?;
    let period = Period::around(organizations::today(tx).await?)?;
    let mut places = BTreeMap::new();
    for (pipeline, stage) in store::all_stages(tx).await? {
        let place = match stage.outcome {
            StageOutcome::Open => Place::Open(stage.forecast_category.unwrap_or_else(|| category(stage.probability))),
            StageOutcome::Won => Place::Won,
            StageOutcome::Lost => Place::Nowhere,
        };
        places.insert((pipeline, stage.key), place);
    }
    let place =
        |key| places.get(&key).copied().ok_or_else(|| Error::internal("deals stand in more stages than are read at once"));

    let (mut total, mut overdue, mut later) = (Expected::default(), Expected::default(), Expected::default());
    let mut months: BTreeMap<String, Expected> = period.months.iter().map(|month| (month.clone(), Expected::default())).collect();
    for (month, pipeline, stage, count, amount, weighted) in store::expected_by_month(tx, filter, period.from).await? {
        let (place, sum) = (place((pipeline, stage))?, Sum::new(count, amount, weighted));
        match month {
            Some(month) if month < period.first_month() => overdue.add(place, &sum),
            Some(month) if months.contains_key(&month) => {
                months.entry(month).or_default().add(place, &sum);
                total.add(place, &sum);
            }
            _ => later.add(place, &sum),
        }
    }
    let mut by_owner: BTreeMap<Option<UserId>, Expected> = BTreeMap::new();
    for (owner, pipeline, stage, count, amount, weighted) in
        store::expected_by_owner(tx, filter, (period.from, period.until)).await?
    {
        by_owner.entry(owner).or_default().add(place((pipeline, stage))?, &Sum::new(count, amount, weighted));
    }
    let (owners, teams) = people(tx, by_owner, &currency).await?;
    let months = months.into_iter().map(|(month, sums)| ForecastMonth { month, figures: sums.shown(&currency) }).collect();
    Ok(Forecast {
        from: period.from,
        until: period.until,
        total: total.shown(&currency),
        overdue: overdue.shown(&currency),
        later: later.shown(&currency),
        months,
        owners,
        teams,
        currency,
    })
}

/// Where deals of a stage that does not say so belong.
fn category(probability: i32) -> ForecastCategory {
    match probability {
        COMMIT_FROM.. => ForecastCategory::Commit,
        BEST_CASE_FROM.. => ForecastCategory::BestCase,
        _ => ForecastCategory::Pipeline,
    }
}

async fn people(
    tx: &mut Tx,
    by_owner: BTreeMap<Option<UserId>, Expected>,
    currency: &str,
) -> Result<(Vec<ForecastOwner>, Vec<ForecastTeam>)> {
    let ids: Vec<UserId> = by_owner.keys().copied().flatten().collect();
    let mut known = BTreeMap::new();
    for (owner_id, name, team_id, team_name) in store::owners(tx, &ids).await? {
        known.insert(owner_id, (name, team_id, team_name));
    }
    let mut owners = Vec::new();
    let mut by_team: BTreeMap<Option<TeamId>, (Option<String>, Expected)> = BTreeMap::new();
    for (owner_id, sums) in by_owner {
        let (owner_name, team_id, team_name) = match owner_id.and_then(|id| known.remove(&id)) {
            Some((name, team_id, team_name)) => (Some(name), team_id, team_name),
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
    Ok((owners, teams.into_iter().map(|(_, team)| team).collect()))
}

/// Four quarters.
struct Period {
    from: Date,
    until: Date,
    months: Vec<String>,
}

impl Period {
    /// That begins with the quarter of this day.
    fn around(today: Date) -> Result<Self> {
        let first = (u8::from(today.0.month()) - 1) / 3 * 3;
        let month = |number: u8| -> Result<time::Date> {
            let (year, month) = (today.0.year() + i32::from(number / 12), number % 12 + 1);
            let month = time::Month::try_from(month).map_err(Error::internal)?;
            time::Date::from_calendar_date(year, month, 1).map_err(Error::internal)
        };
        let named = |number: u8| month(number).map(|day| format!("{:04}-{:02}", day.year(), u8::from(day.month())));
        let after = month(first + MONTHS)?;
        let until = after.previous_day().ok_or_else(|| Error::internal("no day before this one"))?;
        let months = (first..first + MONTHS).map(named).collect::<Result<_>>()?;
        Ok(Self { from: Date(month(first)?), until: Date(until), months })
    }

    fn first_month(&self) -> String {
        self.months.first().cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::Period;

    #[test]
    fn the_period_is_the_running_quarter_and_the_three_after_it() {
        let period = |day: &str| {
            let period = Period::around(day.parse().expect("a date")).expect("a period");
            (period.from.to_string(), period.until.to_string(), period.months.len(), period.first_month())
        };
        let are = |from: &str, until: &str| (from.to_owned(), until.to_owned(), 12, from[..7].to_owned());
        assert_eq!(period("2026-01-01"), are("2026-01-01", "2026-12-31"));
        assert_eq!(period("2026-03-31"), are("2026-01-01", "2026-12-31"));
        assert_eq!(period("2026-04-01"), are("2026-04-01", "2027-03-31"));
        assert_eq!(period("2027-12-31"), are("2027-10-01", "2028-09-30"));
    }
}
