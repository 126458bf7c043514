//! The arithmetic of a limit: a bucket that refills evenly, kept as one moment, the one at which it would be full again.
//!
//! Of a policy of 1200 in 60 s a request pushes that moment 50 ms ahead; it may lie 60 s ahead and no further. The same sum is
//! done in `take.lua`, inside Redis: change both.

use std::str::FromStr;

/// Microseconds of a second.
const SECOND: u64 = 1_000_000;

/// So many requests in so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Requests in a window, and at once.
    pub requests: u64,
    /// Seconds of the window.
    pub seconds: u64,
}

/// A policy, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Nothing is counted.
    Off,
    /// This much and no more.
    On(Policy),
}

impl FromStr for Limit {
    type Err = String;

    /// From `1200/60` or `off`.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let wrong = || format!("`{text}` is neither off nor requests and seconds such as 1200/60");
        let (requests, seconds) = text.split_once('/').ok_or_else(wrong)?;
        let (requests, seconds) = (requests.parse().map_err(|_| wrong())?, seconds.parse().map_err(|_| wrong())?);
        let valid = (1..=1_000_000).contains(&requests) && (1..=86_400).contains(&seconds);
        if valid { Ok(Self::On(Policy { requests, seconds })) } else { Err(wrong()) }
    }
}

impl Policy {
    /// Microseconds that one request takes to be forgotten; never nothing.
    pub(super) fn step(self) -> u64 {
        (self.seconds * SECOND / self.requests).max(1)
    }

    /// Microseconds of the window, in whole steps.
    pub(super) fn window(self) -> u64 {
        self.step() * self.requests
    }
}

/// How a bucket stands after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Requests that may still be made at once.
    pub remaining: u64,
    /// Seconds until the bucket is full again, rounded up.
    pub reset: u64,
    /// Seconds until the next request has room, rounded up; 0 when this one had.
    pub retry_after: u64,
}

/// What a bucket says to one request more. All moments are in microseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reply {
    policy: Policy,
    now: u64,
    /// When it is full again if the request is not counted, and if it is.
    before: u64,
    after: u64,
}

/// Asks a bucket whose moment is `full_at`.
pub(super) fn ask(policy: Policy, full_at: Option<u64>, now: u64) -> Reply {
    let before = full_at.unwrap_or(now).max(now);
    Reply { policy, now, before, after: before + policy.step() }
}

impl Reply {
    /// Microseconds until the request has room; 0 when it has.
    fn over(&self) -> u64 {
        (self.after - self.now).saturating_sub(self.policy.window())
    }

    pub(super) fn has_room(&self) -> bool {
        self.over() == 0
    }

    /// How it stands when the request is counted, and the moment to keep.
    pub(super) fn counted(&self) -> (Standing, u64) {
        (self.standing(self.after), self.after)
    }

    /// How it stands when it is not, because of this bucket or another.
    pub(super) fn refused(&self) -> Standing {
        self.standing(self.before)
    }

    fn standing(&self, full_at: u64) -> Standing {
        let used = full_at - self.now;
        let remaining = self.policy.window().saturating_sub(used) / self.policy.step();
        Standing { remaining, reset: used.div_ceil(SECOND), retry_after: self.over().div_ceil(SECOND) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_what_the_policy_says_and_refills_evenly() {
        let policy = Policy { requests: 4, seconds: 2 };
        let mut full_at = None;
        for remaining in [3, 2, 1, 0] {
            let reply = ask(policy, full_at, 100 * SECOND);
            assert_eq!(reply.refused().remaining, remaining + 1, "what is not counted takes nothing");
            let (standing, next) = reply.counted();
            assert_eq!((standing.remaining, standing.retry_after), (remaining, 0));
            full_at = Some(next);
        }
        let reply = ask(policy, full_at, 100 * SECOND);
        assert!(!reply.has_room());
        assert_eq!(reply.refused(), Standing { remaining: 0, reset: 2, retry_after: 1 });
        assert!(!ask(policy, full_at, 100 * SECOND + SECOND / 2 - 1).has_room(), "a moment too early");
        let reply = ask(policy, full_at, 100 * SECOND + SECOND / 2);
        assert!(reply.has_room());
        assert_eq!(reply.counted().0.remaining, 0);
        let reply = ask(policy, full_at, 200 * SECOND);
        assert_eq!(reply.counted().0.remaining, 3, "it holds no more than the policy says");
    }

    #[test]
    fn a_limit_is_read_or_refused() {
        assert_eq!("1200/60".parse(), Ok(Limit::On(Policy { requests: 1200, seconds: 60 })));
        assert_eq!("off".parse(), Ok(Limit::Off));
        for wrong in ["", "1200", "0/60", "60/0", "-1/60", "1/86401", "1/60/2", "many"] {
            wrong.parse::<Limit>().expect_err(wrong);
        }
    }
}
