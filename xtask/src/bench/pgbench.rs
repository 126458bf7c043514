//! The same statements, asked by pgbench: what PostgreSQL does without a gateway in front of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::process::Command;
use tokio_postgres::config::{Config, Host};

use crate::bench::costs;
use crate::bench::script::Mode;
use crate::environment::variable;
use crate::logfile;

/// Where Debian puts what is not for every day.
const FOLDERS: &str = "/usr/lib/postgresql";

/// A script, and the server that it is for.
pub struct Script<'a> {
    pub file: &'a Path,
    pub mode: Mode,
    /// As the application's role.
    pub url: &'a str,
    pub postmaster: u32,
    /// Requests that one run of the script stands for.
    pub turns: usize,
}

/// What was seen of a slice.
pub struct Seen {
    pub rate: f64,
    /// Milliseconds of PostgreSQL's processor time for what one request asks.
    pub postgres: f64,
}

pub async fn find() -> Result<PathBuf> {
    let installed = fs::read_dir(FOLDERS).into_iter().flatten().flatten().map(|entry| entry.path().join("bin/pgbench"));
    let path = variable("PATH").unwrap_or_default();
    let anywhere = std::env::split_paths(&path).map(|folder| folder.join("pgbench"));
    let candidates: Vec<PathBuf> = anywhere.chain(installed).collect();
    candidates.into_iter().find(|file| file.is_file()).context("there is no pgbench: Debian has it in postgresql-contrib")
}

pub async fn measure(program: &Path, script: &Script<'_>, connections: usize, time: Duration) -> Result<Seen> {
    let before = costs::of_postgres(script.postmaster)?;
    let config: Config = script.url.parse().context("that is no address of a database")?;
    let [Host::Tcp(host), ..] = config.get_hosts() else { bail!("pgbench is given a host and a port") };
    let password = String::from_utf8_lossy(config.get_password().unwrap_or_default()).into_owned();
    let mut command = Command::new(program);
    command
        .args(["--no-vacuum", "--jobs=1", "--host", host, "--file"])
        .arg(script.file)
        .args(["--username", config.get_user().unwrap_or_default(), "--protocol", script.mode.name()])
        .args(["--client", &connections.to_string(), "--time", &time.as_secs().max(1).to_string()])
        .args(["--port", &config.get_ports().first().unwrap_or(&5432).to_string()])
        .arg(config.get_dbname().unwrap_or_default())
        .env("PGPASSWORD", password)
        .kill_on_drop(true);
    let output = command.output().await.context("pgbench cannot be run")?;
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let after = costs::of_postgres(script.postmaster)?;
    ensure!(
        output.status.success() && !complained.contains("aborted"),
        "pgbench failed:\n{}",
        logfile::last_lines(&complained, 10)
    );
    let number = |before: &str, behind: char| {
        let rest = said.split_once(before)?.1.trim_start();
        rest.split(behind).next()?.trim().parse::<f64>().ok()
    };
    let runs = number("transactions actually processed:", '\n').context("pgbench does not say how much it did")?;
    let rate = number("tps =", ' ').context("pgbench does not say how fast it was")?;
    let turns = f64::from(u32::try_from(script.turns)?);
    ensure!(runs > 0.0, "pgbench finished nothing in its time");
    Ok(Seen { rate: rate * turns, postgres: (after - before) * 1000.0 / runs / turns })
}
