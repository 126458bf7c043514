//! When tokens were last used: collected in memory and written now and then, so that a request that reads stays one that reads.
//!
//! Must stay true: memory is bounded, however many tokens come; what could not be written is tried again.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crm_kernel::{OrganizationId, Timestamp, TokenId};

use super::store::Used;

/// Tokens that are remembered between two writings. A use more is not noted, and shows with the token's next use.
const MOST: usize = 20_000;

/// The uses since the last writing.
#[derive(Debug, Default)]
pub(super) struct Uses(Mutex<HashMap<(OrganizationId, TokenId), Timestamp>>);

impl Uses {
    pub(super) fn note(&self, organization: OrganizationId, token: TokenId, time: Timestamp) {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if uses.len() < MOST || uses.contains_key(&(organization, token)) {
            let last = uses.entry((organization, token)).or_insert(time);
            *last = time.max(*last);
        }
    }

    /// All of them; none is left.
    pub(super) fn take(&self) -> Vec<Used> {
        let uses = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        uses.into_iter().map(|((organization, token), time)| (organization, token, time)).collect()
    }

    /// Remembers what could not be written.
    pub(super) fn put_back(&self, used: Vec<Used>) {
        for (organization, token, time) in used {
            self.note(organization, token, time);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_use_counts_and_memory_is_bounded() {
        let (uses, organization, token) = (Uses::default(), OrganizationId::generate(), TokenId::generate());
        let earlier = Timestamp::now();
        let later = Timestamp(earlier.0 + time::Duration::SECOND);
        for time in [later, earlier] {
            uses.note(organization, token, time);
        }
        assert_eq!(uses.take(), [(organization, token, later)]);
        assert_eq!(uses.take(), []);
        for _ in 0..MOST + 10 {
            uses.note(organization, TokenId::generate(), earlier);
        }
        assert_eq!(uses.take().len(), MOST);
    }
}
