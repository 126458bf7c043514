//! The job that puts values of custom fields in order, converts them and clears what was left behind. What is to be done stands in the
//! database (`app.custom_field_work`); here it is only driven.
//!
//! Must stay true: any number of programs may run this at once, one works; a step is a transaction of its own that ends long before
//! the statement timeout; stopping waits for one step at most.
#![allow(clippy::disallowed_methods, reason = "a fixed text that calls a function which belongs to no tenant")]

use std::time::Duration;

use crm_kernel::Result;
use diesel::{
    QueryableByName, sql_query,
    sql_types::{BigInt, Integer},
};
use diesel_async::RunQueryDsl;
use tokio::sync::watch;

use crate::{Db, expect::error};

/// Records of one step.
const STEP: i32 = 500;
/// Between two steps: others write, too.
const BREATH: Duration = Duration::from_millis(20);
/// When there was nothing to do.
const PAUSE: Duration = Duration::from_secs(10);

#[derive(QueryableByName)]
struct Done {
    #[diesel(sql_type = BigInt)]
    done: i64,
}

/// One step of whatever there is to do; whether there may be more.
///
/// # Errors
/// `Unavailable` when the database is away; what a step itself may meet.
pub async fn step(db: &Db) -> Result<bool> {
    let query = sql_query("SELECT app.custom_field_work($1) AS done").bind::<Integer, _>(STEP);
    query.get_result(&mut *db.connection().await?).await.map(|row: Done| row.done > 0).map_err(error)
}

/// Works until `stop` holds true or its sender is gone.
pub async fn keep(db: &Db, mut stop: watch::Receiver<bool>) {
    loop {
        let pause = match step(db).await {
            Ok(true) => BREATH,
            Ok(false) => PAUSE,
            Err(error) => {
                tracing::warn!(%error, "a step of custom fields failed");
                PAUSE
            }
        };
        tokio::select! {
            _ = stop.wait_for(|stopped| *stopped) => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}
