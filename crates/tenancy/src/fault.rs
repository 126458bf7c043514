//! What kind of trouble with the database is behind an error: for those who count it.
//!
//! Rules that the database enforces are no trouble: a duplicate or a missing reference is an answer.

use crm_kernel::Error;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel_async::pooled_connection::{PoolError, deadpool};

/// Trouble with the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// No connection became free in time.
    PoolWait,
    /// A connection could not be opened.
    Connect,
    /// A connection was lost.
    Lost,
    /// A statement ran into its timeout.
    StatementTimeout,
    /// A statement waited too long for a lock, or was the victim of a deadlock.
    Lock,
    /// Anything else that is neither an answer nor one of these.
    Other,
}

impl Fault {
    /// The trouble behind an error, if it came from the database.
    #[must_use]
    pub fn of(error: &Error) -> Option<Self> {
        let (Error::Unavailable(source) | Error::TooSlow(source) | Error::Internal(source)) = error else { return None };
        if let Some(error) = source.downcast_ref::<deadpool::PoolError>() {
            return Some(match error {
                deadpool::PoolError::Timeout(::deadpool::managed::TimeoutType::Wait) => Self::PoolWait,
                _ => Self::Connect,
            });
        }
        if source.is::<PoolError>() {
            return Some(Self::Connect);
        }
        source.downcast_ref::<DieselError>().map(Self::of_statement)
    }

    fn of_statement(error: &DieselError) -> Self {
        let DieselError::DatabaseError(kind, information) = error else { return Self::Other };
        let says = |part: &str| information.message().contains(part);
        match kind {
            DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand => Self::Lost,
            DatabaseErrorKind::SerializationFailure => Self::Lock,
            _ if says("statement timeout") => Self::StatementTimeout,
            _ if says("lock timeout") || says("deadlock detected") => Self::Lock,
            _ if says("terminating connection") || says("connection closed") => Self::Lost,
            _ => Self::Other,
        }
    }

    /// One word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::PoolWait => "pool_wait",
            Self::Connect => "connect",
            Self::Lost => "lost",
            Self::StatementTimeout => "statement_timeout",
            Self::Lock => "lock",
            Self::Other => "other",
        }
    }
}
