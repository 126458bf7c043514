//! Writes when API tokens were last used: about once a minute, and when the server ends.
//!
//! Must stay true: no request waits for it, and none fails because of it.

use std::{sync::Arc, time::Duration};

use crm_tenancy::identity::api_tokens::ApiTokens;
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};

const PERIOD: Duration = Duration::from_secs(60);
/// How long the last writing may take: the database may be away, and the program ends anyway.
const LAST_PATIENCE: Duration = Duration::from_secs(5);
/// Between two attempts of the last writing: a connection may have been closed while nobody looked, and the next one is alive.
const NEXT_ATTEMPT: Duration = Duration::from_millis(50);

/// The task that writes; ended with [`Writer::finish`].
pub struct Writer {
    stop: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Writer {
    /// Begins.
    #[must_use]
    pub fn start(api_tokens: Arc<dyn ApiTokens>) -> Self {
        let stop = Arc::new(Notify::new());
        let task = tokio::spawn(keep_writing(api_tokens, stop.clone()));
        Self { stop, task }
    }

    /// Writes what is left, and ends. A writing that is under way ends by itself: cut off, it would take along what it was to write.
    pub async fn finish(self) {
        self.stop.notify_one();
        if timeout(LAST_PATIENCE, self.task).await.is_err() {
            tracing::warn!("the last uses of API tokens were not written in time");
        }
    }
}

async fn keep_writing(api_tokens: Arc<dyn ApiTokens>, stop: Arc<Notify>) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.notified() => break,
        }
        if let Err(error) = api_tokens.write_uses().await {
            tracing::warn!(%error, "the last uses of API tokens could not be written; they are tried again");
        }
    }
    while let Err(error) = api_tokens.write_uses().await {
        tracing::debug!(%error, "the last uses of API tokens could not be written yet");
        tokio::time::sleep(NEXT_ATTEMPT).await;
    }
}
