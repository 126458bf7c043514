//! People who write without pause, whatever they are answered, and remember what they were promised.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use crm_testkit::TestDatabase;
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::support::{Answer, Caller, document::example, waiting::until};

const WRITERS: usize = 8;

#[derive(Default)]
struct Seen {
    written: AtomicUsize,
    refused: AtomicUsize,
    stop: AtomicBool,
}

/// Writers at work.
pub struct Load {
    seen: Arc<Seen>,
    writers: JoinSet<BTreeSet<Uuid>>,
}

impl Load {
    pub fn begin(caller: &Caller) -> Self {
        let (seen, mut writers) = (Arc::<Seen>::default(), JoinSet::new());
        for _ in 0..WRITERS {
            writers.spawn(write(caller.clone(), Arc::clone(&seen)));
        }
        Self { seen, writers }
    }

    pub fn written(&self) -> usize {
        self.seen.written.load(Ordering::Relaxed)
    }

    pub fn refused(&self) -> usize {
        self.seen.refused.load(Ordering::Relaxed)
    }

    /// Waits until so many more were acknowledged; gives how long the first took.
    pub async fn writes(&self, more: usize) -> Duration {
        let before = self.written();
        let first = until("writes are acknowledged", async || self.written() > before).await;
        until("writes are acknowledged", async || self.written() >= before + more).await;
        first
    }

    /// Waits until so many more were refused.
    pub async fn refusals(&self, more: usize) {
        let before = self.refused();
        until("writes are refused", async || self.refused() >= before + more).await;
    }

    /// Stops the writers; gives the ids of all that was acknowledged.
    pub async fn end(self) -> BTreeSet<Uuid> {
        self.seen.stop.store(true, Ordering::Relaxed);
        self.writers.join_all().await.into_iter().flatten().collect()
    }
}

async fn write(caller: Caller, seen: Arc<Seen>) -> BTreeSet<Uuid> {
    let mut acknowledged = BTreeSet::new();
    while !seen.stop.load(Ordering::Relaxed) {
        let id = Uuid::now_v7();
        let mut body = example("NewCompany", &id.to_string());
        body["id"] = json!(id);
        let answer = caller.post("companies", &body).await;
        if answer.status == 201 {
            acknowledged.insert(id);
            seen.written.fetch_add(1, Ordering::Relaxed);
        } else {
            is_honest(answer);
            seen.refused.fetch_add(1, Ordering::Relaxed);
        }
    }
    acknowledged
}

/// Says that it is the moment's fault, or that of too many at once, and when to come back.
pub fn is_honest(answer: Answer) {
    let answer = if answer.status == 429 { answer.problem(429, "limited") } else { answer.problem(503, "unavailable") };
    let seconds: u32 = answer.header("retry-after").parse().unwrap_or_else(|_| panic!("it must say when to come back"));
    assert!((1..=60).contains(&seconds), "{seconds} s");
}

/// All that was acknowledged is there once, with exactly one activity; what was not, wholly or not at all.
pub async fn verify(database: &TestDatabase, acknowledged: &BTreeSet<Uuid>) {
    let kept = database.texts("SELECT id::text FROM crm_companies").await;
    let kept: BTreeSet<Uuid> = kept.iter().map(|id| id.parse().unwrap()).collect();
    let lost: Vec<&Uuid> = acknowledged.difference(&kept).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    let halves = "SELECT count(*) FROM crm_companies FULL JOIN crm_activities
                      ON entity_id = crm_companies.id AND entity_type = 'company'
                   WHERE (entity_type = 'company' OR entity_type IS NULL) AND (crm_companies.id IS NULL OR entity_id IS NULL)";
    assert_eq!(database.number(halves).await, 0, "a record without its activity, or an activity without its record");
    let activities = database.number("SELECT count(*) FROM crm_activities WHERE entity_type = 'company'").await;
    assert_eq!(usize::try_from(activities).unwrap(), kept.len(), "one activity for each record");
}
