//! The rules of a deal's step to a stage: winning, losing, opening again, moving on. No SQL here.
//!
//! Must stay true: a closed deal has the date of its closing and an open one none; only a lost deal has a reason. The
//! database refuses the first on its own, whoever writes.

use crm_kernel::{Date, DealId, FieldError, Money, PipelineId, validation, values::nullable};
use diesel::AsChangeset;
use serde::Deserialize;

use crate::{
    pipeline::{Stage, StageOutcome},
    schema::crm_deals,
};

/// A step of a deal to a stage.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct StageStep {
    /// The key of the stage to go to.
    pub stage: String,
    /// The pipeline of that stage; the deal's own when absent.
    #[serde(default)]
    pub pipeline_id: Option<PipelineId>,
    /// When it was won or lost; today when absent. Only for a stage that closes.
    #[serde(default)]
    pub actual_close_date: Option<Date>,
    /// Why it was lost; required by a stage that means lost, refused by every other.
    #[serde(default)]
    #[garde(length(chars, max = 10_000), inner(custom(validation::storable)))]
    pub lost_reason: Option<String>,
    /// The deal of that stage that it stands right below on the board from now on; null for the top. When absent it keeps its place in
    /// its stage, and stands on top of another one.
    #[serde(default, deserialize_with = "nullable")]
    pub below_id: Option<Option<DealId>>,
    /// What it is worth from now on, in its own currency; as it is when absent.
    #[serde(default)]
    #[garde(inner(custom(validation::not_negative)))]
    pub amount: Option<Money>,
}

/// Where a deal stands before a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Before<'a> {
    /// Whether it is the stage the step goes to.
    pub(crate) same_stage: bool,
    pub(crate) outcome: StageOutcome,
    pub(crate) probability: i32,
    pub(crate) actual_close_date: Option<Date>,
    pub(crate) lost_reason: Option<&'a str>,
}

/// What the step asks for beside the stage.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// The amount after the step.
    pub(crate) amount: Option<&'a Money>,
    pub(crate) actual_close_date: Option<Date>,
    pub(crate) lost_reason: Option<&'a str>,
    /// In the organisation's time zone; of no use to an open stage, and not there then.
    pub(crate) today: Option<Date>,
}

/// What a deal has after a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct After {
    pub(crate) probability: i32,
    pub(crate) actual_close_date: Option<Date>,
    pub(crate) lost_reason: Option<String>,
}

/// The columns that a step writes, all of them.
#[derive(Debug, Clone, AsChangeset)]
#[diesel(table_name = crm_deals, treat_none_as_null = true)]
pub(crate) struct Movement {
    pub(crate) pipeline_id: PipelineId,
    pub(crate) stage: String,
    pub(crate) probability: i32,
    pub(crate) amount: Option<Money>,
    pub(crate) actual_close_date: Option<Date>,
    pub(crate) lost_reason: Option<String>,
}

/// What a deal has in this stage when it comes from `before`; a new deal comes from nowhere. Every rule that is broken
/// is in the error.
pub(crate) fn settle(stage: &Stage, before: Option<Before<'_>>, asked: Asked<'_>) -> Result<After, Vec<FieldError>> {
    let reason = asked.lost_reason.filter(|reason| !reason.trim().is_empty());
    let stays_so = before.filter(|before| before.outcome == stage.outcome);
    let same_stage = before.filter(|before| before.same_stage);
    let reason =
        if stage.outcome == StageOutcome::Lost { reason.or(stays_so.and_then(|before| before.lost_reason)) } else { reason };
    let stored = stays_so.and_then(|before| before.actual_close_date);
    let faults = faults(stage.outcome, reason, stored, asked);
    if !faults.is_empty() {
        return Err(faults);
    }
    let date = asked.actual_close_date.or(stored).or(asked.today);
    let probability = match (same_stage, stage.outcome) {
        (Some(before), _) => before.probability,
        (None, StageOutcome::Open) => stage.probability,
        (None, StageOutcome::Won) => 100,
        (None, StageOutcome::Lost) => 0,
    };
    let actual_close_date = date.filter(|_| stage.outcome != StageOutcome::Open);
    Ok(After { probability, actual_close_date, lost_reason: reason.map(ToOwned::to_owned) })
}

/// `stored` is the day on which it was closed as it is: that was judged when it was set, and may be written back.
fn faults(outcome: StageOutcome, reason: Option<&str>, stored: Option<Date>, asked: Asked<'_>) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let mut fault = |broken: bool, pointer: &str, code: &str, message: &str| {
        if broken {
            faults.push(FieldError::new(pointer, code, message));
        }
    };
    let is = |wanted: StageOutcome| outcome == wanted;
    let (date, open, lost) = (asked.actual_close_date, is(StageOutcome::Open), is(StageOutcome::Lost));
    fault(is(StageOutcome::Won) && asked.amount.is_none(), "/amount", "required_to_win", "a won deal has an amount");
    fault(open && date.is_some(), "/actual_close_date", "only_when_closed", "an open deal has no date of closing");
    fault(!open && date > asked.today && date != stored, "/actual_close_date", "future", "must not lie in the future");
    fault(lost && reason.is_none(), "/lost_reason", "required_when_lost", "say why it was lost");
    fault(!lost && reason.is_some(), "/lost_reason", "only_when_lost", "only a lost deal has a reason");
    faults
}
