//! PgBouncer between the tests and the throw-away server, as it stands between the gateway and a production server: every
//! transaction may run on another connection of the server, so that nothing may hang on the one before.
//!
//! Only what the application does goes through it; migrations and the tests' own looks into the database go past it. What must stay
//! true: its settings are those of `deploy/pgbouncer.ini`, but for the places and the number of connections.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::process::Child;

use crate::environment::{Environment, variable};
use crate::postgres::installation::on_path;
use crate::test::counts::Counts;
use crate::{logfile, port, url};

/// Since this version it follows prepared statements from one connection of the server to the next.
const OLDEST: (u32, u32) = (1, 21);
/// What crm-testkit gives to crm_app.
const APP_PASSWORD: &str = "only-for-tests";
const PATIENCE: Duration = Duration::from_secs(10);
/// Of the server for each database: fewer than the eight of the tests' own pools.
const CONNECTIONS: &str = "3";

/// A running PgBouncer. Dropped, it is ended.
pub struct Pooler {
    child: Child,
    /// Where it listens.
    pub place: String,
    pub version: String,
}

impl Pooler {
    /// In front of the server of this administrator's URL.
    pub async fn start(environment: &Environment, admin_url: &str) -> Result<Self> {
        let program = find()?;
        let version = version(environment, &program).await?;
        let folder = environment.state.join("pgbouncer");
        environment.make_folder(&folder)?;
        let (port, configuration) = (port::any_free()?, folder.join("pgbouncer.ini"));
        let deployed = fs::read_to_string(environment.root.join("deploy/pgbouncer.ini")).context("no deploy/pgbouncer.ini")?;
        fs::write(&configuration, adapted(&deployed, &server_of(admin_url)?, port)?)?;
        let log = logfile::open(&folder.join("pgbouncer.log"))?;
        let mut command = environment.account.command(&program);
        command.arg(&configuration).kill_on_drop(true).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("cannot run {}", program.display()))?;
        let mut pooler = Self { child, place: format!("127.0.0.1:{port}"), version };
        pooler.wait_ready(&folder).await?;
        Ok(pooler)
    }

    /// What docs/RELIABILITY.md says of a run.
    pub fn section(&self, counts: &Counts) -> String {
        format!(
            "## Through a pooler\n\n`cargo xtask test --through pgbouncer --write` runs the contract of every noun and the tests of HTTP with all of the \
             application's connections through PgBouncer in transaction mode, with the settings of [pgbouncer.ini](../deploy/pgbouncer.ini) and {CONNECTIONS} \
             connections for each database: PgBouncer {}, {} passed, {} failed.",
            self.version, counts.passed, counts.failed
        )
    }

    async fn wait_ready(&mut self, folder: &Path) -> Result<()> {
        let begun = Instant::now();
        while tokio::net::TcpStream::connect(&self.place).await.is_err() {
            if self.child.try_wait()?.is_some() || begun.elapsed() > PATIENCE {
                bail!("PgBouncer did not start; see {}", folder.join("pgbouncer.log").display());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

/// Host and port as PgBouncer wants them.
fn server_of(admin_url: &str) -> Result<String> {
    let place = url::for_libpq(admin_url)?;
    let of = |name: &str| place.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone()).unwrap_or_default();
    Ok(format!("host={} port={}", of("PGHOST"), of("PGPORT")))
}

/// The deployed settings with other places. The tests have many databases, each with few connections: fewer than its clients, so
/// that they share them. A section may stand there once: PgBouncer forgets the first when a second comes.
fn adapted(deployed: &str, server: &str, port: u16) -> Result<String> {
    let (_, settings) = deployed.split_once("[pgbouncer]").context("deploy/pgbouncer.ini has no section [pgbouncer]")?;
    let port = port.to_string();
    let other = [
        ("listen_addr", "127.0.0.1"),
        ("listen_port", &port),
        ("auth_type", "any"),
        ("auth_file", ""),
        ("server_tls_sslmode", "disable"),
        ("default_pool_size", CONNECTIONS),
        ("server_idle_timeout", "5"),
    ];
    let name = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
    let kept = settings.lines().filter(|line| !other.iter().any(|(other, _)| *other == name(line)));
    let other = other.iter().map(|(name, value)| format!("{name} = {value}"));
    let lines: Vec<String> = kept.map(str::to_owned).chain(other).collect();
    Ok(format!("[databases]\n* = {server} user=crm_app password={APP_PASSWORD}\n[pgbouncer]\n{}\n", lines.join("\n")))
}

fn find() -> Result<PathBuf> {
    let named = variable("CRM_PGBOUNCER").map(PathBuf::from);
    named.or_else(|| on_path("pgbouncer")).context("no pgbouncer: install 1.21 or newer, or name its program in CRM_PGBOUNCER")
}

async fn version(environment: &Environment, program: &Path) -> Result<String> {
    let output = environment.account.command(program).arg("--version").output().await.context("PgBouncer does not run")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.split_whitespace().nth(1).with_context(|| format!("{} is no PgBouncer", program.display()))?.to_owned();
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < OLDEST {
        bail!(
            "PgBouncer {version} cannot follow prepared statements in transaction mode: {}.{} or newer is needed",
            OLDEST.0,
            OLDEST.1
        );
    }
    Ok(version)
}

#[cfg(test)]
mod tests {
    use super::adapted;

    #[test]
    fn what_is_tested_is_what_is_deployed_at_another_place() {
        let deployed = "[databases]\ncrm = host=db\n[pgbouncer]\n; how\npool_mode = transaction\nlisten_port = 6432\n";
        let text = adapted(deployed, "host=127.0.0.1 port=5", 7).unwrap_or_default();
        assert!(text.contains("\npool_mode = transaction\n") && text.contains("\nlisten_port = 7\n"), "{text}");
        assert!(!text.contains("6432") && !text.contains("host=db"), "{text}");
        assert_eq!(text.matches("[pgbouncer]").count(), 1, "{text}");
    }
}
