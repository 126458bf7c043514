//! One operation, asked over so many connections for so long.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;

use crate::bench::client::Connection;
use crate::bench::costs::{self, Spent};
use crate::bench::operations::{Operation, Records};

/// Before anything counts: connections are opened, statements prepared, pages read.
const WARM: Duration = Duration::from_millis(500);

/// Where the requests go, and whose time is counted.
pub struct Target<'a> {
    pub port: u16,
    pub token: &'a str,
    pub gateway: u32,
    pub postmaster: u32,
    pub records: &'a Records,
    /// Numbers that no request had yet.
    pub new: AtomicU32,
}

/// What was seen.
pub struct Seen {
    pub rate: f64,
    pub p50: Duration,
    pub p95: Duration,
    pub p99: Duration,
    /// Milliseconds of processor time that one request took.
    pub gateway: f64,
    pub postgres: f64,
    /// MB, of the gateway, at the end.
    pub memory: f64,
}

/// Every answer is checked: one that is not what was asked for ends the measurement.
pub async fn measure(target: &Target<'_>, operation: &Operation, connections: usize, time: Duration) -> Result<Seen> {
    try_join_all((0..connections).map(|number| ask(target, operation, number, WARM))).await?;
    let before = costs::spent(target.gateway, target.postmaster)?;
    let begun = Instant::now();
    let asked = try_join_all((0..connections).map(|number| ask(target, operation, number, time))).await?;
    let elapsed = begun.elapsed().as_secs_f64();
    let after = costs::spent(target.gateway, target.postmaster)?;
    let mut took: Vec<Duration> = asked.into_iter().flatten().collect();
    took.sort();
    ensure!(!took.is_empty(), "{}: no request was answered", operation.name);
    let requests = f64::from(u32::try_from(took.len())?);
    let each = |spent: fn(&Spent) -> f64| (spent(&after) - spent(&before)) * 1000.0 / requests;
    let at = |share: usize| took.get(took.len() * share / 100).or(took.last()).copied().unwrap_or_default();
    Ok(Seen {
        rate: requests / elapsed,
        p50: at(50),
        p95: at(95),
        p99: at(99),
        gateway: each(|it| it.gateway),
        postgres: each(|it| it.postgres),
        memory: costs::memory(target.gateway)?,
    })
}

/// One connection; says how long each request took.
async fn ask(target: &Target<'_>, operation: &Operation, number: usize, time: Duration) -> Result<Vec<Duration>> {
    let mut connection = Connection::open(target.port, target.token).await?;
    let begun = Instant::now();
    let mut took = Vec::new();
    let mut turn = 0;
    // What brings a record back to where it was is not left half way.
    while begun.elapsed() < time || turn % operation.turns > 0 {
        let new = target.new.fetch_add(1, Ordering::Relaxed).to_string();
        let request = (operation.request)(target.records, number, turn, &new);
        let sent = Instant::now();
        let answer = connection.send(&request).await.with_context(|| operation.name)?;
        took.push(sent.elapsed());
        ensure!(
            answer.status == operation.status,
            "{}: {} {} is answered {}: {}",
            operation.name,
            request.method,
            request.path,
            answer.status,
            String::from_utf8_lossy(&answer.body).chars().take(500).collect::<String>()
        );
        (operation.check)(&answer.body).with_context(|| format!("{}: {}", operation.name, request.path))?;
        turn += 1;
    }
    Ok(took)
}
