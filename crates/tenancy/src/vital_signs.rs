//! How the database is: numbers about all organisations together, for whoever watches over the installation.
#![allow(clippy::disallowed_methods, reason = "a fixed text that calls a function which belongs to no tenant")]

use crm_kernel::Result;
use diesel::{
    QueryableByName, sql_query,
    sql_types::{BigInt, Double},
};
use diesel_async::RunQueryDsl;

use crate::{Db, expect::error};

/// What the database says of itself.
#[derive(Debug, Clone, Copy, PartialEq, QueryableByName)]
pub struct VitalSigns {
    /// Transactions that are open in this database, whoever opened them.
    #[diesel(sql_type = BigInt)]
    pub open_transactions: i64,
    /// Seconds since the oldest of them began; 0 without one.
    #[diesel(sql_type = Double)]
    pub oldest_transaction: f64,
    /// Seconds since the oldest that writes began: what was logged after it waits for its end before a reader of changes sees it.
    #[diesel(sql_type = Double)]
    pub feed_horizon: f64,
    /// Letters that wait to be sent.
    #[diesel(sql_type = BigInt)]
    pub letters_waiting: i64,
    /// Seconds for which the one that is due longest has been due; 0 without one.
    #[diesel(sql_type = Double)]
    pub letters_overdue: f64,
}

/// Asks the database.
///
/// # Errors
/// `Unavailable` when it is away.
pub async fn read(db: &Db) -> Result<VitalSigns> {
    let query = sql_query(
        "SELECT open_transactions, oldest_transaction, feed_horizon, letters_waiting, letters_overdue FROM app.vital_signs()",
    );
    query.get_result(&mut *db.connection().await?).await.map_err(error)
}
