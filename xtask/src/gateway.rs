//! The gateway as a process of this checkout: started, watched, recognised later, ended.
//!
//! Its log goes to a file and never through a pipe of ours: it must outlive a killed `cargo xtask up`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::environment::{Environment, variable};
use crate::{logfile, mail, process};

const READY_PATIENCE: Duration = Duration::from_secs(30);
const STOP_PATIENCE: Duration = Duration::from_secs(15);
const ANSWER_PATIENCE: Duration = Duration::from_secs(2);

/// What is known about a gateway that was started here, by this process or an earlier one.
#[derive(Clone, Serialize, Deserialize)]
pub struct Record {
    pub pid: u32,
    pub port: u16,
    /// Seconds since 1970.
    pub since: i64,
    /// Tells this process from a later one with the same number.
    birth: String,
}

/// A gateway that this process started. Dropped, it is asked to stop.
pub struct Gateway {
    pub record: Record,
    pub log_begin: u64,
    child: Child,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            process::send(self.record.pid, Signal::TERM);
        }
    }
}

pub fn log(environment: &Environment) -> PathBuf {
    environment.state.join("gateway.log")
}

fn record_file(environment: &Environment) -> PathBuf {
    environment.state.join("gateway.json")
}

/// The gateway of this checkout that still lives, if any.
pub fn running(environment: &Environment) -> Option<Record> {
    let record: Record = serde_json::from_slice(&fs::read(record_file(environment)).ok()?).ok()?;
    is_it(&record).then_some(record)
}

fn is_it(record: &Record) -> bool {
    process::birth(record.pid).is_some_and(|birth| birth == record.birth)
}

pub async fn stop(record: &Record) -> Result<()> {
    let signals = [(Signal::TERM, STOP_PATIENCE), (Signal::KILL, Duration::from_secs(5))];
    if !process::end(record.pid, &signals, || is_it(record)).await {
        bail!("the gateway (process {}) does not end", record.pid);
    }
    Ok(())
}

/// The folder of the keys that sign tokens.
pub fn token_keys(environment: &Environment) -> PathBuf {
    environment.state.join("token-keys")
}

/// What earlier versions had instead: the one key there was. Its name in the folder sorts before that of every other.
const ONLY_TOKEN_KEY: &str = "token-key.pem";
const FIRST_TOKEN_KEY: &str = "00000000T000000Z-first.pem";

/// The places of the keys that the gateway is given.
pub struct Keys {
    token: PathBuf,
    sealing: PathBuf,
}

impl Keys {
    fn of(environment: &Environment) -> Self {
        Self { token: token_keys(environment), sealing: environment.state.join("sealing-keys") }
    }
}

/// The keys that sign tokens and seal secrets: made once, readable by their owner alone.
pub async fn ensure_keys(environment: &Environment, program: &Path) -> Result<Keys> {
    let keys = Keys::of(environment);
    ensure_token_keys(environment, program, &keys.token).await?;
    ensure_key(environment, program, "generate-sealing-key", &keys.sealing).await?;
    Ok(keys)
}

async fn ensure_token_keys(environment: &Environment, program: &Path, ring: &Path) -> Result<()> {
    fs::create_dir_all(ring).with_context(|| format!("cannot make the folder {}", ring.display()))?;
    fs::set_permissions(ring, std::os::unix::fs::PermissionsExt::from_mode(0o700)).context("cannot close the folder of keys")?;
    let only = environment.state.join(ONLY_TOKEN_KEY);
    if only.exists() {
        fs::rename(&only, ring.join(FIRST_TOKEN_KEY)).context("cannot put the key into the folder of keys")?;
    }
    let is_key = |entry: fs::DirEntry| entry.path().extension().is_some_and(|extension| extension == "pem");
    if fs::read_dir(ring)?.flatten().any(is_key) {
        return Ok(());
    }
    ensure_key(environment, program, "generate-key", &ring.join(FIRST_TOKEN_KEY)).await
}

async fn ensure_key(environment: &Environment, program: &Path, command: &str, file: &Path) -> Result<()> {
    if file.exists() {
        return Ok(());
    }
    let unfinished = environment.state.join(format!("{command}.unfinished"));
    drop(fs::remove_file(&unfinished));
    let output = Command::new(program).arg(command).arg(&unfinished).stdin(Stdio::null()).output().await?;
    if !output.status.success() {
        bail!("the gateway made no key:\n{}", logfile::last_lines(&String::from_utf8_lossy(&output.stderr), 10));
    }
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&unfinished, private).context("the gateway made no key")?;
    fs::rename(&unfinished, file).context("cannot put the key in place")
}

pub fn forget_keys(environment: &Environment) -> Result<()> {
    let keys = Keys::of(environment);
    let removed =
        [fs::remove_dir_all(keys.token), fs::remove_file(environment.state.join(ONLY_TOKEN_KEY)), fs::remove_file(keys.sealing)];
    for removed in removed {
        match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).context("cannot remove a key"),
            _ => {}
        }
    }
    Ok(())
}

/// Starts it; the settings are variables that it gets besides.
pub fn start(
    environment: &Environment,
    database_url: &str,
    program: &Path,
    keys: &Keys,
    port: u16,
    settings: &[(&str, &str)],
) -> Result<Gateway> {
    let log_begin = logfile::length(&log(environment));
    let output = logfile::open(&log(environment))?;
    let mut command = Command::new(program);
    command
        .env("CRM_DATABASE_URL", database_url)
        .env("CRM_BIND", format!("127.0.0.1:{port}"))
        .env("CRM_TOKEN_KEY_FILE", &keys.token)
        .env("CRM_SEALING_KEY_FILE", &keys.sealing)
        .env("CRM_PUBLIC_URL", format!("http://127.0.0.1:{port}"))
        .env("CRM_MAIL", variable("CRM_MAIL").unwrap_or_else(|| format!("mailbox:{}", mail::folder(environment).display())))
        .env("CRM_LOG", variable("CRM_LOG").unwrap_or_else(|| "info".to_owned()))
        // Nobody sends requests elsewhere when the only one ends.
        .env("CRM_DRAIN_SECONDS", "0")
        .envs(settings.iter().copied())
        .env_remove("DATABASE_URL")
        .current_dir(&environment.root)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output);
    let child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
    let pid = child.id().context("the gateway ended at once")?;
    let since = time::OffsetDateTime::now_utc().unix_timestamp();
    let record = Record { pid, port, since, birth: process::birth(pid).unwrap_or_default() };
    fs::write(record_file(environment), serde_json::to_vec_pretty(&record)?)?;
    Ok(Gateway { record, log_begin, child })
}

impl Gateway {
    /// Waits until it says that it is ready, and no longer than is reasonable.
    pub async fn wait_ready(&mut self, environment: &Environment) -> Result<()> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("the gateway ended ({status}); its last lines:\n{}", self.last_lines(environment));
            }
            match status_of(self.record.port, "/readyz").await {
                Some(200) => return Ok(()),
                answer if begun.elapsed() > READY_PATIENCE => {
                    let answer = answer.map_or_else(|| "nothing".to_owned(), |status| status.to_string());
                    bail!(
                        "the gateway is not ready after 30 s (/readyz answers {answer}); its last lines:\n{}",
                        self.last_lines(environment)
                    );
                }
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Waits for its end and tells why.
    pub async fn wait_end(&mut self, environment: &Environment) -> Result<String> {
        let status = self.child.wait().await?;
        Ok(format!("the gateway ended ({status}); its last lines:\n{}", self.last_lines(environment)))
    }

    fn last_lines(&self, environment: &Environment) -> String {
        logfile::last_lines(&logfile::since(&log(environment), self.log_begin), 15)
    }

    /// Asks it to finish what it is doing, and waits.
    pub async fn stop(mut self) -> Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        process::send(self.record.pid, Signal::TERM);
        if tokio::time::timeout(STOP_PATIENCE, self.child.wait()).await.is_err() {
            self.child.kill().await?;
        }
        Ok(())
    }
}

/// The status of a GET on this machine, or `None` when nobody answers.
pub async fn status_of(port: u16, path: &str) -> Option<u16> {
    let ask = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut start = [0_u8; 12];
        stream.read_exact(&mut start).await?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&start).into_owned())
    };
    let start = tokio::time::timeout(ANSWER_PATIENCE, ask).await.ok()?.ok()?;
    start.strip_prefix("HTTP/1.1 ")?.trim().parse().ok()
}
