//! Pipelines and their stages, and what stands in them. Only read here: changing them is not a part of this crate yet.

use async_trait::async_trait;
use crm_kernel::{Context, Filter, PipelineId, Result};
use crm_tenancy::Db;
use diesel::{Queryable, Selectable};
use serde::Serialize;

use crate::{
    pipeline_store as store,
    schema::{q_pipeline_stages, q_pipelines},
    summary::{self, PipelineSummary},
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

/// Pipelines of one organisation.
#[async_trait]
pub trait Pipelines: Send + Sync {
    /// The living pipelines with their stages.
    async fn list(&self, context: &Context) -> Result<PipelineList>;

    /// Counts and sums of the living deals that match, by stage, owner, team and month.
    async fn summary(&self, context: &Context, filter: &Filter) -> Result<PipelineSummary>;
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

    async fn summary(&self, context: &Context, filter: &Filter) -> Result<PipelineSummary> {
        summary::of(&mut self.db.begin(context).await?, filter).await
    }
}

fn with_stages(row: PipelineRow, stages: &[(PipelineId, Stage)]) -> Pipeline {
    let own = stages.iter().filter(|(pipeline, _)| *pipeline == row.id).map(|(_, stage)| stage.clone());
    let PipelineRow { id, name, is_default, position, version } = row;
    Pipeline { id, name, is_default, position, version, stages: own.collect() }
}
