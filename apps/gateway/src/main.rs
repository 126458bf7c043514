//! The server binary: reads the configuration, checks the seal, serves.

use std::{
    io::Write,
    net::TcpListener,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::{Parser, Subcommand};
use crm_gateway::{
    app,
    configuration::Configuration,
    key_source::HttpKeySource,
    keys::{KeyPath, write_new},
    logging, server,
    services::{Secrets, Services, Settings},
    uses,
};
use crm_mail::{Composer, Delivery};
use crm_tenancy::{
    ConnectOptions, Db, housekeeping,
    identity::{external::ExternalTokens, letters::PgLetters},
    seal,
    sealing::SealingKeys,
};
use tokio::{sync::Notify, task::JoinHandle, time::timeout};

/// How long letters under way may take after the server has ended; a letter takes less.
const LAST_LETTERS: Duration = Duration::from_secs(40);

/// The CRM's server. Configured by environment variables; see docs/CONFIGURATION.md.
#[derive(Parser)]
#[command(name = "crm-gateway", version)]
struct Arguments {
    /// Name every mistake in the configuration and stop.
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

// Not actix's runtime: the pool's connections live on this one, whichever worker asked for them.
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
    let configuration = Configuration::from_environment()?;
    if check_only {
        report("the configuration is complete");
        return Ok(());
    }
    logging::start();
    let options = ConnectOptions { max_size: configuration.connections, ..ConnectOptions::default() };
    let db = Db::connect(&configuration.database_url.0, options).map_err(|error| vec![error.to_string()])?;
    let faults = seal::check(&db).await.map_err(|error| vec![format!("the database cannot be checked: {error}")])?;
    if !faults.is_empty() {
        let reasons = faults.iter().map(|fault| format!("the seal is broken: {}: {}", fault.object, fault.reason));
        return Err(reasons.collect());
    }
    let key_source = HttpKeySource::new().map_err(|error| vec![error.to_string()])?;
    let external_tokens = Arc::new(ExternalTokens::new(configuration.providers.clone(), key_source));
    let settings = Settings { accounts: configuration.accounts(), external_tokens, ..Settings::default() };
    let (stop, bind) = (Arc::new(Notify::new()), configuration.bind);
    let delivery = deliver(&db, &configuration, &settings, &stop)?;
    let Configuration { token_keys, token_key_path, sealing_keys, .. } = configuration;
    token_key_path.reload_on_hangup(token_keys.clone()).map_err(|error| vec![format!("cannot listen for SIGHUP: {error}")])?;
    let secrets = Secrets { token_keys, sealing_keys };
    let services = Services::with(&db, secrets, settings).map_err(|error| vec![error.to_string()])?;
    let services = Services { trusted_proxies: configuration.trusted_proxies, ..services };
    let listener = TcpListener::bind(bind).map_err(|error| vec![format!("cannot listen on {bind}: {error}")])?;
    tracing::info!(%bind, "listening");
    let writer = uses::Writer::start(services.api_tokens.clone());
    let server = server::serve(listener, services).map_err(|error| vec![error.to_string()])?;
    let (stop_keeping, stopped) = tokio::sync::watch::channel(false);
    let keeper = tokio::spawn(async move { housekeeping::keep(&db, housekeeping::Schedule::default(), stopped).await });
    let ended = server.await.map_err(|error| vec![error.to_string()]);
    writer.finish().await;
    stop.notify_one();
    // The step that is under way ends by itself; nothing begins after it.
    stop_keeping.send_replace(true);
    keeper.await.map_err(|error| vec![error.to_string()])?;
    if let Some(delivery) = delivery
        && timeout(LAST_LETTERS, delivery).await.is_err()
    {
        tracing::warn!("letters under way were left; they are sent again");
    }
    ended
}

/// Begins to deliver letters, if there is somewhere to deliver them to.
fn deliver(
    db: &Db,
    configuration: &Configuration,
    settings: &Settings,
    stop: &Arc<Notify>,
) -> Result<Option<JoinHandle<()>>, Vec<String>> {
    let Some(mail) = &configuration.mail else {
        tracing::warn!("CRM_MAIL is not set: no letters are sent, and what needs one is refused");
        return Ok(None);
    };
    let mailer = mail.route.open().map_err(|mistake| vec![format!("CRM_MAIL: {mistake}")])?;
    let composer = Composer::new(configuration.sealing_keys.clone(), configuration.public_url.clone(), mail.sender.clone());
    let letters = Arc::new(PgLetters::new(db.clone()));
    let delivery = Delivery::new(letters, composer, mailer, Arc::clone(&settings.letters_queued));
    let stop = Arc::clone(stop);
    Ok(Some(tokio::spawn(async move { delivery.run(stop.notified()).await })))
}
