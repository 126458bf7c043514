//! Numbers for those who watch over the gateway, in the text form of Prometheus, on a port of their own.
//!
//! Must stay true: no label has an id or anything that a client chose, so that there is a bounded number of them.

use std::{collections::BTreeMap, io, net::TcpListener, sync::Arc, time::Duration};

use actix_web::{App, HttpResponse, HttpServer, dev::Server, http::Method, web};
use crm_tenancy::{fault::Fault, vital_signs};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use tokio::time::timeout;

use crate::services::Services;

/// Upper bounds in seconds: answers take milliseconds, and a statement ten seconds at most.
const BUCKETS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// How long the database may take to say how it is.
const PATIENCE: Duration = Duration::from_secs(2);

type Float = Gauge<f64, std::sync::atomic::AtomicU64>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRequest {
    operation: &'static str,
    method: &'static str,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfOperation {
    operation: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfChore {
    chore: String,
}

/// Everything that is counted. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Families>);

#[derive(Debug)]
struct Families {
    registry: Registry,
    requests: Family<OfRequest, Counter>,
    durations: Family<OfOperation, Histogram>,
    limited: Family<OfKind, Counter>,
    faults: Family<OfKind, Counter>,
    chores: Family<OfChore, Counter>,
    chores_done_at: Gauge,
    pool: Family<OfKind, Gauge>,
    database_up: Gauge,
    redis_up: Gauge,
    open_transactions: Float,
    oldest_transaction: Float,
    feed_horizon: Float,
    letters_waiting: Float,
    letters_overdue: Float,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut families = Families {
            registry: Registry::with_prefix("crm"),
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            limited: Family::default(),
            faults: Family::default(),
            chores: Family::default(),
            chores_done_at: Gauge::default(),
            pool: Family::default(),
            database_up: Gauge::default(),
            redis_up: Gauge::default(),
            open_transactions: Float::default(),
            oldest_transaction: Float::default(),
            feed_horizon: Float::default(),
            letters_waiting: Float::default(),
            letters_overdue: Float::default(),
        };
        families.register();
        Self(Arc::new(families))
    }
}

impl Families {
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("requests", "Requests answered, by operation, method and class of status", self.requests.clone());
        registry.register("request_duration_seconds", "How long answers took, by operation", self.durations.clone());
        registry.register("requests_limited", "Requests refused with 429, by the limit they met", self.limited.clone());
        registry.register("database_faults", "Requests that trouble with the database ended, by kind", self.faults.clone());
        registry.register(
            "housekeeping_rows",
            "Rows that housekeeping of this process has dealt with, by chore",
            self.chores.clone(),
        );
        let done_at = "When housekeeping of this process last came to its end, in seconds since 1970; 0 before";
        registry.register("housekeeping_done_timestamp_seconds", done_at, self.chores_done_at.clone());
        registry.register("database_connections", "Connections of the pool, and who waits for one", self.pool.clone());
        registry.register("database_up", "Whether the database answered just now", self.database_up.clone());
        let redis = "Whether requests are counted in Redis: 1 yes, 0 it does not answer, -1 none is configured";
        registry.register("redis_up", redis, self.redis_up.clone());
        registry.register("database_open_transactions", "Open transactions, of all programs", self.open_transactions.clone());
        let oldest = "Age of the oldest open transaction, of all programs";
        registry.register("database_oldest_transaction_seconds", oldest, self.oldest_transaction.clone());
        let horizon = "Age of the oldest open transaction that writes: how far readers of changes are behind at least";
        registry.register("feed_horizon_seconds", horizon, self.feed_horizon.clone());
        registry.register("letters_waiting", "Letters that wait to be sent", self.letters_waiting.clone());
        registry.register("letters_overdue_seconds", "For how long the most overdue letter is due", self.letters_overdue.clone());
    }
}

impl Metrics {
    /// A request was answered.
    pub fn note_request(&self, operation: &'static str, method: &Method, status: u16, took: Duration) {
        let label = OfRequest { operation, method: known(method), status: class(status) };
        self.0.requests.get_or_create(&label).inc();
        self.0.durations.get_or_create(&OfOperation { operation }).observe(took.as_secs_f64());
    }

    /// A request met a limit.
    pub fn note_limited(&self, limit: &'static str) {
        self.0.limited.get_or_create(&OfKind { kind: limit }).inc();
    }

    /// Trouble with the database ended a request.
    pub fn note_fault(&self, fault: Fault) {
        self.0.faults.get_or_create(&OfKind { kind: fault.word() }).inc();
    }

    /// Housekeeping has come to its end.
    pub fn note_housekeeping(&self, done: &BTreeMap<String, i64>) {
        for (chore, rows) in done {
            let counter = self.0.chores.get_or_create(&OfChore { chore: chore.clone() }).clone();
            counter.inc_by(u64::try_from(*rows).unwrap_or_default());
        }
        self.0.chores_done_at.set(time::OffsetDateTime::now_utc().unix_timestamp());
    }

    /// All of it as text, with what has to be asked for first.
    pub async fn text(&self, services: &Services) -> String {
        let families = &self.0;
        let pool = services.db.status();
        for (kind, count) in [("limit", pool.limit), ("open", pool.open), ("in_use", pool.in_use), ("waiting", pool.waiting)] {
            families.pool.get_or_create(&OfKind { kind }).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        families.redis_up.set(services.limits.is_shared().map_or(-1, i64::from));
        let read = timeout(PATIENCE, vital_signs::read(&services.db)).await;
        families.database_up.set(i64::from(matches!(read, Ok(Ok(_)))));
        let signs = read.ok().and_then(Result::ok);
        // Not a number is what a number is that nobody knows: an old one would look like news.
        let sign = |value: Option<f64>| value.unwrap_or(f64::NAN);
        #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let count = |value: i64| value as f64;
        families.open_transactions.set(sign(signs.map(|signs| count(signs.open_transactions))));
        families.oldest_transaction.set(sign(signs.map(|signs| signs.oldest_transaction)));
        families.feed_horizon.set(sign(signs.map(|signs| signs.feed_horizon)));
        families.letters_waiting.set(sign(signs.map(|signs| count(signs.letters_waiting))));
        families.letters_overdue.set(sign(signs.map(|signs| signs.letters_overdue)));
        let mut text = String::new();
        if let Err(error) = encode(&mut text, &families.registry) {
            tracing::error!(%error, "the metrics cannot be written");
        }
        text
    }
}

fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

fn class(status: u16) -> &'static str {
    match status / 100 {
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        5 => "5xx",
        _ => "1xx",
    }
}

/// A server that tells the numbers at `/metrics`, and nothing else. Whoever reaches it reads them: keep it off public networks.
///
/// # Errors
/// When the socket cannot be listened on.
pub fn serve(listener: TcpListener, services: Services) -> io::Result<Server> {
    let services = web::Data::new(services);
    let server = HttpServer::new(move || App::new().app_data(services.clone()).route("/metrics", web::get().to(answer)));
    Ok(server.workers(1).max_connections(32).disable_signals().shutdown_timeout(1).listen(listener)?.run())
}

async fn answer(services: web::Data<Services>) -> HttpResponse {
    let text = services.metrics.text(&services).await;
    HttpResponse::Ok().content_type("application/openmetrics-text; version=1.0.0; charset=utf-8").body(text)
}
