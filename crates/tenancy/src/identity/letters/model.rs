//! A letter on its way.

use serde_json::Value;
use uuid::Uuid;

/// A letter to be written and sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Letter {
    /// Its id in the queue.
    pub id: Uuid,
    /// What it is about: `confirm_registration`, `reset_password`, …; also the purpose that its link's secret is derived for.
    pub kind: String,
    /// The address it goes to.
    pub recipient: String,
    /// BCP 47 language tag of whoever reads it, as far as it is known.
    pub locale: String,
    /// What the secret of its link is derived from; none for a letter without a link.
    pub secret_id: Option<Uuid>,
    /// Names for its text. No secrets.
    pub details: Value,
    /// How often it has been tried, this time included.
    pub attempts: i32,
}

/// What a claim gives.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Claimed {
    /// To be sent by whoever claimed them, and by nobody else until the lease ends.
    pub letters: Vec<Letter>,
    /// Given up with this claim, each with why: they came too late or were tried too often.
    pub given_up: Vec<(Letter, String)>,
}

/// Why a letter could not be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It may work later.
    Temporary(String),
    /// It will never work, such as an address that cannot be.
    Permanent(String),
}
