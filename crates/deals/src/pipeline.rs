//! Pipelines and their stages, and what stands in them: the contract, and its keeping on PostgreSQL. What comes in is judged in
//! `pipeline_changes.rs`.
//!
//! Must stay true: a change of a stage is a change of its pipeline, which is held first; so two changes happen one after the other.

use async_trait::async_trait;
use crm_kernel::{Context, Error, Expected, FieldError, Filter, PipelineId, Result, Role};
use crm_tenancy::{Db, Tx};
use diesel::{Queryable, Selectable};
use serde::Serialize;

use crate::{
    board::{self, Board, CardList, CardsQuestion},
    forecast::{self, Forecast, ForecastPeriods},
    pipeline_changes::{self, NewPipeline, PipelineChanges, StageMove, StagePlan},
    pipeline_moves::{self, Leading},
    pipeline_store::{self as store, PIPELINE},
    schema::{q_pipeline_stages, q_pipelines},
    summary::{self, PipelineSummary},
    win_loss::{self, WinLoss},
};

crm_kernel::text_enum!(
    /// What standing in a stage means for a deal.
    StageOutcome {
        /// Nothing is decided.
        Open = "open",
        /// Sold.
        Won = "won",
        /// Not sold.
        Lost = "lost",
    }
);

crm_kernel::text_enum!(
    /// Where the open deals of a stage belong in a forecast.
    ForecastCategory {
        /// As good as sold.
        Commit = "commit",
        /// Well on its way.
        BestCase = "best_case",
        /// Open, and no more.
        Pipeline = "pipeline",
        /// In no forecast.
        Omitted = "omitted",
    }
);

/// A stage of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = q_pipeline_stages, check_for_backend(diesel::pg::Pg))]
pub struct Stage {
    /// Names it in deals; unique within the pipeline.
    pub key: String,
    /// As people read it.
    pub label: String,
    /// Its place; smaller comes first.
    pub position: i32,
    /// How likely deals in it are to be won, in percent.
    pub probability: i32,
    /// Whether deals in it are open, won or lost.
    pub outcome: StageOutcome,
    /// After how many days without a step a deal in it is too old; null if never.
    pub rotting_days: Option<i32>,
    /// Where its deals belong in a forecast; null if its probability decides: from 75 on commit, from 50 on best case.
    pub forecast_category: Option<ForecastCategory>,
}

/// A pipeline with its stages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct Pipeline {
    /// Its id.
    pub id: PipelineId,
    /// What it is called.
    pub name: String,
    /// Whether deals that name no pipeline go here.
    pub is_default: bool,
    /// Its place; smaller comes first.
    pub position: i32,
    /// Counts its changes, from 1.
    pub version: i32,
    /// Its stages in their order.
    pub stages: Vec<Stage>,
}

/// The pipelines of an organisation, in their order; at most the first 200.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct PipelineList {
    /// Every living pipeline.
    pub data: Vec<Pipeline>,
}

/// A pipeline as it is stored.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = q_pipelines, check_for_backend(diesel::pg::Pg))]
pub(crate) struct PipelineRow {
    pub(crate) id: PipelineId,
    pub(crate) name: String,
    pub(crate) is_default: bool,
    pub(crate) position: i32,
    pub(crate) version: i32,
}

/// Pipelines of one organisation. Another organisation's pipeline does not exist here: every method says `NotFound`. Everybody reads;
/// owner and admin change.
#[async_trait]
pub trait Pipelines: Send + Sync {
    /// The living pipelines with their stages.
    async fn list(&self, context: &Context) -> Result<PipelineList>;

    /// A living pipeline with its stages.
    async fn get(&self, context: &Context, id: PipelineId) -> Result<Pipeline>;

    /// A new one, with the six stages that every organisation begins with unless it says others. `Conflict` when there are 200.
    async fn create(&self, context: &Context, new: NewPipeline) -> Result<Pipeline>;

    /// Changes what is named; stages are named all together. `Conflict` when a stage that is missing holds deals and no move says where
    /// they go, or when they are more than one call moves: sent again, it goes on.
    async fn update(&self, context: &Context, id: PipelineId, expected: &Expected, changes: &PipelineChanges)
    -> Result<Pipeline>;

    /// Moves it to the bin. `Conflict` for the default one, and for one that holds living deals, unless it is said which pipeline they go
    /// to: each to the stage of the same key and outcome there, or else to the first of that outcome.
    async fn delete(&self, context: &Context, id: PipelineId, expected: &Expected, move_to: Option<PipelineId>) -> Result<()>;

    /// Brings it back; one that lives stays as it is. `Conflict` when there are 200.
    async fn restore(&self, context: &Context, id: PipelineId) -> Result<Pipeline>;

    /// Counts and sums of the living deals that match, by stage, owner, team and month.
    async fn summary(&self, context: &Context, filter: &Filter) -> Result<PipelineSummary>;

    /// The stages of one pipeline with the first cards of each, of the living deals that match.
    async fn board(&self, context: &Context, filter: &Filter) -> Result<Board>;

    /// A page of the cards of one stage. `NotFound` when the pipeline has no such stage; a pipeline that is not there has no cards.
    async fn cards(&self, context: &Context, question: &CardsQuestion) -> Result<CardList>;

    /// What of the living deals that match was won and what was lost.
    async fn win_loss(&self, context: &Context, filter: &Filter) -> Result<WinLoss>;

    /// What will be sold of the living deals that match, in the running period and those after it.
    async fn forecast(&self, context: &Context, filter: &Filter, periods: ForecastPeriods) -> Result<Forecast>;
}

/// Pipelines kept in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgPipelines {
    db: Db,
}

impl PgPipelines {
    /// On this database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// Moves the deals of stages that go, as the change says; gives the version that the pipeline has then. Stages that are new are there
    /// for them before the others go.
    async fn emptied(
        &self,
        context: &Context,
        id: PipelineId,
        expected: &Expected,
        (changes, moves): (&PipelineChanges, &[StageMove]),
    ) -> Result<Expected> {
        let mut tx = self.db.begin(context).await?;
        let current = held(&mut tx, id, expected).await?;
        let plan = pipeline_changes::judged_change(current.is_default, &current.stages, changes)?;
        let leadings = pipeline_moves::within(&current, moves, &plan.written);
        let is_new = |stage: &Stage| !current.stages.iter().any(|known| known.key == stage.key);
        let added: Vec<Stage> = plan.written.into_iter().filter(is_new).collect();
        let adding = StagePlan { written: added, removed: Vec::new() };
        store::write_stages(&mut tx, id, &adding.written).await?;
        store::update(&mut tx, id, &PipelineChanges::default().columns(), &adding).await?;
        let version = found(&mut tx, id).await?.version;
        tx.commit().await?;
        pipeline_moves::all(&self.db, context, &leadings, version).await?;
        Ok(Expected::OneOf(vec![version]))
    }

    /// Where the deals of a pipeline go that is deleted.
    async fn leadings(
        &self,
        context: &Context,
        id: PipelineId,
        expected: &Expected,
        target: PipelineId,
    ) -> Result<(Vec<Leading>, i32)> {
        let mut tx = self.db.begin(context).await?;
        let gone = held(&mut tx, id, expected).await?;
        if gone.is_default {
            return Err(Error::Conflict(vec![FieldError::new(
                "",
                "pipeline_default",
                "make another pipeline the default first",
            )]));
        }
        match found(&mut tx, target).await {
            Ok(target) if target.id != id => Ok((pipeline_moves::into_another(&gone, &target), gone.version)),
            Ok(_) | Err(Error::NotFound(_)) => {
                Err(Error::invalid("/move_deals_to", "reference", "not another pipeline of yours"))
            }
            Err(other) => Err(other),
        }
    }
}

#[async_trait]
impl Pipelines for PgPipelines {
    async fn list(&self, context: &Context) -> Result<PipelineList> {
        let mut tx = self.db.begin(context).await?;
        let pipelines = store::living(&mut tx).await?;
        let ids: Vec<PipelineId> = pipelines.iter().map(|pipeline| pipeline.id).collect();
        let stages = store::stages_of(&mut tx, &ids).await?;
        let data = pipelines.into_iter().map(|row| with_stages(row, &stages)).collect();
        Ok(PipelineList { data })
    }

    async fn get(&self, context: &Context, id: PipelineId) -> Result<Pipeline> {
        found(&mut self.db.begin(context).await?, id).await
    }

    async fn create(&self, context: &Context, new: NewPipeline) -> Result<Pipeline> {
        let mut tx = self.db.begin(context).await?;
        tx.require(Role::is_manager, "make pipelines")?;
        let (columns, stages) = pipeline_changes::judged_new(new)?;
        require_room(&mut tx).await?;
        if columns.is_default {
            store::clear_default(&mut tx).await?;
        }
        let id = store::insert(&mut tx, &columns).await?;
        store::write_stages(&mut tx, id, &stages).await?;
        let pipeline = found(&mut tx, id).await?;
        tx.commit().await?;
        Ok(pipeline)
    }

    async fn update(
        &self,
        context: &Context,
        id: PipelineId,
        expected: &Expected,
        changes: &PipelineChanges,
    ) -> Result<Pipeline> {
        let context = &pipeline_moves::one_operation(context);
        let ready = match changes.moves.as_deref() {
            None | Some([]) => None,
            Some(moves) => Some(self.emptied(context, id, expected, (changes, moves)).await?),
        };
        let mut tx = self.db.begin(context).await?;
        let current = match held(&mut tx, id, ready.as_ref().unwrap_or(expected)).await {
            // A version that the caller did not name is not what the caller hears about.
            Err(Error::Stale(_)) if matches!(expected, Expected::Any) => return Err(pipeline_moves::overtaken()),
            held => held?,
        };
        let plan = pipeline_changes::judged_change(current.is_default, &current.stages, changes)?;
        if !plan.removed.is_empty() {
            let in_use = store::in_use(&mut tx, id, &plan.removed).await?;
            if !in_use.is_empty() {
                return Err(pipeline_changes::in_use(&in_use, current.version));
            }
            store::remove_stages(&mut tx, &current, &plan.removed).await?;
        }
        store::write_stages(&mut tx, id, &plan.written).await?;
        if changes.is_default == Some(true) && !current.is_default {
            store::clear_default(&mut tx).await?;
        }
        store::update(&mut tx, id, &changes.columns(), &plan).await?;
        let pipeline = found(&mut tx, id).await?;
        tx.commit().await?;
        Ok(pipeline)
    }

    async fn delete(&self, context: &Context, id: PipelineId, expected: &Expected, move_to: Option<PipelineId>) -> Result<()> {
        let context = &pipeline_moves::one_operation(context);
        if let Some(target) = move_to {
            let (leadings, version) = self.leadings(context, id, expected, target).await?;
            pipeline_moves::all(&self.db, context, &leadings, version).await?;
        }
        let mut tx = self.db.begin(context).await?;
        held(&mut tx, id, expected).await?;
        store::delete(&mut tx, id).await?;
        tx.commit().await
    }

    async fn restore(&self, context: &Context, id: PipelineId) -> Result<Pipeline> {
        let mut tx = self.db.begin(context).await?;
        store::require_any(&mut tx, id).await?;
        tx.require(Role::is_manager, "restore pipelines")?;
        if found(&mut tx, id).await.is_err() {
            require_room(&mut tx).await?;
        }
        store::restore(&mut tx, id).await?;
        let pipeline = found(&mut tx, id).await?;
        tx.commit().await?;
        Ok(pipeline)
    }

    async fn summary(&self, context: &Context, filter: &Filter) -> Result<PipelineSummary> {
        summary::of(&mut self.db.begin(context).await?, filter).await
    }

    async fn board(&self, context: &Context, filter: &Filter) -> Result<Board> {
        board::of(&mut self.db.begin(context).await?, filter).await
    }

    async fn cards(&self, context: &Context, question: &CardsQuestion) -> Result<CardList> {
        board::cards_of(&mut self.db.begin(context).await?, question).await
    }

    async fn win_loss(&self, context: &Context, filter: &Filter) -> Result<WinLoss> {
        win_loss::of(&mut self.db.begin(context).await?, filter).await
    }

    async fn forecast(&self, context: &Context, filter: &Filter, periods: ForecastPeriods) -> Result<Forecast> {
        forecast::of(&mut self.db.begin(context).await?, filter, periods).await
    }
}

/// A living pipeline with its stages.
async fn found(tx: &mut Tx, id: PipelineId) -> Result<Pipeline> {
    let row = store::one(tx, id).await?;
    let stages = store::stages_of(tx, &[id]).await?;
    Ok(with_stages(row, &stages))
}

/// The pipeline as it stays until the transaction is over, if this caller may change it as it is: 404, 403, 412 in this order. All
/// pipelines are held, in one order: which one is the default is a matter between them.
async fn held(tx: &mut Tx, id: PipelineId, expected: &Expected) -> Result<Pipeline> {
    store::one(tx, id).await?;
    tx.require(Role::is_manager, "change pipelines")?;
    store::hold_all(tx).await?;
    let pipeline = found(tx, id).await?;
    if expected.accepts(pipeline.version) { Ok(pipeline) } else { Err(Error::Stale(PIPELINE.name)) }
}

/// One more must be shown by lists. Whoever adds one holds all the others, so that two at once count each other.
async fn require_room(tx: &mut Tx) -> Result<()> {
    store::hold_all(tx).await?;
    if store::living(tx).await?.len() < store::MOST_PIPELINES {
        return Ok(());
    }
    let message = format!("{} pipelines are the most: delete one first", store::MOST_PIPELINES);
    Err(Error::Conflict(vec![FieldError::new("", "too_many_pipelines", message)]))
}

fn with_stages(row: PipelineRow, stages: &[(PipelineId, Stage)]) -> Pipeline {
    let own = stages.iter().filter(|(pipeline, _)| *pipeline == row.id).map(|(_, stage)| stage.clone());
    let PipelineRow { id, name, is_default, position, version } = row;
    Pipeline { id, name, is_default, position, version, stages: own.collect() }
}
