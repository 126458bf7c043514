//! Logs: text on a terminal, JSON lines elsewhere, or as `CRM_LOG_FORMAT` says; `CRM_LOG` filters. Where traces are exported, spans
//! go there and events here.

use std::io::IsTerminal;

use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Metadata;
use tracing_subscriber::{EnvFilter, Layer, filter::filter_fn, layer::SubscriberExt, registry, util::SubscriberInitExt};

use crate::tracing_export;

/// What is logged, and how.
#[derive(Debug, Clone)]
pub struct Logging {
    /// Such as `info,crm_gateway=debug`.
    pub filter: String,
    /// The form of each line.
    pub format: Format,
}

/// The form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

impl Format {
    /// Text on a terminal, JSON elsewhere.
    #[must_use]
    pub fn fitting() -> Self {
        if std::io::stderr().is_terminal() { Self::Text } else { Self::Json }
    }
}

/// Whether a filter can be read.
///
/// # Errors
/// What is wrong with it.
pub fn check(filter: &str) -> Result<(), String> {
    EnvFilter::try_new(filter).map(drop).map_err(|error| error.to_string())
}

/// Starts logging to standard error, and tracing to a collector if there is one; a second call does nothing.
pub fn start(logging: &Logging, traces: Option<&SdkTracerProvider>) {
    let filter = EnvFilter::try_new(&logging.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    // The span of a request is for the collector: its line in the log says the same.
    let events = filter_fn(|metadata: &Metadata<'_>| metadata.target() != tracing_export::TARGET);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let lines = match logging.format {
        Format::Json => lines.json().flatten_event(true).boxed(),
        Format::Text => lines.boxed(),
    };
    let lines = lines.with_filter(events).with_filter(filter);
    let spans = traces.map(tracing_export::layer);
    if registry().with(lines).with(spans).try_init().is_err() {
        tracing::debug!("logging had been started before");
    }
}
