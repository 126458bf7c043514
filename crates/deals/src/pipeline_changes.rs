//! Pipelines and stages as they come in, and the rules of what comes in. No SQL here.
//!
//! Must stay true: a new deal that names no stage begins in the first one, which therefore is open; there is a stage to win in and one
//! to lose in; a stage keeps its outcome, because the closing dates of its deals were checked against it.

use std::collections::{HashMap, HashSet};

use crm_kernel::{Error, FieldError, Result, validation, values::present};
use diesel::{AsChangeset, Insertable};
use serde::Deserialize;

use crate::{
    pipeline::{ForecastCategory, Stage, StageOutcome},
    schema::crm_pipelines,
};

/// Stages of a pipeline at most.
const MOST_STAGES: usize = 50;
/// Ten years: longer than any deal waits for its next step.
const MOST_ROTTING_DAYS: i32 = 3_650;

/// A stage as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct NewStage {
    /// Names it in deals, and tells it from the other stages of the pipeline: lower case letters, digits and `_`, at most 50.
    #[garde(custom(stage_key))]
    pub key: String,
    /// As people read it.
    #[garde(length(chars, max = 100), custom(validation::readable))]
    pub label: String,
    /// Whether deals in it are open, won or lost; open when absent. A stage that is there keeps it.
    #[serde(default = "open")]
    pub outcome: StageOutcome,
    /// How likely deals in it are to be won, in percent. An open stage needs it; 100 and 0 are what won and lost mean.
    #[serde(default)]
    #[garde(inner(range(min = 0, max = 100)))]
    pub probability: Option<i32>,
    /// After how many days without a step a deal in it is too old; absent or null if never. For open stages.
    #[serde(default)]
    #[garde(inner(range(min = 1, max = MOST_ROTTING_DAYS)))]
    pub rotting_days: Option<i32>,
    /// Where its deals belong in a forecast; absent or null if its probability decides. For open stages.
    #[serde(default)]
    pub forecast_category: Option<ForecastCategory>,
}

/// A pipeline to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct NewPipeline {
    /// What it is called.
    #[garde(length(chars, max = 255), custom(validation::readable))]
    pub name: String,
    /// Whether deals that name no pipeline go here from now on; the one that was the default before is it no more.
    #[serde(default)]
    pub is_default: bool,
    /// Its place; smaller comes first.
    #[serde(default)]
    pub position: i32,
    /// Its stages in their order, at most 50; the six that every organisation begins with when absent. The first one is open, and one
    /// at least is won and one lost.
    #[serde(default)]
    #[garde(custom(bounded), dive)]
    pub stages: Option<Vec<NewStage>>,
}

/// What is to be changed; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct PipelineChanges {
    /// What it is called.
    #[serde(default, deserialize_with = "present")]
    #[garde(inner(length(chars, max = 255)), inner(custom(validation::readable)))]
    pub name: Option<String>,
    /// True makes it the default; what is the default ceases to be it when another one is made the default.
    #[serde(default, deserialize_with = "present")]
    pub is_default: Option<bool>,
    /// Its place; smaller comes first.
    #[serde(default, deserialize_with = "present")]
    pub position: Option<i32>,
    /// All its stages in their order: those that are missing here are removed, those with a new key are added. A stage that deals
    /// stand in, also deleted ones, is removed only if `moves` says where they go.
    #[serde(default, deserialize_with = "present")]
    #[garde(custom(bounded), dive)]
    pub stages: Option<Vec<NewStage>>,
    /// Where the deals of stages go that are removed, deals in the bin too. Each is moved and logged as if by hand, under one operation id.
    /// A call moves about 10,000. When there are more it is 409 `more_deals`, and the same call goes on; stages that it added have raised the
    /// version, so the message says which one `If-Match` names then.
    #[serde(default, deserialize_with = "present")]
    #[garde(inner(length(max = MOST_STAGES)))]
    pub moves: Option<Vec<StageMove>>,
}

/// Where the deals of a stage go that is removed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
pub struct StageMove {
    /// The key of a stage that is removed.
    pub from: String,
    /// The key of a stage that stays or is added, with the same outcome.
    pub to: String,
}

fn open() -> StageOutcome {
    StageOutcome::Open
}

fn stage_key(key: &str, (): &()) -> garde::Result {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let fits = (1..=50).contains(&key.len()) && key.bytes().all(letter);
    if fits { Ok(()) } else { Err(garde::Error::new("key: lower case letters, digits and _, at most 50")) }
}

fn bounded(stages: &Option<Vec<NewStage>>, (): &()) -> garde::Result {
    let count = stages.as_ref().map_or(0, Vec::len);
    if count > MOST_STAGES { Err(garde::Error::new(format!("too_many: at most {MOST_STAGES} stages"))) } else { Ok(()) }
}

/// The columns of a pipeline that is made.
#[derive(Debug, Insertable)]
#[diesel(table_name = crm_pipelines)]
pub(crate) struct PipelineColumns {
    pub(crate) name: String,
    pub(crate) is_default: bool,
    pub(crate) position: i32,
}

/// The columns that a change of a pipeline may write.
#[derive(Debug, Default, AsChangeset)]
#[diesel(table_name = crm_pipelines)]
pub(crate) struct PipelineColumnChanges {
    pub(crate) name: Option<String>,
    pub(crate) is_default: Option<bool>,
    pub(crate) position: Option<i32>,
}

impl PipelineChanges {
    pub(crate) fn columns(&self) -> PipelineColumnChanges {
        PipelineColumnChanges { name: self.name.clone(), is_default: self.is_default, position: self.position }
    }
}

/// What a change of the stages comes to.
#[derive(Debug, Default)]
pub(crate) struct StagePlan {
    /// New ones and changed ones.
    pub(crate) written: Vec<Stage>,
    /// Keys of those that go.
    pub(crate) removed: Vec<String>,
}

impl StagePlan {
    pub(crate) fn is_empty(&self) -> bool {
        self.written.is_empty() && self.removed.is_empty()
    }
}

/// What every organisation begins with; the same as in the migration that makes it.
pub(crate) fn six_stages() -> Vec<Stage> {
    use StageOutcome::{Lost, Open, Won};
    let six = [
        ("prospecting", "Prospecting", 10, Open),
        ("qualification", "Qualification", 25, Open),
        ("proposal", "Proposal", 50, Open),
        ("negotiation", "Negotiation", 75, Open),
        ("closed_won", "Closed won", 100, Won),
        ("closed_lost", "Closed lost", 0, Lost),
    ];
    let stage = |(position, (key, label, probability, outcome)): (i32, (&str, &str, i32, StageOutcome))| Stage {
        key: key.into(),
        label: label.into(),
        position,
        probability,
        outcome,
        rotting_days: None,
        forecast_category: None,
    };
    (1..).zip(six).map(stage).collect()
}

/// The new pipeline's columns and stages.
pub(crate) fn judged_new(new: NewPipeline) -> Result<(PipelineColumns, Vec<Stage>)> {
    let faults = new.stages.as_deref().map(|stages| faults_of(stages, &[])).unwrap_or_default();
    validation::check_with(&new, faults)?;
    let stages = new.stages.map_or_else(six_stages, in_order);
    Ok((PipelineColumns { name: new.name, is_default: new.is_default, position: new.position }, stages))
}

/// What the change makes of the stages that are there.
pub(crate) fn judged_change(is_default: bool, current: &[Stage], changes: &PipelineChanges) -> Result<StagePlan> {
    let mut faults = changes.stages.as_deref().map(|stages| faults_of(stages, current)).unwrap_or_default();
    if is_default && changes.is_default == Some(false) {
        faults.push(FieldError::new("/is_default", "default_needed", "make another pipeline the default instead"));
    }
    faults.extend(faults_of_moves(changes, current));
    validation::check_with(changes, faults)?;
    Ok(changes.stages.clone().map(|stages| plan(current, &in_order(stages))).unwrap_or_default())
}

/// Which stages are to be written and which to go.
fn plan(current: &[Stage], wanted: &[Stage]) -> StagePlan {
    let kept: HashSet<&str> = wanted.iter().map(|stage| stage.key.as_str()).collect();
    let gone = current.iter().filter(|stage| !kept.contains(stage.key.as_str()));
    let removed = gone.map(|stage| stage.key.clone()).collect();
    let written = wanted.iter().filter(|stage| !current.contains(stage)).cloned().collect();
    StagePlan { written, removed }
}

/// With places from 1 and the probability that each outcome has.
fn in_order(stages: Vec<NewStage>) -> Vec<Stage> {
    let stage = |(position, stage): (i32, NewStage)| {
        let NewStage { key, label, outcome, probability, rotting_days, forecast_category } = stage;
        let probability = probability.unwrap_or(if outcome == StageOutcome::Won { 100 } else { 0 });
        Stage { key, label, position, probability, outcome, rotting_days, forecast_category }
    };
    (1..).zip(stages).map(stage).collect()
}

/// What is wrong with the stages as a whole, and with each beside what its own values say.
fn faults_of(stages: &[NewStage], current: &[Stage]) -> Vec<FieldError> {
    let before: HashMap<&str, StageOutcome> = current.iter().map(|stage| (stage.key.as_str(), stage.outcome)).collect();
    let mut faults = Vec::new();
    let mut seen = HashSet::new();
    for (index, stage) in stages.iter().enumerate() {
        let mut fault = |broken: bool, field: &str, code: &str, message: &str| {
            if broken {
                faults.push(FieldError::new(format!("/stages/{index}/{field}"), code, message));
            }
        };
        let (is_open, is_won) = (stage.outcome == StageOutcome::Open, stage.outcome == StageOutcome::Won);
        let fixed = if is_won { 100 } else { 0 };
        let moved = before.get(stage.key.as_str()).is_some_and(|before| *before != stage.outcome);
        fault(!seen.insert(stage.key.as_str()), "key", "duplicate", "another stage has this key");
        fault(moved, "outcome", "fixed", "a stage keeps its outcome: add one with another key");
        fault(index == 0 && !is_open, "outcome", "first_open", "deals begin in the first stage, so it is open");
        fault(is_open && stage.probability.is_none(), "probability", "required", "an open stage needs a probability");
        let another = stage.probability.is_some_and(|given| given != fixed);
        fault(!is_open && another, "probability", "fixed", "won means 100 percent and lost 0");
        fault(!is_open && stage.rotting_days.is_some(), "rotting_days", "only_when_open", "closed deals do not rot");
        let forecast = stage.forecast_category.is_some();
        fault(
            !is_open && forecast,
            "forecast_category",
            "only_when_open",
            "what is won is in every forecast, what is lost in none",
        );
    }
    for (outcome, sentence) in
        [(StageOutcome::Won, "one stage at least is won"), (StageOutcome::Lost, "one stage at least is lost")]
    {
        if !stages.iter().any(|stage| stage.outcome == outcome) {
            faults.push(FieldError::new("/stages", outcome.as_str(), sentence));
        }
    }
    faults
}

/// What is wrong with the moves: they lead from stages that go to others with the same outcome, so that closing dates and frozen rates stay
/// right.
fn faults_of_moves(changes: &PipelineChanges, current: &[Stage]) -> Vec<FieldError> {
    let wanted = changes.stages.as_deref().unwrap_or_default();
    let (mut faults, mut seen) = (Vec::new(), HashSet::new());
    for (index, StageMove { from, to }) in changes.moves.iter().flatten().enumerate() {
        let stays = changes.stages.is_none() || wanted.iter().any(|stage| stage.key == *from);
        let gone = current.iter().find(|stage| stage.key == *from).filter(|_| !stays);
        let target = wanted.iter().find(|stage| stage.key == *to);
        let mut fault = |field: &str, code: &str, message: &str| {
            faults.push(FieldError::new(format!("/moves/{index}/{field}"), code, message));
        };
        match (gone, target) {
            (None, _) => fault("from", "reference", "not a stage that is removed"),
            (_, None) => fault("to", "reference", "not one of the stages"),
            (Some(gone), Some(target)) if gone.outcome != target.outcome => fault("to", "outcome", "another outcome"),
            _ if !seen.insert(from) => fault("from", "duplicate", "another move is of this stage"),
            _ => {}
        }
    }
    faults
}

/// The refusal to remove stages that deals stand in. Who sent moves hears the version that the stages added for them have made.
pub(crate) fn in_use(keys: &[String], version: i32) -> Error {
    let message = format!(
        "deals stand in {}, perhaps in the bin: say in moves where they go. The version of the pipeline is {version} now, for If-Match",
        keys.join(", ")
    );
    Error::Conflict(vec![FieldError::new("/stages", "stage_in_use", message)])
}
