//! Throttles: how often somebody may be wrong. Token buckets in the database, so that all nodes share them.
//!
//! A try is counted before it is judged and taken back when it was right, so tries at the same moment cannot outrun the count.
//! Whoever is in the way of guessing does two things:
//!
//! ```text
//! let attempt = Attempt::begin(&mut connection, [Bucket::address(Purpose::Reset, origin.ip)]).await?;
//! // … what can be right or wrong; when it was right:
//! attempt.succeeded(&mut connection).await?;
//! ```
//!
//! Where every call counts, right or wrong, as with mail that anybody can ask for, the second line is left out.
//! The login itself counts in `identity.attempt_login`, which also knows devices: a device that the person has used, told by the
//! token it keeps, has a budget of its own and is counted neither with its address nor with its account. So whoever drains those
//! buckets does not keep the person out, not even from the desk beside. Mail to reset a password is the way in from a device that is
//! not known: the letters that an attacker's own requests cause open it too, and what sets the password is a known device then.
//!
//! Must stay true: where a try is counted depends on what was sent and on nothing that is stored of the account, but for a device's
//! token, which nobody guesses: an address that the person has come from is shared with others, who must see what every stranger
//! sees. The buckets of an account are as large whether it exists or not. A key is a hash, and tells nothing about its subject.
#![allow(clippy::disallowed_methods, reason = "fixed texts that call functions of identity; see identity/store.rs")]

use std::net::IpAddr;

use crm_kernel::{Error, Result, UserId};
use diesel::{
    QueryableByName, sql_query,
    sql_types::{Array, Binary, Double, Integer},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::expect::error;

/// What is tried. Each counts for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A password at a login.
    Login,
    /// An account that is asked for; every call counts.
    Register,
    /// A letter that resets a password; every call counts.
    Forgot,
    /// The secret of such a letter.
    Reset,
    /// The secret of a letter that confirms a sign-up or an address, and the password that belongs to a sign-up.
    Confirm,
    /// The password, again, of a person who is in.
    Password,
    /// The secret of an invitation.
    Invitation,
    /// A token of another identity provider.
    Exchange,
    /// A code of a second factor.
    SecondFactor,
}

impl Purpose {
    fn word(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Register => "register",
            Self::Forgot => "forgot",
            Self::Reset => "reset",
            Self::Confirm => "confirm",
            Self::Password => "password",
            Self::Invitation => "invitation",
            Self::Exchange => "exchange",
            Self::SecondFactor => "second_factor",
        }
    }

    /// An office behind one address makes mistakes too: wide enough for many people, far too narrow for guessing.
    fn of_address(self) -> Limit {
        match self {
            Self::Register | Self::Forgot => Limit { capacity: 60.0, seconds_each: 60.0 },
            _ => Limit { capacity: 60.0, seconds_each: 6.0 },
        }
    }

    fn of_account(self) -> Limit {
        match self {
            // Each sends a letter.
            Self::Register | Self::Forgot => Limit { capacity: 5.0, seconds_each: 600.0 },
            Self::SecondFactor => Limit { capacity: 5.0, seconds_each: 300.0 },
            _ => Limit { capacity: 10.0, seconds_each: 60.0 },
        }
    }

    /// Of an account from wherever they come. Whoever signs up counts at an address as well: anybody can sign up with the address of
    /// somebody else, and to that one it is no help.
    fn of_account_anywhere(self) -> Limit {
        match self {
            Self::Register => Limit { capacity: 20.0, seconds_each: 180.0 },
            _ => self.of_account(),
        }
    }
}

/// How many tries at once, and after how many seconds one more.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Limit {
    capacity: f64,
    seconds_each: f64,
}

/// What a try is counted in.
#[derive(Debug, Clone, PartialEq)]
pub struct Bucket {
    key: Vec<u8>,
    limit: Limit,
}

impl Bucket {
    /// All who come from this address, or this network of IPv6. Without an address, as in a program that embeds this crate, all who
    /// come so.
    #[must_use]
    pub fn address(purpose: Purpose, ip: Option<IpAddr>) -> Self {
        let network = ip.map_or_else(|| "none".to_owned(), network);
        Self { key: key(purpose, "address", &network), limit: purpose.of_address() }
    }

    /// An account, whether or not there is one.
    #[must_use]
    pub fn account(purpose: Purpose, email: &str) -> Self {
        Self { key: key(purpose, "account", &normalized(email)), limit: purpose.of_account_anywhere() }
    }

    /// An account at an address.
    pub(super) fn account_at(purpose: Purpose, email: &str, ip: Option<IpAddr>) -> Self {
        let subject = format!("{} {}", normalized(email), ip.map_or_else(|| "none".to_owned(), network));
        Self { key: key(purpose, "account_at", &subject), limit: purpose.of_account() }
    }

    /// Codes of a person at the door: on a device that is known, those of the device alone.
    pub(super) fn codes(user: UserId, device: Option<Uuid>) -> Self {
        let subject = device.map_or_else(|| user.to_string(), |device| format!("{user} {device}"));
        Self { key: key(Purpose::SecondFactor, "person", &subject), limit: Purpose::SecondFactor.of_account() }
    }

    /// Whoever holds the link of a letter, wherever they come from.
    pub(super) fn link(purpose: Purpose, link: Uuid) -> Self {
        Self { key: key(purpose, "link", &link.to_string()), limit: purpose.of_account() }
    }

    /// A person who is in: what is tried at the door does not count here, nor the other way round.
    pub(super) fn inside(purpose: Purpose, user: UserId) -> Self {
        Self { key: key(purpose, "inside", &user.to_string()), limit: purpose.of_account() }
    }
}

/// The buckets of a login as `identity.attempt_login` takes them: the address, and the account.
pub(super) struct LoginBuckets {
    pub keys: Vec<Vec<u8>>,
    pub capacities: Vec<f64>,
    pub per_second: Vec<f64>,
}

impl LoginBuckets {
    pub fn new(email: &str, ip: Option<IpAddr>) -> Self {
        // Without an address nobody shares anything but the account.
        let address = match ip {
            Some(_) => Bucket::address(Purpose::Login, ip),
            None => Bucket { key: key(Purpose::Login, "nowhere", &normalized(email)), limit: Purpose::Login.of_address() },
        };
        let account = Bucket::account(Purpose::Login, email);
        let limits = [address.limit, account.limit];
        Self {
            keys: vec![address.key, account.key],
            capacities: limits.iter().map(|limit| limit.capacity).collect(),
            per_second: limits.iter().map(|limit| 1.0 / limit.seconds_each).collect(),
        }
    }
}

/// A try that was counted.
#[derive(Debug)]
#[must_use = "a try that was right is to be taken back"]
pub struct Attempt {
    pub(super) keys: Vec<Vec<u8>>,
}

#[derive(QueryableByName)]
struct Taken {
    #[diesel(sql_type = Integer)]
    seconds: i32,
}

impl Attempt {
    /// Counts a try in all of these, the widest first, or in none.
    ///
    /// # Errors
    /// `Limited` when one of them is full.
    pub async fn begin(connection: &mut AsyncPgConnection, buckets: impl IntoIterator<Item = Bucket>) -> Result<Self> {
        let buckets: Vec<Bucket> = buckets.into_iter().collect();
        let keys: Vec<Vec<u8>> = buckets.iter().map(|bucket| bucket.key.clone()).collect();
        let capacities: Vec<f64> = buckets.iter().map(|bucket| bucket.limit.capacity).collect();
        let per_second: Vec<f64> = buckets.iter().map(|bucket| 1.0 / bucket.limit.seconds_each).collect();
        let query = sql_query("SELECT identity.take_attempt($1, $2, $3) AS seconds")
            .bind::<Array<Binary>, _>(&keys)
            .bind::<Array<Double>, _>(&capacities)
            .bind::<Array<Double>, _>(&per_second);
        let taken: Taken = query.get_result(connection).await.map_err(error)?;
        limited(taken.seconds)?;
        Ok(Self { keys })
    }

    /// Takes the try back.
    ///
    /// # Errors
    /// `Unavailable` when the database is away; the try stays counted, then.
    pub async fn succeeded(self, connection: &mut AsyncPgConnection) -> Result<()> {
        let query = sql_query("SELECT identity.return_attempt($1)").bind::<Array<Binary>, _>(&self.keys);
        query.execute(connection).await.map(drop).map_err(error)
    }
}

/// Refuses when there are seconds to wait.
pub(super) fn limited(seconds: i32) -> Result<()> {
    match u64::try_from(seconds) {
        Ok(0) | Err(_) => Ok(()),
        Ok(retry_after_seconds) => Err(Error::Limited { retry_after_seconds }),
    }
}

/// An address of mail as accounts are found by it.
#[must_use]
pub fn normalized(email: &str) -> String {
    // PostgreSQL text cannot hold U+0000.
    email.trim().to_lowercase().replace('\0', "")
}

/// What one subscriber has of addresses: one of IPv4, a /64 of IPv6.
pub(crate) fn network(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

fn key(purpose: Purpose, kind: &str, subject: &str) -> Vec<u8> {
    Sha256::digest(format!("{} {kind} {subject}", purpose.word())).to_vec()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    fn of(text: &str) -> Bucket {
        Bucket::address(Purpose::Login, Some(text.parse().unwrap()))
    }

    #[test]
    fn an_address_is_one_of_ipv4_and_a_network_of_ipv6() {
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"), "the same address in another spelling");
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    }

    #[test]
    fn an_account_is_the_same_in_every_spelling_and_another_for_every_purpose() {
        let account = Bucket::account(Purpose::Login, "Someone@Example.com ");
        assert_eq!(account, Bucket::account(Purpose::Login, "someone@example.com"));
        assert_ne!(account, Bucket::account(Purpose::Forgot, "someone@example.com"));
        assert_ne!(account.key, Bucket::account_at(Purpose::Login, "someone@example.com", None).key);
        assert_eq!(account.limit, Bucket::account_at(Purpose::Login, "someone@example.com", None).limit);
    }
}
