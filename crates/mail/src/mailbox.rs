//! A local mailbox: a folder with a file for each letter, for development.
//!
//! Must stay true: letters open accounts, so folder and files are their owner's alone.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::PathBuf,
};

use async_trait::async_trait;
use crm_tenancy::identity::letters::Failure;
use lettre::{AsyncFileTransport, AsyncTransport, Message, Tokio1Executor};

use crate::Mailer;

/// Read, write and enter, for the owner.
const PRIVATE_FOLDER: u32 = 0o700;
/// Read and write, for the owner.
const PRIVATE_FILE: u32 = 0o600;

/// A folder of letters.
pub struct Mailbox {
    folder: PathBuf,
    transport: AsyncFileTransport<Tokio1Executor>,
}

impl std::fmt::Debug for Mailbox {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Mailbox").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Mailbox {
    /// In this folder, which is made when it is not there.
    ///
    /// # Errors
    /// A sentence when it cannot be made, or others than its owner may enter it.
    pub fn open(folder: PathBuf) -> Result<Self, String> {
        let made = fs::DirBuilder::new().recursive(true).mode(PRIVATE_FOLDER).create(&folder);
        let mode = made.and_then(|()| fs::metadata(&folder)).map_err(|error| format!("{}: {error}", folder.display()))?;
        if mode.permissions().mode() & 0o077 != 0 {
            return Err(format!("{}: others may enter this folder, and letters open accounts: chmod 700 it", folder.display()));
        }
        Ok(Self { transport: AsyncFileTransport::new(&folder), folder })
    }
}

#[async_trait]
impl Mailer for Mailbox {
    async fn send(&self, message: Message) -> Result<(), Failure> {
        let temporary = |error: &dyn std::fmt::Display| Failure::Temporary(format!("{}: {error}", self.folder.display()));
        let name = self.transport.send(message).await.map_err(|error| temporary(&error))?;
        let file = self.folder.join(format!("{name}.eml"));
        let private = fs::Permissions::from_mode(PRIVATE_FILE);
        tokio::fs::set_permissions(file, private).await.map_err(|error| temporary(&error))
    }
}
