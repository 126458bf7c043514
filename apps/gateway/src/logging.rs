//! Logs: text on a terminal, JSON lines elsewhere, or as `CRM_LOG_FORMAT` says; `CRM_LOG` filters.

#![allow(clippy::disallowed_methods, reason = "logging begins before the configuration is known to be good")]

use std::{env, io::IsTerminal};

use tracing_subscriber::EnvFilter;

/// Starts logging to standard error; a second call does nothing.
pub fn start() {
    let filter = EnvFilter::try_from_env("CRM_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let format = env::var("CRM_LOG_FORMAT").unwrap_or_default();
    let json = format == "json" || (format != "text" && !std::io::stderr().is_terminal());
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let started = if json { subscriber.json().flatten_event(true).try_init() } else { subscriber.try_init() };
    if started.is_err() {
        tracing::debug!("logging had been started before");
    }
}
