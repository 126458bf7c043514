//! Changing all records that match a filter.
//!
//! Must stay true: nothing is locked for longer than a step of two hundred records takes; a record that somebody changes between the look
//! and the step is left alone and counted; more records than can be counted exactly are refused. With a key, whoever sends it again goes
//! on where it stopped, or gets the answer that it had.

use actix_web::http::StatusCode;
use crm_kernel::{
    Condition, Cost, Count, Cursor, Error, Expected, Filter, ListQuery, Object, OperationId, Page, Result, Role,
    page::COUNT_BOUND,
};
use crm_tenancy::{
    Tx,
    bulk::{self, Done, Key, Operation},
    idempotency::Request,
    idempotent_runs::{self, Run},
};
use serde_json::Value;
use uuid::Uuid;

use super::{
    BulkAnswer, Bulked, ChangesOf, Noun, RecordOf, below, object, permitted,
    progress::{Notes, State, Tally},
};
use crate::{
    answer::Record,
    body::typed,
    caller::PartsCaller,
    once::{Once, RequestKey},
    problem::Answer,
    question::{asked_at, every, narrowed},
    services::Services,
};

/// Records of one step, which is one transaction.
const STEP: u16 = 200;
/// Records that a dry run shows.
const SAMPLE: u16 = 10;
/// Whether it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// It is.
    Run,
    /// Only how many there are, and some of them: a dry run.
    Look,
}

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
    mut caller: PartsCaller,
    key: &RequestKey,
    filter: &str,
    what: &What,
    wanted: Wanted,
) -> Answer<Once<Bulked<RecordOf<N>>>> {
    let tx = services.db.begin(&caller.0.context).await?;
    // The true role, not the one that the token was issued with.
    tx.require(Role::is_manager, "change records by a filter")?;
    // Whoever may not list them may not find out about them by a filter.
    caller.permits(services, <N::Bulk as bulk::Noun>::ENTITY.name, "list", crate::policy::Access::Read, None)?;
    // What changes nothing is done again whenever it is asked.
    let request = key.request().filter(|_| wanted == Wanted::Run);
    let known = look(tx, request.as_ref()).await?;
    let query = query::<N>(services, &caller, filter).await?;
    let (notes, state, page) = match known {
        Run::Answered(answer) => return Ok(Once::again(answer)?),
        Run::Stopped(progress) => {
            let state: State = serde_json::from_value(progress.state).map_err(Error::internal)?;
            caller.0.context.operation_id = Some(state.operation_id);
            let page = N::list(services, &caller.0.context, &behind(&query, &state)).await?;
            (Notes::new(request, Some(progress.step)), state, page)
        }
        Run::New => {
            let limit = if wanted == Wanted::Look { SAMPLE } else { STEP };
            // The first look is what the planner is asked about: what it refuses has changed nothing. Once something is changed, nothing is
            // refused as too costly any more.
            let first = ListQuery { limit, count: Count::Bounded, cost: Cost::Unknown, ..query.clone() };
            let mut page = N::list(services, &caller.0.context, &first).await.map_err(|error| asked_at("/filter", error))?;
            let matched = page.page.total.take();
            if wanted == Wanted::Look {
                let sample = page.data.iter().map(|record| object(record).map(Object)).collect::<Result<_>>()?;
                let answer = BulkAnswer { matched, sample: Some(sample), ..BulkAnswer::default() };
                return Ok(Once::first(Bulked::new(StatusCode::OK, &answer)?)?);
            }
            if matched.is_none_or(|total| !total.exact) {
                let message = format!("more than {COUNT_BOUND} records match: narrow the filter");
                return Err(Error::invalid("/filter", "too_many", message).into());
            }
            let operation_id = caller.0.context.operation_id.unwrap_or_else(OperationId::generate);
            let state = State { operation_id, matched, after: None, tally: Tally::default() };
            let mut notes = Notes::new(request, None);
            begin(services, &caller, &mut notes, &state).await?;
            (notes, state, page)
        }
    };
    let state = Runner { services, caller: &caller, what, query: &query }.all_steps::<N>(notes, state, page).await?;
    Ok(Once::first(Bulked::new(StatusCode::OK, &state.answer())?)?)
}

/// What is known of the request, and nothing held of it any more: the next transaction asks again.
pub(crate) async fn look(mut tx: Tx, request: Option<&Request>) -> Result<Run> {
    let known = match request {
        Some(request) => idempotent_runs::look(&mut tx, request).await,
        None => Ok(Run::New),
    };
    tx.roll_back().await;
    known
}

/// The records that are asked for, a step at a time.
async fn query<N: Noun>(services: &Services, caller: &PartsCaller, filter: &str) -> Result<ListQuery> {
    // A program whose variable was never set must not change everything there is.
    if filter.trim().is_empty() {
        return Err(Error::malformed("/filter", "required", "say which records; all of them are those with version >= 1"));
    }
    let condition =
        Condition::parse(filter, &N::vocabulary()).map_err(|error| asked_at("/filter", Error::Malformed(vec![error])))?;
    let filter = narrowed(services, &caller.0, Filter::default(), Some(condition)).await;
    let filter = filter.map_err(|error| asked_at("/filter", error))?;
    Ok(ListQuery { filter, limit: STEP, count: Count::Skip, cost: Cost::Accepted, ..every::<N>() })
}

/// The records behind those that were looked at already.
fn behind(query: &ListQuery, state: &State) -> ListQuery {
    ListQuery { after: state.after.clone(), ..query.clone() }
}

/// Notes that the run has begun, so that whoever sends it again from now on is told.
async fn begin(services: &Services, caller: &PartsCaller, notes: &mut Notes, state: &State) -> Result<()> {
    let mut tx = services.db.begin(&caller.0.context).await?;
    match notes.hold(&mut tx).await {
        Ok(()) => notes.done(tx, state).await,
        Err(error) => {
            tx.roll_back().await;
            Err(error)
        }
    }
}

/// Who does what to which records.
struct Runner<'r> {
    services: &'r Services,
    caller: &'r PartsCaller,
    what: &'r What,
    query: &'r ListQuery,
}

impl Runner<'_> {
    async fn all_steps<N: Noun>(&self, mut notes: Notes, mut state: State, mut page: Page<RecordOf<N>>) -> Result<State> {
        loop {
            let cursor = page.page.next_cursor.take();
            let worked = self.step::<N>(&mut notes, &mut state, &page.data, cursor.as_deref()).await;
            let next = match (worked, cursor) {
                (Ok(()), None) => return Ok(state),
                (Ok(()), Some(_)) => N::list(self.services, &self.caller.0.context, &behind(self.query, &state)).await,
                (Err(error), _) => Err(error),
            };
            match next {
                Ok(next) => page = next,
                Err(error) => {
                    notes.leave(self.services, &self.caller.0, &state).await;
                    return Err(error);
                }
            }
        }
    }

    /// One transaction. What it has counted is in the state only when it is committed.
    async fn step<N: Noun>(
        &self,
        notes: &mut Notes,
        state: &mut State,
        records: &[RecordOf<N>],
        cursor: Option<&str>,
    ) -> Result<()> {
        let after = cursor.map(Cursor::decode).transpose()?.map(|cursor| cursor.position);
        let mut tx = self.services.db.begin(&self.caller.0.context).await?;
        let tally = match self.in_step::<N>(&mut tx, notes, state, records).await {
            Ok(tally) => tally,
            Err(error) => {
                tx.roll_back().await;
                return Err(error);
            }
        };
        let is_last = after.is_none();
        let done = State { operation_id: state.operation_id, matched: state.matched, after, tally };
        if is_last {
            notes.end(tx, &done.answer()).await?;
        } else {
            notes.done(tx, &done).await?;
        }
        *state = done;
        Ok(())
    }

    async fn in_step<N: Noun>(&self, tx: &mut Tx, notes: &Notes, state: &State, records: &[RecordOf<N>]) -> Result<Tally> {
        notes.hold(tx).await?;
        tx.require(Role::is_manager, "change records by a filter")?;
        let operations = records.iter().map(|record| self.what.operation::<N>(record)).collect::<Result<Vec<_>>>()?;
        let permit = |action: bulk::Action, id: Option<Uuid>| permitted::<N>(self.services, self.caller, action, id);
        let results = bulk::each(tx, operations, &permit).await;
        let mut tally = state.tally.clone();
        for (record, result) in records.iter().zip(results) {
            match result {
                Ok(Done::Updated(after)) if after.version() == record.version() => tally.unchanged += 1,
                Ok(_) => tally.changed += 1,
                Err(error) => tally.left(record.id(), &error),
            }
        }
        Ok(tally)
    }
}
