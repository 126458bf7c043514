//! Whether a token is what a trusted provider made for us: the one place that decides it.
//!
//! Must stay true: whatever is wrong with a token, the answer is the same; nothing in a token chooses how it is verified, but which
//! of the pinned algorithms and which of the provider's keys.

use std::{collections::HashMap, sync::Arc, time::SystemTime};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use crm_kernel::{Error, Result};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::{
    claims::Claims,
    keys::{Clock, KeyCache, KeySource},
    providers::{Provider, Providers, Trust},
};
use crate::expect::EXTERNAL_REFUSED;

/// Bytes that a token may have.
const LARGEST_TOKEN: usize = 16 * 1024;

/// Verifies the tokens of the configured providers.
pub struct ExternalTokens {
    providers: Vec<Provider>,
    keys: HashMap<String, KeyCache>,
    clock: Clock,
}

impl std::fmt::Debug for ExternalTokens {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ExternalTokens").field("providers", &self.providers).finish_non_exhaustive()
    }
}

impl Default for ExternalTokens {
    /// Of no provider.
    fn default() -> Self {
        Self { providers: Vec::new(), keys: HashMap::new(), clock: Arc::new(SystemTime::now) }
    }
}

/// Who somebody is, says a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedToken {
    /// The provider's name here.
    pub provider: String,
    /// The provider's own.
    pub issuer: String,
    /// The person's, at this issuer.
    pub subject: String,
    /// Whether a second factor was given, and the provider's word for it counts.
    pub second_factor: bool,
    /// Where the provider's tokens are good for one use.
    pub once: Option<Once>,
}

/// What keeps a token from being used again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// SHA-256 of the token's id.
    pub hash: Vec<u8>,
    /// Until when it must be remembered.
    pub expires_at: OffsetDateTime,
}

impl ExternalTokens {
    /// Of these providers, whose keys come from this source.
    #[must_use]
    pub fn new(providers: Providers, source: impl KeySource + 'static) -> Self {
        let source: Arc<dyn KeySource> = Arc::new(source);
        Self::at(providers, &source, Arc::new(SystemTime::now))
    }

    pub(super) fn at(providers: Providers, source: &Arc<dyn KeySource>, clock: Clock) -> Self {
        let mut keys = HashMap::new();
        for provider in &providers.0 {
            if let Trust::Keys { address, .. } = &provider.trust {
                let cache = KeyCache::new(&provider.issuer, address.clone(), source.clone(), clock.clone());
                keys.insert(provider.issuer.clone(), cache);
            }
        }
        Self { providers: providers.0, keys, clock }
    }

    /// Whom a token is about.
    ///
    /// # Errors
    /// `Unauthenticated` for a token that is not right, whatever the reason; `Unavailable` when its provider's keys cannot be had.
    pub async fn verify(&self, token: &str) -> Result<VerifiedToken> {
        if token.len() > LARGEST_TOKEN {
            return Err(refused());
        }
        let parts: Vec<&str> = token.split('.').collect();
        let [header, claims, _] = <[&str; 3]>::try_from(parts).map_err(|_| refused())?;
        let header: Map<String, Value> = part(header)?;
        let claimed: Claims = part(claims)?;
        let provider = self.providers.iter().find(|provider| provider.issuer == claimed.iss).ok_or_else(refused)?;
        let algorithm = understood(&header)?;
        let signed = match &provider.trust {
            Trust::Secret(key) if algorithm == Algorithm::HS256 => signed_by(token, key, algorithm),
            Trust::Keys { algorithms, .. } if algorithms.contains(&algorithm) => {
                let id = header.get("kid").and_then(Value::as_str).ok_or_else(refused)?;
                let cache = self.keys.get(&provider.issuer).ok_or_else(refused)?;
                let keys = cache.find(id, algorithm).await?;
                keys.iter().find_map(|key| signed_by(token, &key.decoding, algorithm))
            }
            _ => None,
        };
        let claims = signed.filter(|claims| claims.are_right(provider, (self.clock)())).ok_or_else(refused)?;
        Ok(VerifiedToken {
            provider: provider.name.clone(),
            issuer: provider.issuer.clone(),
            second_factor: claims.proves_second_factor(provider),
            once: once(&claims, provider)?,
            subject: claims.sub,
        })
    }
}

fn refused() -> Error {
    Error::unauthenticated(EXTERNAL_REFUSED)
}

fn part<T: DeserializeOwned>(text: &str) -> Result<T> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| refused())?;
    serde_json::from_slice(&bytes).map_err(|_| refused())
}

/// The algorithm of a header that asks for nothing we would have to understand, and is of a token that says who somebody is.
fn understood(header: &Map<String, Value>) -> Result<Algorithm> {
    let kind = header.get("typ").map(|kind| kind.as_str().unwrap_or("unknown").to_ascii_lowercase());
    let of_a_person = kind.is_none_or(|kind| ["jwt", "at+jwt"].contains(&kind.trim_start_matches("application/")));
    let asks = ["crit", "b64", "zip", "enc"].iter().any(|name| header.contains_key(*name));
    let algorithm = header.get("alg").and_then(Value::as_str).and_then(|word| word.parse().ok());
    algorithm.filter(|_| of_a_person && !asks).ok_or_else(refused)
}

/// What it says, if this key signed it. The claims are judged elsewhere, all of them.
fn signed_by(token: &str, key: &DecodingKey, algorithm: Algorithm) -> Option<Claims> {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    decode::<Claims>(token, key, &validation).ok().map(|data| data.claims)
}

fn once(claims: &Claims, provider: &Provider) -> Result<Option<Once>> {
    let Some(id) = claims.jti.as_ref().filter(|_| provider.one_time) else { return Ok(None) };
    let expires_at = OffsetDateTime::from_unix_timestamp(claims.ends(provider)).map_err(|_| refused())?;
    Ok(Some(Once { hash: Sha256::digest(id).to_vec(), expires_at }))
}
