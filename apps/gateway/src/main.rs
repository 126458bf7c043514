//! The program: what it can be asked for on the command line. What it does as a server is in [`crm_gateway::start`].

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, Subcommand};
use crm_gateway::{
    app,
    configuration::Configuration,
    keys::{KeyPath, write_new},
    start,
};
use crm_tenancy::sealing::SealingKeys;

/// The CRM's server. Configured by environment variables and a file; see docs/CONFIGURATION.md.
#[derive(Parser)]
#[command(name = "crm-gateway", version)]
struct Arguments {
    /// Name every mistake in the configuration, or say what each setting is and where that comes from, and stop.
    #[arg(long)]
    check_config: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Print the OpenAPI document.
    Openapi,
    /// Make a key that signs tokens.
    GenerateKey {
        /// A file that does not exist yet, or the folder of keys to put it into.
        file: PathBuf,
        /// In a folder: let it sign only after so many seconds, in which every node can read it.
        #[arg(long, value_name = "SECONDS", default_value_t = 0)]
        signs_after: u32,
    },
    /// List the keys of tokens: id, what each does, file.
    ListKeys {
        /// The file or folder of `CRM_TOKEN_KEY_FILE`.
        path: PathBuf,
    },
    /// Make a key that seals what is kept secret.
    GenerateSealingKey {
        /// Where to put it; must not exist yet.
        file: PathBuf,
    },
}

// Not actix's runtime, whose only thread would drive all connections of the pool: they live on this one, and outlive the workers.
#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Some(Command::Openapi) => print_document(),
        Some(Command::GenerateKey { file, signs_after }) => generate_key(file, signs_after),
        Some(Command::ListKeys { path }) => list_keys(path),
        Some(Command::GenerateSealingKey { file }) => generate_sealing_key(&file),
        None => start(arguments.check_config).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(reasons) => {
            for reason in reasons {
                report(&format!("crm-gateway: {reason}"));
            }
            ExitCode::FAILURE
        }
    }
}

/// To standard error, whether or not logging has begun; nobody is left to tell if that fails.
fn report(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn print_document() -> Result<(), Vec<String>> {
    let text = serde_json::to_string_pretty(&app::document()).map_err(|error| vec![error.to_string()])?;
    writeln!(std::io::stdout(), "{text}").map_err(|error| vec![error.to_string()])
}

fn generate_key(file: PathBuf, signs_after: u32) -> Result<(), Vec<String>> {
    KeyPath(file).add(Duration::from_secs(signs_after.into())).map_err(|mistake| vec![mistake])?;
    Ok(())
}

fn list_keys(path: PathBuf) -> Result<(), Vec<String>> {
    let lines = KeyPath(path).describe().map_err(|mistake| vec![mistake])?;
    lines.iter().try_for_each(|line| writeln!(std::io::stdout(), "{line}")).map_err(|error| vec![error.to_string()])
}

fn generate_sealing_key(file: &Path) -> Result<(), Vec<String>> {
    let text = SealingKeys::generate().map_err(|error| vec![error.to_string()])?.to_text();
    write_new(file, &text).map_err(|mistake| vec![mistake])
}

async fn start(check_only: bool) -> Result<(), Vec<String>> {
    let (configuration, source) = Configuration::from_environment()?;
    for name in source.unknown() {
        report(&format!("crm-gateway: {name} is set and is no setting: it means nothing"));
    }
    if check_only {
        source.describe().iter().for_each(|line| report(line));
        report("the configuration is complete");
        return Ok(());
    }
    start::run(configuration).await
}
