//! What a deal must keep when it is made or changed, where one value depends on another or on the database. All faults
//! at once.

use crm_kernel::{Date, DealId, Error, FieldError, Money, PipelineId, Result, currency, validation};
use crm_tenancy::{Tx, organizations};

use crate::{
    model::{DealChanges, NewDeal},
    parts_store,
    pipeline::{Stage, StageOutcome},
    pipeline_store,
    stage::{After, Asked, Before, Movement, StageStep, settle},
    store::{self, Held},
};

/// The new deal with everything that it leaves to the organisation, the pipeline and the day filled in; `faults` are those of its
/// custom fields.
pub(crate) async fn completed(tx: &mut Tx, new: NewDeal, faults: Vec<FieldError>) -> Result<NewDeal> {
    let ground = Ground::of(tx, std::slice::from_ref(&new)).await?;
    complete(&ground, new, faults)
}

/// The same of many, with no more questions to the database than for one.
pub(crate) async fn all_completed(tx: &mut Tx, all: Vec<NewDeal>, faults: Vec<Vec<FieldError>>) -> Result<Vec<NewDeal>> {
    let ground = Ground::of(tx, &all).await?;
    all.into_iter().zip(faults).map(|(new, faults)| complete(&ground, new, faults)).collect()
}

/// What new deals leave to the organisation, its pipelines and the day.
struct Ground {
    own_currency: String,
    default_pipeline: Option<PipelineId>,
    stages: Vec<(PipelineId, Stage)>,
    /// Asked for only when a deal begins closed.
    today: Option<Date>,
}

impl Ground {
    async fn of(tx: &mut Tx, all: &[NewDeal]) -> Result<Self> {
        let own_currency = store::base_currency(tx).await?;
        let default_pipeline = match all.iter().any(|new| new.pipeline_id.is_none()) {
            true => pipeline_store::default_pipeline(tx).await?,
            false => None,
        };
        let mut pipelines: Vec<PipelineId> = all.iter().filter_map(|new| new.pipeline_id.or(default_pipeline)).collect();
        pipelines.sort_unstable();
        pipelines.dedup();
        let stages = pipeline_store::stages_of(tx, &pipelines).await?;
        let begins_closed = |new: &NewDeal| {
            let pipeline = new.pipeline_id.or(default_pipeline);
            let stage = pipeline.and_then(|pipeline| named(&stages, pipeline, new.stage.as_deref()).ok());
            stage.is_some_and(|stage| stage.outcome != StageOutcome::Open)
        };
        let today = if all.iter().any(begins_closed) { Some(organizations::today(tx).await?) } else { None };
        Ok(Self { own_currency, default_pipeline, stages, today })
    }
}

fn complete(ground: &Ground, mut new: NewDeal, mut faults: Vec<FieldError>) -> Result<NewDeal> {
    let closing = StageStep { lost_reason: new.lost_reason.clone(), ..StageStep::default() };
    faults.extend(faults_of_values(&DealChanges::from(new.clone())));
    faults.extend(faults_of(&closing));
    let currency = new.currency.get_or_insert_with(|| ground.own_currency.clone());
    faults.extend(too_many_digits(new.amount.as_ref(), currency));
    new.pipeline_id = new.pipeline_id.or(ground.default_pipeline);
    let Some(pipeline) = new.pipeline_id else {
        faults.push(FieldError::new("/pipeline_id", "required", "there is no default pipeline"));
        return Err(Error::Invalid(faults));
    };
    match named(&ground.stages, pipeline, new.stage.as_deref()) {
        Ok(stage) => {
            // A stage that stays open asks for no day.
            let today = ground.today.filter(|_| stage.outcome != StageOutcome::Open);
            faults.extend(place(&mut new, stage, today));
        }
        Err(fault) => faults.push(fault),
    }
    none(faults).map(|()| new)
}

/// Puts a new deal into a stage, or says what forbids it.
fn place(new: &mut NewDeal, stage: &Stage, today: Option<Date>) -> Vec<FieldError> {
    let (actual_close_date, lost_reason) = (new.actual_close_date, new.lost_reason.as_deref());
    let after = match settle(stage, None, Asked { amount: new.amount.as_ref(), actual_close_date, lost_reason, today }) {
        Ok(after) => after,
        Err(faults) => return faults,
    };
    let another = new.probability.is_some_and(|given| given != after.probability);
    let fault = (another && stage.outcome != StageOutcome::Open).then(deal_closed);
    new.stage = Some(stage.key.clone());
    new.probability.get_or_insert(after.probability);
    new.actual_close_date = after.actual_close_date;
    new.lost_reason = after.lost_reason;
    fault.into_iter().collect()
}

/// The changes that put these values in place of a deal's; the way through the stages is not among them.
pub(crate) async fn replacement(tx: &mut Tx, held: &Held, new: NewDeal) -> Result<(DealChanges, Vec<FieldError>)> {
    let mut faults = Vec::new();
    let mut moved = |is_moved: bool, pointer: &str| {
        if is_moved {
            faults.push(FieldError::new(pointer, "use_stage", "move it with PUT …/stage"));
        }
    };
    moved(new.pipeline_id.is_some_and(|given| given != held.pipeline_id), "/pipeline_id");
    moved(new.stage.as_ref().is_some_and(|given| *given != held.stage), "/stage");
    moved(new.actual_close_date.is_some() && new.actual_close_date != held.actual_close_date, "/actual_close_date");
    moved(new.lost_reason.is_some() && new.lost_reason != held.lost_reason, "/lost_reason");

    let mut changes = DealChanges::from(new);
    if changes.currency.is_none() {
        changes.currency = Some(store::base_currency(tx).await?);
    }
    if changes.probability.is_none() {
        let stages = pipeline_store::stages_of(tx, &[held.pipeline_id]).await?;
        let stage = own_stage(&stages, held)?;
        changes.probability = (stage.outcome == StageOutcome::Open).then_some(stage.probability);
    }
    Ok((changes, faults))
}

/// Whether the deal may be changed so.
pub(crate) async fn judge(
    tx: &mut Tx,
    id: DealId,
    held: &Held,
    changes: &DealChanges,
    mut faults: Vec<FieldError>,
) -> Result<()> {
    faults.extend(faults_of_values(changes));
    if changes.amount.is_some() || changes.currency.is_some() {
        let amount = changes.amount.as_ref().unwrap_or(&held.amount);
        let code = changes.currency.as_ref().unwrap_or(&held.currency);
        faults.extend(too_many_digits(amount.as_ref(), code));
        faults.extend(against_lines(tx, id, held, amount.as_ref(), code).await?);
    }
    let probability_changes = changes.probability.is_some_and(|given| given != held.probability);
    if probability_changes {
        let stages = pipeline_store::stages_of(tx, &[held.pipeline_id]).await?;
        let is_open = own_stage(&stages, held)?.outcome == StageOutcome::Open;
        faults.extend((!is_open).then(deal_closed));
    }
    none(faults)
}

/// What this step makes of the deal.
pub(crate) async fn movement(tx: &mut Tx, id: DealId, held: &Held, step: &StageStep) -> Result<Movement> {
    let mut faults = faults_of(step);
    faults.extend(too_many_digits(step.amount.as_ref(), &held.currency));
    if step.amount.is_some() {
        faults.extend(against_lines(tx, id, held, step.amount.as_ref(), &held.currency).await?);
    }
    let pipeline_id = step.pipeline_id.unwrap_or(held.pipeline_id);
    let stages = pipeline_store::stages_of(tx, &[pipeline_id, held.pipeline_id]).await?;
    let stage = match named(&stages, pipeline_id, Some(&step.stage)) {
        Ok(stage) => stage,
        Err(fault) => {
            faults.push(fault);
            return Err(Error::Invalid(faults));
        }
    };
    let before = Before {
        same_stage: (pipeline_id, &stage.key) == (held.pipeline_id, &held.stage),
        outcome: own_stage(&stages, held)?.outcome,
        probability: held.probability,
        actual_close_date: held.actual_close_date,
        lost_reason: held.lost_reason.as_deref(),
    };
    let amount = step.amount.as_ref().or(held.amount.as_ref());
    let (actual_close_date, lost_reason) = (step.actual_close_date, step.lost_reason.as_deref());
    let today = today_to_close(tx, stage).await?;
    match settle(stage, Some(before), Asked { amount, actual_close_date, lost_reason, today }) {
        Ok(After { probability, actual_close_date, lost_reason }) if faults.is_empty() => {
            let (stage, amount) = (stage.key.clone(), amount.cloned());
            Ok(Movement { pipeline_id, stage, probability, amount, actual_close_date, lost_reason })
        }
        settled => {
            faults.extend(settled.err().unwrap_or_default());
            Err(Error::Invalid(faults))
        }
    }
}

/// The stage of this name, or the first one, of the pipeline. Another organisation's pipeline has no stages here, like
/// one that never was; a deleted one is refused by the database.
fn named<'a>(stages: &'a [(PipelineId, Stage)], pipeline: PipelineId, name: Option<&str>) -> Result<&'a Stage, FieldError> {
    let mut own = stages.iter().filter(|(owner, _)| *owner == pipeline).map(|(_, stage)| stage).peekable();
    if own.peek().is_none() {
        return Err(FieldError::new("/pipeline_id", "reference", "no such record"));
    }
    let found = own.find(|stage| name.is_none_or(|name| stage.key == name));
    found.ok_or_else(|| FieldError::new("/stage", "reference", "the pipeline has no such stage"))
}

/// The stage the deal stands in; a foreign key keeps it there.
fn own_stage<'a>(stages: &'a [(PipelineId, Stage)], held: &Held) -> Result<&'a Stage> {
    let found = named(stages, held.pipeline_id, Some(&held.stage));
    found.map_err(|_| Error::internal("a deal stands in a stage that is not there"))
}

/// Needed for a stage that closes, and asked for only then.
async fn today_to_close(tx: &mut Tx, stage: &Stage) -> Result<Option<Date>> {
    if stage.outcome == StageOutcome::Open { Ok(None) } else { organizations::today(tx).await.map(Some) }
}

fn too_many_digits(amount: Option<&Money>, code: &str) -> Option<FieldError> {
    let digits = currency::digits(code)?;
    let beyond = amount.is_some_and(|amount| amount.decimal_digits() > i64::from(digits));
    beyond.then(|| FieldError::new("/amount", "digits", format!("{code} has {digits} digits after the point")))
}

/// What is wrong with another amount or currency of a deal that has lines: it is worth their sum, in the currency of their prices.
async fn against_lines(tx: &mut Tx, id: DealId, held: &Held, amount: Option<&Money>, code: &str) -> Result<Option<FieldError>> {
    if amount == held.amount.as_ref() && code == held.currency {
        return Ok(None);
    }
    let Some(total) = parts_store::total_of(tx, id).await? else { return Ok(None) };
    if code != held.currency {
        return Ok(Some(FieldError::new(
            "/currency",
            "line_items",
            "the lines have prices in another currency: remove them first",
        )));
    }
    let another = amount != Some(&total);
    Ok(another.then(|| FieldError::new("/amount", "line_items", "the deal has lines and is worth their sum: change those")))
}

fn deal_closed() -> FieldError {
    FieldError::new("/probability", "deal_closed", "the probability of a closed deal cannot be changed")
}

/// Where all values that come in are judged, of new deals and of changed ones.
fn faults_of_values(changes: &DealChanges) -> Vec<FieldError> {
    faults_of(changes)
}

fn faults_of<T: garde::Validate<Context = ()>>(input: &T) -> Vec<FieldError> {
    input.validate().err().map(|report| validation::field_errors(&report)).unwrap_or_default()
}

fn none(faults: Vec<FieldError>) -> Result<()> {
    if faults.is_empty() { Ok(()) } else { Err(Error::Invalid(faults)) }
}
