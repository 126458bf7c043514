//! Running cargo from within a program that cargo runs.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::environment::{Environment, variable, variable_names};

/// `cargo run` tells its child about the package it belongs to. Build scripts that look at these would be run again each time
/// the same build is asked for once from here and once by hand.
const FROM_CARGO_RUN: [&str; 3] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"];

pub fn command(environment: &Environment) -> Command {
    let mut command = Command::new(variable("CARGO").unwrap_or_else(|| "cargo".to_owned()));
    for name in variable_names() {
        let is_ours = FROM_CARGO_RUN.iter().any(|prefix| name.starts_with(prefix));
        if is_ours || name == "CARGO_PRIMARY_PACKAGE" || name == "CARGO_CRATE_NAME" {
            command.env_remove(name);
        }
    }
    command.current_dir(&environment.root).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// How it is compiled.
#[derive(Clone, Copy, Debug)]
pub enum Profile {
    Development,
    /// As it is deployed; nothing else is worth measuring.
    Release,
}

/// Builds the gateway and says where it lies. Always the whole workspace's features: with another set the tree is built anew.
pub async fn build_gateway(environment: &Environment, profile: Profile) -> Result<PathBuf> {
    build(environment, "crm-gateway", profile).await
}

/// The same of any program of the workspace.
pub async fn build(environment: &Environment, program: &str, profile: Profile) -> Result<PathBuf> {
    let arguments = ["build", "--workspace", "--bin", program, "--message-format=json-render-diagnostics"];
    let release: &[&str] = match profile {
        Profile::Development => &[],
        Profile::Release => &["--release"],
    };
    let child = command(environment).args(arguments).args(release).stdout(Stdio::piped()).spawn().context("cannot run cargo")?;
    let output = child.wait_with_output().await?;
    if !output.status.success() {
        bail!("{program} does not build; cargo says why above");
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut executables = messages.filter_map(|message| message.get("executable")?.as_str().map(PathBuf::from));
    executables.next_back().with_context(|| format!("cargo built {program} and did not say where"))
}
