//! The pool, and the one way through it: [`Db::begin`].
//!
//! Must stay true: no function outside this crate returns a connection.

#![allow(clippy::disallowed_methods, reason = "this module is the door that the others may not walk around")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crm_kernel::{Context, Error, Result, Role};
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel_async::{
    AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection,
    pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod, deadpool},
};
use futures_util::{FutureExt, future::join};
use tokio::runtime::Handle;

use crate::{
    Tx, begin, connect,
    passwords::{self, Place, Subject},
    shares::{Shares, Slot},
};

/// A pool of diesel-async connections, as an embedder brings it.
pub type Pool = deadpool::Pool<AsyncPgConnection>;

/// The database as one service sees it. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    pool: Pool,
    /// Which of those of this process it is.
    number: u64,
    /// None where one organisation may have all connections.
    shares: Option<Arc<Shares>>,
}

/// How busy the pool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolStatus {
    /// Connections at most.
    pub limit: usize,
    /// Connections that are open.
    pub open: usize,
    /// Connections that somebody has.
    pub in_use: usize,
    /// Who waits for one, or for a slot of the organisation's share.
    pub waiting: usize,
}

/// How many there have been.
static MADE: AtomicU64 = AtomicU64::new(0);

impl std::fmt::Debug for Db {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Db").field("pool", &self.pool.status()).finish()
    }
}

/// How [`Db::connect`] makes its pool.
#[derive(Debug, Clone, Copy)]
pub struct ConnectOptions {
    /// Connections at most.
    pub max_size: usize,
    /// How long a request waits for a free connection before it is refused as unavailable.
    pub wait: Duration,
    /// How long opening a connection may take.
    pub open: Duration,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self { max_size: 16, wait: Duration::from_secs(5), open: Duration::from_secs(5) }
    }
}

impl Db {
    /// Around a pool that the caller has made. Let it recycle with `RecyclingMethod::Fast`: the default asks the server before each
    /// use, and a request that is cut off just then costs its connection. One organisation may have all of its connections, unless
    /// [`Db::sharing_fairly`] says otherwise.
    #[must_use]
    pub fn new(pool: Pool) -> Self {
        Self { pool, number: MADE.fetch_add(1, Ordering::Relaxed), shares: None }
    }

    /// A place in the queue of hashes, which all databases of the process share, of the shares of these of this one.
    ///
    /// # Errors
    /// `Limited` when one of them has its share already, or too many wait.
    pub(crate) fn queue(&self, subjects: impl IntoIterator<Item = Subject>) -> Result<Place> {
        passwords::queue(subjects.into_iter().map(|subject| subject.of_database(self.number)))
    }

    /// Whose share this is, among all databases.
    pub(crate) fn own(&self, subject: Subject) -> Subject {
        subject.of_database(self.number)
    }

    /// The same, with a bound for each organisation: the pool divided by those that use it at the moment and one more. Whoever has its
    /// share waits this long for one of its own transactions to end.
    #[must_use]
    pub fn sharing_fairly(self, wait: Duration) -> Self {
        let shares = Shares::new(self.pool.status().max_size, wait);
        Self { shares: Some(shares), ..self }
    }

    /// How busy the pool is just now.
    #[must_use]
    pub fn status(&self) -> PoolStatus {
        let status = self.pool.status();
        let waiting = self.shares.as_ref().map_or(0, |shares| shares.waiting());
        let in_use = status.size.saturating_sub(status.available);
        PoolStatus { limit: status.max_size, open: status.size, in_use, waiting: status.waiting + waiting }
    }

    /// With a pool of its own, shared fairly by organisations. Opens nothing yet. Its connections live on the runtime that this is
    /// called on, whichever asks for them; where it is called on none, or that one has ended, on the one that asks.
    ///
    /// # Errors
    /// When the pool cannot be built from these options.
    pub fn connect(url: &str, options: ConnectOptions) -> Result<Self> {
        let mut config = ManagerConfig::default();
        // A dead connection is noticed by `begin`, which takes the next one; a test query each time costs a round trip.
        config.recycling_method = RecyclingMethod::Fast;
        // A connection lives on the runtime that opens it. A server's workers have runtimes of their own, which end before the program.
        let home = Handle::try_current().ok();
        config.custom_setup = Box::new(move |url| connect::establish_on(home.clone(), url.to_owned()).boxed());
        let manager = AsyncDieselConnectionManager::<AsyncPgConnection>::new_with_config(url, config);
        let pool = Pool::builder(manager)
            .max_size(options.max_size)
            .wait_timeout(Some(options.wait))
            .create_timeout(Some(options.open))
            .runtime(::deadpool::Runtime::Tokio1)
            .build()
            .map_err(Error::internal)?;
        Ok(Self::new(pool).sharing_fairly(options.wait))
    }

    /// Opens a transaction confined to the context's organisation, caller and role.
    ///
    /// # Errors
    /// `Unauthenticated` when the session has ended or the caller is no longer an active member; `Unavailable` when no
    /// connection can be had in time; `Limited` when the organisation has its fair share of the connections and got none back in time.
    pub async fn begin(&self, context: &Context) -> Result<Tx> {
        let mut slot = match &self.shares {
            Some(shares) => Some(shares.take(context.organization_id).await?),
            None => None,
        };
        // After a restart of the server every pooled connection is dead: go through them all, and one fresh, at most.
        let mut attempts = self.pool.status().max_size + 1;
        loop {
            attempts -= 1;
            match self.try_begin(context, &mut slot).await {
                Err(Attempt::Dead(_)) if attempts > 0 => {}
                Err(Attempt::Dead(error)) => return Err(Error::unavailable(error)),
                Err(Attempt::Refused(error)) => return Err(error),
                Ok(tx) => return Ok(tx),
            }
        }
    }

    async fn try_begin(&self, context: &Context, slot: &mut Option<Slot>) -> Result<Tx, Attempt> {
        let connection = self.pool.get().await.map_err(|error| Attempt::Refused(Error::unavailable(error)))?;
        // The guard exists before the first byte is sent: whatever happens from here on ends in a rollback.
        let mut tx = Tx::new(connection, context.organization_id, context.user_id, context.role);
        let connection = tx.shared().map_err(Attempt::Refused)?;
        let (mut first, mut second): (&AsyncPgConnection, &AsyncPgConnection) = (connection, connection);
        // Both travel together. `join` polls in this order, so that BEGIN is in the pipe before the settings.
        let begun = first.batch_execute("BEGIN");
        let called = begin::statement(context).get_result::<String>(&mut second);
        let (begun, role) = join(begun, called).await;
        begun.map_err(Attempt::from)?;
        let role: Role =
            role.map_err(Attempt::from)?.parse().map_err(|error: String| Attempt::Refused(Error::internal(error)))?;
        tx.role = role;
        tx.slot = slot.take();
        Ok(tx)
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// `Unavailable` when it does not.
    pub async fn ping(&self) -> Result<()> {
        let mut connection = self.connection().await?;
        connection.batch_execute("SELECT 1").await.map_err(Error::unavailable)
    }

    /// A connection without a tenant: for identity, which has functions of its own, and for the check at start-up.
    pub(crate) async fn connection(&self) -> Result<deadpool::Object<AsyncPgConnection>> {
        self.pool.get().await.map_err(Error::unavailable)
    }
}

enum Attempt {
    /// The connection was closed before it was used: another one may be alive.
    Dead(DieselError),
    Refused(Error),
}

impl From<DieselError> for Attempt {
    fn from(error: DieselError) -> Self {
        match error {
            DieselError::DatabaseError(DatabaseErrorKind::ClosedConnection, _) => Self::Dead(error),
            DieselError::DatabaseError(_, ref information) if information.message().contains("connection closed") => {
                Self::Dead(error)
            }
            error => Self::Refused(crate::expect::error(error)),
        }
    }
}
