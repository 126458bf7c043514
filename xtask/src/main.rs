//! `cargo xtask`: everything a person does with this checkout, a file per command.
//!
//! Nothing here is part of the product: the gateway runs without it. What lives here starts, fills, tests and checks a
//! checkout, on a machine that may hold nothing but Rust.

mod account;
mod backup;
mod bench;
mod caller;
mod cargo;
mod conformance;
mod database;
mod doctor;
mod down;
mod environment;
mod faults;
mod gateway;
mod import;
mod keys;
mod lock;
mod logfile;
mod mail;
mod migrate;
mod openapi;
mod organization;
mod plans;
mod port;
mod postgres;
mod process;
mod progress;
mod psql;
mod restore;
mod scale;
mod secrets;
mod sections;
mod seed;
mod signals;
mod status;
mod test;
mod tidy;
mod up;
mod url;

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};

use crate::environment::Environment;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Starts, fills, tests and checks this checkout", disable_help_subcommand = true)]
struct Arguments {
    /// Administrator's URL of a PostgreSQL that runs already, instead of a private one; also taken from the environment
    #[arg(long, global = true, value_name = "URL", hide_short_help = true)]
    database_url: Option<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Start everything: database, schema, demo organisation, gateway
    Up(up::Options),
    /// Stop what runs in this checkout
    Down,
    /// Say what runs, where and since when
    Status,
    /// Open psql on the database
    Psql(psql::Options),
    /// Change the schema, or say where it stands
    #[command(subcommand)]
    Migrate(migrate::Direction),
    /// Write every row of the database into a file, as of one moment
    Backup(backup::Options),
    /// Load a backup into an empty database
    Restore(restore::Options),
    /// Make an organisation and its owner
    Organization(organization::Options),
    /// Make the demo organisation, or large ones
    Seed(seed::Options),
    /// List the letters that were put into the local mailbox, or show one with its link
    Mail(mail::Options),
    /// Import companies, contacts or deals from a CSV file
    Import(import::Options),
    /// List, rotate or retire the keys that sign tokens
    #[command(subcommand)]
    Keys(keys::Action),
    /// Run every check that a change must pass
    Test(test::Options),
    /// Break things on purpose and count what happens: database, disk, clock, clients
    Faults(faults::Options),
    /// Call the gateway with thousands of requests made from its document, and compare the answers
    Conformance(conformance::Options),
    /// Measure the gateway on a large organisation: requests a second, how long they take, what they cost
    Bench(bench::Options),
    /// Write docs/openapi.json from the code
    Openapi,
    /// Fill a large organisation in a database of its own, and show what lists of it cost
    Plans(plans::Options),
    /// Check the rules of the house: dependencies, files, links, commands that documents name
    Tidy,
    /// Say what this machine lacks and how to get it
    Doctor,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Some(command) = arguments.command else {
        list_commands();
        return ExitCode::SUCCESS;
    };
    match run(command, arguments.database_url).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress::complain(&format!("error: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}

fn list_commands() {
    for command in Arguments::command().get_subcommands() {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        progress::say(&format!("cargo xtask {:<12} {about}\n", command.get_name()));
    }
}

async fn run(command: Command, database_url: Option<String>) -> Result<()> {
    let environment = &Environment::detect(database_url).await?;
    match command {
        Command::Up(options) => up::run(environment, &options).await,
        Command::Down => down::run(environment).await,
        Command::Status => status::run(environment).await,
        Command::Psql(options) => {
            database::with_uninterrupted(environment, async |it| psql::run(environment, it, &options).await).await
        }
        Command::Migrate(direction) => database::with(environment, async |it| migrate::run(it, direction).await).await,
        Command::Backup(options) => database::with(environment, async |it| backup::run(it, &options).await).await,
        Command::Restore(options) => database::with(environment, async |it| restore::run(it, &options).await).await,
        Command::Organization(options) => database::with(environment, async |it| organization::run(it, &options).await).await,
        Command::Seed(options) => database::with(environment, async |it| options.run(environment, it).await).await,
        Command::Mail(options) => mail::run(environment, &options),
        Command::Import(options) => database::with(environment, async |it| import::run(environment, it, &options).await).await,
        Command::Keys(action) => keys::run(environment, action).await,
        Command::Test(options) => test::run(environment, &options).await,
        Command::Faults(options) => faults::run(environment, &options).await,
        Command::Conformance(options) => conformance::run(environment, &options).await,
        Command::Bench(options) => bench::run(environment, &options).await,
        Command::Openapi => openapi::run(environment).await,
        Command::Plans(options) => database::with(environment, async |it| plans::run(environment, it, &options).await).await,
        Command::Tidy => tidy::run(environment),
        Command::Doctor => doctor::run(environment).await,
    }
}
