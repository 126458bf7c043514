//! `cargo xtask bench`: how fast the gateway answers on a large organisation, and what an answer costs. docs/BENCHMARKS.md has what came out.
//!
//! Must stay true: the gateway is the one that is deployed, compiled as it is deployed; every answer is checked; figures are medians of
//! several slices, with their spread, because the client and the database share the processors with what is measured.

mod client;
mod costs;
mod load;
mod operations;
mod report;

use std::time::Duration;

use anyhow::{Result, bail};

use crate::bench::load::Target;
use crate::bench::operations::Records;
use crate::bench::report::Row;
use crate::database::Database;
use crate::environment::Environment;
use crate::progress::{say, step, talking_step};
use crate::scale;
use crate::{caller, cargo, gateway, port, sections, signals};

#[derive(clap::Args)]
pub struct Options {
    /// Write the table into docs/BENCHMARKS.md
    #[arg(long)]
    write: bool,
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
}

/// Limits that one caller meets never: what they cost is measured, not what they refuse.
const WIDE: &[(&str, &str)] = &[
    ("CRM_RATE_LIMIT_ADDRESS", "100000000/60"),
    ("CRM_RATE_LIMIT_CALLER", "100000000/60"),
    ("CRM_RATE_LIMIT_ORGANIZATION", "100000000/60"),
    // Tokens of a session last long enough for all slices.
    ("CRM_LOG", "warn"),
];
/// Whoever has tasks.
const MEMBER: &str = "member1@big.example";
const OWNER: &str = "owner@big.example";

pub async fn run(environment: &Environment, database: &Database, options: &Options) -> Result<()> {
    let (admin, app_url, context) = scale::measured(environment, database, &scale::LARGE_SIZES).await?;
    let program = talking_step("building the gateway", cargo::build_gateway(environment, cargo::Profile::Release)).await?;
    let own = Environment { state: environment.state.join("bench"), ..environment.clone() };
    own.make_state()?;
    let keys = gateway::ensure_keys(&own, &program).await?;
    let mut running = gateway::start(&own, &app_url, &program, &keys, port::any_free()?, WIDE)?;
    step("waiting for the gateway", running.wait_ready(&own)).await?;
    let records = Records::find(&admin, &context.organization_id.to_string()).await?;
    let (port, gateway) = (running.record.port, running.record.pid);
    let postmaster = costs::postmaster(&admin).await?;
    let work = async {
        let mut rows = Vec::new();
        for operation in operations::ALL.iter().filter(|operation| operation.name.contains(&options.only)) {
            let token = caller::log_in(port, if operation.name == "my tasks" { MEMBER } else { OWNER }).await?;
            let target = Target { port, token: &token, gateway, postmaster, records: &records };
            for connections in &options.connections {
                let mut slices = Vec::new();
                for _ in 0..options.slices {
                    slices.push(load::measure(&target, operation, *connections, Duration::from_secs(options.seconds)).await?);
                }
                let row = Row::of(operation.name, *connections, &slices);
                say(&format!("{}\n", row.line()));
                rows.push(row);
            }
        }
        Ok(rows)
    };
    let rows = tokio::select! {
        rows = work => rows,
        stop = signals::asked_to_stop() => stop.and_then(|()| bail!("stopped half way")),
    };
    running.stop().await?;
    let rows = rows?;
    if options.write {
        sections::write(&sections::BENCHMARKS, "operations", &report::section(options, &rows))?;
        say("wrote docs/BENCHMARKS.md\n");
    }
    Ok(())
}
