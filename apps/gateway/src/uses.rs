//! Writes when API tokens were last used: about once a minute, and when the server ends.
//!
//! Must stay true: no request waits for it, and none fails because of it.

use std::{sync::Arc, time::Duration};

use crm_tenancy::identity::api_tokens::ApiTokens;
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};

const PERIOD: Duration = Duration::from_secs(60);
/// How long the last writing may take: the database may be away, and the program ends anyway.
const LAST_PATIENCE: Duration = Duration::from_secs(5);

/// The task that writes; ended with [`Writer::finish`].
pub struct Writer {
    api_tokens: Arc<dyn ApiTokens>,
    task: JoinHandle<()>,
}

impl Writer {
    /// Begins.
    #[must_use]
    pub fn start(api_tokens: Arc<dyn ApiTokens>) -> Self {
        let shared = api_tokens.clone();
        let task = tokio::spawn(async move {
            let mut ticks = interval(PERIOD);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                write(&shared).await;
            }
        });
        Self { api_tokens, task }
    }

    /// Writes what is left, and ends.
    pub async fn finish(self) {
        self.task.abort();
        if timeout(LAST_PATIENCE, write(&self.api_tokens)).await.is_err() {
            tracing::warn!("the last uses of API tokens were not written in time");
        }
    }
}

async fn write(api_tokens: &Arc<dyn ApiTokens>) {
    if let Err(error) = api_tokens.write_uses().await {
        tracing::warn!(%error, "the last uses of API tokens could not be written; they are tried again");
    }
}
