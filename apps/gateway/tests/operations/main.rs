//! Running it: configuration, numbers, traces, ending and being replaced.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod configuration;
mod dashboard;
mod ending;
mod metrics;
#[path = "../support/mod.rs"]
mod support;
mod traces;

use crm_testkit::{Tenant, TestDatabase};
use support::process::{Gateway, KeyFile};

/// A database of its own, and what a gateway needs beside it.
struct Place {
    database: TestDatabase,
    tenant: Tenant,
    url: String,
    key: KeyFile,
}

impl Place {
    async fn create() -> Self {
        let database = TestDatabase::create().await;
        let tenant = database.tenant("Acme").await;
        let url = database.url();
        Self { database, tenant, url, key: KeyFile::generate().await }
    }

    /// The needed settings and these.
    fn settings<'a>(&'a self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let needed = [
            ("CRM_DATABASE_URL", self.url.as_str()),
            ("CRM_TOKEN_KEY_FILE", self.key.path()),
            ("CRM_SEALING_KEY_FILE", self.key.sealing()),
        ];
        [&needed, more].concat()
    }

    async fn start(&self, more: &[(&str, &str)]) -> Gateway {
        Gateway::start(&self.settings(more)).await
    }
}

/// A port that is free just now.
fn free_address() -> String {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().to_string()
}
