//! How much is too much: requests from one address, by one caller, of one organisation.
//!
//! Lives here: what is counted, and where it stands afterwards. Logins and letters have throttles of their own in the database, which
//! survive everything; these here protect the program from floods and may forget.
//! Must stay true: a request counts in all buckets that it concerns or in none; one organisation's flood takes nothing from another;
//! nobody is refused because a place to count in is away.

pub mod bucket;
mod entrances;
mod local;
mod middleware;
pub mod redis;

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use async_trait::async_trait;
use crm_kernel::{Context, Error, Result};

use crate::current;
use bucket::{Limit, Policy, Standing};
use entrances::Entrances;
use local::Local;

pub use middleware::by_address;

/// What is too much.
#[derive(Debug, Clone, Copy)]
pub struct Policies {
    /// From one address, or one network of IPv6 as a household has it.
    pub address: Limit,
    /// By one person in all sessions, by all API tokens of one person or service user, and by one session that is about its person's own
    /// ways in.
    pub caller: Limit,
    /// By all of one organisation together.
    pub organization: Limit,
}

impl Default for Policies {
    fn default() -> Self {
        let minute = |requests| Limit::On(Policy { requests, seconds: 60 });
        Self { address: minute(6000), caller: minute(1200), organization: minute(6000) }
    }
}

impl Policies {
    /// Nothing is counted.
    pub const OFF: Self = Self { address: Limit::Off, caller: Limit::Off, organization: Limit::Off };
}

/// One bucket that a request counts in.
#[derive(Debug, Clone)]
pub struct Charge {
    /// What clients call it: `caller`.
    name: &'static str,
    key: String,
    policy: Policy,
}

/// A bucket as an answer tells of it.
#[derive(Debug, Clone, Copy)]
pub struct Level {
    /// What clients call it.
    pub name: &'static str,
    /// What it allows.
    pub policy: Policy,
    /// How it stands.
    pub standing: Standing,
}

/// Where requests are counted.
#[async_trait]
pub trait Buckets: Send + Sync + std::fmt::Debug {
    /// Counts a request in all of these buckets or, where one has no room, in none; how each stands, in their order. `subject` is
    /// what they have in common.
    async fn take(&self, subject: &str, charges: &[Charge]) -> Vec<Standing>;

    /// Whether other processes count in the same buckets just now; nothing where they never do.
    fn is_shared(&self) -> Option<bool>;
}

#[async_trait]
impl Buckets for Local {
    async fn take(&self, subject: &str, charges: &[Charge]) -> Vec<Standing> {
        Self::take(self, subject, charges)
    }

    fn is_shared(&self) -> Option<bool> {
        None
    }
}

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand {
    /// One's own sessions, tokens, password: what a session alone may do.
    WaysIn,
    /// Everything else.
    Work,
}

/// The limits of this process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Limits {
    policies: Policies,
    buckets: Arc<dyn Buckets>,
    entrances: Arc<Entrances>,
}

impl Default for Limits {
    /// None: whoever embeds the application says how much is too much.
    fn default() -> Self {
        Self::new(Policies::OFF)
    }
}

impl Limits {
    /// Counted in this process.
    #[must_use]
    pub fn new(policies: Policies) -> Self {
        Self { policies, buckets: Arc::new(Local::default()), entrances: Arc::default() }
    }

    /// Counted together with other processes, in Redis.
    ///
    /// # Errors
    /// When this is no address of a Redis.
    pub async fn in_redis(policies: Policies, url: &str) -> Result<Self, String> {
        Ok(Self { policies, buckets: Arc::new(redis::Redis::connect(url).await?), entrances: Arc::default() })
    }

    /// Whether other processes count along just now; nothing where they never do.
    #[must_use]
    pub fn is_shared(&self) -> Option<bool> {
        self.buckets.is_shared()
    }

    /// Counts a request from this address.
    ///
    /// # Errors
    /// `Limited` when there were too many.
    pub async fn admit_address(&self, address: IpAddr) -> Result<()> {
        let subject = network(address).to_string();
        self.admit(&subject, charge("address", format!("{{{subject}}}:address"), self.policies.address).as_slice()).await
    }

    /// Counts a request of this caller and of the organisation. What a session does to its person's own ways in counts for that session
    /// alone: whoever has got hold of another token of theirs must not keep them from taking it away. `enters` finds out whether the caller may still come in; it is asked
    /// once in a while, because what is signed can be taken away, and whoever has left must not use up what is the organisation's.
    ///
    /// # Errors
    /// `Limited` when either has made too many; those of `enters`.
    pub async fn admit_caller(&self, context: &Context, errand: Errand, enters: impl Future<Output = Result<()>>) -> Result<()> {
        if matches!((self.policies.caller, self.policies.organization), (Limit::Off, Limit::Off)) {
            return Ok(());
        }
        self.entrances.check(context, enters).await?;
        let subject = context.organization_id.to_string();
        let caller = match (errand, context.session_id) {
            (Errand::WaysIn, Some(session)) => format!("session:{session}"),
            // A program that runs wild takes nothing from its person, nor the person from it.
            _ if context.token_id.is_some() => format!("tokens:{}", context.user_id),
            _ => format!("caller:{}", context.user_id),
        };
        // In braces is what Redis chooses the node of a cluster by: all of an organisation lie together.
        let caller = charge("caller", format!("{{{subject}}}:{caller}"), self.policies.caller);
        let organization = match errand {
            Errand::WaysIn => None,
            Errand::Work => charge("organization", format!("{{{subject}}}:organization"), self.policies.organization),
        };
        let charges: Vec<Charge> = caller.into_iter().chain(organization).collect();
        self.admit(&subject, &charges).await
    }

    async fn admit(&self, subject: &str, charges: &[Charge]) -> Result<()> {
        if charges.is_empty() {
            return Ok(());
        }
        let standings = self.buckets.take(subject, charges).await;
        let levels = charges.iter().zip(&standings);
        let levels = levels.map(|(charge, standing)| Level { name: charge.name, policy: charge.policy, standing: *standing });
        current::note_levels(levels);
        match standings.iter().map(|standing| standing.retry_after).max() {
            Some(retry_after_seconds) if retry_after_seconds > 0 => Err(Error::Limited { retry_after_seconds }),
            _ => Ok(()),
        }
    }
}

fn charge(name: &'static str, key: String, limit: Limit) -> Option<Charge> {
    match limit {
        Limit::Off => None,
        Limit::On(policy) => Some(Charge { name, key, policy }),
    }
}

/// Whose address it is: somebody with IPv6 has a network of 2⁶⁴ of them.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

/// `RateLimit-Policy`: what each bucket allows.
#[must_use]
pub fn policy_header(levels: &[Level]) -> String {
    let item = |level: &Level| format!("\"{}\";q={};w={}", level.name, level.policy.requests, level.policy.seconds);
    levels.iter().map(item).collect::<Vec<_>>().join(", ")
}

/// `RateLimit`: how each bucket stands.
#[must_use]
pub fn level_header(levels: &[Level]) -> String {
    let item = |level: &Level| format!("\"{}\";r={};t={}", level.name, level.standing.remaining, level.standing.reset);
    levels.iter().map(item).collect::<Vec<_>>().join(", ")
}
