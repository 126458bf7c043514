//! Limits: how much is too much, and who is kept from whom.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]
#![allow(clippy::print_stdout, reason = "the numbers are worth seeing when the test passes, too")]

mod connections;
mod rates;
mod redis;
mod redis_tls;
mod shares;
#[path = "../support/mod.rs"]
mod support;

use crm_testkit::{Tenant, TestDatabase};
use support::process::{Gateway, KeyFile};

/// A gateway of its own on a database of its own.
struct Scene {
    database: TestDatabase,
    tenant: Tenant,
    gateway: Gateway,
    key: KeyFile,
}

impl Scene {
    /// With these settings beside the needed ones.
    async fn start(settings: &[(&str, &str)]) -> Self {
        let database = TestDatabase::create().await;
        let tenant = database.tenant("Acme").await;
        let key = KeyFile::generate().await;
        let gateway = launch(&database, &key, settings).await;
        Self { database, tenant, gateway, key }
    }

    /// Another process on the same database.
    async fn another(&self, settings: &[(&str, &str)]) -> Gateway {
        launch(&self.database, &self.key, settings).await
    }
}

async fn launch(database: &TestDatabase, key: &KeyFile, settings: &[(&str, &str)]) -> Gateway {
    Gateway::on(database, key, &[&[("CRM_TRUSTED_PROXIES", "127.0.0.0/8")], settings].concat()).await
}
