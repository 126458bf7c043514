//! What processes cost, from /proc: processor time and memory of the gateway and of PostgreSQL with all its backends.

use std::fs;

use anyhow::{Context, Result};
use tokio_postgres::Client;

/// Of one second; the kernel has told user space so on every platform since 2.4.
const TICKS: f64 = 100.0;

/// Seconds of processor time until now.
#[derive(Clone, Copy, Debug)]
pub struct Spent {
    pub gateway: f64,
    /// Those that ended are in it: a parent inherits what its children used.
    pub postgres: f64,
}

pub fn spent(gateway: u32, postmaster: u32) -> Result<Spent> {
    let gateway = Stat::read(gateway).context("the gateway is gone")?;
    Ok(Spent { gateway: gateway.own, postgres: of_postgres(postmaster)? })
}

/// Seconds of PostgreSQL and all its backends until now.
pub fn of_postgres(postmaster: u32) -> Result<f64> {
    let mut postgres = 0.0;
    for entry in fs::read_dir("/proc").context("there is no /proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        if let Some(stat) = Stat::read(pid).filter(|stat| pid == postmaster || stat.parent == postmaster) {
            postgres += stat.own + if pid == postmaster { stat.of_children } else { 0.0 };
        }
    }
    Ok(postgres)
}

struct Stat {
    parent: u32,
    own: f64,
    of_children: f64,
}

impl Stat {
    /// None when the process has gone meanwhile.
    fn read(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name before it stands in parentheses and may hold anything.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |number: usize| fields.get(number)?.parse::<f64>().ok().map(|ticks| ticks / TICKS);
        Some(Self { parent: fields.get(1)?.parse().ok()?, own: ticks(11)? + ticks(12)?, of_children: ticks(13)? + ticks(14)? })
    }
}

/// Resident memory in MB, now.
pub fn memory(pid: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).context("the process is gone")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse::<f64>().ok());
    kilobytes.map(|kilobytes| kilobytes / 1024.0).context("the kernel says nothing of its memory")
}

/// The process whose children the backends are: the first line of the file that it keeps in its folder.
pub async fn postmaster(admin: &Client) -> Result<u32> {
    let query = "SELECT split_part(pg_read_file('postmaster.pid'), E'\n', 1)";
    let pid: String = admin.query_one(query, &[]).await.context("PostgreSQL does not tell its process")?.try_get(0)?;
    pid.trim().parse().context("postmaster.pid names no process")
}
