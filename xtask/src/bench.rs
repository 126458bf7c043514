//! `cargo xtask bench`: how fast the gateway answers on a large organisation, and what an answer costs. docs/BENCHMARKS.md has what came out.
//!
//! Beside each slice of the gateway stands one of pgbench, which asks the same statements in the same transactions: what there is to win.
//! Must stay true: the gateway is the one that is deployed, compiled as it is deployed; every answer is checked; figures are medians of
//! several slices, with their spread, because the client and the database share the processors with what is measured.

mod against;
mod capture;
mod client;
mod costs;
mod load;
mod operations;
mod pgbench;
mod plot;
mod report;
mod script;

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio_postgres::Client;

use crate::bench::against::{Compared, Other};
use crate::bench::client::Server;
use crate::bench::load::Target;
use crate::bench::operations::{Operation, Records};
use crate::bench::report::Row;
use crate::database::{self, Database};
use crate::environment::{self, Environment};
use crate::gateway::Gateway;
use crate::progress::{say, step, talking_step};
use crate::secrets::Secrets;
use crate::{caller, cargo, gateway, port, scale, sections, signals};

#[derive(clap::Args)]
pub struct Options {
    /// Write the table and its picture into docs/BENCHMARKS.md
    #[arg(long)]
    write: bool,
    /// Write the table into this file, as JSON
    #[arg(long)]
    json: Option<PathBuf>,
    /// Connections that ask at the same time
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 32])]
    connections: Vec<usize>,
    /// How long each slice asks
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Slices of each operation and number of connections
    #[arg(long, default_value_t = 3)]
    slices: usize,
    /// Operations whose name has this in it
    #[arg(long, default_value = "")]
    only: String,
    /// Another server in place of pgbench, such as `http://127.0.0.1:3000/api`
    #[arg(long, requires = "map")]
    against: Option<String>,
    /// How that is asked for the same: docs/BENCHMARKS.md says what stands in it
    #[arg(long, requires = "against")]
    map: Option<PathBuf>,
}

/// Limits that one caller meets never: what they cost is measured, not what they refuse.
const WIDE: &[(&str, &str)] = &[
    ("CRM_RATE_LIMIT_ADDRESS", "1000000/1"),
    ("CRM_RATE_LIMIT_CALLER", "1000000/1"),
    ("CRM_RATE_LIMIT_ORGANIZATION", "1000000/1"),
    // Tokens of a session last long enough for all slices.
    ("CRM_LOG", "warn"),
];
/// The contacts that were made would be the newest for ever, and every question about the newest would be about them. Their entries in the log
/// stay, as entries do.
const MADE: &str = include_str!("bench/made.sql");
/// What a measurement leaves many dead rows in.
const WRITTEN: &str = "VACUUM (ANALYZE) crm_companies, crm_contacts, crm_record_times, crm_deals, crm_deal_figures";
/// Whoever has tasks.
const MEMBER: &str = "member1@big.example";
const OWNER: &str = "owner@big.example";

pub async fn run(environment: &Environment, options: &Options) -> Result<()> {
    if !cfg!(debug_assertions) {
        return database::with(environment, async |it| compare(environment, it, options).await).await;
    }
    // The client shares the processors with what it measures, so it is compiled like that, and takes the place of this process.
    let program = talking_step("building the client", cargo::build(environment, "xtask", cargo::Profile::Release)).await?;
    Err(Command::new(program).args(std::env::args_os().skip(1)).exec()).context("the client does not start")
}

async fn compare(environment: &Environment, database: &Database, options: &Options) -> Result<()> {
    let (admin, app_url, context) = scale::measured(environment, database, &scale::LARGE_SIZES).await?;
    let program = talking_step("building the gateway", cargo::build_gateway(environment, cargo::Profile::Release)).await?;
    let own = Environment { state: environment.state.join("bench"), ..environment.clone() };
    own.make_state()?;
    let ground = Ground {
        keys: gateway::ensure_keys(&own, &program).await?,
        pgbench: pgbench::find().await?,
        log: database::cluster(environment, &Secrets::load_or_draw(environment)?).log(),
        records: Records::find(&admin, &context.organization_id.to_string()).await?,
        postmaster: costs::postmaster(&admin).await?,
        operations: operations::ALL.iter().filter(|operation| operation.name.contains(&options.only)).collect(),
        own,
        app_url,
        admin,
        program,
    };
    let measured = tokio::select! {
        measured = ground.measure(options) => measured,
        stop = signals::asked_to_stop() => stop.and_then(|()| bail!("stopped half way")),
    };
    capture::end(&ground.admin).await?;
    step("taking away what was made", ground.tidy_up()).await?;
    let measured = measured?;
    if let Some(file) = &options.json {
        fs::write(file, report::json(options, &measured)?).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if options.write && !measured.compared.is_empty() {
        sections::write(&sections::BENCHMARKS, "against", &against::section(&measured.compared))?;
        say("wrote docs/BENCHMARKS.md\n");
    }
    if options.write && !measured.rows.is_empty() {
        let picture = environment::checkout()?.join("docs/benchmarks/operations.svg");
        fs::create_dir_all(picture.parent().context("a picture stands in a folder")?)?;
        fs::write(&picture, plot::of(&measured.rows))?;
        sections::write(&sections::BENCHMARKS, "operations", &report::section(options, &measured))?;
        say("wrote docs/BENCHMARKS.md\n");
    }
    Ok(())
}

/// What was measured.
pub struct Measured {
    /// From its start until the gateway is ready.
    ready: Duration,
    rows: Vec<Row>,
    /// In place of rows, beside another server.
    compared: Vec<Compared>,
}

struct Ground {
    own: Environment,
    admin: Client,
    app_url: String,
    program: PathBuf,
    keys: gateway::Keys,
    pgbench: PathBuf,
    /// The server's.
    log: PathBuf,
    records: Records,
    postmaster: u32,
    operations: Vec<&'static Operation>,
}

impl Ground {
    async fn measure(&self, options: &Options) -> Result<Measured> {
        let other = options.against.as_deref().zip(options.map.as_deref());
        if let Some((address, map)) = other {
            return self.compare(options, &Other::at(address, map)?).await;
        }
        let scripts = step("looking at the statements of each operation", self.scripts()).await?;
        let begun = Instant::now();
        let mut running = self.start()?;
        running.wait_ready(&self.own).await?;
        let ready = begun.elapsed();
        let mut rows = Vec::new();
        for (operation, file) in self.operations.iter().zip(&scripts) {
            let (mode, turns) = (operation.mode, operation.turns);
            let script = pgbench::Script { file, mode, turns, url: &self.app_url, postmaster: self.postmaster };
            let token = token(&running, operation).await?;
            let target = self.target(&running, &token)?;
            let time = Duration::from_secs(options.seconds);
            for connections in &options.connections {
                let mut slices = Vec::new();
                for _ in 0..options.slices {
                    let seen = load::measure(&target, operation, *connections, time).await?;
                    slices.push((seen, pgbench::measure(&self.pgbench, &script, *connections, time).await?));
                }
                let row = Row::of(operation.name, *connections, &slices);
                say(&format!("{}\n", row.line()));
                rows.push(row);
            }
        }
        running.stop().await?;
        Ok(Measured { ready, rows, compared: Vec::new() })
    }

    async fn compare(&self, options: &Options, other: &Other) -> Result<Measured> {
        let begun = Instant::now();
        let mut running = self.start()?;
        running.wait_ready(&self.own).await?;
        let ready = begun.elapsed();
        let mut compared = Vec::new();
        for operation in self.operations.iter().filter(|operation| other.knows(operation)) {
            let token = token(&running, operation).await?;
            let target = self.target(&running, &token)?;
            for connections in &options.connections {
                let slices = (options.slices, Duration::from_secs(options.seconds));
                let line = other.compare(&target, operation, *connections, slices).await?;
                say(&format!("{}\n", line.line()));
                compared.push(line);
            }
        }
        running.stop().await?;
        ensure!(!compared.is_empty(), "the map has none of the operations");
        Ok(Measured { ready, rows: Vec::new(), compared })
    }

    fn target(&self, running: &Gateway, token: &str) -> Result<Target<'_>> {
        Ok(Target {
            server: Server::gateway(running.record.port, token),
            gateway: running.record.pid,
            postmaster: self.postmaster,
            records: &self.records,
            new: AtomicU32::new(capture::drawn()?),
        })
    }

    /// A script of pgbench for each operation, from what a gateway asked that is not measured.
    async fn scripts(&self) -> Result<Vec<PathBuf>> {
        capture::begin(&self.admin).await?;
        let mut running = self.start()?;
        running.wait_ready(&self.own).await?;
        let mut files = Vec::new();
        for (number, operation) in self.operations.iter().enumerate() {
            let token = token(&running, operation).await?;
            let requests = capture::operation(&self.log, running.record.port, &token, operation, &self.records).await?;
            let file = self.own.state.join(format!("{number}.sql"));
            fs::write(&file, script::of(&self.admin, &requests, operation.drawn).await?)?;
            files.push(file);
        }
        running.stop().await?;
        capture::end(&self.admin).await?;
        Ok(files)
    }

    async fn tidy_up(&self) -> Result<()> {
        self.admin.batch_execute(MADE).await?;
        Ok(self.admin.batch_execute(WRITTEN).await?)
    }

    fn start(&self) -> Result<Gateway> {
        gateway::start(&self.own, &self.app_url, &self.program, &self.keys, port::any_free()?, WIDE)
    }
}

async fn token(running: &Gateway, operation: &Operation) -> Result<String> {
    caller::log_in(running.record.port, if operation.name == "my tasks" { MEMBER } else { OWNER }).await
}
