//! Deals of stages that go are moved to others.
//!
//! Must stay true: each deal is moved and logged as if by hand, all of one call under one operation id; no transaction moves more than a
//! step, no call more than its steps, and who sends it again goes on where it ended: what is left is seen in the deals; a deal keeps its
//! outcome, so that no date, reason or frozen rate becomes wrong.

use std::{collections::BTreeMap, slice};

use crm_kernel::{Context, Error, FieldError, OperationId, PipelineId, Result, Role};
use crm_tenancy::Db;

use crate::{
    pipeline::{Pipeline, Stage},
    pipeline_changes::StageMove,
    pipeline_store as store,
};

/// Deals of one step.
const STEP: usize = 500;
/// Steps of one call at most.
const MOST_STEPS: usize = 20;

/// From a stage to another.
#[derive(Debug)]
pub(crate) struct Leading {
    pub(crate) from: (PipelineId, String),
    pub(crate) to: (PipelineId, String),
    /// What a deal in it has.
    pub(crate) probability: i32,
}

/// Within one pipeline, as a change of it says. What it names was judged.
pub(crate) fn within(pipeline: &Pipeline, moves: &[StageMove], wanted: &[Stage]) -> Vec<Leading> {
    let probabilities: BTreeMap<&str, i32> =
        pipeline.stages.iter().chain(wanted).map(|stage| (stage.key.as_str(), stage.probability)).collect();
    let leading = |step: &StageMove| Leading {
        from: (pipeline.id, step.from.clone()),
        to: (pipeline.id, step.to.clone()),
        probability: probabilities.get(step.to.as_str()).copied().unwrap_or_default(),
    };
    moves.iter().map(leading).collect()
}

/// From all stages of a pipeline to those of another: to the one of the same key and outcome, or else to the first of that outcome.
pub(crate) fn into_another(gone: &Pipeline, target: &Pipeline) -> Vec<Leading> {
    let place = |stage: &Stage| {
        let mut same: Vec<&Stage> = target.stages.iter().filter(|other| other.outcome == stage.outcome).collect();
        same.sort_by_key(|other| other.key != stage.key);
        same.first().copied()
    };
    let leading = |stage: &Stage| {
        place(stage).map(|to| Leading {
            from: (gone.id, stage.key.clone()),
            to: (target.id, to.key.clone()),
            probability: to.probability,
        })
    };
    gone.stages.iter().filter_map(leading).collect()
}

/// The caller's context with an operation id, for all that a call changes.
pub(crate) fn one_operation(context: &Context) -> Context {
    Context { operation_id: Some(context.operation_id.unwrap_or_else(OperationId::generate)), ..context.clone() }
}

/// Moves the deals, a step at a time; each is a transaction of its own. `version` is the one that the pipeline has meanwhile: stages that
/// were added may have raised it, so that a refusal says it.
pub(crate) async fn all(db: &Db, context: &Context, leadings: &[Leading], version: i32) -> Result<()> {
    let (mut steps, mut moved) = (0, 0);
    for leading in leadings {
        loop {
            let mut tx = db.begin(context).await?;
            tx.require(Role::is_manager, "change pipelines")?;
            if steps == MOST_STEPS {
                let (pipeline, stage) = &leading.from;
                if store::in_use(&mut tx, *pipeline, slice::from_ref(stage)).await?.is_empty() {
                    break;
                }
                return Err(too_many(moved, version));
            }
            let step = store::lead(&mut tx, leading, STEP).await?;
            tx.commit().await?;
            moved += step;
            if step < STEP {
                break;
            }
            steps += 1;
        }
    }
    Ok(())
}

fn too_many(moved: usize, version: i32) -> Error {
    let message = format!(
        "{moved} deals were moved, and there are more: send it again to go on. The version of the pipeline is {version} now, for If-Match"
    );
    Error::Conflict(vec![FieldError::new("", "more_deals", message)])
}

/// The refusal of a change that named no version, and between whose steps somebody else changed the pipeline.
pub(crate) fn overtaken() -> Error {
    let message = "somebody else changed the pipeline while its deals were moved: look at it, and send it again to go on";
    Error::Conflict(vec![FieldError::new("", "changed_meanwhile", message)])
}
