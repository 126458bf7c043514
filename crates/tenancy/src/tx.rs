//! The guard of one tenant-scoped transaction.
//!
//! Must stay true: a connection goes back to the pool only after the database has said that the transaction is over.
//! A future dropped half way, a panic or a lost client therefore leave nothing to the next user of the connection.

use std::time::Duration;

use crm_kernel::{Error, OrganizationId, Result, Role, UserId};
use diesel::{
    QueryResult,
    query_builder::{AsQuery, QueryFragment, QueryId},
    result::Error as DieselError,
};
use diesel_async::{AsyncConnectionCore, AsyncPgConnection, SimpleAsyncConnection, pooled_connection::deadpool::Object};
use tokio::runtime::Handle;

use crate::{custom_fields::Remembered, shares::Slot};

/// How long a rollback may take before the connection is closed instead.
const ROLLBACK_PATIENCE: Duration = Duration::from_secs(5);

/// An open transaction that sees one organisation with one role. Diesel queries run on `&mut Tx`.
///
/// [`Tx::commit`] keeps the changes; dropping it undoes them. It is not a full connection on purpose: nobody can begin,
/// commit or set anything by hand on it.
pub struct Tx {
    connection: Unclean,
    /// How many savepoints are set. It is zero at every commit unless an attempt was cut off.
    open_attempts: u32,
    /// Of the organisation's share; given back after the connection.
    pub(crate) slot: Option<Slot>,
    pub(crate) organization_id: OrganizationId,
    pub(crate) user_id: UserId,
    pub(crate) role: Role,
    /// By what values of custom fields are judged here.
    pub(crate) custom_fields: Remembered,
}

impl std::fmt::Debug for Tx {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Tx")
            .field("organization_id", &self.organization_id)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

impl Tx {
    pub(crate) fn new(
        connection: Object<AsyncPgConnection>,
        organization_id: OrganizationId,
        user_id: UserId,
        role: Role,
    ) -> Self {
        Self {
            connection: Unclean(Some(connection)),
            open_attempts: 0,
            slot: None,
            organization_id,
            user_id,
            role,
            custom_fields: Remembered::new(),
        }
    }

    /// The organisation of this transaction. Statements carry it although the database confines them anyway: the
    /// planner then knows which tenant it plans for.
    #[must_use]
    pub fn organization_id(&self) -> OrganizationId {
        self.organization_id
    }

    /// The caller.
    #[must_use]
    pub fn user_id(&self) -> UserId {
        self.user_id
    }

    /// The role that memberships names: the truth, unlike the one in the context.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Refuses what the true role may never do: with a better word than the database has, and where it cannot refuse at all, because
    /// reading is the same to it whoever reads.
    ///
    /// # Errors
    /// `Forbidden` when `allowed` says no to the role.
    pub fn require(&self, allowed: fn(Role) -> bool, what: &'static str) -> Result<()> {
        if allowed(self.role) { Ok(()) } else { Err(Error::forbidden(format!("the role {} may not {what}", self.role))) }
    }

    /// Does something that may fail without costing the rest of the transaction: when `work` errs, what it did is undone and the
    /// transaction goes on as if it had not been tried. Attempts may lie within each other.
    ///
    /// Without it the first statement that fails ends the transaction, also when the program swallows the error. An attempt costs
    /// two round trips and a subtransaction, so what can be one statement should be one attempt.
    ///
    /// # Errors
    /// That of `work`. When an attempt is cut off (its future is dropped half way), nobody knows how much of it was done: the
    /// attempt around it fails, and the commit is refused.
    pub async fn attempt<T>(&mut self, work: impl AsyncFnOnce(&mut Self) -> Result<T>) -> Result<T> {
        // Counted before the first byte is sent and until the last answer is there: an attempt that is cut off stays counted.
        self.open_attempts += 1;
        let this = self.open_attempts;
        self.say(&format!("SAVEPOINT attempt_{this}")).await?;
        let worked = work(self).await;
        let kept = match worked {
            Ok(done) if self.open_attempts == this => {
                // Refused when a statement failed and `work` has swallowed it.
                self.say(&format!("RELEASE SAVEPOINT attempt_{this}")).await.map(|()| done)
            }
            Ok(_) => Err(Error::internal("an attempt was cut off")),
            Err(error) => Err(error),
        };
        if kept.is_err() {
            self.say(&format!("ROLLBACK TO SAVEPOINT attempt_{this}; RELEASE SAVEPOINT attempt_{this}")).await?;
        }
        self.open_attempts = this - 1;
        kept
    }

    async fn say(&mut self, statement: &str) -> Result<()> {
        let mut connection = self.shared()?;
        connection.batch_execute(statement).await.map_err(crate::expect::error)
    }

    /// Keeps the changes.
    ///
    /// # Errors
    /// When a statement failed earlier and the failure was swallowed, when an attempt was cut off, or when the answer is
    /// lost: nothing may be reported as saved then.
    pub async fn commit(mut self) -> Result<()> {
        if self.open_attempts > 0 {
            return Err(Error::internal("an attempt of this transaction was cut off"));
        }
        let connection = self.connection.get()?;
        // COMMIT on an aborted transaction rolls back without an error. The SELECT fails in that state, and a simple
        // query stops at its first failure, so COMMIT is reached only while the transaction is whole.
        let mut connection: &AsyncPgConnection = connection;
        connection.batch_execute("SELECT 1; COMMIT").await.map_err(crate::expect::error)?;
        self.connection.release();
        Ok(())
    }

    /// Undoes the changes, and returns when that is done: for whoever holds a lock that the caller's next request asks for. Dropping the
    /// transaction does the same without anybody waiting for it.
    pub async fn roll_back(mut self) {
        if let Some(connection) = self.connection.0.take() {
            roll_back(Unclean(Some(connection)), self.slot.take()).await;
        }
    }

    pub(crate) fn shared(&mut self) -> Result<&AsyncPgConnection> {
        self.connection.get().map(|connection| &*connection)
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        let Some(connection) = self.connection.0.take() else { return };
        let unclean = Unclean(Some(connection));
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(roll_back(unclean, self.slot.take()));
        }
    }
}

/// Asks the database to forget the transaction, then gives the connection back; a connection that does not answer in
/// time is closed, and the server forgets by itself. A query that was cut off is still in the pipe before the
/// ROLLBACK, so its effects are undone with the rest.
async fn roll_back(mut unclean: Unclean, slot: Option<Slot>) {
    let Ok(connection) = unclean.get() else { return };
    let mut connection: &AsyncPgConnection = connection;
    let rolled_back = tokio::time::timeout(ROLLBACK_PATIENCE, connection.batch_execute("ROLLBACK")).await;
    if matches!(rolled_back, Ok(Ok(()))) {
        unclean.release();
    }
    drop(unclean);
    drop(slot);
}

/// A connection that may be inside a transaction: dropped, it is closed instead of returned to the pool.
struct Unclean(Option<Object<AsyncPgConnection>>);

impl Unclean {
    fn get(&mut self) -> Result<&mut AsyncPgConnection> {
        self.0.as_deref_mut().ok_or_else(|| Error::internal("the transaction is already over"))
    }

    /// The database has confirmed the end of the transaction: back to the pool.
    fn release(&mut self) {
        self.0.take();
    }
}

impl Drop for Unclean {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(Object::take(connection));
        }
    }
}

impl SimpleAsyncConnection for Tx {
    /// Refused: whole SQL texts could end the transaction or change whose it is.
    async fn batch_execute(&mut self, _: &str) -> QueryResult<()> {
        Err(DieselError::QueryBuilderError("a tenant's transaction runs typed queries only".into()))
    }
}

impl AsyncConnectionCore for Tx {
    type LoadFuture<'conn, 'query> = <AsyncPgConnection as AsyncConnectionCore>::LoadFuture<'conn, 'query>;
    type ExecuteFuture<'conn, 'query> = <AsyncPgConnection as AsyncConnectionCore>::ExecuteFuture<'conn, 'query>;
    type Stream<'conn, 'query> = <AsyncPgConnection as AsyncConnectionCore>::Stream<'conn, 'query>;
    type Row<'conn, 'query> = <AsyncPgConnection as AsyncConnectionCore>::Row<'conn, 'query>;
    type Backend = diesel::pg::Pg;

    fn load<'conn, 'query, T>(&'conn mut self, source: T) -> Self::LoadFuture<'conn, 'query>
    where
        T: AsQuery + 'query,
        T::Query: QueryFragment<Self::Backend> + QueryId + 'query,
    {
        match self.connection.0.as_deref_mut() {
            Some(connection) => connection.load(source),
            None => Box::pin(async { Err(DieselError::BrokenTransactionManager) }),
        }
    }

    fn execute_returning_count<'conn, 'query, T>(&'conn mut self, source: T) -> Self::ExecuteFuture<'conn, 'query>
    where
        T: QueryFragment<Self::Backend> + QueryId + 'query,
    {
        match self.connection.0.as_deref_mut() {
            Some(connection) => connection.execute_returning_count(source),
            None => Box::pin(async { Err(DieselError::BrokenTransactionManager) }),
        }
    }
}
