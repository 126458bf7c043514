//! `cargo xtask up`: from a bare machine to a gateway that answers, with data in it.
//!
//! What must stay true: whatever ran before is left as it was; whatever this command started, it stops; a second call says
//! what runs instead of disturbing it; a call after a crash needs no cleaning by hand.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::database::{self, Database};
use crate::environment::Environment;
use crate::gateway::{self, Gateway};
use crate::lock::{self, Attempt, Lock};
use crate::postgres::portable::remove_if_there;
use crate::progress::{say, step, talking_step};
use crate::{cargo, logfile, mail, migrate, port, seed, signals, status};

#[derive(clap::Args)]
pub struct Options {
    /// Port of the gateway on 127.0.0.1
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Throw this checkout's own data away first
    #[arg(long)]
    fresh: bool,
}

pub async fn run(environment: &Environment, options: &Options) -> Result<()> {
    environment.make_state()?;
    let lock = match lock::try_take(&database::lock_file(environment))? {
        Attempt::Taken(lock) => lock,
        Attempt::HeldBy(holder) => return somebody_is_at_it(environment, options, holder).await,
    };
    if let Some(record) = gateway::running(environment) {
        if is_whole(environment, &record).await {
            return runs_already(environment, options).await;
        }
        say(&format!("a gateway from an earlier run (process {}) is no longer ready: ending it\n", record.pid));
        gateway::stop(&record).await?;
    }
    let was_running = database::is_running(environment);
    let result = start_and_stay(environment, options).await;
    database::leave_as_found(environment, was_running).await?;
    drop::<Lock>(lock);
    result
}

async fn somebody_is_at_it(environment: &Environment, options: &Options, holder: Option<u32>) -> Result<()> {
    if let Some(record) = gateway::running(environment)
        && is_whole(environment, &record).await
    {
        return runs_already(environment, options).await;
    }
    let holder = holder.map(|pid| format!(" (process {pid})")).unwrap_or_default();
    bail!("another cargo xtask{holder} is starting or stopping this checkout: wait for it, or end it with `cargo xtask down`")
}

/// A gateway can outlive its database, and may not have noticed yet.
async fn is_whole(environment: &Environment, record: &gateway::Record) -> bool {
    database::is_running(environment) && gateway::status_of(record.port, "/readyz").await == Some(200)
}

async fn runs_already(environment: &Environment, options: &Options) -> Result<()> {
    if options.fresh {
        bail!("it is running, and --fresh would throw its data away under it: `cargo xtask down` first");
    }
    say("It runs already.\n\n");
    status::run(environment).await?;
    if let Some(record) = gateway::running(environment) {
        say(&welcome(&address(record.port)));
    }
    say("`cargo xtask down` stops it.\n");
    Ok(())
}

async fn start_and_stay(environment: &Environment, options: &Options) -> Result<()> {
    let mut started = None;
    let work = async {
        started = Some(start(environment, options).await?);
        match started.as_mut() {
            Some((_, gateway)) => stay(environment, gateway).await,
            None => Ok(()),
        }
    };
    let result = tokio::select! {
        result = work => result,
        stop = signals::asked_to_stop() => stop.map(|()| say("\nstopping\n")),
    };
    match started {
        Some((_database, gateway)) => gateway.stop().await.and(result),
        None => result.and_then(|()| bail!("stopped before it was up")),
    }
}

async fn start(environment: &Environment, options: &Options) -> Result<(Database, Gateway)> {
    refuse_taken_port(options.port)?;
    if options.fresh {
        wipe(environment).await?;
    }
    let database = database::open(environment).await?;
    step("migrating", migrate::apply(&database.admin_url)).await?;
    database::set_passwords(environment, &database).await?;
    if !seed::is_present(&database).await? {
        talking_step("seeding the demo organisation", seed::run(environment, &database)).await?;
    }
    let program = talking_step("building the gateway", cargo::build_gateway(environment, cargo::Profile::Development)).await?;
    let keys = gateway::ensure_keys(environment, &program).await?;
    refuse_taken_port(options.port)?;
    let mut gateway = gateway::start(environment, &database.app_url, &program, &keys, options.port, &[])?;
    step("waiting for the gateway", gateway.wait_ready(environment)).await?;
    Ok((database, gateway))
}

fn refuse_taken_port(wanted: u16) -> Result<()> {
    let Some(error) = port::refusal(wanted) else { return Ok(()) };
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            let owner = port::listener(wanted).map(|owner| format!(" by {owner}")).unwrap_or_default();
            bail!("port {wanted} of 127.0.0.1 is taken{owner}: end that, or choose another with --port")
        }
        _ => bail!("port {wanted} of 127.0.0.1 cannot be used ({error}): choose another with --port"),
    }
}

async fn wipe(environment: &Environment) -> Result<()> {
    if environment.external.is_some() {
        bail!("--fresh throws away only what this command made itself, and the database of DATABASE_URL is not that");
    }
    database::leave_as_found(environment, false).await?;
    // Tokens of people who no longer exist are worth nothing; a damaged key is mended on the way.
    gateway::forget_keys(environment)?;
    remove_if_there(&mail::folder(environment))?;
    remove_if_there(&environment.state.join("data"))
}

/// Shows the gateway's log until something ends.
async fn stay(environment: &Environment, gateway: &mut Gateway) -> Result<()> {
    say(&welcome(&address(gateway.record.port)));
    say("Ctrl-C stops it.\n\n");
    let log = gateway::log(environment);
    let log_end = logfile::length(&log);
    tokio::select! {
        reason = gateway.wait_end(environment) => bail!("{}", reason?),
        () = database_gone(environment) => {
            bail!("the database server ended; the end of {} says why", environment.state.join("postgres.log").display())
        }
        () = logfile::follow(&log, log_end) => Ok(()),
    }
}

async fn database_gone(environment: &Environment) {
    while database::is_running(environment) {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn address(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn welcome(address: &str) -> String {
    let mut text = format!("\nAscendore CRM answers on {address}\n\nLogins of the demo organisation:\n");
    for login in seed::logins() {
        text.push_str(&format!("  {:<8}{:<32}{}\n", login.role, login.email, login.password));
    }
    text.push_str(&format!("\nTry it (paste both lines):\n{}\n\n", example(address)));
    text
}

/// Two lines for a shell with curl and sed.
fn example(address: &str) -> String {
    let Some(login) = seed::logins().into_iter().next() else { return String::new() };
    format!(
        "TOKEN=$(curl -s {address}/api/v1/auth/login -H 'content-type: application/json' \
         -d '{{\"email\":\"{}\",\"password\":\"{}\"}}' | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')\n\
         curl -s {address}/api/v1/a-crm/deals/pipeline -H \"authorization: Bearer $TOKEN\"",
        login.email, login.password
    )
}
