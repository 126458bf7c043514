//! The database server of a test run: made for it, fast, worthless after a crash, thrown away at the end.

use anyhow::{Result, bail};

use crate::environment::Environment;
use crate::lock::{self, Attempt};
use crate::postgres::cluster::{Cluster, Durability, Started};
use crate::postgres::portable::remove_if_there;
use crate::postgres::{installation, server};
use crate::progress::step;
use crate::secrets::Secrets;

pub struct Throwaway {
    started: Option<Started>,
}

impl Throwaway {
    pub fn none() -> Self {
        Self { started: None }
    }

    /// Gives the administrator's URL.
    pub async fn start(&mut self, environment: &Environment) -> Result<String> {
        let installation = installation::find(environment).await?;
        let folder = environment.state.join("test");
        discard_leftover(environment).await?;
        environment.make_folder(&folder)?;
        let cluster = Cluster::new(folder, Secrets::draw()?.superuser, Durability::Nothing);
        let label = format!("starting a throw-away PostgreSQL {}", installation.version);
        let make_and_start = async {
            cluster.make(environment, &installation).await?;
            cluster.start(environment, &installation).await
        };
        let started = step(&label, make_and_start).await?;
        let url = cluster.url(started.server, "postgres");
        self.started = Some(started);
        Ok(url)
    }

    pub async fn discard(self, environment: &Environment) -> Result<()> {
        if self.started.is_some() { discard_leftover(environment).await } else { Ok(()) }
    }
}

/// For a command that needs a server and nothing else of a test run, and runs when no test of this checkout does.
pub async fn with<T>(environment: &Environment, work: impl AsyncFnOnce(&str) -> Result<T>) -> Result<T> {
    environment.make_state()?;
    let Attempt::Taken(_lock) = lock::try_take(&environment.state.join("test.lock"))? else {
        bail!("the tests of this checkout run already");
    };
    let mut throwaway = Throwaway::none();
    let result = match throwaway.start(environment).await {
        Ok(admin_url) => work(&admin_url).await,
        Err(error) => Err(error),
    };
    throwaway.discard(environment).await?;
    result
}

async fn discard_leftover(environment: &Environment) -> Result<()> {
    let folder = environment.state.join("test");
    let data = folder.join("data");
    if let Some(server) = server::running(&data) {
        server::discard(&data, server).await?;
    }
    remove_if_there(&folder)
}

/// Of a test run that was killed; one that still runs is left alone.
pub async fn stop_leftover(environment: &Environment) -> Result<bool> {
    let is_there = server::running(&environment.state.join("test/data")).is_some();
    if !is_there {
        return Ok(false);
    }
    match lock::try_take(&environment.state.join("test.lock"))? {
        Attempt::Taken(_lock) => discard_leftover(environment).await.map(|()| true),
        Attempt::HeldBy(_) => Ok(false),
    }
}
