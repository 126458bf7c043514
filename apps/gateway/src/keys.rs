//! Where the keys of tokens lie: one PEM file, or a folder of them that is read again on SIGHUP.
//!
//! In a folder every file that ends in `.pem` is a key, and its name says when it signs; see [`crm_tenancy::token::KeyRing`].
//! Must stay true: keys that cannot be read leave those in use as they are; no key is ever printed.

use std::{fs, io::Write, os::unix::fs::OpenOptionsExt, path::Path, path::PathBuf, time::Duration};

use crm_tenancy::token::{Environment, KeyRing, KeyState, TokenKey};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A PEM file or a folder of them.
#[derive(Debug, Clone)]
pub struct KeyPath(pub PathBuf);

impl KeyPath {
    /// Every key that is there, with the name of its file.
    ///
    /// # Errors
    /// Which file is no key, or cannot be read.
    pub fn read(&self) -> Result<Vec<(String, TokenKey)>, String> {
        if !self.0.is_dir() {
            return Ok(vec![read_key(&self.0)?]);
        }
        let entries = fs::read_dir(&self.0).map_err(|error| format!("{}: {error}", self.0.display()))?;
        let mut keys = Vec::new();
        for entry in entries {
            let path = entry.map_err(|error| format!("{}: {error}", self.0.display()))?.path();
            // A key that is being written has a name that begins with a dot.
            let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            if !is_hidden && path.extension().is_some_and(|extension| extension == "pem") {
                keys.push(read_key(&path)?);
            }
        }
        if keys.is_empty() { Err(format!("{}: no file in it ends in .pem", self.0.display())) } else { Ok(keys) }
    }

    /// Puts a new key there, which signs after this time: into a folder under the name that says so, or as the file itself.
    ///
    /// # Errors
    /// When it cannot be written, or the file is there already.
    pub fn add(&self, signs_after: Duration) -> Result<PathBuf, String> {
        let key = TokenKey::generate();
        let pem = key.to_pem().map_err(|error| error.to_string())?;
        if !self.0.is_dir() {
            write_new(&self.0, &pem)?;
            return Ok(self.0.clone());
        }
        let name = key.file_name(signs_after).map_err(|error| error.to_string())?;
        let (unfinished, file) = (self.0.join(format!(".{name}")), self.0.join(&name));
        write_new(&unfinished, &pem)?;
        fs::rename(&unfinished, &file).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(file)
    }

    /// A line for every key: its id, what it does, the name of its file.
    ///
    /// # Errors
    /// As [`KeyPath::read`].
    pub fn describe(&self) -> Result<Vec<String>, String> {
        let ring = KeyRing::new(self.read()?, Environment::default()).map_err(|error| error.to_string())?;
        let state = |state| match state {
            KeyState::Signs => "signs",
            KeyState::Verifies => "verifies",
            KeyState::Waits => "waits",
        };
        Ok(ring.list().into_iter().map(|key| format!("{}  {:<8}  {}", key.id, state(key.state), key.name)).collect())
    }

    /// Reads the keys again and exchanges them under the requests that go on; what cannot be read is logged and changes nothing.
    pub fn reload(&self, ring: &KeyRing) {
        match self.read().and_then(|keys| ring.replace(keys).map_err(|error| error.to_string())) {
            Ok(()) => tracing::info!(keys = ring.list().len(), "the keys of tokens were read again"),
            Err(error) => tracing::error!(error, "the keys of tokens cannot be read again: those in use stay"),
        }
    }

    /// Reads them again at every SIGHUP, for as long as the program runs.
    ///
    /// # Errors
    /// When the system does not let the program listen for the signal.
    pub fn reload_on_hangup(self, ring: KeyRing) -> std::io::Result<()> {
        // Listened for before the task runs: unhandled, the signal ends the program.
        let mut hangups: Signal = signal(SignalKind::hangup())?;
        tokio::spawn(async move {
            while hangups.recv().await.is_some() {
                self.reload(&ring);
            }
        });
        Ok(())
    }
}

fn read_key(path: &Path) -> Result<(String, TokenKey), String> {
    let pem = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let key = TokenKey::from_pem(&pem).map_err(|_| format!("{}: holds no Ed25519 key in PEM", path.display()))?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok((name, key))
}

/// Writes a secret into a file of its own, readable by its owner alone.
///
/// # Errors
/// When it cannot be written, or the file is there already.
pub fn write_new(file: &Path, secret: &str) -> Result<(), String> {
    let readable_by_owner = 0o600;
    let opened = fs::OpenOptions::new().write(true).create_new(true).mode(readable_by_owner).open(file);
    opened.and_then(|mut opened| opened.write_all(secret.as_bytes())).map_err(|error| format!("{}: {error}", file.display()))
}
