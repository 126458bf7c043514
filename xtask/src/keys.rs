//! `cargo xtask keys`: the keys that sign tokens, of this checkout: list, rotate, retire.
//!
//! Must stay true: a rotation loses no request and no token, because the old keys stay until they are retired; the key that signs is
//! never retired.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tokio::process::Command;

use crate::environment::Environment;
use crate::progress::{say, talking_step};
use crate::{cargo, gateway, logfile, process};

/// What the gateway logs when it has read its keys again.
const READ_AGAIN: &str = "the keys of tokens were read again";
/// What it logs when it could not.
const NOT_READ: &str = "the keys of tokens cannot be read again";
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(clap::Subcommand)]
pub enum Action {
    /// Name the keys and say what each does
    List,
    /// Make a new key and sign with it; the old ones go on verifying
    Rotate,
    /// Take a key away: its tokens end at once, API tokens among them
    Retire {
        /// As `list` names it
        id: String,
    },
}

struct Key {
    id: String,
    state: String,
    file: String,
}

pub async fn run(environment: &Environment, action: Action) -> Result<()> {
    let ring = gateway::token_keys(environment);
    if !ring.is_dir() {
        bail!("this checkout has no keys yet: `cargo xtask up` makes the first one");
    }
    let program = talking_step("building the gateway", cargo::build_gateway(environment, cargo::Profile::Development)).await?;
    match action {
        Action::List => {}
        Action::Rotate => {
            ask(&program, &["generate-key"], &ring).await?;
            read_again(environment).await?;
        }
        Action::Retire { id } => {
            let keys = list(&program, &ring).await?;
            let key = keys.iter().find(|key| key.id == id).with_context(|| format!("there is no key {id}"))?;
            if key.state == "signs" {
                bail!("{id} is the key that signs: `cargo xtask keys rotate` first");
            }
            fs::remove_file(ring.join(&key.file)).with_context(|| format!("cannot remove {}", key.file))?;
            read_again(environment).await?;
        }
    }
    for key in list(&program, &ring).await? {
        say(&format!("{}  {:<8}  {}\n", key.id, key.state, key.file));
    }
    Ok(())
}

async fn list(program: &Path, ring: &Path) -> Result<Vec<Key>> {
    let lines = ask(program, &["list-keys"], ring).await?;
    let key = |line: &str| {
        let (id, rest) = line.split_once(' ')?;
        let (state, file) = rest.trim().split_once(' ')?;
        Some(Key { id: id.to_owned(), state: state.to_owned(), file: file.trim().to_owned() })
    };
    lines.lines().map(key).collect::<Option<Vec<_>>>().context("the gateway listed its keys in another form")
}

async fn ask(program: &Path, arguments: &[&str], ring: &Path) -> Result<String> {
    let output = Command::new(program).args(arguments).arg(ring).stdin(Stdio::null()).output().await?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Tells the gateway of this checkout, if one runs; requests go on meanwhile.
async fn read_again(environment: &Environment) -> Result<()> {
    let Some(record) = gateway::running(environment) else {
        say("no gateway runs; the next one reads the keys when it starts\n");
        return Ok(());
    };
    let log = gateway::log(environment);
    let log_end = logfile::length(&log);
    process::send(record.pid, Signal::HUP);
    let says = |line: &str| logfile::since(&log, log_end).contains(line);
    process::wait_until(PATIENCE, || says(READ_AGAIN) || says(NOT_READ)).await;
    if says(NOT_READ) {
        bail!("the gateway could not read the keys and goes on with the old ones: {} says why", log.display());
    }
    let done = if says(READ_AGAIN) { "has read its keys again" } else { "was told to read its keys again" };
    say(&format!("the gateway (process {}) {done}\n", record.pid));
    Ok(())
}
