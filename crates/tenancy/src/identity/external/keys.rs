//! The keys that a provider publishes: fetched when they are needed, kept for a while, never more often than is decent.
//!
//! Must stay true: however many tokens come in, one fetch is under way for a provider and one a minute is begun; a provider that is
//! down is not one that has withdrawn its keys, for a day; a key is only used for the algorithms of its own type.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use crm_kernel::{Error, Result};
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use super::providers::{KeyAddress, is_trusted_address};

/// Bytes that a document of a provider may have; a source must not read more.
pub const LARGEST_DOCUMENT: usize = 256 * 1024;
/// Keys that a provider may have at a time.
const MOST_KEYS: usize = 50;
/// How long keys are used without asking again, at least, whatever the provider says.
const SHORTEST_FRESH: Duration = Duration::from_secs(5 * 60);
/// And at most.
const LONGEST_FRESH: Duration = Duration::from_secs(24 * 60 * 60);
/// How long after that they are used while the provider does not answer.
const LONGEST_STALE: Duration = Duration::from_secs(24 * 60 * 60);
/// How long after a fetch the next one waits.
const PAUSE: Duration = Duration::from_secs(60);
/// The same while there are no keys at all: people wait.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// Says what time it is.
pub(super) type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Gets the documents of providers over the network.
///
/// A source reads at most [`LARGEST_DOCUMENT`] bytes, waits a few seconds at most and follows no redirect: what it brings is trusted.
#[async_trait]
pub trait KeySource: Send + Sync {
    /// The JSON document at this address.
    ///
    /// # Errors
    /// `Unavailable` when there is none.
    async fn fetch(&self, address: &str) -> Result<Document>;
}

/// What a provider answered.
#[derive(Debug, Clone)]
pub struct Document {
    /// JSON.
    pub body: Vec<u8>,
    /// How long it may be kept, where the provider says so.
    pub max_age: Option<Duration>,
}

/// A key and what it is good for.
#[derive(Clone)]
pub(super) struct Key {
    id: String,
    algorithms: Vec<Algorithm>,
    pub decoding: DecodingKey,
}

/// What was fetched, and until when it is the truth.
struct Keys {
    keys: Vec<Key>,
    fresh_until: SystemTime,
}

/// The last fetch.
#[derive(Default)]
struct Attempt {
    ended: Option<SystemTime>,
    failed: bool,
}

/// The keys of one provider.
pub(super) struct KeyCache {
    issuer: String,
    address: KeyAddress,
    source: Arc<dyn KeySource>,
    clock: Clock,
    keys: RwLock<Option<Arc<Keys>>>,
    // Whoever holds it may fetch; the others wait and find what was fetched.
    attempt: Mutex<Attempt>,
}

impl KeyCache {
    pub fn new(issuer: &str, address: KeyAddress, source: Arc<dyn KeySource>, clock: Clock) -> Self {
        let attempt = Mutex::new(Attempt::default());
        Self { issuer: issuer.to_owned(), address, source, clock, keys: RwLock::new(None), attempt }
    }

    /// The keys of this id that are good for this algorithm; none when the provider has no such key.
    ///
    /// # Errors
    /// `Unavailable` when the provider does not answer and what is known does not settle it.
    pub async fn find(&self, id: &str, algorithm: Algorithm) -> Result<Vec<Key>> {
        let known = self.known();
        let fitting = known.as_ref().map(|keys| keys.of(id)).unwrap_or_default();
        if !fitting.is_empty() && known.is_some_and(|keys| (self.clock)() < keys.fresh_until) {
            return Ok(good_for(fitting, algorithm));
        }
        let failed = self.refresh(id).await;
        let known = self.known();
        let usable = known.filter(|keys| (self.clock)() < keys.fresh_until + LONGEST_STALE);
        let fitting = usable.as_ref().map(|keys| keys.of(id)).unwrap_or_default();
        if fitting.is_empty() && (failed || usable.is_none()) {
            return Err(Error::unavailable(format!("the keys of {} cannot be had", self.issuer)));
        }
        Ok(good_for(fitting, algorithm))
    }

    fn known(&self) -> Option<Arc<Keys>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Fetches unless that was done a moment ago; says whether the last fetch failed.
    async fn refresh(&self, id: &str) -> bool {
        let mut attempt = self.attempt.lock().await;
        let now = (self.clock)();
        let known = self.known();
        let settled = known.as_ref().is_some_and(|keys| now < keys.fresh_until && !keys.of(id).is_empty());
        let pause = if known.is_some() { PAUSE } else { FIRST_PAUSE };
        if settled || attempt.ended.is_some_and(|ended| now < ended + pause) {
            return attempt.failed;
        }
        let fetched = self.fetch().await;
        *attempt = Attempt { ended: Some((self.clock)()), failed: fetched.is_err() };
        match fetched {
            Ok(keys) => *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(keys)),
            Err(error) => tracing::warn!(issuer = %self.issuer, %error, "the keys of an identity provider cannot be fetched"),
        }
        attempt.failed
    }

    async fn fetch(&self) -> Result<Keys> {
        let address = match &self.address {
            KeyAddress::Given(address) => address.clone(),
            KeyAddress::Discovered => self.discover().await?,
        };
        let document = self.source.fetch(&address).await?;
        let age = document.max_age.unwrap_or(SHORTEST_FRESH).clamp(SHORTEST_FRESH, LONGEST_FRESH);
        let published: Published = read(&document.body)?;
        if published.keys.len() > MOST_KEYS {
            return Err(Error::unavailable("more keys than a provider may have"));
        }
        let keys: Vec<Key> = published.keys.into_iter().filter_map(key).collect();
        if keys.is_empty() {
            return Err(Error::unavailable("no key that signs tokens"));
        }
        Ok(Keys { keys, fresh_until: (self.clock)() + age })
    }

    /// Where the issuer says that its keys are. It must call itself by the name that we know.
    async fn discover(&self) -> Result<String> {
        let address = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let described: Described = read(&self.source.fetch(&address).await?.body)?;
        if described.issuer != self.issuer || !is_trusted_address(&described.jwks_uri) {
            return Err(Error::unavailable("the description is of another issuer, or its keys are not behind https"));
        }
        Ok(described.jwks_uri)
    }
}

#[derive(Deserialize)]
struct Described {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct Published {
    keys: Vec<Value>,
}

fn read<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T> {
    if body.len() > LARGEST_DOCUMENT {
        return Err(Error::unavailable("the document is too large"));
    }
    serde_json::from_slice(body).map_err(|_| Error::unavailable("the document is not what a provider publishes"))
}

impl Keys {
    fn of(&self, id: &str) -> Vec<Key> {
        self.keys.iter().filter(|key| key.id == id).cloned().collect()
    }
}

fn good_for(keys: Vec<Key>, algorithm: Algorithm) -> Vec<Key> {
    keys.into_iter().filter(|key| key.algorithms.contains(&algorithm)).collect()
}

/// A published key, if it has an id, verifies signatures and is of a type we take. A symmetric one is not: it would be no secret.
fn key(value: Value) -> Option<Key> {
    let published: Jwk = serde_json::from_value(value).ok()?;
    let common = &published.common;
    let id = common.key_id.clone().filter(|id| !id.is_empty())?;
    let for_signing = common.public_key_use.as_ref().is_none_or(|used| *used == PublicKeyUse::Signature);
    let verifies = common.key_operations.as_ref().is_none_or(|operations| operations.contains(&KeyOperations::Verify));
    let mut algorithms = algorithms_of(&published.algorithm)?;
    if let Some(stated) = common.key_algorithm {
        algorithms.retain(|algorithm| format!("{algorithm:?}") == stated.to_string());
    }
    let decoding = DecodingKey::from_jwk(&published).ok()?;
    (for_signing && verifies).then_some(Key { id, algorithms, decoding })
}

fn algorithms_of(parameters: &AlgorithmParameters) -> Option<Vec<Algorithm>> {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    match parameters {
        AlgorithmParameters::RSA(rsa) => {
            let modulus = URL_SAFE_NO_PAD.decode(&rsa.n).ok()?;
            let bytes = modulus.iter().skip_while(|byte| **byte == 0).count();
            // 2048 to 8192 bits.
            (256..=1024).contains(&bytes).then(|| vec![RS256, RS384, RS512, PS256, PS384, PS512])
        }
        AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
            EllipticCurve::P256 => Some(vec![ES256]),
            EllipticCurve::P384 => Some(vec![ES384]),
            _ => None,
        },
        AlgorithmParameters::OctetKeyPair(pair) => (pair.curve == EllipticCurve::Ed25519).then(|| vec![EdDSA]),
        AlgorithmParameters::OctetKey(_) => None,
    }
}
