//! Housekeeping: purging bins, emptying addresses, removing what nobody needs, making the log's coming partitions; and, organisation by
//! organisation, what `exchange_rates.rs` says.
//!
//! What is to be done stands in the database (`app.housekeeping_chores`), where a further table is a line. Here it is only driven: in
//! small steps, each a transaction of its own, so that nothing is held for long.
//! Must stay true: any number of programs may run this at once, one works at the chores, and at the rates of an organisation; a run is
//! bounded; stopping waits for one step at most.
#![allow(clippy::disallowed_methods, reason = "fixed texts that call functions which belong to no tenant")]

mod exchange_rates;

use std::{collections::BTreeMap, time::Duration};

use crm_kernel::{Error, Result};
use diesel::{
    QueryableByName, sql_query,
    sql_types::{BigInt, Integer, Text},
};
use diesel_async::RunQueryDsl;
use tokio::sync::watch;

use crate::{Db, expect::error};

/// Rows of one step: a purged record takes its parts along and is logged, so that this many stay far below the statement timeout.
const STEP: i32 = 500;
/// Steps of one chore in one run; what is left waits for the next.
const MOST_STEPS: u32 = 200;

/// When it runs.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// How long after its start a program begins.
    pub first: Duration,
    /// How long it rests between two runs.
    pub pause: Duration,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { first: Duration::from_secs(3 * 60), pause: Duration::from_secs(60 * 60) }
    }
}

#[derive(QueryableByName)]
struct Chore {
    #[diesel(sql_type = Text)]
    chore: String,
}

#[derive(QueryableByName)]
struct Done {
    #[diesel(sql_type = BigInt)]
    done: i64,
}

/// One run; says how much was done of each chore. A chore that fails is reported to the log and does not keep the others from
/// being done.
///
/// # Errors
/// `Unavailable` when the database is away.
pub async fn run(db: &Db) -> Result<BTreeMap<String, i64>> {
    run_until(db, &mut watch::channel(false).1).await
}

/// Runs again and again until `stop` holds true or its sender is gone. What was done of each chore is told to `told` after each run
/// that came to its end.
pub async fn keep(db: &Db, schedule: Schedule, mut stop: watch::Receiver<bool>, told: impl Fn(&BTreeMap<String, i64>)) {
    let mut pause = schedule.first;
    loop {
        tokio::select! {
            // The sender being gone means that the program ends.
            _ = stop.wait_for(|stopped| *stopped) => return,
            () = tokio::time::sleep(jittered(pause)) => {}
        }
        match run_until(db, &mut stop).await {
            Ok(done) => {
                tracing::info!(?done, "housekeeping");
                told(&done);
            }
            Err(error) => tracing::warn!(%error, "housekeeping failed"),
        }
        pause = schedule.pause;
    }
}

async fn run_until(db: &Db, stop: &mut watch::Receiver<bool>) -> Result<BTreeMap<String, i64>> {
    let query = sql_query("SELECT chore FROM app.housekeeping_chores() AS chore");
    let chores: Vec<Chore> = query.load(&mut *db.connection().await?).await.map_err(error)?;
    let mut all = BTreeMap::new();
    for Chore { chore } in chores {
        let mut done = 0;
        for _ in 0..MOST_STEPS {
            if *stop.borrow_and_update() {
                return Ok(all);
            }
            match step(db, &chore).await {
                Ok(part) => {
                    done += part;
                    if part < i64::from(STEP) {
                        break;
                    }
                }
                Err(error @ Error::Unavailable(_)) => return Err(error),
                Err(error) => {
                    tracing::error!(%error, chore, "a chore of housekeeping failed");
                    break;
                }
            }
        }
        all.insert(chore, done);
    }
    all.insert("exchange_rates".into(), exchange_rates::follow(db, stop).await?);
    Ok(all)
}

/// A statement by itself is a transaction by itself.
async fn step(db: &Db, chore: &str) -> Result<i64> {
    let query = sql_query("SELECT app.housekeeping($1, $2) AS done").bind::<Text, _>(chore).bind::<Integer, _>(STEP);
    query.get_result(&mut *db.connection().await?).await.map(|row: Done| row.done).map_err(error)
}

/// A tenth longer or shorter, so that programs that started together do not work together.
fn jittered(pause: Duration) -> Duration {
    let mut random = [0_u8; 2];
    // Without chance it is merely less evenly spread.
    let chance = getrandom::fill(&mut random).map_or(0.5, |()| f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX));
    pause.mul_f64(0.9 + 0.2 * chance)
}
