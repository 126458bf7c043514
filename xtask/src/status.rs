//! `cargo xtask status`: what runs, where, since when, in which version, and how much there is of it.

use anyhow::Result;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::environment::Environment;
use crate::postgres::server;
use crate::progress::say;
use crate::secrets::Secrets;
use crate::{database, gateway, url};

pub async fn run(environment: &Environment) -> Result<()> {
    say(&format!("checkout  {}\nstate     {}\n", environment.root.display(), environment.state.display()));
    say(&format!("gateway   {}\n", gateway_line(environment).await));
    let admin_url = match &environment.external {
        Some(admin_url) => {
            say(&format!("database  {} (DATABASE_URL)\n", url::without_password(admin_url)));
            Some(admin_url.clone())
        }
        None => private_cluster(environment)?,
    };
    if let Some(admin_url) = admin_url {
        match facts(&admin_url).await {
            Ok(facts) => say(&facts),
            Err(error) => say(&format!("          {error:#}\n")),
        }
    }
    Ok(())
}

async fn gateway_line(environment: &Environment) -> String {
    let Some(record) = gateway::running(environment) else { return "not running".to_owned() };
    let answer = match gateway::status_of(record.port, "/readyz").await {
        Some(200) => "ready".to_owned(),
        Some(status) => format!("not ready, answers {status}"),
        None => "does not answer".to_owned(),
    };
    format!("http://127.0.0.1:{}  {answer}  process {}  since {}", record.port, record.pid, moment(record.since))
}

fn private_cluster(environment: &Environment) -> Result<Option<String>> {
    let data = environment.state.join("data");
    let Some(server) = server::running(&data) else {
        let what = if data.is_dir() { "not running" } else { "not made yet" };
        say(&format!("database  {what}\n"));
        return Ok(None);
    };
    say(&format!("database  127.0.0.1:{}  process {}  since {}\n", server.port, server.pid, moment(server.since)));
    let secrets = Secrets::load(environment)?;
    Ok(secrets.map(|secrets| database::cluster(environment, &secrets).url(server, database::NAME)))
}

/// Asked of the database itself, so that it also tells about one that this checkout did not make.
async fn facts(admin_url: &str) -> Result<String> {
    let client = database::connect(admin_url).await?;
    let row = client
        .query_one(
            "SELECT current_setting('server_version'), pg_size_pretty(pg_database_size(current_database())),
                    to_regclass('public.__diesel_schema_migrations') IS NOT NULL",
            &[],
        )
        .await?;
    let (version, size, is_migrated): (String, String, bool) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let migrations = if is_migrated {
        let row =
            client.query_one("SELECT count(*), coalesce(max(version), 'none') FROM __diesel_schema_migrations", &[]).await?;
        format!("{} have run, the last is {}", row.try_get::<_, i64>(0)?, row.try_get::<_, String>(1)?)
    } else {
        "none has run".to_owned()
    };
    Ok(format!("          PostgreSQL {version}  {size}\nschema    migrations: {migrations}\n"))
}

fn moment(seconds: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(seconds).ok().and_then(|moment| moment.format(&Rfc3339).ok());
    moment.unwrap_or_else(|| "an unknown time".to_owned())
}
