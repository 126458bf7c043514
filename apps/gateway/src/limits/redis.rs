//! Buckets in Redis, which several processes share; in this process while Redis does not answer.
//!
//! Must stay true: no request fails because of Redis, and none waits for it longer than `PATIENCE`; the log tells of a change once;
//! a request counts in Redis or here, in neither twice.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use fred::{
    clients::Client,
    interfaces::ClientLike,
    types::{
        Builder,
        config::{Config, ReconnectPolicy, UnresponsiveConfig},
        scripts::Script,
    },
};

use super::{Buckets, Charge, bucket::Standing, local::Local};

/// How long a request waits for Redis at most.
const PATIENCE: Duration = Duration::from_millis(50);
/// How long the start of the program waits for Redis.
const FIRST_PATIENCE: Duration = Duration::from_secs(2);
/// For how long Redis is not asked after it did not answer: a slow one costs a request each second its patience, not every request.
const REST: Duration = Duration::from_secs(1);
/// Pauses between tries to connect again, in milliseconds: the first and the longest.
const RECONNECT: (u32, u32) = (100, 2000);
/// Commands that may be under way.
const MOST_COMMANDS: usize = 1000;

/// Whether this is an address of one Redis; says nothing of what is in it. The buckets of a request are taken by one script, whose keys lie
/// on several nodes of a cluster; and nobody has tried sentinels.
///
/// # Errors
/// When it is not.
pub fn check(url: &str) -> Result<(), String> {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme).to_ascii_lowercase();
    for kind in ["cluster", "sentinel"] {
        if scheme.ends_with(&format!("-{kind}")) {
            return Err(format!("a {kind} of Redis is not supported: name one server, redis://… or rediss://…"));
        }
    }
    Config::from_url(url).map(drop).map_err(|_| "not an address such as redis://redis.example.com:6379 or rediss://…".into())
}

/// Buckets in Redis.
pub struct Redis {
    client: Client,
    script: Script,
    local: Local,
    began: Instant,
    /// Milliseconds after `began` from which on Redis is asked again.
    rests_until: AtomicU64,
    is_away: AtomicBool,
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Redis").field("is_away", &self.is_away).finish_non_exhaustive()
    }
}

impl Redis {
    /// Connects, and goes on trying for as long as it lives if that does not succeed soon.
    ///
    /// # Errors
    /// When this is no address of a Redis.
    pub async fn connect(url: &str) -> Result<Self, String> {
        check(url)?;
        let mut config = Config::from_url(url).map_err(|error| error.to_string())?;
        config.fail_fast = false;
        let client = Builder::from_config(config)
            .with_performance_config(|performance| performance.default_command_timeout = PATIENCE)
            .with_connection_config(|connection| {
                connection.connection_timeout = Duration::from_secs(2);
                connection.internal_command_timeout = Duration::from_secs(2);
                connection.max_command_attempts = 1;
                connection.max_command_buffer_len = MOST_COMMANDS;
                connection.unresponsive =
                    UnresponsiveConfig { max_timeout: Some(Duration::from_secs(2)), interval: Duration::from_secs(1) };
            })
            .set_policy(ReconnectPolicy::new_exponential(0, RECONNECT.0, RECONNECT.1, 2))
            .build()
            .map_err(|error| error.to_string())?;
        // The task connects again and again by itself, and ends with the client.
        drop(client.connect());
        let connected = tokio::time::timeout(FIRST_PATIENCE, client.wait_for_connect()).await;
        let redis = Self {
            client,
            script: Script::from_lua(include_str!("take.lua")),
            local: Local::default(),
            began: Instant::now(),
            rests_until: AtomicU64::new(0),
            is_away: AtomicBool::new(false),
        };
        if !matches!(connected, Ok(Ok(()))) {
            redis.note_away("it cannot be reached");
        }
        Ok(redis)
    }

    async fn ask(&self, charges: &[Charge]) -> Result<Vec<Standing>, String> {
        let keys: Vec<String> = charges.iter().map(|charge| format!("crm:limit:{}", charge.key)).collect();
        let steps = charges.iter().flat_map(|charge| [charge.policy.step(), charge.policy.window()]);
        let arguments: Vec<String> = steps.map(|number| number.to_string()).collect();
        let asked = self.script.evalsha_with_reload::<Vec<u64>, _, _>(&self.client, keys, arguments);
        let numbers = tokio::time::timeout(PATIENCE, asked).await.map_err(|_| "no answer in time".to_owned())?;
        let numbers = numbers.map_err(|error| error.to_string())?;
        let standings: Vec<Standing> = numbers.as_chunks::<3>().0.iter().map(standing).collect();
        if standings.len() == charges.len() { Ok(standings) } else { Err("an answer of another shape".into()) }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn note_away(&self, error: &str) {
        let rest = u64::try_from(REST.as_millis()).unwrap_or(u64::MAX);
        self.rests_until.store(self.now() + rest, Ordering::Relaxed);
        if !self.is_away.swap(true, Ordering::Relaxed) {
            tracing::warn!(error, "Redis does not answer: requests are counted in this process alone");
        }
    }

    fn note_here(&self) {
        if self.is_away.swap(false, Ordering::Relaxed) {
            tracing::info!("Redis answers again: requests are counted together with other processes");
        }
    }
}

fn standing([remaining, until_full, over]: &[u64; 3]) -> Standing {
    let seconds = |micros: &u64| micros.div_ceil(1_000_000);
    Standing { remaining: *remaining, reset: seconds(until_full), retry_after: seconds(over) }
}

#[async_trait]
impl Buckets for Redis {
    async fn take(&self, subject: &str, charges: &[Charge]) -> Vec<Standing> {
        if self.now() < self.rests_until.load(Ordering::Relaxed) {
            return self.local.take(subject, charges);
        }
        match self.ask(charges).await {
            Ok(standings) => {
                self.note_here();
                standings
            }
            Err(error) => {
                self.note_away(&error);
                self.local.take(subject, charges)
            }
        }
    }

    fn is_shared(&self) -> Option<bool> {
        Some(!self.is_away.load(Ordering::Relaxed))
    }
}
