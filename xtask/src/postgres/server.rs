//! The running server of a cluster: whether it runs, and how it is stopped.
//!
//! The truth is postmaster.pid, which the server writes itself; it outlives a kill -9 of everything, so it is believed only
//! when the process it names is a server of that very folder.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use rustix::process::Signal;

use crate::process;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    pub pid: u32,
    pub port: u16,
    /// Seconds since 1970.
    pub since: i64,
}

pub fn running(data: &Path) -> Option<Server> {
    let text = fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let mut lines = text.lines();
    let pid = lines.next()?.trim().parse().ok()?;
    let since = lines.nth(1)?.trim().parse().ok()?;
    let port = lines.next()?.trim().parse().ok()?;
    is_server_of(pid, data).then_some(Server { pid, port, since })
}

/// A file left by a crash, whose number now belongs to another process of the same account, would make the server refuse to
/// start.
pub fn remove_stale_pid_file(data: &Path) {
    if running(data).is_none() {
        drop(fs::remove_file(data.join("postmaster.pid")));
    }
}

pub fn is_server_of(pid: u32, data: &Path) -> bool {
    process::command_line(pid).is_some_and(|line| line.contains(&*data.to_string_lossy()))
}

/// Asks first (connections are closed, everything is written), insists later.
pub async fn stop(data: &Path, server: Server) -> Result<()> {
    let signals =
        [(Signal::INT, Duration::from_secs(30)), (Signal::QUIT, Duration::from_secs(10)), (Signal::KILL, Duration::from_secs(5))];
    if !process::end(server.pid, &signals, || is_server_of(server.pid, data)).await {
        bail!("the database server (process {}) does not end", server.pid);
    }
    Ok(())
}

/// For a cluster that is thrown away: nothing is written any more.
pub async fn discard(data: &Path, server: Server) -> Result<()> {
    let signals = [(Signal::QUIT, Duration::from_secs(10)), (Signal::KILL, Duration::from_secs(5))];
    if !process::end(server.pid, &signals, || is_server_of(server.pid, data)).await {
        bail!("the database server (process {}) does not end", server.pid);
    }
    Ok(())
}
