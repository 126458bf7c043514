//! What was won and what was lost, and why: by reason, source, owner, team and month of closing, in the organisation's currency.
//!
//! Must stay true: open deals are in none of it; each grouping adds up to the total where all of its groups are shown.

use std::collections::BTreeMap;

use crm_kernel::{Filter, Money, Result, TeamId, UserId};
use crm_tenancy::Tx;
use serde::Serialize;

use crate::{
    pipeline_store as store,
    store::base_currency,
    summary::{Figures, Stages, most_won_first, sums_by_month, sums_by_owner},
    sums::{Sum, Sums},
};

/// How many reasons and sources are shown.
const MOST_GROUPS: usize = 100;
/// How many owners are shown.
const MOST_OWNERS: usize = 1_000;
/// How many months are shown: fifty years.
const MOST_MONTHS: usize = 600;

/// Closed deals in figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct WinLoss {
    /// ISO 4217 code of every amount: the organisation's currency.
    pub currency: String,
    /// All of them.
    pub total: ClosedFigures,
    /// Why deals were lost, the most frequent reason first; at most the first 100.
    pub reasons: Vec<ReasonFigures>,
    /// By source, the one that most deals of were closed first; at most the first 100.
    pub sources: Vec<SourceFigures>,
    /// By owner, who won most first; at most the first 1,000.
    pub owners: Vec<OwnerWinLoss>,
    /// By the owners' team, which won most first; owners without a team, and no owner, together have null.
    pub teams: Vec<TeamWinLoss>,
    /// By month of closing, oldest first; at most the newest 600.
    pub months: Vec<MonthWinLoss>,
}

impl WinLoss {
    /// Takes out what owners and teams are called, for whoever may not know.
    pub fn hide_names(&mut self) {
        for owner in &mut self.owners {
            owner.owner_name = None;
        }
        for team in &mut self.teams {
            team.team_name = None;
        }
    }
}

/// What was won and what was lost.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct ClosedFigures {
    /// Won deals.
    pub won: Figures,
    /// Lost deals.
    pub lost: Figures,
    /// Won of won and lost, by count: `0.6315`; null when nothing is closed.
    pub win_rate: Option<String>,
}

/// Deals that were lost for one reason.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct ReasonFigures {
    /// The reason, as it was written.
    pub lost_reason: String,
    /// How many deals.
    pub count: i64,
    /// Sum of their amounts.
    pub amount: Money,
}

/// Closed deals of one source.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct SourceFigures {
    /// The source; null for deals that name none.
    pub deal_source: Option<String>,
    /// Its deals.
    pub figures: ClosedFigures,
}

/// Closed deals of one owner.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct OwnerWinLoss {
    /// The member; null for deals without an owner.
    pub owner_id: Option<UserId>,
    /// The member's name.
    pub owner_name: Option<String>,
    /// The member's team.
    pub team_id: Option<TeamId>,
    /// Their deals.
    pub figures: ClosedFigures,
}

/// Closed deals of one team's members.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct TeamWinLoss {
    /// The team; null for owners without one and deals without an owner.
    pub team_id: Option<TeamId>,
    /// The team's name.
    pub team_name: Option<String>,
    /// Their deals.
    pub figures: ClosedFigures,
}

/// Deals that were closed in one month.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct MonthWinLoss {
    /// `2017-03`.
    pub month: String,
    /// Its deals.
    pub figures: ClosedFigures,
}

impl ClosedFigures {
    fn of(sums: &Sums, currency: &str) -> Self {
        Self { won: sums.won.shown(currency), lost: sums.lost.shown(currency), win_rate: sums.win_rate() }
    }
}

/// Of the deals that match.
pub(crate) async fn of(tx: &mut Tx, filter: &Filter) -> Result<WinLoss> {
    store::require_affordable(tx, filter).await?;
    let currency = base_currency(tx).await?;
    let stages = Stages::of(&store::all_stages(tx).await?);
    let months = sums_by_month(tx, filter, &stages).await?;
    let mut total = Sums::default();
    months.values().for_each(|sums| total.add_all(sums));
    let (owners, teams) = people(tx, filter, &stages, &currency).await?;
    let reasons = store::by_reason(tx, filter, MOST_GROUPS).await?;
    let reason = |(lost_reason, count, amount)| {
        let Figures { count, amount, .. } = Sum::new(count, amount, None).shown(&currency);
        ReasonFigures { lost_reason, count, amount }
    };
    let closed: Vec<_> = months.into_iter().filter(|(_, sums)| is_closed(sums)).collect();
    let skipped = closed.len().saturating_sub(MOST_MONTHS);
    let month = |(month, sums): (Option<String>, Sums)| {
        Some(MonthWinLoss { month: month?, figures: ClosedFigures::of(&sums, &currency) })
    };
    Ok(WinLoss {
        total: ClosedFigures::of(&total, &currency),
        reasons: reasons.into_iter().map(reason).collect(),
        sources: sources(tx, filter, &stages, &currency).await?,
        owners,
        teams,
        months: closed.into_iter().skip(skipped).filter_map(month).collect(),
        currency,
    })
}

fn is_closed(sums: &Sums) -> bool {
    sums.won.count + sums.lost.count > 0
}

async fn sources(tx: &mut Tx, filter: &Filter, stages: &Stages, currency: &str) -> Result<Vec<SourceFigures>> {
    let mut by_source: BTreeMap<Option<String>, Sums> = BTreeMap::new();
    for (source, pipeline, stage, count, amount, weighted) in store::by_source(tx, filter).await? {
        let sums = by_source.entry(source).or_default();
        sums.add(stages.outcome(pipeline, stage)?, &Sum::new(count, amount, weighted));
    }
    let mut rows: Vec<_> = by_source.into_iter().filter(|(_, sums)| is_closed(sums)).collect();
    // Stable, so that equals stay in the order of their names.
    rows.sort_by_key(|(_, sums)| std::cmp::Reverse(sums.won.count + sums.lost.count));
    let shown = |(deal_source, sums): (_, Sums)| SourceFigures { deal_source, figures: ClosedFigures::of(&sums, currency) };
    Ok(rows.into_iter().take(MOST_GROUPS).map(shown).collect())
}

async fn people(tx: &mut Tx, filter: &Filter, stages: &Stages, currency: &str) -> Result<(Vec<OwnerWinLoss>, Vec<TeamWinLoss>)> {
    let mut by_owner = sums_by_owner(tx, filter, stages).await?;
    by_owner.retain(|_, sums| is_closed(sums));
    let ids: Vec<UserId> = by_owner.keys().copied().flatten().collect();
    let known: BTreeMap<UserId, _> =
        store::owners(tx, &ids).await?.into_iter().map(|(id, name, team, team_name)| (id, (name, team, team_name))).collect();
    let (mut owners, mut by_team) = (Vec::new(), BTreeMap::<Option<TeamId>, (Option<String>, Sums)>::new());
    for (owner_id, sums) in by_owner {
        let person = owner_id.and_then(|id| known.get(&id));
        let (owner_name, team_id) = (person.map(|(name, ..)| name.clone()), person.and_then(|(_, team, _)| *team));
        let team_name = person.and_then(|(.., team_name)| team_name.clone());
        by_team.entry(team_id).or_insert_with(|| (team_name, Sums::default())).1.add_all(&sums);
        owners.push((sums, (owner_id, owner_name, team_id)));
    }
    let owners = most_won_first(owners).into_iter().take(MOST_OWNERS).map(|(sums, (owner_id, owner_name, team_id))| {
        OwnerWinLoss { owner_id, owner_name, team_id, figures: ClosedFigures::of(&sums, currency) }
    });
    let teams = by_team.into_iter().map(|(team_id, (team_name, sums))| (sums, (team_id, team_name))).collect();
    let teams = most_won_first(teams).into_iter().map(|(sums, (team_id, team_name))| TeamWinLoss {
        team_id,
        team_name,
        figures: ClosedFigures::of(&sums, currency),
    });
    Ok((owners.collect(), teams.collect()))
}
