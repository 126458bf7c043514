//! Open deals follow the exchange rates of the day, organisation by organisation.
//!
//! How a step is done stands in the database (`app.follow_organization_rates`). What is behind is seen in the deals themselves.
//! Must stay true: one organisation's failure is reported and holds up no other; programs that run at once share the organisations
//! and wait for none; a run is bounded.
#![allow(clippy::disallowed_methods, reason = "fixed texts that call functions which belong to no tenant")]

use crm_kernel::{Error, Result};
use diesel::{
    QueryableByName, sql_query,
    sql_types::{Integer, Nullable, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use tokio::sync::watch;
use uuid::Uuid;

use crate::{Db, expect::error, fault::Fault};

/// Deals of one step: each is written, logged and counted.
const STEP: i32 = 500;
/// Steps of one organisation in one run, more than any has deals for; what would be left waits for the next.
const MOST_STEPS: u32 = 2_000;
/// Organisations that are asked for at once.
const ORGANIZATIONS: i32 = 500;

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

#[derive(QueryableByName)]
struct Done {
    #[diesel(sql_type = Nullable<Integer>)]
    done: Option<i32>,
}

/// Goes once through all organisations; says how many deals have followed.
///
/// # Errors
/// `Unavailable` when the database is away.
pub(super) async fn follow(db: &Db, stop: &mut watch::Receiver<bool>) -> Result<i64> {
    let (mut done, mut last) = (0, Uuid::nil());
    loop {
        let found = organizations_behind(db, last).await?;
        for Found { id } in &found {
            match follow_one(db, *id, &mut done, stop).await {
                Err(error) if is_away(&error) => return Err(error),
                Err(error) => {
                    tracing::error!(%error, organization_id = %id, "deals of an organisation do not follow the exchange rates");
                }
                Ok(()) => {}
            }
            if *stop.borrow() {
                return Ok(done);
            }
        }
        match found.last() {
            Some(Found { id }) => last = *id,
            None => return Ok(done),
        }
    }
}

/// Whether it would be the same for every other organisation. A lock that somebody holds is this one's alone.
fn is_away(error: &Error) -> bool {
    matches!(Fault::of(error), Some(Fault::PoolWait | Fault::Connect | Fault::Lost))
}

/// Until none is behind, or another program is at it.
async fn follow_one(db: &Db, organization: Uuid, done: &mut i64, stop: &mut watch::Receiver<bool>) -> Result<()> {
    for _ in 0..MOST_STEPS {
        match step(db, organization).await? {
            None | Some(0) => return Ok(()),
            Some(part) => *done += i64::from(part),
        }
        if *stop.borrow_and_update() {
            return Ok(());
        }
    }
    Ok(())
}

async fn organizations_behind(db: &Db, last: Uuid) -> Result<Vec<Found>> {
    let query = sql_query("SELECT id FROM app.organizations_behind($1, $2) AS id");
    let query = query.bind::<SqlUuid, _>(last).bind::<Integer, _>(ORGANIZATIONS);
    query.load(&mut *db.connection().await?).await.map_err(error)
}

/// A statement by itself is a transaction by itself.
async fn step(db: &Db, organization: Uuid) -> Result<Option<i32>> {
    let query = sql_query("SELECT app.follow_organization_rates($1, $2) AS done");
    let query = query.bind::<SqlUuid, _>(organization).bind::<Integer, _>(STEP);
    query.get_result(&mut *db.connection().await?).await.map(|row: Done| row.done).map_err(error)
}
