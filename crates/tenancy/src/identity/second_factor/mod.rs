//! The second factor: codes of an authenticator (RFC 6238) and, for the day the device is gone, recovery codes.
//!
//! Lives here: enrolling, confirming, replacing, turning off, recovery codes, giving a code in a session that has given none. The
//! login asks `prove` once the password was right.
//! Must stay true: the seed is sealed before the database sees it; a code works once, and so does a recovery code; wrong codes are
//! counted. Everything here works in a session that its organisation does not let in for want of a second factor: it goes through
//! functions that check the session themselves, and never through [`crate::Db::begin`].

mod codes;
mod model;
mod service;
mod store;

pub(super) use codes::Given;
pub use model::{
    CodeRequest, EnrollmentRequest, FirstCodeRequest, RecoveryCodes, SecondFactorSeed, SecondFactorStatus, TurnOffRequest,
};
pub use service::{PgSecondFactors, SecondFactors};
pub(super) use service::{Proved, password_hash, prove};
