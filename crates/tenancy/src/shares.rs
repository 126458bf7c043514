//! Fair shares of the pool: how many connections one organisation has at once.
//!
//! A share is the pool divided by the organisations that use it just now, and one more: whoever comes new finds connections free,
//! however many questions the others ask. An organisation that is alone has half of the pool.
//! Must stay true: a slot lives as long as the connection it stands for is away; nobody waits for another organisation's slots.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crm_kernel::{Error, OrganizationId, Result};
use tokio::{sync::oneshot, time::timeout};

/// How many may wait for a slot of one organisation, for each connection of the pool; whoever comes after them is refused at once.
const WAITING_PER_CONNECTION: usize = 8;

/// Who has how many connections.
pub(crate) struct Shares {
    connections: usize,
    wait: Duration,
    organizations: Mutex<HashMap<OrganizationId, Share>>,
}

#[derive(Default)]
struct Share {
    held: usize,
    waiting: VecDeque<oneshot::Sender<Slot>>,
}

/// The right to one connection; dropped, it goes to the next who waits.
pub(crate) struct Slot(Option<(Arc<Shares>, OrganizationId)>);

impl Shares {
    /// Of a pool with this many connections; for a slot one waits this long.
    pub(crate) fn new(connections: usize, wait: Duration) -> Arc<Self> {
        Arc::new(Self { connections, wait, organizations: Mutex::default() })
    }

    /// A slot of this organisation's share.
    ///
    /// # Errors
    /// `Limited` when too many wait already, or none became free in time.
    pub(crate) async fn take(self: &Arc<Self>, organization: OrganizationId) -> Result<Slot> {
        let waiting = {
            let mut organizations = self.organizations.lock().unwrap_or_else(PoisonError::into_inner);
            let others = organizations.len() - usize::from(organizations.contains_key(&organization));
            let bound = self.share(others + 1);
            let share = organizations.entry(organization).or_default();
            if share.held < bound {
                share.held += 1;
                return Ok(Slot(Some((Arc::clone(self), organization))));
            }
            // Whoever went away while waiting does not count.
            share.waiting.retain(|waiter| !waiter.is_closed());
            if share.waiting.len() >= self.connections * WAITING_PER_CONNECTION {
                return Err(limited());
            }
            let (sender, receiver) = oneshot::channel();
            share.waiting.push_back(sender);
            receiver
        };
        match timeout(self.wait, waiting).await {
            Ok(Ok(slot)) => Ok(slot),
            _ => Err(limited()),
        }
    }

    /// How many wait for a slot, of all organisations.
    pub(crate) fn waiting(&self) -> usize {
        let organizations = self.organizations.lock().unwrap_or_else(PoisonError::into_inner);
        organizations.values().flat_map(|share| &share.waiting).filter(|waiter| !waiter.is_closed()).count()
    }

    fn share(&self, organizations: usize) -> usize {
        (self.connections / (organizations + 1)).max(1)
    }

    fn give_back(self: &Arc<Self>, organization: OrganizationId) {
        let mut organizations = self.organizations.lock().unwrap_or_else(PoisonError::into_inner);
        let bound = self.share(organizations.len());
        let Some(share) = organizations.get_mut(&organization) else { return };
        share.held -= 1;
        // More than one may come in: the share has grown when others went.
        while share.held < bound {
            let Some(next) = share.waiting.pop_front() else { break };
            match next.send(Slot(Some((Arc::clone(self), organization)))) {
                Ok(()) => share.held += 1,
                // Given back here it would wait for the lock that is held.
                Err(mut refused) => refused.0 = None,
            }
        }
        if share.held == 0 {
            organizations.remove(&organization);
        }
    }
}

fn limited() -> Error {
    Error::Limited { retry_after_seconds: 1 }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some((shares, organization)) = self.0.take() {
            shares.give_back(organization);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn organization() -> OrganizationId {
        OrganizationId::generate()
    }

    async fn fill(shares: &Arc<Shares>, organization: OrganizationId) -> Vec<Slot> {
        let mut slots = Vec::new();
        while let Ok(Ok(slot)) = timeout(Duration::ZERO, shares.take(organization)).await {
            slots.push(slot);
        }
        slots
    }

    #[tokio::test]
    async fn whoever_comes_new_finds_connections_free() {
        let shares = Shares::new(16, Duration::from_secs(5));
        let first = fill(&shares, organization()).await;
        let second = fill(&shares, organization()).await;
        assert_eq!((first.len(), second.len()), (8, 5));
        drop(first);
        assert_eq!(fill(&shares, organization()).await.len(), 5, "two use the pool, and a third part is free");
    }

    #[tokio::test]
    async fn whoever_waits_gets_the_next_slot_or_is_told_to_come_back() {
        let (shares, acme) = (Shares::new(2, Duration::from_millis(20)), organization());
        let slot = shares.take(acme).await.expect("the first is free");
        assert!(matches!(shares.take(acme).await, Err(Error::Limited { .. })), "it waited and got none");
        let mut waiting = Box::pin(shares.take(acme));
        assert!(timeout(Duration::ZERO, &mut waiting).await.is_err(), "it waits");
        drop(slot);
        drop(waiting.await.expect("the slot went over"));
        assert!(shares.organizations.lock().expect("whole").is_empty(), "nothing stays of who is gone");
    }

    #[tokio::test]
    async fn a_long_queue_is_refused_at_once_and_a_left_one_is_forgotten() {
        let (shares, acme) = (Shares::new(1, Duration::from_secs(5)), organization());
        let slot = shares.take(acme).await.expect("the first is free");
        let mut waiting: Vec<_> = (0..WAITING_PER_CONNECTION).map(|_| Box::pin(shares.take(acme))).collect();
        for one in &mut waiting {
            assert!(timeout(Duration::ZERO, one).await.is_err(), "it waits");
        }
        let refused = timeout(Duration::ZERO, shares.take(acme)).await.expect("at once");
        assert!(matches!(refused, Err(Error::Limited { .. })));
        drop(waiting);
        drop(slot);
        assert!(shares.take(acme).await.is_ok(), "those who left hold nothing");
    }
}
