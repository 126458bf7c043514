//! Changing all records that match a filter.
//!
//! Must stay true: nothing is locked for longer than a step of two hundred records takes; a record that somebody changes between the look
//! and the step is left alone and counted; more records than can be counted exactly are refused.

use std::collections::BTreeMap;

use crm_kernel::{Condition, Cost, Count, Error, Expected, Filter, ListQuery, Object, Result, Role, page::COUNT_BOUND};
use crm_tenancy::bulk::{self, Done, Key, Operation};
use serde_json::Value;
use uuid::Uuid;

use super::{BulkAnswer, ChangesOf, Left, Noun, RecordOf, below, object, permitted};
use crate::{
    answer::Record,
    body::typed,
    caller::PartsCaller,
    problem,
    question::{asked_at, every, narrowed},
    services::Services,
};

/// Records of one step, which is one transaction.
const STEP: u16 = 200;
/// Records that a dry run shows.
const SAMPLE: u16 = 10;
/// Ids that are named for one reason.
const NAMED: usize = 10;

/// What is done with each record.
pub(super) enum What {
    Set(Object),
    Delete,
}

impl What {
    /// # Errors
    /// `Malformed` when it is neither or both, or the change cannot be understood; `Invalid` when it breaks a rule.
    pub(super) fn read<N: Noun>(set: Option<Object>, delete: bool) -> Result<Self> {
        match (set, delete) {
            (Some(set), false) => changes::<N>(&set).map(|_| Self::Set(set)),
            (None, true) => Ok(Self::Delete),
            _ => Err(Error::malformed("", "either_or", "a run by filter has either set or \"delete\": true")),
        }
    }

    fn operation<N: Noun>(&self, record: &RecordOf<N>) -> Result<Operation<N::Bulk>> {
        let (key, expected) = (Key::Id(record.id()), Expected::OneOf(vec![record.version()]));
        match self {
            Self::Set(set) => Ok(Operation::Update(key, expected, Box::new(changes::<N>(set)?))),
            Self::Delete => Ok(Operation::Delete(key, expected)),
        }
    }
}

fn changes<N: Noun>(set: &Object) -> Result<ChangesOf<N>> {
    let changes: ChangesOf<N> = typed(Value::Object(set.0.clone())).map_err(|error| below("/set", error))?;
    crate::body::Input::check(&changes).map_err(|error| below("/set", error))?;
    Ok(changes)
}

/// Does it, or says what it would be done to.
pub(super) async fn run<N: Noun>(
    services: &Services,
    caller: &PartsCaller,
    filter: &str,
    what: What,
    dry_run: bool,
) -> Result<BulkAnswer> {
    let context = &caller.0.context;
    // The true role, not the one that the token was issued with.
    services.db.begin(context).await?.require(Role::is_manager, "change records by a filter")?;
    // Whoever may not list them may not find out about them by a filter.
    caller.permits(services, <N::Bulk as bulk::Noun>::ENTITY.name, "list", crate::policy::Access::Read, None)?;
    // A program whose variable was never set must not change everything there is.
    if filter.trim().is_empty() {
        return Err(Error::malformed("/filter", "required", "say which records; all of them are those with version >= 1"));
    }
    let condition =
        Condition::parse(filter, &N::vocabulary()).map_err(|error| asked_at("/filter", Error::Malformed(vec![error])))?;
    let filter = narrowed(services, &caller.0, Filter::default(), Some(condition)).await;
    let filter = filter.map_err(|error| asked_at("/filter", error))?;
    let mut query = ListQuery { filter, limit: if dry_run { SAMPLE } else { STEP }, ..every::<N>() };
    query.count = Count::Bounded;
    // The first look is what the planner is asked about: what it refuses has changed nothing. Once something is changed, nothing is refused
    // as too costly any more.
    let mut page = N::list(services, context, &query).await.map_err(|error| asked_at("/filter", error))?;
    let matched = page.page.total.take();
    let answer = BulkAnswer { operation_id: context.operation_id, matched, ..BulkAnswer::default() };
    if dry_run {
        let sample = page.data.iter().map(|record| object(record).map(Object)).collect::<Result<_>>()?;
        return Ok(BulkAnswer { operation_id: None, sample: Some(sample), ..answer });
    }
    if matched.is_none_or(|total| !total.exact) {
        let message = format!("more than {COUNT_BOUND} records match: narrow the filter");
        return Err(Error::invalid("/filter", "too_many", message));
    }
    (query.count, query.cost) = (Count::Skip, Cost::Accepted);
    let mut tally = Tally::default();
    loop {
        step::<N>(services, caller, &what, &page.data, &mut tally).await?;
        let Some(cursor) = page.page.next_cursor else { break };
        page = N::list(services, context, &query.clone().continue_after(&cursor)?).await?;
    }
    Ok(tally.into_answer(answer))
}

async fn step<N: Noun>(
    services: &Services,
    caller: &PartsCaller,
    what: &What,
    records: &[RecordOf<N>],
    tally: &mut Tally,
) -> Result<()> {
    let operations = records.iter().map(|record| what.operation::<N>(record)).collect::<Result<Vec<_>>>()?;
    let permit = |action: bulk::Action, id: Option<Uuid>| permitted::<N>(services, caller, action, id);
    let mut tx = services.db.begin(&caller.0.context).await?;
    tx.require(Role::is_manager, "change records by a filter")?;
    let results = bulk::each(&mut tx, operations, &permit).await;
    tx.commit().await?;
    for (record, result) in records.iter().zip(results) {
        match result {
            Ok(Done::Updated(after)) if after.version() == record.version() => tally.unchanged += 1,
            Ok(_) => tally.changed += 1,
            Err(error) => tally.left(record.id(), &error),
        }
    }
    Ok(())
}

/// What became of the records.
#[derive(Default)]
struct Tally {
    changed: usize,
    unchanged: usize,
    reasons: BTreeMap<String, Left>,
}

impl Tally {
    fn left(&mut self, id: Uuid, error: &Error) {
        let (_, problem) = problem::of_part(error);
        let text = |name: &str| problem.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (code, detail) = (text("code"), text("detail"));
        let reason = self.reasons.entry(code.clone()).or_insert(Left { code, detail, count: 0, ids: Vec::new() });
        reason.count += 1;
        if reason.ids.len() < NAMED {
            reason.ids.push(id);
        }
    }

    fn into_answer(self, answer: BulkAnswer) -> BulkAnswer {
        let reasons: Vec<Left> = self.reasons.into_values().collect();
        let left = reasons.iter().map(|reason| reason.count).sum();
        let (changed, unchanged) = (Some(self.changed), Some(self.unchanged));
        BulkAnswer { changed, unchanged, left: Some(left), reasons: Some(reasons), ..answer }
    }
}
