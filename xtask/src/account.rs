//! Under which account the private PostgreSQL server runs.
//!
//! The server refuses to run as root. Started by root it therefore runs as `postgres`, or as `nobody` where that account
//! is missing (initdb insists on an account that the system knows by name, so an invented number will not do). Started by
//! anyone else it runs as that person.

use std::path::Path;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

const SERVER_ACCOUNTS: [&str; 2] = ["postgres", "nobody"];

#[derive(Clone, Debug)]
pub struct Account {
    /// User and group to change to; `None` keeps the caller's own.
    switch_to: Option<(u32, u32)>,
}

impl Account {
    pub async fn for_server() -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self { switch_to: None });
        }
        for name in SERVER_ACCOUNTS {
            if let Some(ids) = look_up(name).await? {
                return Ok(Self { switch_to: Some(ids) });
            }
        }
        bail!(
            "root cannot run PostgreSQL, and neither an account `postgres` nor `nobody` exists: make one with `useradd --system postgres`"
        )
    }

    pub fn is_other_than_caller(&self) -> bool {
        self.switch_to.is_some()
    }

    /// A command of this account. Changing the user also clears root's supplementary groups (the standard library does that).
    /// Nothing of the caller's environment is passed on: it may hold secrets, and PG* variables change what the server does.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_ALL", "C").current_dir("/");
        if let Some((user, group)) = self.switch_to {
            command.uid(user).gid(group);
        }
        command
    }

    pub fn give(&self, path: &Path) -> Result<()> {
        if let Some((user, group)) = self.switch_to {
            std::os::unix::fs::chown(path, Some(user), Some(group))
                .with_context(|| format!("cannot give {} to the server's account", path.display()))?;
        }
        Ok(())
    }
}

async fn look_up(name: &str) -> Result<Option<(u32, u32)>> {
    let (Some(user), Some(group)) = (id("-u", name).await?, id("-g", name).await?) else { return Ok(None) };
    Ok((user != 0).then_some((user, group)))
}

async fn id(flag: &str, name: &str) -> Result<Option<u32>> {
    let output = Command::new("id").args([flag, name]).output().await.context("cannot run `id`")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse().ok())
}
