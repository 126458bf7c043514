//! The board: a pipeline's stages with the first cards of each, and the further cards of a stage.
//!
//! Must stay true: counts and sums are of all deals of a stage that match, not of the cards that are shown; cards stand as people have
//! placed them; a page goes on in the stage and at the place where the one before it ended, whatever became of its last card.

use std::collections::HashMap;

use crm_kernel::{
    DealId, Direction, Error, Field, Filter, Kind, ListQuery, Page, PipelineId, Position, Result, Sort, Timestamp, fields,
};
use crm_tenancy::Tx;
use serde::Serialize;
use serde_json::json;

use crate::{
    board_store::{self as cards, Card},
    fields::FIELDS,
    model::Deal,
    pipeline::{Stage, StageOutcome},
    pipeline_store as store, position,
    store::base_currency,
    summary::{Figures, is_everything},
    sums::Sum,
};

/// Cards of each stage that a board begins with.
const FIRST_CARDS: u16 = 25;
/// Digits of a position at most, as the column has it.
const LONGEST_POSITION: usize = 1_000;

/// The order of cards. No list has it: what a place is worth is known beside the others of its stage alone.
static PLACE: Field = Field::shown("board_position", Kind::Text).sortable();

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
    /// Where they go on: `GET /deals/board/{stage}` takes it as `cursor`.
    pub page: CardPage,
}

/// Cards of one stage.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct CardList {
    /// Cards of the stage, the top one first.
    pub data: Vec<BoardCard>,
    /// Where they go on.
    pub page: CardPage,
}

/// Where the cards of a stage go on. How many there are, the stage says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct CardPage {
    /// Pass as `cursor` for the next page; null on the last.
    pub next_cursor: Option<String>,
    /// Whether there is a next page.
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

/// A question for the cards of one stage.
#[derive(Debug, Clone, PartialEq)]
pub struct CardsQuestion {
    stage: String,
    /// What was asked beside the stage, by which the cost is judged as the board's is.
    filter: Filter,
    query: ListQuery,
}

impl CardsQuestion {
    /// The first cards of this stage that match. The pipeline is the one that the filter names, or the default one.
    ///
    /// # Errors
    /// `Internal` when deals have no stage.
    pub fn new(stage: &str, filter: Filter, limit: u16) -> Result<Self> {
        let field = fields::find(FIELDS, "stage").ok_or_else(|| Error::internal("deals have a stage"))?;
        // Stage and filter are what a cursor is tied to.
        let asked = filter.clone().and_word(field, stage);
        let order = ListQuery::all(Sort { field: &PLACE, direction: Direction::Ascending });
        let query = ListQuery { of: "card", filter: asked, limit, ..order };
        Ok(Self { stage: stage.to_owned(), filter, query })
    }

    /// Continues behind a cursor of a board or of a page, in the pipeline where that was.
    ///
    /// # Errors
    /// `Malformed` when the cursor is damaged or was issued for another stage or filter.
    pub fn continue_after(mut self, cursor: &str) -> Result<Self> {
        self.query = self.query.continue_after(cursor)?;
        self.after()?;
        Ok(self)
    }

    /// Pipeline, place and id of the card behind which it goes on.
    fn after(&self) -> Result<Option<(PipelineId, String, DealId)>> {
        let Some(position) = &self.query.after else { return Ok(None) };
        let (pipeline, place): (PipelineId, String) = position.key()?;
        let is_place = place.len() <= LONGEST_POSITION && place.bytes().all(|digit| digit.is_ascii_hexdigit());
        if is_place { Ok(Some((pipeline, place, DealId(position.id)))) } else { Err(damaged()) }
    }
}

fn damaged() -> Error {
    Error::malformed("cursor", "cursor", "not a cursor of this list")
}

/// The board of the deals that match.
pub(crate) async fn of(tx: &mut Tx, filter: &Filter) -> Result<Board> {
    store::require_affordable(tx, filter).await?;
    let pipeline_id = named(tx, filter).await?;
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
    let mut top = match is_everything(filter) {
        true => {
            let keys = stages.iter().map(|(_, stage)| stage.key.clone()).collect();
            Some(cards::top_of_each(tx, pipeline_id, keys, i64::from(FIRST_CARDS) + 1).await?)
        }
        false => None,
    };
    let mut shown = Vec::with_capacity(stages.len());
    for (_, stage) in stages {
        let sum = standing.remove(&stage.key).unwrap_or_default();
        let question = CardsQuestion::new(&stage.key, filter.clone(), FIRST_CARDS)?;
        let found = match (sum.count, &mut top) {
            // Nobody came since, or will be seen by the next look.
            (0, _) => Vec::new(),
            (_, Some(top)) => top.remove(&stage.key).unwrap_or_default(),
            (_, None) => cards::after(tx, filter, (pipeline_id, &stage.key), None, rows_of(&question)).await?,
        };
        let CardList { data, page } = dealt(&question, found);
        let Figures { count, amount, weighted_amount } = sum.shown(&currency);
        let Stage { key, label, outcome, rotting_days, .. } = stage;
        shown.push(BoardStage { stage: key, label, outcome, rotting_days, count, amount, weighted_amount, data, page });
    }
    Ok(Board { pipeline_id: shown_id, currency, stages: shown })
}

/// The pipeline that a board shows.
async fn named(tx: &mut Tx, filter: &Filter) -> Result<PipelineId> {
    match filter.ids("pipeline_id").as_deref() {
        None => store::default_pipeline(tx).await?.ok_or_else(|| Error::invalid("/pipeline_id", "required", "is required")),
        Some([only]) => Ok(PipelineId(*only)),
        Some(_) => Err(Error::malformed("pipeline_id", "value", "a board shows one pipeline")),
    }
}

/// The cards that a question asks for. A stage that the pipeline does not have is `NotFound`.
pub(crate) async fn cards_of(tx: &mut Tx, question: &CardsQuestion) -> Result<CardList> {
    store::require_affordable(tx, &question.filter).await?;
    let after = question.after()?;
    let pipeline_id = match &after {
        // Another one may be the default since.
        Some((pipeline, ..)) => *pipeline,
        None => named(tx, &question.filter).await?,
    };
    let stages = store::stages_of(tx, &[pipeline_id]).await?;
    if stages.is_empty() {
        // A pipeline that is not there has no cards, as its board has no stages.
        return Ok(dealt(question, Vec::new()));
    }
    let stage = stages.into_iter().map(|(_, stage)| stage).find(|stage| stage.key == question.stage);
    let stage = stage.ok_or(Error::NotFound("stage"))?;
    let after = after.map(|(_, place, id)| (place, id));
    let found = cards::after(tx, &question.filter, (pipeline_id, &stage.key), after, rows_of(question)).await?;
    Ok(dealt(question, found))
}

/// One more than a page holds says that there are more.
fn rows_of(question: &CardsQuestion) -> i64 {
    i64::from(question.query.limit) + 1
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

/// A page of these deals as cards.
fn dealt(question: &CardsQuestion, found: Vec<Card>) -> CardList {
    let place = |(deal, _, place): &Card, _: &str| Position::new(json!([deal.pipeline_id, place]), deal.id);
    let Page { data, page } = Page::from_rows(&question.query, found, None, place);
    let now = Timestamp::now();
    let card = |(deal, entered_at, _): Card| {
        let is_rotting = deal.rots_at.is_some_and(|from| from <= now);
        BoardCard { deal, entered_at, is_rotting }
    };
    let page = CardPage { next_cursor: page.next_cursor, has_more: page.has_more };
    CardList { data: data.into_iter().map(card).collect(), page }
}
