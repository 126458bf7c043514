//! Buckets in this process.
//!
//! Must stay true: memory is bounded, whoever sends from however many addresses.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
    time::Instant,
};

use super::{
    Charge,
    bucket::{Reply, Standing, ask},
};

/// Parts that are locked one by one. Charges of one request lie in one part: they share the key's subject.
const PARTS: usize = 16;
/// Buckets of a part at most; about 100 bytes each.
const MOST: usize = 16_384;
/// Buckets of a part that are worth looking for empty ones.
const MANY: usize = 1024;

#[derive(Default)]
struct Part {
    full_at: HashMap<String, u64>,
    /// How many there may be before the full ones are looked for.
    look_at: usize,
}

/// Buckets that end with the process.
pub struct Local {
    began: Instant,
    hasher: RandomState,
    parts: Vec<Mutex<Part>>,
}

impl std::fmt::Debug for Local {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Local").finish_non_exhaustive()
    }
}

impl Default for Local {
    fn default() -> Self {
        let parts = std::iter::repeat_with(Mutex::default).take(PARTS).collect();
        Self { began: Instant::now(), hasher: RandomState::new(), parts }
    }
}

impl Local {
    /// Counts a request in all of these buckets or in none.
    pub fn take(&self, subject: &str, charges: &[Charge]) -> Vec<Standing> {
        // From one on: a moment of 0 would be one before the beginning.
        let now = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX / 2) + 1;
        let place = usize::try_from(self.hasher.hash_one(subject) % PARTS as u64).unwrap_or_default();
        let Some(part) = self.parts.get(place) else { return Vec::new() };
        let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
        let replies: Vec<_> =
            charges.iter().map(|charge| ask(charge.policy, part.full_at.get(&charge.key).copied(), now)).collect();
        if !replies.iter().all(Reply::has_room) {
            return replies.iter().map(Reply::refused).collect();
        }
        let mut standings = Vec::with_capacity(charges.len());
        for (charge, reply) in charges.iter().zip(&replies) {
            let (standing, full_at) = reply.counted();
            part.make_room(now);
            part.full_at.insert(charge.key.clone(), full_at);
            standings.push(standing);
        }
        standings
    }
}

impl Part {
    /// Forgets buckets that are full again, and where there are none, any: who is forgotten begins anew.
    fn make_room(&mut self, now: u64) {
        if self.full_at.len() < self.look_at.max(MANY) {
            return;
        }
        self.full_at.retain(|_, full_at| *full_at > now);
        self.look_at = (self.full_at.len() * 2).min(MOST);
        if self.full_at.len() >= MOST {
            // Many at once: looking through all of them for each request would be work that an attacker chooses.
            let forgotten: Vec<String> = self.full_at.keys().take(MOST / 8).cloned().collect();
            for key in &forgotten {
                self.full_at.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::bucket::Policy, *};

    fn charge(key: &str, requests: u64) -> Charge {
        Charge { name: "caller", key: key.to_owned(), policy: Policy { requests, seconds: 3600 } }
    }

    #[test]
    fn a_request_counts_in_all_buckets_or_in_none() {
        let buckets = Local::default();
        let both = [charge("one", 1), charge("all", 3)];
        assert!(buckets.take("acme", &both).iter().all(|standing| standing.retry_after == 0));
        let refused = buckets.take("acme", &both);
        assert!(refused.first().is_some_and(|standing| standing.retry_after > 0));
        let all = buckets.take("acme", &[charge("all", 3)]);
        assert_eq!(all.first().map(|standing| standing.remaining), Some(1), "what was refused has not been counted");
    }

    #[test]
    fn memory_is_bounded_whoever_sends() {
        let buckets = Local::default();
        for number in 0..MOST + 100 {
            buckets.take("acme", &[charge(&number.to_string(), 1)]);
        }
        let held: usize = buckets.parts.iter().map(|part| part.lock().expect("whole").full_at.len()).sum();
        assert!((MOST / 2..=MOST).contains(&held), "{held}");
    }
}
