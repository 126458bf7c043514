//! The database that the commands work on: one that somebody else runs (DATABASE_URL), or the private cluster of this checkout.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use crm_tenancy::connect::required_tls;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Connection, NoTls};

use crate::environment::Environment;
use crate::lock::{self, Attempt, Lock};
use crate::postgres::cluster::{Cluster, Durability, Started};
use crate::postgres::installation;
use crate::postgres::server;
use crate::progress::{complain, step};
use crate::secrets::Secrets;
use crate::signals;
use crate::url;

/// Name of the database within the private cluster.
pub const NAME: &str = "crm";
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

pub struct Database {
    /// As the administrator: migrations, seed, import.
    pub admin_url: String,
    /// As `crm_app`: the gateway.
    pub app_url: String,
    /// Set when this process started the private cluster; kept because dropping it stops that.
    _started: Option<Started>,
}

/// The private cluster of this checkout, whether it exists yet or not.
pub fn cluster(environment: &Environment, secrets: &Secrets) -> Cluster {
    Cluster::new(environment.state.clone(), secrets.superuser.clone(), Durability::Everything)
}

pub fn lock_file(environment: &Environment) -> std::path::PathBuf {
    environment.state.join("up.lock")
}

/// Opens the database, making and starting what is missing. The caller holds the lock if anything might have to be started.
pub async fn open(environment: &Environment) -> Result<Database> {
    environment.make_state()?;
    let secrets = Secrets::load_or_draw(environment)?;
    if let Some(admin_url) = &environment.external {
        return open_external(admin_url, &secrets).await;
    }
    let cluster = cluster(environment, &secrets);
    let (server, started) = match cluster.running() {
        Some(server) => (server, None),
        None => {
            let started = make_and_start(environment, &cluster).await?;
            (started.server, Some(started))
        }
    };
    let admin_url = cluster.url(server, NAME);
    create_if_absent(&admin_url).await?;
    let app_url = url::with_user(&admin_url, "crm_app", &secrets.app)?;
    Ok(Database { admin_url, app_url, _started: started })
}

async fn make_and_start(environment: &Environment, cluster: &Cluster) -> Result<Started> {
    let installation = match cluster.made_by() {
        Some(major) => installation::find_for(environment, &major).await?,
        None => {
            let installation = installation::find(environment).await?;
            step("making a database cluster", cluster.make(environment, &installation)).await?;
            installation
        }
    };
    let label = format!("starting PostgreSQL {}", installation.version);
    step(&label, cluster.start(environment, &installation)).await
}

async fn open_external(admin_url: &str, secrets: &Secrets) -> Result<Database> {
    complain(&format!("using the database of DATABASE_URL: {}\n", url::without_password(admin_url)));
    create_if_absent(admin_url).await?;
    refuse_foreign_tables(admin_url).await?;
    let app_url = url::with_user(admin_url, "crm_app", &secrets.app)?;
    Ok(Database { admin_url: admin_url.to_owned(), app_url, _started: None })
}

pub async fn connect(url: &str) -> Result<Client> {
    match required_tls(url)? {
        Some(tls) => answered(tokio_postgres::connect(url, tls)).await,
        None => answered(tokio_postgres::connect(url, NoTls)).await,
    }
}

async fn answered<S, T>(connecting: impl Future<Output = Connecting<S, T>>) -> Result<Client>
where
    Connection<S, T>: Future + Send + 'static,
    <Connection<S, T> as Future>::Output: Send,
{
    let (client, connection) =
        tokio::time::timeout(CONNECT_PATIENCE, connecting).await.context("the database does not answer")??;
    // Its errors come back to whoever waits for an answer of the client.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

type Connecting<S, T> = std::result::Result<(Client, Connection<S, T>), tokio_postgres::Error>;

/// Makes the database that the address names.
pub async fn create_if_absent(admin_url: &str) -> Result<()> {
    let error = match connect(admin_url).await {
        Ok(_) => return Ok(()),
        Err(error) => error,
    };
    let code = error.downcast_ref::<tokio_postgres::Error>().and_then(tokio_postgres::Error::code);
    if code != Some(&SqlState::INVALID_CATALOG_NAME) {
        return Err(error.context(format!("cannot connect to {}", url::without_password(admin_url))));
    }
    let name = url::database(admin_url)?;
    let client = connect(&url::with_database(admin_url, "postgres")?).await?;
    let statement = format!("CREATE DATABASE \"{}\" TEMPLATE template0 ENCODING 'UTF8'", name.replace('"', "\"\""));
    client.batch_execute(&statement).await.with_context(|| format!("cannot create the database {name}"))
}

/// DATABASE_URL may be set for another program: nothing of ours goes between somebody else's tables.
async fn refuse_foreign_tables(admin_url: &str) -> Result<()> {
    let client = connect(admin_url).await?;
    let row = client
        .query_one(
            "SELECT to_regclass('public.__diesel_schema_migrations') IS NOT NULL AND to_regnamespace('identity') IS NOT NULL,
                    (SELECT string_agg(relname, ', ') FROM (SELECT relname FROM pg_class WHERE relkind IN ('r', 'p')
                       AND relnamespace = 'public'::regnamespace AND relname <> '__diesel_schema_migrations'
                       ORDER BY relname LIMIT 5) AS first_few)",
            &[],
        )
        .await?;
    let (is_ours, tables): (bool, Option<String>) = (row.try_get(0)?, row.try_get(1)?);
    match tables {
        Some(tables) if !is_ours => {
            bail!(
                "the database of DATABASE_URL holds tables of another program ({tables}, …): name an empty one, or one that does not exist yet"
            )
        }
        _ => Ok(()),
    }
}

/// Lets `crm_app` and `crm_worker` in with the passwords of this checkout.
pub async fn set_passwords(environment: &Environment, database: &Database) -> Result<()> {
    let secrets = Secrets::load_or_draw(environment)?;
    let client = connect(&database.admin_url).await?;
    for (role, password) in [("crm_app", &secrets.app), ("crm_worker", &secrets.worker)] {
        let own_url = url::with_user(&database.admin_url, role, password)?;
        if connect(&own_url).await.is_ok() {
            continue;
        }
        if environment.external.is_some() {
            refuse_to_lock_out(environment, &client, role).await?;
        }
        let quoted = password.replace('\'', "''");
        client
            .batch_execute(&format!("ALTER ROLE {role} LOGIN PASSWORD '{quoted}'"))
            .await
            .with_context(|| format!("cannot let {role} in"))?;
    }
    Ok(())
}

/// Roles belong to the whole server: a password that we did not set is in use elsewhere.
async fn refuse_to_lock_out(environment: &Environment, client: &Client, role: &str) -> Result<()> {
    // A managed server lets nobody look; then there is nothing to go by.
    let Ok(row) = client.query_one("SELECT rolpassword IS NOT NULL FROM pg_authid WHERE rolname = $1", &[&role]).await else {
        return Ok(());
    };
    if row.try_get::<_, bool>(0)? {
        bail!(
            "the role {role} of that server has a password already, set by another installation: write it into {}, or clear it with \
             ALTER ROLE {role} PASSWORD NULL",
            Secrets::file(environment).display()
        );
    }
    Ok(())
}

/// Stops the private cluster unless it ran before.
pub async fn leave_as_found(environment: &Environment, was_running: bool) -> Result<()> {
    let data = environment.state.join("data");
    match server::running(&data) {
        Some(server) if !was_running && environment.external.is_none() => server::stop(&data, server).await,
        _ => Ok(()),
    }
}

pub fn is_running(environment: &Environment) -> bool {
    environment.external.is_some() || server::running(&environment.state.join("data")).is_some()
}

/// For the short commands: what runs is used, what does not run is started for the time being.
pub async fn with<T>(environment: &Environment, work: impl AsyncFnOnce(&Database) -> Result<T>) -> Result<T> {
    let interruptible = async |database: &Database| {
        tokio::select! {
            result = work(database) => result,
            stop = signals::asked_to_stop() => stop.and_then(|()| bail!("stopped half way")),
        }
    };
    with_uninterrupted(environment, interruptible).await
}

/// The same for a program of its own that takes Ctrl-C for itself.
pub async fn with_uninterrupted<T>(environment: &Environment, work: impl AsyncFnOnce(&Database) -> Result<T>) -> Result<T> {
    environment.make_state()?;
    let was_running = is_running(environment);
    let lock = if was_running { None } else { Some(take_lock(environment)?) };
    let result = match open(environment).await {
        Ok(database) => work(&database).await,
        Err(error) => Err(error),
    };
    leave_as_found(environment, was_running).await?;
    drop(lock);
    result
}

pub fn take_lock(environment: &Environment) -> Result<Lock> {
    match lock::try_take(&lock_file(environment))? {
        Attempt::Taken(lock) => Ok(lock),
        Attempt::HeldBy(holder) => {
            let holder = holder.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
            bail!(
                "{holder} is starting or stopping this checkout's database right now: wait for it, or end it with `cargo xtask down`"
            )
        }
    }
}
