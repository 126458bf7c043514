//! `cargo xtask down`: stops the gateway and the private cluster of this checkout, whoever started them.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::environment::Environment;
use crate::lock::{self, Attempt, Lock};
use crate::postgres::server;
use crate::progress::{say, step};
use crate::test::throwaway;
use crate::{database, gateway, process};

const PATIENCE: Duration = Duration::from_secs(60);

pub async fn run(environment: &Environment) -> Result<()> {
    if !environment.state.is_dir() {
        say("nothing runs\n");
        return Ok(());
    }
    let mut stopped = 0;
    let gateway = gateway::running(environment);
    let data = environment.state.join("data");
    let server = server::running(&data);
    let _lock = take_over(environment).await?;
    if let Some(record) = gateway {
        step(&format!("stopping the gateway (process {})", record.pid), gateway::stop(&record)).await?;
        stopped += 1;
    }
    if let Some(server) = server {
        step(&format!("stopping PostgreSQL (process {})", server.pid), server::stop(&data, server)).await?;
        stopped += 1;
    }
    if throwaway::stop_leftover(environment).await? {
        say("stopped the cluster of a test run that was killed\n");
        stopped += 1;
    }
    if stopped == 0 {
        say("nothing runs\n");
    }
    Ok(())
}

/// A waiting `up` holds the lock; it stops what it started when it is asked to.
async fn take_over(environment: &Environment) -> Result<Lock> {
    let file = database::lock_file(environment);
    let holder = match lock::try_take(&file)? {
        Attempt::Taken(lock) => return Ok(lock),
        Attempt::HeldBy(holder) => holder.context("the lock is held, and its holder did not say who it is: try again")?,
    };
    let ask = async {
        process::send(holder, Signal::TERM);
        let is_free = || matches!(lock::try_take(&file), Ok(Attempt::Taken(_)));
        if !process::wait_until(PATIENCE, is_free).await {
            bail!("process {holder} does not let go of {}", file.display());
        }
        Ok(())
    };
    step(&format!("asking `cargo xtask up` (process {holder}) to stop"), ask).await?;
    database::take_lock(environment)
}
