//! One operation, asked over so many connections for so long.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;

use crate::bench::client::{Answer, Connection, Request, Server};
use crate::bench::costs::{self, Spent};
use crate::bench::operations::{Operation, Records};

/// Before anything counts: connections are opened, statements prepared, pages read.
const WARM: Duration = Duration::from_millis(500);

/// What is asked, of whom.
pub trait Asked {
    /// Who is asked.
    fn server(&self) -> &Server;

    /// So many requests belong together.
    fn turns(&self) -> usize;

    /// By the connection's number and the request's.
    fn request(&self, connection: usize, turn: usize) -> Request;

    /// Whether that is what was asked for.
    fn check(&self, answer: &Answer) -> Result<()>;
}

/// The gateway, and whose time is counted.
pub struct Target<'a> {
    pub server: Server,
    pub gateway: u32,
    pub postmaster: u32,
    pub records: &'a Records,
    /// Numbers that no request had yet.
    pub new: AtomicU32,
}

/// An operation asked of the gateway.
pub struct OfGateway<'a>(pub &'a Target<'a>, pub &'a Operation);

impl Asked for OfGateway<'_> {
    fn server(&self) -> &Server {
        &self.0.server
    }

    fn turns(&self) -> usize {
        self.1.turns
    }

    fn request(&self, connection: usize, turn: usize) -> Request {
        let new = self.0.new.fetch_add(1, Ordering::Relaxed).to_string();
        (self.1.request)(self.0.records, connection, turn, &new)
    }

    fn check(&self, answer: &Answer) -> Result<()> {
        ensure!(answer.status == self.1.status, "it is answered {}", answer.status);
        (self.1.check)(&answer.body)
    }
}

/// How fast answers came.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub rate: f64,
    pub p50: Duration,
    pub p95: Duration,
    pub p99: Duration,
    requests: f64,
}

/// What was seen of the gateway.
pub struct Seen {
    pub times: Times,
    /// Milliseconds of processor time that one request took.
    pub gateway: f64,
    pub postgres: f64,
    /// MB, of the gateway, at the end.
    pub memory: f64,
}

pub async fn measure(target: &Target<'_>, operation: &Operation, connections: usize, time: Duration) -> Result<Seen> {
    let asked = OfGateway(target, operation);
    warm(&asked, connections).await.with_context(|| operation.name)?;
    let before = costs::spent(target.gateway, target.postmaster)?;
    let times = timed(&asked, connections, time).await.with_context(|| operation.name)?;
    let after = costs::spent(target.gateway, target.postmaster)?;
    let each = |spent: fn(&Spent) -> f64| (spent(&after) - spent(&before)) * 1000.0 / times.requests;
    Ok(Seen { times, gateway: each(|it| it.gateway), postgres: each(|it| it.postgres), memory: costs::memory(target.gateway)? })
}

/// Before anything counts.
pub async fn warm(asked: &impl Asked, connections: usize) -> Result<()> {
    try_join_all((0..connections).map(|number| ask(asked, number, WARM))).await?;
    Ok(())
}

/// Every answer is checked: one that is not what was asked for ends the measurement.
pub async fn timed(asked: &impl Asked, connections: usize, time: Duration) -> Result<Times> {
    let begun = Instant::now();
    let took = try_join_all((0..connections).map(|number| ask(asked, number, time))).await?;
    let elapsed = begun.elapsed().as_secs_f64();
    let mut took: Vec<Duration> = took.into_iter().flatten().collect();
    took.sort();
    ensure!(!took.is_empty(), "no request was answered");
    let requests = f64::from(u32::try_from(took.len())?);
    let at = |share: usize| took.get(took.len() * share / 100).or(took.last()).copied().unwrap_or_default();
    Ok(Times { rate: requests / elapsed, p50: at(50), p95: at(95), p99: at(99), requests })
}

/// One connection; says how long each request took.
async fn ask(asked: &impl Asked, number: usize, time: Duration) -> Result<Vec<Duration>> {
    let mut connection = Connection::open(asked.server()).await?;
    let begun = Instant::now();
    let mut took = Vec::new();
    let mut turn = 0;
    // What brings a record back to where it was is not left half way.
    while begun.elapsed() < time || turn % asked.turns() > 0 {
        let request = asked.request(number, turn);
        let sent = Instant::now();
        let answer = connection.send(&request).await?;
        took.push(sent.elapsed());
        asked.check(&answer).with_context(|| {
            let said: String = String::from_utf8_lossy(&answer.body).chars().take(500).collect();
            format!("{} {} is answered {}: {said}", request.method, request.path, answer.status)
        })?;
        turn += 1;
    }
    Ok(took)
}
