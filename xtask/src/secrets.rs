//! The passwords of this checkout's database, drawn at random once and kept in one file of mode 600.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::environment::Environment;

const RANDOM_BYTES: usize = 24;

#[derive(Clone, Serialize, Deserialize)]
pub struct Secrets {
    /// Of the superuser `postgres` of the private cluster.
    pub superuser: String,
    /// Of the role `crm_app`, as which the gateway connects.
    pub app: String,
    /// Of the role `crm_worker`.
    pub worker: String,
}

impl Secrets {
    pub fn draw() -> Result<Self> {
        Ok(Self { superuser: random_password()?, app: random_password()?, worker: random_password()? })
    }

    pub fn load_or_draw(environment: &Environment) -> Result<Self> {
        if let Some(secrets) = Self::load(environment)? {
            return Ok(secrets);
        }
        let secrets = Self::draw()?;
        write_private(&Self::file(environment), &serde_json::to_vec_pretty(&secrets)?)?;
        Ok(secrets)
    }

    pub fn load(environment: &Environment) -> Result<Option<Self>> {
        let file = Self::file(environment);
        match fs::read(&file) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes).with_context(|| format!("{} is damaged", file.display()))?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
        }
    }

    pub fn file(environment: &Environment) -> PathBuf {
        environment.state.join("secrets.json")
    }
}

/// Only letters, digits, `-` and `_`: it goes into URLs as it is.
fn random_password() -> Result<String> {
    let mut bytes = [0_u8; RANDOM_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("the system gives no random numbers: {error}"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Written beside and renamed, so that a crash leaves either no file or a whole one; nobody else could read it at any moment.
pub fn write_private(file: &Path, content: &[u8]) -> Result<()> {
    let beside = file.with_extension("new");
    let write = || -> std::io::Result<()> {
        if beside.exists() {
            fs::remove_file(&beside)?;
        }
        let mut opened = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        opened.write_all(content)?;
        opened.sync_all()?;
        fs::rename(&beside, file)
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}
