//! Which providers are trusted, and how far: the configuration, checked before anything starts.
//!
//! Must stay true: every mistake is named, with its provider; no secret is ever printed; keys come over TLS, except from this
//! machine.

use std::{collections::HashSet, str::FromStr};

use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// Bytes that a shared secret must have: as many as the hash it is used with.
const SHORTEST_SECRET: usize = 32;
/// Seconds that the clocks may differ when nothing is said.
const DEFAULT_SKEW: i64 = 60;
/// The most that may be configured.
const LARGEST_SKEW: i64 = 300;

/// The providers whose tokens are taken.
#[derive(Debug, Clone, Default)]
pub struct Providers(pub(super) Vec<Provider>);

/// One provider.
#[derive(Clone)]
pub struct Provider {
    pub(super) name: String,
    pub(super) issuer: String,
    pub(super) audience: String,
    pub(super) authorized_party: String,
    pub(super) trust: Trust,
    pub(super) clock_skew_seconds: i64,
    pub(super) second_factor: SecondFactor,
    pub(super) one_time: bool,
}

/// What proves that a token is the provider's.
#[derive(Clone)]
pub(super) enum Trust {
    /// Its published keys, with these algorithms and no other.
    Keys { address: KeyAddress, algorithms: Vec<Algorithm> },
    /// A secret that it shares with us.
    Secret(DecodingKey),
}

/// Where the keys are.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum KeyAddress {
    /// Here.
    Given(String),
    /// The issuer's own description says where.
    Discovered,
}

/// Whether a provider's word for a second factor counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SecondFactor {
    /// When the token says that one was given (`amr` contains `mfa`; with GoTrue also `aal` 2).
    TrustedWhenAmrMfa,
    /// Never.
    Never,
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Provider").field("name", &self.name).field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    providers: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    name: String,
    issuer: String,
    audience: String,
    authorized_party: Option<String>,
    kind: String,
    jwks_uri: Option<String>,
    algorithms: Option<Vec<String>>,
    secret_file: Option<String>,
    clock_skew_seconds: Option<i64>,
    second_factor: Option<SecondFactor>,
    #[serde(default)]
    one_time: bool,
}

impl Providers {
    /// From the text of the configuration; `read` gives the content of a file that it names.
    ///
    /// # Errors
    /// One sentence for every mistake.
    pub fn from_json(text: &str, read: &dyn Fn(&str) -> Result<String, String>) -> Result<Self, Vec<String>> {
        let file: File = serde_json::from_str(text).map_err(|error| vec![error.to_string()])?;
        let (mut providers, mut mistakes) = (Vec::new(), Vec::new());
        for (number, value) in (1..).zip(file.providers) {
            let mut note = |mistake: String| mistakes.push(format!("provider {number}: {mistake}"));
            match serde_json::from_value::<Settings>(value) {
                Ok(settings) => providers.extend(provider(settings, read, &mut note)),
                Err(error) => note(error.to_string()),
            }
        }
        for (what, of) in
            [("name", (|provider| &provider.name) as fn(&Provider) -> &String), ("issuer", |provider| &provider.issuer)]
        {
            let mut seen = HashSet::new();
            let twice = providers.iter().map(of).filter(|value| !seen.insert(*value));
            mistakes.extend(twice.map(|value| format!("the {what} {value} is there twice")));
        }
        if mistakes.is_empty() { Ok(Self(providers)) } else { Err(mistakes) }
    }
}

fn provider(settings: Settings, read: &dyn Fn(&str) -> Result<String, String>, note: &mut dyn FnMut(String)) -> Option<Provider> {
    let mut sound = true;
    let mut check = |right: bool, mistake: &str| {
        if !right {
            sound = false;
            note(mistake.to_owned());
        }
    };
    let plain = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'-' || letter == b'_';
    let named = (1..=100).contains(&settings.name.len()) && settings.name.bytes().all(plain);
    check(named, "name: 1 to 100 lower case letters, digits, - and _");
    let issuer_is_plain = is_trusted_address(&settings.issuer) && !settings.issuer.contains(['?', '#']);
    check(issuer_is_plain && settings.issuer.len() <= 500, "issuer: an https address without query, or http on this machine");
    check((1..=255).contains(&settings.audience.len()), "audience: 1 to 255 characters");
    let skew = settings.clock_skew_seconds.unwrap_or(DEFAULT_SKEW);
    check((0..=LARGEST_SKEW).contains(&skew), "clock_skew_seconds: 0 to 300");
    let trust = match settings.kind.as_str() {
        "oidc" => {
            check(settings.secret_file.is_none(), "secret_file: only with kind gotrue");
            keys(&settings, &mut check)
        }
        "gotrue" => {
            check(settings.jwks_uri.is_none(), "jwks_uri: only with kind oidc");
            check(settings.algorithms.is_none(), "algorithms: only with kind oidc; gotrue is HS256");
            secret(settings.secret_file.as_deref(), read, &mut check)
        }
        _ => {
            check(false, "kind: oidc or gotrue");
            None
        }
    };
    let trust = trust.filter(|_| sound)?;
    Some(Provider {
        name: settings.name,
        issuer: settings.issuer,
        authorized_party: settings.authorized_party.unwrap_or_else(|| settings.audience.clone()),
        audience: settings.audience,
        trust,
        clock_skew_seconds: skew,
        second_factor: settings.second_factor.unwrap_or(SecondFactor::Never),
        one_time: settings.one_time,
    })
}

/// Only algorithms whose verifying key is public: nobody can sign with what we fetch.
fn algorithm(word: &str) -> Option<Algorithm> {
    let known = Algorithm::from_str(word).ok()?;
    let public = !matches!(known, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512);
    public.then_some(known)
}

fn keys(settings: &Settings, check: &mut dyn FnMut(bool, &str)) -> Option<Trust> {
    let words = settings.algorithms.as_deref().unwrap_or_default();
    let algorithms: Vec<Algorithm> = words.iter().filter_map(|word| algorithm(word)).collect();
    let right = !algorithms.is_empty() && algorithms.len() == words.len();
    check(right, "algorithms: some of RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 EdDSA");
    let address = match &settings.jwks_uri {
        None => KeyAddress::Discovered,
        Some(address) => {
            check(is_trusted_address(address), "jwks_uri: an https address, or http on this machine");
            KeyAddress::Given(address.clone())
        }
    };
    Some(Trust::Keys { address, algorithms })
}

fn secret(file: Option<&str>, read: &dyn Fn(&str) -> Result<String, String>, check: &mut dyn FnMut(bool, &str)) -> Option<Trust> {
    let Some(file) = file else {
        check(false, "secret_file: is required with kind gotrue");
        return None;
    };
    match read(file) {
        Ok(secret) => {
            let secret = secret.trim_end_matches(['\r', '\n']);
            check(secret.len() >= SHORTEST_SECRET, "secret_file: holds a secret of less than 32 bytes");
            Some(Trust::Secret(DecodingKey::from_secret(secret.as_bytes())))
        }
        Err(error) => {
            check(false, &format!("secret_file: {error}"));
            None
        }
    }
}

/// Whether what comes from there is what its owner sent: https, or http that does not leave this machine.
pub(super) fn is_trusted_address(address: &str) -> bool {
    let visible = address.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let host = |rest: &str| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let has_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        match authority.rsplit_once(':') {
            _ if authority.contains('@') => None,
            Some((host, port)) if has_port(port) => Some(host.to_owned()),
            Some(_) if !authority.ends_with(']') => None,
            _ => Some(authority.to_owned()),
        }
    };
    let is_loopback = |host: String| ["localhost", "127.0.0.1", "[::1]"].contains(&host.as_str());
    visible
        && match address.split_once("://") {
            Some(("https", rest)) => host(rest).is_some_and(|host| !host.is_empty()),
            Some(("http", rest)) => host(rest).is_some_and(is_loopback),
            _ => false,
        }
}
