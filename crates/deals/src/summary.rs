//! What stands in the pipelines, in figures: counts and sums by stage, owner, team and month, in the organisation's
//! currency. The database groups; here groups are put under their outcome and in their order.

use std::collections::BTreeMap;

use crm_kernel::{Condition, Error, Filter, Money, PipelineId, Result, TeamId, UserId};
use crm_tenancy::Tx;
use serde::Serialize;

use crate::{
    pipeline::{Stage, StageOutcome},
    pipeline_store as store,
    store::base_currency,
    sums::{Sum, Sums},
};

/// How many owners are shown.
const MOST_OWNERS: usize = 1_000;
/// How many months are shown: fifty years.
const MOST_MONTHS: usize = 600;

/// Counts and sums of living deals. A deal whose currency has no rate is counted, but is in no amount.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct PipelineSummary {
    /// ISO 4217 code of every amount: the organisation's currency.
    pub currency: String,
    /// How many deals have an amount in another currency without a rate: counted everywhere, in no amount.
    pub deals_without_base_amount: i64,
    /// Open deals.
    pub open: Figures,
    /// Won deals.
    pub won: Figures,
    /// Lost deals.
    pub lost: Figures,
    /// Won of won and lost, by count: `0.6315`; null when nothing is closed.
    pub win_rate: Option<String>,
    /// By stage, in the order of pipelines and stages; empty stages of living pipelines too.
    pub stages: Vec<StageFigures>,
    /// By owner, who won most first; at most the first 1,000.
    pub owners: Vec<OwnerFigures>,
    /// By the owners' team, which won most first; owners without a team, and no owner, together have null.
    pub teams: Vec<TeamFigures>,
    /// By month, oldest first, those without a date last; at most the newest 600.
    pub months: Vec<MonthFigures>,
}

impl PipelineSummary {
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

/// How many deals, and what they are worth together.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct Figures {
    /// How many.
    pub count: i64,
    /// Sum of their amounts.
    pub amount: Money,
    /// Sum of their amounts, each times its probability.
    pub weighted_amount: Money,
}

/// Deals in one stage.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct StageFigures {
    /// The pipeline of the stage.
    pub pipeline_id: PipelineId,
    /// The key of the stage.
    pub stage: String,
    /// The stage as people read it.
    pub label: String,
    /// Whether deals in it are open, won or lost.
    pub outcome: StageOutcome,
    /// How many.
    pub count: i64,
    /// Sum of their amounts.
    pub amount: Money,
    /// Sum of their amounts, each times its probability.
    pub weighted_amount: Money,
}

/// Deals of one owner.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct OwnerFigures {
    /// The member; null for deals without an owner.
    pub owner_id: Option<UserId>,
    /// The member's name.
    pub owner_name: Option<String>,
    /// The member's team.
    pub team_id: Option<TeamId>,
    /// The team's name.
    pub team_name: Option<String>,
    /// Open deals.
    pub open: Figures,
    /// Won deals.
    pub won: Figures,
    /// Lost deals.
    pub lost: Figures,
    /// Won of won and lost; null when nothing is closed.
    pub win_rate: Option<String>,
}

/// Deals of one team's members.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct TeamFigures {
    /// The team; null for owners without one and deals without an owner.
    pub team_id: Option<TeamId>,
    /// The team's name.
    pub team_name: Option<String>,
    /// Open deals.
    pub open: Figures,
    /// Won deals.
    pub won: Figures,
    /// Lost deals.
    pub lost: Figures,
    /// Won of won and lost; null when nothing is closed.
    pub win_rate: Option<String>,
}

/// Deals of one month: closed ones by the date of closing, open ones by the date expected.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct MonthFigures {
    /// `2017-03`; null for open deals without an expected date.
    pub month: Option<String>,
    /// Open deals.
    pub open: Figures,
    /// Won deals.
    pub won: Figures,
    /// Lost deals.
    pub lost: Figures,
}

/// The stages by what deals call them.
pub(crate) struct Stages(BTreeMap<(PipelineId, String), StageOutcome>);

impl Stages {
    pub(crate) fn of(all: &[(PipelineId, Stage)]) -> Self {
        Self(all.iter().map(|(pipeline, stage)| ((*pipeline, stage.key.clone()), stage.outcome)).collect())
    }

    pub(crate) fn outcome(&self, pipeline: PipelineId, stage: String) -> Result<StageOutcome> {
        let outcome = self.0.get(&(pipeline, stage)).copied();
        outcome.ok_or_else(|| Error::internal("deals stand in more stages than are read at once"))
    }
}

/// Whether nothing is asked, so that what is kept beside the deals is the answer.
pub(crate) fn is_everything(filter: &Filter) -> bool {
    filter.condition() == Condition::default()
}

/// The summary of the deals that match. Each statement sees what is committed when it begins: deals that change meanwhile may be in one
/// grouping and not yet in another.
pub(crate) async fn of(tx: &mut Tx, filter: &Filter) -> Result<PipelineSummary> {
    store::require_affordable(tx, filter).await?;
    let currency = base_currency(tx).await?;
    let all = store::all_stages(tx).await?;
    let stages = Stages::of(&all);
    let by_stage = match is_everything(filter) {
        true => store::kept_by_stage(tx).await?,
        false => store::by_stage(tx, filter).await?,
    };
    let (mut total, mut missing) = (Sums::default(), 0);
    let mut standing = BTreeMap::new();
    for (pipeline, stage, count, with_amount, with_base, amount, weighted) in by_stage {
        let sum = Sum::new(count, amount, weighted);
        total.add(stages.outcome(pipeline, stage.clone())?, &sum);
        missing += with_amount - with_base;
        standing.insert((pipeline, stage), sum);
    }
    let (owners, teams) = by_owner(tx, filter, &stages, &currency).await?;
    let months = by_month(tx, filter, &stages, &currency).await?;
    Ok(PipelineSummary {
        deals_without_base_amount: missing,
        open: total.open.shown(&currency),
        won: total.won.shown(&currency),
        lost: total.lost.shown(&currency),
        win_rate: total.win_rate(),
        stages: in_pipeline_order(tx, filter, all, &standing, &currency).await?,
        owners,
        teams,
        months,
        currency,
    })
}

/// A filter by pipeline leaves the other pipelines' empty stages out; deleted pipelines show where deals still stand.
async fn in_pipeline_order(
    tx: &mut Tx,
    filter: &Filter,
    all: Vec<(PipelineId, Stage)>,
    standing: &BTreeMap<(PipelineId, String), Sum>,
    currency: &str,
) -> Result<Vec<StageFigures>> {
    let asked = filter.ids("pipeline_id");
    let living: Vec<PipelineId> = store::living(tx).await?.into_iter().map(|pipeline| pipeline.id).collect();
    let place = |pipeline: PipelineId| living.iter().position(|living| *living == pipeline);
    let mut shown: Vec<(usize, StageFigures)> = Vec::new();
    for (pipeline_id, stage) in all {
        let sum = standing.get(&(pipeline_id, stage.key.clone()));
        let is_asked = asked.as_ref().is_none_or(|asked| asked.contains(&pipeline_id.uuid()));
        if sum.is_none() && !(is_asked && place(pipeline_id).is_some()) {
            continue;
        }
        let Figures { count, amount, weighted_amount } = sum.cloned().unwrap_or_default().shown(currency);
        let Stage { key: stage, label, outcome, .. } = stage;
        let figures = StageFigures { pipeline_id, stage, label, outcome, count, amount, weighted_amount };
        shown.push((place(pipeline_id).unwrap_or(usize::MAX), figures));
    }
    // Stable: the stages of a pipeline keep the order they were read in.
    shown.sort_by_key(|(place, _)| *place);
    Ok(shown.into_iter().map(|(_, figures)| figures).collect())
}

async fn by_owner(
    tx: &mut Tx,
    filter: &Filter,
    stages: &Stages,
    currency: &str,
) -> Result<(Vec<OwnerFigures>, Vec<TeamFigures>)> {
    let by_owner = sums_by_owner(tx, filter, stages).await?;
    let ids: Vec<UserId> = by_owner.keys().copied().flatten().collect();
    let mut people = BTreeMap::new();
    for (owner_id, name, team_id, team_name) in store::owners(tx, &ids).await? {
        people.insert(owner_id, (name, team_id, team_name));
    }
    let mut owners = Vec::new();
    let mut by_team: BTreeMap<Option<TeamId>, (Option<String>, Sums)> = BTreeMap::new();
    for (owner_id, sums) in by_owner {
        let (owner_name, team_id, team_name) = match owner_id.and_then(|id| people.remove(&id)) {
            Some((name, team_id, team_name)) => (Some(name), team_id, team_name),
            None => (None, None, None),
        };
        by_team.entry(team_id).or_insert_with(|| (team_name.clone(), Sums::default())).1.add_all(&sums);
        owners.push((sums, (owner_id, owner_name, team_id, team_name)));
    }
    let owners =
        most_won_first(owners).into_iter().take(MOST_OWNERS).map(|(sums, (owner_id, owner_name, team_id, team_name))| {
            let (open, won, lost) = (sums.open.shown(currency), sums.won.shown(currency), sums.lost.shown(currency));
            OwnerFigures { owner_id, owner_name, team_id, team_name, open, won, lost, win_rate: sums.win_rate() }
        });
    let teams = by_team.into_iter().map(|(team_id, (team_name, sums))| (sums, (team_id, team_name))).collect();
    let teams = most_won_first(teams).into_iter().map(|(sums, (team_id, team_name))| {
        let (open, won, lost) = (sums.open.shown(currency), sums.won.shown(currency), sums.lost.shown(currency));
        TeamFigures { team_id, team_name, open, won, lost, win_rate: sums.win_rate() }
    });
    Ok((owners.collect(), teams.collect()))
}

async fn by_month(tx: &mut Tx, filter: &Filter, stages: &Stages, currency: &str) -> Result<Vec<MonthFigures>> {
    let mut by_month = sums_by_month(tx, filter, stages).await?;
    let undated = by_month.remove_entry(&None);
    let too_many = by_month.len().saturating_sub(MOST_MONTHS);
    let months = by_month.into_iter().skip(too_many).chain(undated).map(|(month, sums)| {
        let (open, won, lost) = (sums.open.shown(currency), sums.won.shown(currency), sums.lost.shown(currency));
        MonthFigures { month, open, won, lost }
    });
    Ok(months.collect())
}

/// From what is kept beside the deals, where nothing is asked.
pub(crate) async fn sums_by_owner(tx: &mut Tx, filter: &Filter, stages: &Stages) -> Result<BTreeMap<Option<UserId>, Sums>> {
    if is_everything(filter) {
        return Ok(sums_of(store::kept_by_owner(tx).await?));
    }
    let mut by_owner: BTreeMap<_, Sums> = BTreeMap::new();
    for (owner, pipeline, stage, count, amount, weighted) in store::by_owner(tx, filter).await? {
        let outcome = stages.outcome(pipeline, stage)?;
        by_owner.entry(owner).or_default().add(outcome, &Sum::new(count, amount, weighted));
    }
    Ok(by_owner)
}

/// From what is kept beside the deals, where nothing is asked.
pub(crate) async fn sums_by_month(tx: &mut Tx, filter: &Filter, stages: &Stages) -> Result<BTreeMap<Option<String>, Sums>> {
    // One month more than is shown, because those without a date come first; each in every stage at most.
    let most_groups = i64::try_from((MOST_MONTHS + 1) * stages.0.len()).unwrap_or(i64::MAX);
    if is_everything(filter) {
        return Ok(sums_of(store::kept_by_month(tx, most_groups).await?));
    }
    let mut by_month: BTreeMap<_, Sums> = BTreeMap::new();
    for (month, pipeline, stage, count, amount, weighted) in store::by_month(tx, filter, most_groups).await? {
        let outcome = stages.outcome(pipeline, stage)?;
        by_month.entry(month).or_default().add(outcome, &Sum::new(count, amount, weighted));
    }
    Ok(by_month)
}

fn sums_of<K: Ord>(rows: Vec<store::ByOutcome<K>>) -> BTreeMap<Option<K>, Sums> {
    let mut sums: BTreeMap<_, Sums> = BTreeMap::new();
    for (key, outcome, count, amount, weighted) in rows {
        sums.entry(key).or_default().add(outcome, &Sum::new(count, amount, weighted));
    }
    sums
}

/// Stable, so that equals stay in the order of their ids.
pub(crate) fn most_won_first<T>(mut rows: Vec<(Sums, T)>) -> Vec<(Sums, T)> {
    rows.sort_by(|(left, _), (right, _)| right.won.amount.cmp(&left.won.amount));
    rows
}
