//! What a backup says of itself: at its begin what it was made of, at its end what is in it.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

/// Of the file; a change that an older program cannot read raises it.
pub const FORMAT: u32 = 1;

/// First in the file: `manifest.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// In UTC, such as `2026-01-31T09:30:00Z`.
    pub made_at: String,
    pub server_version: String,
    /// Versions of the migrations that had run, oldest first.
    pub migrations: Vec<String>,
    /// Day of the oldest row of the log: partitions are made from its month on.
    pub log_from: Option<String>,
}

/// Last in the file before the checksums: `contents.json`.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Contents {
    pub tables: Vec<Dumped>,
    pub sequences: Vec<Sequence>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Dumped {
    /// With its schema, quoted where need be.
    pub name: String,
    /// As a list for COPY, without generated ones.
    pub columns: String,
    pub rows: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sequence {
    pub name: String,
    pub last_value: i64,
    /// Whether that value has been given out.
    pub is_called: bool,
}

/// Where a piece of a table lies in the file.
pub fn piece_name(table: &str, number: u32) -> String {
    format!("rows/{table}/{number:06}.copy")
}

/// The table of a piece; none when the name is not one of a piece.
pub fn table_of(piece: &str) -> Option<&str> {
    piece.strip_prefix("rows/")?.rsplit_once('/').map(|(table, _)| table)
}

impl Manifest {
    pub fn check(&self) -> Result<()> {
        if self.format != FORMAT {
            bail!("it is of format {}, and this program reads format {FORMAT}", self.format);
        }
        Ok(())
    }
}
