//! Waiting for a fact: the one way in which tests do it.

use std::time::{Duration, Instant};

/// Nothing that is waited for takes as long on the busiest machine; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until this is so; gives how long that took.
pub async fn until(what: &str, is_so: impl AsyncFn() -> bool) -> Duration {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    began.elapsed()
}
