//! `cargo xtask openapi`: writes docs/openapi.json from the code, and the check that it is up to date.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::environment::Environment;
use crate::progress::{say, talking_step};
use crate::{cargo, logfile};

pub fn file(environment: &Environment) -> PathBuf {
    environment.root.join("docs/openapi.json")
}

pub async fn run(environment: &Environment) -> Result<()> {
    talking_step("building the gateway", cargo::build_gateway(environment, cargo::Profile::Development)).await?;
    std::fs::write(file(environment), document(environment).await?)?;
    say("wrote docs/openapi.json\n");
    Ok(())
}

/// What the code says now. The gateway needs no database for that.
pub async fn document(environment: &Environment) -> Result<Vec<u8>> {
    let program = cargo::build_gateway(environment, cargo::Profile::Development).await?;
    let output = tokio::process::Command::new(&program).arg("openapi").stdin(Stdio::null()).output().await?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        bail!("`crm-gateway openapi` failed ({}):\n{}", output.status, logfile::last_lines(&errors, 15));
    }
    Ok(output.stdout)
}

/// The first line in which the document of the code and the one in the repository differ.
pub fn first_difference(committed: &str, current: &str) -> Option<String> {
    if committed == current {
        return None;
    }
    let lines = committed.lines().zip(current.lines()).enumerate();
    let differing = lines.into_iter().find(|(_, (before, now))| before != now);
    let found =
        differing.map(|(number, (before, now))| format!("line {}:\n  - {}\n  + {}", number + 1, before.trim(), now.trim()));
    Some(found.unwrap_or_else(|| "one is longer than the other".to_owned()))
}

pub async fn check(environment: &Environment) -> Result<()> {
    let committed =
        std::fs::read_to_string(file(environment)).context("docs/openapi.json is missing: `cargo xtask openapi` writes it")?;
    let current = document(environment).await?;
    match first_difference(&committed, &String::from_utf8_lossy(&current)) {
        Some(difference) => bail!("docs/openapi.json is not what the code says; `cargo xtask openapi` rewrites it. {difference}"),
        None => Ok(()),
    }
}
