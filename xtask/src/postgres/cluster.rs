//! A private cluster in a folder: made once, started on a free port of 127.0.0.1, stopped.
//!
//! What must stay true: a folder named `data` is a complete cluster. It is made under another name and renamed last, so that a
//! crash in between leaves nothing that would be taken for one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tokio::process::Child;

use crate::environment::Environment;
use crate::postgres::installation::Installation;
use crate::postgres::server::{self, Server};
use crate::{database, logfile, port, process, secrets};

const UNFINISHED: &str = "data.unfinished-";
const ATTEMPTS: u32 = 5;
const RECOVERY_PATIENCE: Duration = Duration::from_secs(300);

/// What survives a loss of power.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    Everything,
    /// For tests: several times faster, worthless after a crash.
    Nothing,
}

pub struct Cluster {
    folder: PathBuf,
    superuser_password: String,
    durability: Durability,
}

/// A server that this process started. Dropped, it is asked to stop: an error or Ctrl-C half way leaves nothing behind.
pub struct Started {
    pub server: Server,
    data: PathBuf,
    child: Child,
}

impl Drop for Started {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            process::send(self.server.pid, Signal::INT);
        }
    }
}

impl Cluster {
    pub fn new(folder: PathBuf, superuser_password: String, durability: Durability) -> Self {
        Self { folder, superuser_password, durability }
    }

    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub fn log(&self) -> PathBuf {
        self.folder.join("postgres.log")
    }

    pub fn running(&self) -> Option<Server> {
        server::running(&self.data())
    }

    pub fn url(&self, server: Server, database: &str) -> String {
        format!("postgres://postgres:{}@127.0.0.1:{}/{database}", self.superuser_password, server.port)
    }

    pub async fn make(&self, environment: &Environment, installation: &Installation) -> Result<()> {
        self.remove_unfinished();
        let unfinished = self.folder.join(format!("{UNFINISHED}{}", std::process::id()));
        fs::create_dir(&unfinished).with_context(|| format!("cannot make {}", unfinished.display()))?;
        fs::set_permissions(&unfinished, fs::Permissions::from_mode(0o700))?;
        environment.account.give(&unfinished)?;
        let password_file = self.folder.join("initdb-password");
        secrets::write_private(&password_file, self.superuser_password.as_bytes())?;
        environment.account.give(&password_file)?;
        let result = self.initdb(environment, installation, &unfinished, &password_file).await;
        fs::remove_file(&password_file)?;
        result?;
        fs::rename(&unfinished, self.data()).context("cannot put the new cluster in place")
    }

    /// What a crash left half made. If its initdb should still be running, that one fails for itself and harms nobody: the next
    /// attempt has a folder of another name.
    fn remove_unfinished(&self) {
        let children = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for child in children.filter(|child| child.file_name().to_string_lossy().starts_with(UNFINISHED)) {
            drop(fs::remove_dir_all(child.path()));
        }
    }

    async fn initdb(
        &self,
        environment: &Environment,
        installation: &Installation,
        data: &Path,
        password_file: &Path,
    ) -> Result<()> {
        let mut command = environment.account.command(&installation.program("initdb"));
        command.arg("--pgdata").arg(data).arg("--pwfile").arg(password_file);
        command.args(["--username=postgres", "--encoding=UTF8", "--auth=scram-sha-256"]);
        if cfg!(target_os = "macos") {
            // This system has no C.UTF-8; the collation is the same, the character classes come from another locale.
            command.args(["--lc-collate=C", "--lc-ctype=en_US.UTF-8"]);
        } else {
            command.arg("--locale=C.UTF-8");
        }
        if self.durability == Durability::Nothing {
            command.arg("--no-sync");
        }
        let output = command.kill_on_drop(true).output().await.context("cannot run initdb")?;
        if !output.status.success() {
            bail!("initdb failed:\n{}", logfile::last_lines(&String::from_utf8_lossy(&output.stderr), 15));
        }
        Ok(())
    }

    /// Starts the server and waits until it takes connections. A port that somebody else took meanwhile is no error.
    pub async fn start(&self, environment: &Environment, installation: &Installation) -> Result<Started> {
        self.check_version(installation)?;
        server::remove_stale_pid_file(&self.data());
        let mut wanted = self.last_port().filter(|last| port::refusal(*last).is_none());
        for _ in 0..ATTEMPTS {
            let chosen = match wanted.take() {
                Some(last) => last,
                None => port::any_free()?,
            };
            let log_begin = logfile::length(&self.log());
            let mut started = self.spawn(environment, installation, chosen)?;
            if self.wait_ready(&mut started).await? {
                fs::write(self.folder.join("port"), chosen.to_string())?;
                return Ok(started);
            }
            self.excuse(&logfile::since(&self.log(), log_begin)).await?;
        }
        bail!("the database server did not start in {ATTEMPTS} attempts; see {}", self.log().display())
    }

    /// Returns when another attempt may succeed.
    async fn excuse(&self, log: &str) -> Result<()> {
        if log.contains("shared memory block") {
            // Its predecessor was killed and the helpers of that one are still ending.
            tokio::time::sleep(Duration::from_secs(2)).await;
            return Ok(());
        }
        if log.contains("could not bind") || log.contains("could not create any TCP/IP sockets") {
            return Ok(());
        }
        bail!("the database server ended at once; the end of {}:\n{}", self.log().display(), logfile::last_lines(log, 15))
    }

    fn spawn(&self, environment: &Environment, installation: &Installation, port: u16) -> Result<Started> {
        let log = logfile::open(&self.log())?;
        let mut command = environment.account.command(&installation.program("postgres"));
        command.arg("-D").arg(self.data());
        for setting in self.settings(port) {
            command.arg("-c").arg(setting);
        }
        // A group of its own: Ctrl-C in the terminal reaches xtask alone, which then stops things in order.
        command.process_group(0).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().context("cannot start the database server")?;
        let pid = child.id().context("the database server ended at once")?;
        Ok(Started { server: Server { pid, port, since: 0 }, data: self.data(), child })
    }

    fn settings(&self, port: u16) -> Vec<String> {
        let mut settings = vec![
            format!("port={port}"),
            "listen_addresses=127.0.0.1".to_owned(),
            "unix_socket_directories=".to_owned(),
            "timezone=UTC".to_owned(),
            "log_timezone=UTC".to_owned(),
        ];
        if self.durability == Durability::Nothing {
            let fast =
                ["fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_connections=300", "shared_buffers=256MB"];
            settings.extend(fast.map(str::to_owned));
        }
        settings
    }

    /// False when the server ended instead. After a crash it may recover for long, and says so to whoever connects.
    async fn wait_ready(&self, started: &mut Started) -> Result<bool> {
        let begun = Instant::now();
        loop {
            if started.child.try_wait()?.is_some() {
                return Ok(false);
            }
            if let Some(server) = server::running(&started.data).filter(|server| server.pid == started.server.pid)
                && database::connect(&self.url(server, "postgres")).await.is_ok()
            {
                started.server = server;
                return Ok(true);
            }
            if begun.elapsed() > RECOVERY_PATIENCE {
                bail!("the database server does not take connections; see {}", self.log().display());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn last_port(&self) -> Option<u16> {
        fs::read_to_string(self.folder.join("port")).ok()?.trim().parse().ok()
    }

    /// The major version that made the data, if there are any.
    pub fn made_by(&self) -> Option<String> {
        fs::read_to_string(self.data().join("PG_VERSION")).ok().map(|version| version.trim().to_owned())
    }

    fn check_version(&self, installation: &Installation) -> Result<()> {
        let made_by = self.made_by().context("the cluster has no PG_VERSION")?;
        if made_by != installation.major().to_string() {
            bail!(
                "the data were made by PostgreSQL {}, but what is found now is {}: `cargo xtask up --fresh` makes them anew, or name \
                 the right programs in CRM_POSTGRES_BIN",
                made_by,
                installation.version
            );
        }
        Ok(())
    }
}
