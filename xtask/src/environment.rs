//! Where things are: the checkout, its state folder, the cache that all checkouts share, and the account of the server.
//!
//! Every checkout has a state folder of its own, named after the checkout's path, so that two checkouts never meet in one
//! database. DATABASE_URL, CRM_STATE_DIR, CRM_CACHE_DIR and the XDG variables change that.

#![expect(clippy::disallowed_methods, reason = "the one place of this program that reads the environment")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::account::Account;

const PROJECT: &str = "ascendore-crm";

#[derive(Clone, Debug)]
pub struct Environment {
    /// The checkout, as a canonical path.
    pub root: PathBuf,
    /// This checkout's data, logs, secrets and records of what runs.
    pub state: PathBuf,
    /// Downloads, shared by all checkouts of this user.
    pub cache: PathBuf,
    pub account: Account,
    /// Administrator's URL of a database that somebody else runs; nothing is started then.
    pub external: Option<String>,
}

impl Environment {
    pub async fn detect(database_url: Option<String>) -> Result<Self> {
        let root = checkout()?;
        let account = Account::for_server().await?;
        let state = state_parent(&account)?.join(folder_name(&root));
        let cache = cache_folder(&account)?;
        let external = database_url.or_else(|| variable("DATABASE_URL"));
        Ok(Self { root, state, cache, account, external })
    }

    /// Makes the state folder. Its secrets are separate files of mode 600: the server's account must be able to pass through.
    pub fn make_state(&self) -> Result<()> {
        self.make_folder(&self.state)
    }

    pub fn make_cache(&self) -> Result<()> {
        self.make_folder(&self.cache)
    }

    pub fn make_folder(&self, folder: &Path) -> Result<()> {
        let mode = if self.account.is_other_than_caller() { 0o755 } else { 0o700 };
        self.check_passable(folder)?;
        let missing: Vec<&Path> = folder.ancestors().take_while(|ancestor| !ancestor.exists()).collect();
        let make = || -> std::io::Result<()> {
            fs::create_dir_all(folder)?;
            // Set afterwards: a strict umask takes from what is asked for when making.
            missing.iter().try_for_each(|made| fs::set_permissions(made, fs::Permissions::from_mode(mode)))
        };
        make().with_context(|| {
            format!("cannot make the folder {} (CRM_STATE_DIR and CRM_CACHE_DIR choose other places)", folder.display())
        })
    }

    /// The server's account must reach its files: a folder below /root, or one made with a strict umask, would stop it with an
    /// error that names the wrong culprit.
    fn check_passable(&self, folder: &Path) -> Result<()> {
        if !self.account.is_other_than_caller() {
            return Ok(());
        }
        for ancestor in folder.ancestors().filter(|ancestor| ancestor.exists()) {
            let mode =
                fs::metadata(ancestor).with_context(|| format!("cannot look at {}", ancestor.display()))?.permissions().mode();
            if mode & 0o001 == 0 {
                bail!(
                    "{} cannot be entered by the account that runs PostgreSQL (root may not run it): choose another place with \
                     CRM_STATE_DIR or CRM_CACHE_DIR, or run this as an ordinary user",
                    ancestor.display()
                );
            }
        }
        Ok(())
    }
}

/// An environment variable that is set and not empty.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

pub fn variable_names() -> Vec<String> {
    std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect()
}

/// The folder of the checkout.
pub fn checkout() -> Result<PathBuf> {
    let package = variable("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").to_owned());
    let root = Path::new(&package).parent().context("xtask lies outside a checkout")?;
    root.canonicalize().with_context(|| format!("the checkout {} is gone: run this through `cargo xtask`", root.display()))
}

fn folder_name(root: &Path) -> String {
    let digest = Sha256::digest(root.as_os_str().as_encoded_bytes());
    let short: String = digest.iter().take(5).map(|byte| format!("{byte:02x}")).collect();
    let name = root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    format!("{plain}-{short}")
}

fn state_parent(account: &Account) -> Result<PathBuf> {
    if let Some(chosen) = variable("CRM_STATE_DIR") {
        return absolute(&chosen);
    }
    if account.is_other_than_caller() {
        return Ok(Path::new("/var/lib").join(PROJECT));
    }
    Ok(user_folder("XDG_STATE_HOME", ".local/state")?.join(PROJECT))
}

fn cache_folder(account: &Account) -> Result<PathBuf> {
    if let Some(chosen) = variable("CRM_CACHE_DIR") {
        return absolute(&chosen);
    }
    if account.is_other_than_caller() {
        return Ok(Path::new("/var/cache").join(PROJECT));
    }
    Ok(user_folder("XDG_CACHE_HOME", ".cache")?.join(PROJECT))
}

fn user_folder(named_by: &str, below_home: &str) -> Result<PathBuf> {
    if let Some(chosen) = variable(named_by).filter(|path| Path::new(path).is_absolute()) {
        return Ok(PathBuf::from(chosen));
    }
    let home =
        variable("HOME").with_context(|| format!("neither {named_by} nor HOME is set: set CRM_STATE_DIR and CRM_CACHE_DIR"))?;
    Ok(Path::new(&home).join(below_home))
}

fn absolute(path: &str) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("{path} is not a usable path"))
}
