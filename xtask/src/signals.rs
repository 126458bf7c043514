//! Being asked to stop: Ctrl-C, `kill`, a terminal that closed.

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};

/// Waits for the first of them. From the first call on they no longer end this process by themselves.
pub async fn asked_to_stop() -> Result<()> {
    let listen = |kind| signal(kind).context("cannot listen for signals");
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = listen(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}
