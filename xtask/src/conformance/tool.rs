//! Schemathesis, which makes requests from the document and judges the answers: installed once for each Python, kept in the cache.
//!
//! Must stay true: every package is pinned to one version, and nothing but those is installed; a folder that bears the final name is
//! complete.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use tokio::process::Command;

use crate::environment::Environment;
use crate::postgres::installation::on_path;
use crate::postgres::portable::remove_if_there;
use crate::progress::step;

const REQUIREMENTS: &str = include_str!("../../data/conformance/requirements.txt");

/// Schemathesis as it lies in the cache.
pub struct Tool {
    python: PathBuf,
    packages: PathBuf,
}

impl Tool {
    pub async fn cached_or_fetched(environment: &Environment) -> Result<Self> {
        let python = on_path("python3").context("python3 is not there: `cargo xtask doctor` says how to get it")?;
        let version = said(Command::new(&python).args(["-c", "import sys; print('%d.%d' % sys.version_info[:2])"])).await?;
        let hash: String = Sha256::digest(REQUIREMENTS).iter().take(5).map(|byte| format!("{byte:02x}")).collect();
        let packages = environment.cache.join(format!("schemathesis-{hash}-python-{}", version.trim()));
        let tool = Self { python, packages };
        if !tool.packages.is_dir() {
            environment.make_cache()?;
            step("fetching Schemathesis through pip", tool.fetch(environment)).await?;
        }
        Ok(tool)
    }

    async fn fetch(&self, environment: &Environment) -> Result<()> {
        let work = environment.cache.join(format!("fetching-schemathesis-{}", std::process::id()));
        remove_if_there(&work)?;
        fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
        let placed = self.install(&work).await;
        if placed.is_err() {
            remove_if_there(&work)?;
        }
        placed
    }

    async fn install(&self, work: &Path) -> Result<()> {
        let requirements = work.join("requirements.txt");
        fs::write(&requirements, REQUIREMENTS)?;
        let mut pip = Command::new(&self.python);
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
            "--disable-pip-version-check",
            "--target",
        ]);
        said(pip.arg(work).arg("--requirement").arg(&requirements)).await.context("pip cannot install Schemathesis")?;
        match fs::rename(work, &self.packages) {
            // Another checkout was faster, and has put the same there.
            Err(_) if self.packages.is_dir() => remove_if_there(work),
            moved => moved.with_context(|| format!("cannot put {} in place", self.packages.display())),
        }
    }

    /// A command of it, which the arguments of one follow.
    pub fn command(&self, environment: &Environment) -> Command {
        let mut command = Command::new(&self.python);
        let paths = format!("{}:{}", self.packages.display(), environment.root.join("xtask/data/conformance").display());
        command.args(["-m", "schemathesis.cli"]).env("PYTHONPATH", paths).env("PYTHONDONTWRITEBYTECODE", "1");
        command.env("SCHEMATHESIS_HOOKS", "short_addresses").current_dir(&environment.state);
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }
}

async fn said(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.context("cannot be run")?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        bail!("{}: {}", output.status, errors.lines().rev().take(3).collect::<Vec<_>>().join(" | "));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
