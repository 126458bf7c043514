#![doc = include_str!("../README.md")]

mod bulk;
mod fields;
mod forecast;
mod history;
mod model;
mod pipeline;
mod pipeline_changes;
mod pipeline_store;
mod rules;
mod schema;
mod service;
mod stage;
mod store;
mod summary;
mod sums;
pub mod within;

pub use bulk::BulkDeals;
pub use fields::{FIELDS, VOCABULARY, default_sort};
pub use forecast::{Forecast, ForecastFigures, ForecastMonth, ForecastOwner, ForecastTeam};
pub use history::{StageHistory, StageStay};
pub use model::{Deal, DealChanges, NewDeal};
pub use pipeline::{ForecastCategory, PgPipelines, Pipeline, PipelineList, Pipelines, Stage, StageOutcome};
pub use pipeline_changes::{NewPipeline, NewStage, PipelineChanges};
pub use service::{Deals, PgDeals};
pub use stage::StageStep;
pub use summary::{Figures, MonthFigures, OwnerFigures, PipelineSummary, StageFigures, TeamFigures};
