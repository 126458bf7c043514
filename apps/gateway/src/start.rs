//! The program as a server: checks the seal, starts what runs beside the requests, serves, and ends all of it in order.

use std::{net::TcpListener, sync::Arc, time::Duration};

use crm_mail::{Composer, Delivery};
use crm_tenancy::{
    ConnectOptions, Db, custom_fields, housekeeping,
    identity::{external::ExternalTokens, letters::PgLetters},
    seal,
};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::timeout,
};

use crate::{
    configuration::Configuration,
    connection::Fresh,
    key_source::HttpKeySource,
    limits::Limits,
    listening, logging,
    metrics::{self, Metrics},
    server::{self, Front, Transport},
    services::{Secrets, Services, Settings},
    tracing_export, uses,
};

/// How long letters under way may take after the server has ended; a letter takes less.
const LAST_LETTERS: Duration = Duration::from_secs(40);

/// Serves as configured, until the process is told to end.
///
/// # Errors
/// One sentence for every reason why it does not start, or why it ended otherwise.
pub async fn run(configuration: Configuration) -> Result<(), Vec<String>> {
    let traces = configuration.otlp_endpoint.as_ref().map(|endpoint| tracing_export::provider(&endpoint.0));
    let traces = traces.transpose().map_err(|mistake| vec![format!("CRM_OTLP_ENDPOINT: {mistake}")])?;
    logging::start(&configuration.logging, traces.as_ref());
    let ended = serve(configuration).await;
    if let Some(traces) = traces {
        // It waits for a thread of its own, which needs this runtime: not on one of its workers.
        let finished = tokio::task::spawn_blocking(move || tracing_export::finish(&traces)).await;
        finished.map_err(|error| vec![error.to_string()])?;
    }
    ended
}

async fn serve(configuration: Configuration) -> Result<(), Vec<String>> {
    let db = connect(&configuration).await?;
    let beside = Beside::default();
    let key_source = HttpKeySource::new().map_err(one)?;
    let external_tokens = Arc::new(ExternalTokens::new(configuration.providers.clone(), key_source));
    let settings = Settings { accounts: configuration.accounts(), external_tokens, ..Settings::default() };
    let delivery = deliver(&db, &configuration, &settings, &beside.stop_letters)?;
    let (server, metrics_bind) = (configuration.server.clone(), configuration.metrics_bind);
    let services = services(&db, configuration, settings).await?;
    let listener = listening::listen(server.bind).map_err(|error| vec![format!("cannot listen on {}: {error}", server.bind)])?;
    let bind = listener.local_addr().map_err(one)?;
    if let Some(address) = metrics_bind {
        tell_metrics(address, services.clone())?;
    }
    tracing::info!(%bind, "listening");
    let writer = uses::Writer::start(services.api_tokens.clone());
    let (readiness, metrics) = (services.readiness.clone(), services.metrics.clone());
    let fresh = Fresh::default();
    let serving = server::serve(listener, services, server.connections, fresh.clone()).map_err(one)?;
    server::end_on_signal(serving.handle(), readiness, fresh, server.drain).map_err(one)?;
    let keeper = beside.keep(&db, metrics);
    let ended = serving.await.map_err(one);
    writer.finish().await;
    beside.finish(keeper, delivery).await?;
    ended
}

fn one(error: impl std::fmt::Display) -> Vec<String> {
    vec![error.to_string()]
}

/// The database, if its seal is whole.
async fn connect(configuration: &Configuration) -> Result<Db, Vec<String>> {
    let options =
        ConnectOptions { max_size: configuration.connections, wait: configuration.connection_wait, ..ConnectOptions::default() };
    let db = Db::connect(&configuration.database_url.0, options).map_err(one)?;
    let faults = seal::check(&db).await.map_err(|error| vec![format!("the database cannot be checked: {error}")])?;
    if !faults.is_empty() {
        let reasons = faults.iter().map(|fault| format!("the seal is broken: {}: {}", fault.object, fault.reason));
        return Err(reasons.collect());
    }
    Ok(db)
}

async fn services(db: &Db, configuration: Configuration, settings: Settings) -> Result<Services, Vec<String>> {
    let limits = match &configuration.redis_url {
        None => Limits::new(configuration.rate_limits),
        Some(url) => {
            let limits = Limits::in_redis(configuration.rate_limits, &url.0).await;
            limits.map_err(|mistake| vec![format!("CRM_REDIS_URL: {mistake}")])?
        }
    };
    let is_encrypted = configuration.public_url.as_str().starts_with("https://");
    let front = Front {
        patience: configuration.server.patience,
        origins: configuration.server.origins,
        transport: if is_encrypted { Transport::Encrypted } else { Transport::Any },
    };
    let Configuration { token_keys, token_key_path, sealing_keys, trusted_proxies, .. } = configuration;
    token_key_path.reload_on_hangup(token_keys.clone()).map_err(|error| vec![format!("cannot listen for SIGHUP: {error}")])?;
    let services = Services::with(db, Secrets { token_keys, sealing_keys }, settings).map_err(one)?;
    Ok(Services { trusted_proxies, limits, front, ..services })
}

/// Begins to tell numbers; that ends with the process.
fn tell_metrics(address: std::net::SocketAddr, services: Services) -> Result<(), Vec<String>> {
    let failed = |error: std::io::Error| vec![format!("CRM_METRICS_BIND: cannot listen on {address}: {error}")];
    let listener = TcpListener::bind(address).map_err(failed)?;
    let bind = listener.local_addr().map_err(failed)?;
    tracing::info!(%bind, "telling metrics");
    tokio::spawn(metrics::serve(listener, services).map_err(failed)?);
    Ok(())
}

/// What runs beside the requests, and how it is told to end.
struct Beside {
    stop_letters: Arc<Notify>,
    stop_keeping: watch::Sender<bool>,
}

impl Default for Beside {
    fn default() -> Self {
        Self { stop_letters: Arc::default(), stop_keeping: watch::channel(false).0 }
    }
}

impl Beside {
    /// Begins to keep house.
    fn keep(&self, db: &Db, metrics: Metrics) -> JoinHandle<()> {
        let (db, stopped, fields_stopped) = (db.clone(), self.stop_keeping.subscribe(), self.stop_keeping.subscribe());
        tokio::spawn(async move {
            let kept =
                housekeeping::keep(&db, housekeeping::Schedule::default(), stopped, |done| metrics.note_housekeeping(done));
            futures_util::join!(kept, custom_fields::work::keep(&db, fields_stopped));
        })
    }

    /// Ends all of it: the step that is under way ends by itself, nothing begins after it.
    async fn finish(self, keeper: JoinHandle<()>, delivery: Option<JoinHandle<()>>) -> Result<(), Vec<String>> {
        self.stop_letters.notify_one();
        self.stop_keeping.send_replace(true);
        keeper.await.map_err(one)?;
        if let Some(delivery) = delivery
            && timeout(LAST_LETTERS, delivery).await.is_err()
        {
            tracing::warn!("letters under way were left; they are sent again");
        }
        Ok(())
    }
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
