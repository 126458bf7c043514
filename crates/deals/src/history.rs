//! The way of a deal through the stages, as the database recorded it.

use crm_kernel::{Money, PipelineId, Timestamp, UserId};
use serde::Serialize;

/// The stages a deal has been in, oldest first; at most the first thousand stays.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct StageHistory {
    /// One entry for each stay in a stage.
    pub data: Vec<StageStay>,
}

/// One stay of a deal in a stage.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct StageStay {
    /// The pipeline of the stage.
    pub pipeline_id: PipelineId,
    /// The key of the stage.
    pub stage: String,
    /// The key of the stage before; null for the first.
    pub from_stage: Option<String>,
    /// When it came.
    pub entered_at: Timestamp,
    /// When it went; null while it is there.
    pub left_at: Option<Timestamp>,
    /// The key of the stage after; null while it is there.
    pub next_stage: Option<String>,
    /// What the deal was worth when it came.
    pub amount: Option<Money>,
    /// Who looked after the deal when it came.
    pub owner_id: Option<UserId>,
    /// Who moved it here.
    pub user_id: Option<UserId>,
    /// How long it stayed, in whole seconds; null while it is there.
    pub seconds: Option<i64>,
}

/// A stay as it is stored.
pub(crate) type StayRow = (
    PipelineId,
    String,
    Option<String>,
    Timestamp,
    Option<Timestamp>,
    Option<String>,
    Option<Money>,
    Option<UserId>,
    Option<UserId>,
);

impl StageStay {
    /// Shown in the digits of the deal's currency.
    pub(crate) fn of(row: StayRow, currency: &str) -> Self {
        let (pipeline_id, stage, from_stage, entered_at, left_at, next_stage, amount, owner_id, user_id) = row;
        let amount = amount.map(|amount| amount.in_currency(currency));
        let seconds = left_at.map(|left| (left.0 - entered_at.0).whole_seconds());
        Self { pipeline_id, stage, from_stage, entered_at, left_at, next_stage, amount, owner_id, user_id, seconds }
    }
}
