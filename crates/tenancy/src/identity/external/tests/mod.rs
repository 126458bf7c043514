//! Which tokens are taken, which configurations, and how often keys are fetched.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod configuration;
mod fetching;
mod verifying;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use crm_kernel::{Error, Result};
use crm_testkit::issuer::SigningKey;
use serde_json::{Value, json};

use super::{Document, ExternalTokens, KeySource, Providers};

const ISSUER: &str = "https://id.example.com";
const SECRET: &str = "a secret that is long enough for any hash";
/// The seconds since 1970 at which a test begins.
const BEGIN: i64 = 2_000_000_000;

/// A provider that answers what the test says, and a clock that stands still until the test moves it.
struct Provider {
    keys: Mutex<Result<Vec<Value>, ()>>,
    max_age: Mutex<Option<Duration>>,
    issuer: Mutex<String>,
    fetched: AtomicUsize,
    now: AtomicI64,
}

impl Provider {
    fn publishing(keys: &[&SigningKey]) -> Arc<Self> {
        let keys = keys.iter().map(|key| key.published()).collect();
        Arc::new(Self {
            keys: Mutex::new(Ok(keys)),
            max_age: Mutex::new(None),
            issuer: Mutex::new(ISSUER.into()),
            fetched: AtomicUsize::new(0),
            now: AtomicI64::new(BEGIN),
        })
    }

    fn publish(&self, keys: &[&SigningKey]) {
        *self.keys.lock().unwrap() = Ok(keys.iter().map(|key| key.published()).collect());
    }

    fn publish_values(&self, keys: Vec<Value>) {
        *self.keys.lock().unwrap() = Ok(keys);
    }

    fn break_down(&self) {
        *self.keys.lock().unwrap() = Err(());
    }

    fn pass(&self, seconds: i64) {
        self.now.fetch_add(seconds, Ordering::SeqCst);
    }

    fn fetched(&self) -> usize {
        self.fetched.load(Ordering::SeqCst)
    }

    /// What trusts this provider, configured so beside its name and issuer.
    fn trusted(self: &Arc<Self>, settings: &Value) -> ExternalTokens {
        let mut provider = json!({ "name": "test", "issuer": ISSUER, "audience": "crm", "kind": "oidc", "algorithms": ["RS256", "ES256", "EdDSA"] });
        for (name, value) in settings.as_object().unwrap() {
            provider[name] = value.clone();
        }
        provider.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let file = json!({ "providers": [provider] }).to_string();
        let providers = Providers::from_json(&file, &|_| Ok(SECRET.into())).unwrap();
        let clock = self.clone();
        let now = move || SystemTime::UNIX_EPOCH + Duration::from_secs(clock.now.load(Ordering::SeqCst).unsigned_abs());
        let source: Arc<dyn KeySource> = self.clone();
        ExternalTokens::at(providers, &source, Arc::new(now))
    }
}

#[async_trait]
impl KeySource for Provider {
    async fn fetch(&self, address: &str) -> Result<Document> {
        let max_age = *self.max_age.lock().unwrap();
        if address == format!("{ISSUER}/.well-known/openid-configuration") {
            let described = json!({ "issuer": *self.issuer.lock().unwrap(), "jwks_uri": format!("{ISSUER}/keys") });
            return Ok(Document { body: described.to_string().into_bytes(), max_age });
        }
        assert_eq!(address, format!("{ISSUER}/keys"));
        self.fetched.fetch_add(1, Ordering::SeqCst);
        // Others get their turn, as over a network.
        tokio::task::yield_now().await;
        match &*self.keys.lock().unwrap() {
            Ok(keys) => Ok(Document { body: json!({ "keys": keys }).to_string().into_bytes(), max_age }),
            Err(()) => Err(Error::unavailable("down")),
        }
    }
}

/// Claims with which nothing is wrong.
fn claims() -> Value {
    json!({ "iss": ISSUER, "aud": "crm", "sub": "subject", "iat": BEGIN, "exp": BEGIN + 600 })
}

/// The same, but for one.
fn but(name: &str, value: Value) -> Value {
    let mut changed = claims();
    changed[name] = value;
    changed.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    changed
}

#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T>, why: &str) {
    match answer {
        Err(Error::Unauthenticated(text)) => assert_eq!(text, crate::expect::EXTERNAL_REFUSED, "{why}: one answer for all"),
        other => panic!("{why}: {other:?}"),
    }
}

#[track_caller]
fn unavailable<T: std::fmt::Debug>(answer: &Result<T>, why: &str) {
    assert!(matches!(answer, Err(Error::Unavailable(_))), "{why}: {answer:?}");
}
