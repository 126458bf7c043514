//! Fetches what identity providers publish, over the network.
//!
//! Must stay true: a provider, or whoever answers in its place, costs us a bounded time and a bounded memory; a redirect is an answer
//! that is not taken, because it would lead where the configuration did not.

use std::time::Duration;

use async_trait::async_trait;
use crm_kernel::{Error, Result};
use crm_tenancy::identity::external::{Document, KeySource, LARGEST_DOCUMENT};
use reqwest::{Client, Response, header::CACHE_CONTROL, redirect::Policy};

/// How long a provider may take to answer, all in all.
const PATIENCE: Duration = Duration::from_secs(5);

/// Providers behind http and https.
#[derive(Debug, Clone)]
pub struct HttpKeySource {
    client: Client,
}

impl HttpKeySource {
    /// With a client of its own.
    ///
    /// # Errors
    /// `Internal` when the system's certificates cannot be read.
    pub fn new() -> Result<Self> {
        let client = Client::builder().timeout(PATIENCE).redirect(Policy::none()).build().map_err(Error::internal)?;
        Ok(Self { client })
    }
}

#[async_trait]
impl KeySource for HttpKeySource {
    async fn fetch(&self, address: &str) -> Result<Document> {
        let request = self.client.get(address).header("accept", "application/json");
        let answer = request.send().await.map_err(Error::unavailable)?;
        if answer.status() != reqwest::StatusCode::OK {
            return Err(Error::unavailable(format!("{address} answers with {}", answer.status())));
        }
        let max_age = max_age(&answer);
        Ok(Document { body: read(answer).await?, max_age })
    }
}

async fn read(mut answer: Response) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(Error::unavailable)? {
        if body.len() + chunk.len() > LARGEST_DOCUMENT {
            return Err(Error::unavailable("the document is too large"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// How long it may be kept, where `Cache-Control` says so.
fn max_age(answer: &Response) -> Option<Duration> {
    let control = answer.headers().get(CACHE_CONTROL)?.to_str().ok()?.to_ascii_lowercase();
    let directives = control.split(',').map(str::trim);
    let fresh = !directives.clone().any(|directive| directive == "no-store" || directive.starts_with("no-cache"));
    let seconds = directives.into_iter().find_map(|directive| directive.strip_prefix("max-age="))?;
    fresh.then(|| seconds.trim_matches('"').parse().ok().map(Duration::from_secs)).flatten()
}
