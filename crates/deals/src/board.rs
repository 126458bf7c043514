//! The board: a pipeline's stages with the first cards of each, and what comes below a card.
//!
//! Must stay true: counts and sums are of all deals of a stage that match, not of the cards that are shown; cards stand as people have
//! placed them.

use std::collections::HashMap;

use crm_kernel::{DealId, Error, Filter, PipelineId, Result, Timestamp};
use crm_tenancy::Tx;
use serde::Serialize;

use crate::{
    board_store as cards,
    model::Deal,
    pipeline::{Stage, StageOutcome},
    pipeline_store as store, position,
    store::{base_currency, get},
    summary::{Figures, is_everything},
    sums::Sum,
};

/// Cards of each stage that a board begins with.
const FIRST_CARDS: i64 = 25;
/// Cards that are shown below a card.
const CARDS_BELOW: i64 = 100;

/// Digits of a position at most, as the column has it.
const LONGEST_POSITION: usize = 1_000;

/// The stages of one pipeline with their first cards.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct Board {
    /// The pipeline: the one that `pipeline_id` names, or the default one; null if there is none.
    pub pipeline_id: Option<PipelineId>,
    /// ISO 4217 code of the sums: the organisation's currency.
    pub currency: String,
    /// Its stages, in their order; none of a pipeline that is not there.
    pub stages: Vec<BoardStage>,
}

/// One column of the board.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct BoardStage {
    /// The key of the stage.
    pub stage: String,
    /// The stage as people read it.
    pub label: String,
    /// Whether deals in it are open, won or lost.
    pub outcome: StageOutcome,
    /// After how many days without a step a deal in it is too old; null if never.
    pub rotting_days: Option<i32>,
    /// How many deals of it match.
    pub count: i64,
    /// Sum of their amounts.
    pub amount: crm_kernel::Money,
    /// Sum of their amounts, each times its probability.
    pub weighted_amount: crm_kernel::Money,
    /// The first 25 cards, the top one first.
    pub data: Vec<BoardCard>,
    /// Whether there are more: `GET /deals/{id}/below` of the last card has them.
    pub has_more: bool,
}

/// Cards below another one.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct CardList {
    /// At most 100 cards of the stage.
    pub data: Vec<BoardCard>,
    /// Whether there are more.
    pub has_more: bool,
}

/// A deal on the board.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct BoardCard {
    /// The deal.
    pub deal: Deal,
    /// Since when it stands in its stage.
    pub entered_at: Timestamp,
    /// Whether it has stood there for more days than its stage says.
    pub is_rotting: bool,
}

/// The board of the deals that match.
pub(crate) async fn of(tx: &mut Tx, filter: &Filter) -> Result<Board> {
    store::require_affordable(tx, filter).await?;
    let pipeline_id = match filter.ids("pipeline_id").as_deref() {
        None => store::default_pipeline(tx).await?.ok_or_else(|| Error::invalid("/pipeline_id", "required", "is required"))?,
        Some([only]) => PipelineId(*only),
        Some(_) => return Err(Error::malformed("pipeline_id", "value", "a board shows one pipeline")),
    };
    let currency = base_currency(tx).await?;
    let stages = store::stages_of(tx, &[pipeline_id]).await?;
    let shown_id = (!stages.is_empty()).then_some(pipeline_id);
    let rows = if is_everything(filter) { store::kept_by_stage(tx).await? } else { store::by_stage(tx, filter).await? };
    let mut standing: HashMap<String, Sum> = HashMap::new();
    for (pipeline, stage, count, _, _, amount, weighted) in rows {
        if pipeline == pipeline_id {
            standing.insert(stage, Sum::new(count, amount, weighted));
        }
    }
    let mut shown = Vec::with_capacity(stages.len());
    for (_, stage) in stages {
        let sum = standing.remove(&stage.key).unwrap_or_default();
        let found = match sum.count {
            // Nobody came since, or will be seen by the next look.
            0 => Vec::new(),
            _ => cards::first(tx, filter, (pipeline_id, &stage.key), FIRST_CARDS + 1).await?,
        };
        shown.push(column(tx, stage, &sum, found, &currency).await?);
    }
    Ok(Board { pipeline_id: shown_id, currency, stages: shown })
}

async fn column(tx: &mut Tx, stage: Stage, sum: &Sum, found: Vec<Deal>, currency: &str) -> Result<BoardStage> {
    let Figures { count, amount, weighted_amount } = sum.shown(currency);
    let CardList { data, has_more } = dealt(tx, found, FIRST_CARDS, stage.rotting_days).await?;
    let Stage { key, label, outcome, rotting_days, .. } = stage;
    Ok(BoardStage { stage: key, label, outcome, rotting_days, count, amount, weighted_amount, data, has_more })
}

/// The cards of the same stage that match and stand below this one.
pub(crate) async fn below(tx: &mut Tx, id: DealId, filter: &Filter) -> Result<CardList> {
    store::require_affordable(tx, filter).await?;
    let deal = get(tx, id).await?;
    let stages = store::stages_of(tx, &[deal.pipeline_id]).await?;
    let rotting_days = stages.into_iter().find(|(_, stage)| stage.key == deal.stage).and_then(|(_, stage)| stage.rotting_days);
    let found = cards::below(tx, filter, &deal, CARDS_BELOW + 1).await?;
    dealt(tx, found, CARDS_BELOW, rotting_days).await
}

/// The position right below that deal in the stage that this one goes to, or above all others; `None` where nobody else
/// stands.
pub(crate) async fn position_below(
    tx: &mut Tx,
    id: DealId,
    stage: (PipelineId, &str),
    below: Option<DealId>,
) -> Result<Option<String>> {
    let above = match below {
        None => String::new(),
        Some(other) if other == id => return Err(Error::invalid("/below_id", "reference", "a deal does not stand below itself")),
        Some(other) => {
            let found = cards::place_of(tx, stage, other).await?;
            found.ok_or_else(|| Error::invalid("/below_id", "reference", "the stage has no such deal"))?
        }
    };
    let next = cards::next_place(tx, stage, &above, id).await?;
    if above.is_empty() && next.is_none() {
        return Ok(None);
    }
    let position = match &next {
        // Close to it, so that those who come later stand on top again.
        Some(next) if above.is_empty() => position::above(next),
        _ => position::between(&above, next.as_deref()),
    };
    if position.len() > LONGEST_POSITION {
        let message = "too many deals were placed right here: place it elsewhere, or move one of these two first";
        return Err(Error::invalid("/below_id", "too_close", message));
    }
    Ok(Some(position))
}

/// At most so many of these deals as cards; one more says that there are more.
async fn dealt(tx: &mut Tx, mut found: Vec<Deal>, most: i64, rotting_days: Option<i32>) -> Result<CardList> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let has_more = found.len() > most;
    found.truncate(most);
    let ids: Vec<DealId> = found.iter().map(|deal| deal.id).collect();
    let entered: HashMap<DealId, Timestamp> = cards::entered(tx, &ids).await?.into_iter().collect();
    let now = Timestamp::now();
    let card = |deal: Deal| {
        // A deal that was brought in without its way stands where it was created.
        let entered_at = entered.get(&deal.id).copied().unwrap_or(deal.created_at);
        let age = (now.0 - entered_at.0).whole_days();
        let is_rotting = rotting_days.is_some_and(|days| age >= i64::from(days));
        BoardCard { deal, entered_at, is_rotting }
    };
    Ok(CardList { data: found.into_iter().map(card).collect(), has_more })
}
