//! Licences, banned crates and sources of the dependency tree, by cargo-deny and deny.toml.
//!
//! The tool is built once into the cache, in a pinned version and without optimisation: that takes a minute or two, an
//! optimised one several times that, and it runs for a second.

use std::path::PathBuf;

use anyhow::{Context, Result};
use tokio::process::Command;

use crate::cargo;
use crate::environment::Environment;
use crate::postgres::portable::remove_if_there;
use crate::progress::say;
use crate::test::run::Runner;

const VERSION: &str = "0.20.2";

pub async fn check(environment: &Environment, runner: &Runner<'_>) -> Result<()> {
    let tool = tool(environment, runner).await?;
    let mut command = Command::new(tool);
    command.args(["--color", "never", "check", "licenses", "bans", "sources"]);
    command.current_dir(&environment.root).kill_on_drop(true);
    runner.command("licences", command).await
}

async fn tool(environment: &Environment, runner: &Runner<'_>) -> Result<PathBuf> {
    let place = environment.cache.join(format!("cargo-deny-{VERSION}"));
    let tool = place.join("bin/cargo-deny");
    if tool.is_file() {
        return Ok(tool);
    }
    say("(building cargo-deny, once) ");
    environment.make_cache()?;
    let build_folder = environment.cache.join(format!("building-cargo-deny-{}", std::process::id()));
    let mut command = cargo::command(environment);
    // In the cache, where no settings of this checkout apply.
    command.current_dir(&environment.cache);
    command.args(["install", "cargo-deny", "--locked", "--debug", "--version", VERSION]);
    command.args(["--config", "profile.dev.debug=false", "--config", "profile.dev.opt-level=0"]);
    command.arg("--root").arg(&place).arg("--target-dir").arg(&build_folder);
    let built = runner.command("cargo-deny", command).await.context("cargo-deny cannot be built");
    remove_if_there(&build_folder)?;
    built.map(|()| tool)
}
