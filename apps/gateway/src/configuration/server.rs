//! What configuration says about listening: where, to whom, how patiently.

use std::{net::SocketAddr, str::FromStr, time::Duration};

use super::parsed;

/// How the server listens.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// `CRM_BIND`: where to listen; 127.0.0.1:8080 when absent.
    pub bind: SocketAddr,
    /// `CRM_CLIENT_CONNECTIONS`: connections of clients at most; 10000 when absent.
    pub connections: usize,
    /// How long clients may take.
    pub patience: Patience,
    /// `CRM_DRAIN_SECONDS`: how long, after SIGTERM, it says that it is not ready before it stops listening.
    pub drain: Duration,
    /// `CRM_CORS_ORIGINS`: pages of browsers that may call; none when absent.
    pub origins: Origins,
}

/// How long each part of a request may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// `CRM_HEAD_SECONDS`: to send the head.
    pub head: Duration,
    /// `CRM_BODY_SECONDS`: to send the body.
    pub body: Duration,
    /// `CRM_REQUEST_SECONDS`: from the end of the head to the answer.
    pub request: Duration,
    /// `CRM_KEEP_ALIVE_SECONDS`: how long an idle connection is kept.
    pub keep_alive: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            request: Duration::from_secs(60),
            keep_alive: Duration::from_secs(75),
        }
    }
}

/// Origins of pages, such as `https://console.example.com`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(pub Vec<String>);

impl FromStr for Origins {
    type Err = String;

    /// From a list with commas. `*` is refused: whoever lets every page call has let every page use what a browser holds.
    fn from_str(text: &str) -> Result<Self, String> {
        let origins = text.split(',').map(str::trim).filter(|origin| !origin.is_empty()).map(|origin| {
            let rest = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://")).unwrap_or_default();
            let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-.:[]".contains(letter);
            if rest.is_empty() || !rest.chars().all(plain) {
                return Err(format!(
                    "`{origin}` is not an origin such as https://console.example.com, in small letters, without a path"
                ));
            }
            Ok(origin.to_owned())
        });
        origins.collect::<Result<_, _>>().map(Self)
    }
}

impl ServerSettings {
    pub(super) fn read(get: &impl Fn(&str) -> Option<String>, mistakes: &mut Vec<String>) -> Self {
        let default = Patience::default();
        let mut seconds = |name: &str, default: Duration, valid: fn(&u64) -> bool| {
            Duration::from_secs(parsed(get, mistakes, name, default.as_secs(), valid))
        };
        let patience = Patience {
            head: seconds("CRM_HEAD_SECONDS", default.head, |seconds| (1..=120).contains(seconds)),
            body: seconds("CRM_BODY_SECONDS", default.body, |seconds| (1..=600).contains(seconds)),
            request: seconds("CRM_REQUEST_SECONDS", default.request, |seconds| (1..=600).contains(seconds)),
            keep_alive: seconds("CRM_KEEP_ALIVE_SECONDS", default.keep_alive, |seconds| (1..=600).contains(seconds)),
        };
        let drain = seconds("CRM_DRAIN_SECONDS", Duration::from_secs(5), |seconds| *seconds <= 300);
        let origins = get("CRM_CORS_ORIGINS").unwrap_or_default().parse().unwrap_or_else(|mistake| {
            mistakes.push(format!("CRM_CORS_ORIGINS: {mistake}"));
            Origins::default()
        });
        Self {
            bind: parsed(get, mistakes, "CRM_BIND", SocketAddr::from(([127, 0, 0, 1], 8080)), |_| true),
            connections: parsed(get, mistakes, "CRM_CLIENT_CONNECTIONS", 10_000, |number| (1..=1_000_000).contains(number)),
            patience,
            drain,
            origins,
        }
    }
}
