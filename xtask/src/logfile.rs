//! Log files of what runs in the background: their end, and following them while they grow.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::progress::say;

const KEEP: u64 = 10 * 1024 * 1024;
const TAIL_BYTES: u64 = 64 * 1024;

/// Opens for appending; a file that grew large is set aside first, so that two of them are the most there ever is.
pub fn open(path: &Path) -> Result<File> {
    if fs::metadata(path).is_ok_and(|found| found.len() > KEEP) {
        fs::rename(path, path.with_extension("log.1")).with_context(|| format!("cannot set {} aside", path.display()))?;
    }
    // Mode 600: a statement that failed is logged with what was in it.
    fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot open {}", path.display()))
}

pub fn length(path: &Path) -> u64 {
    fs::metadata(path).map(|found| found.len()).unwrap_or(0)
}

/// What was written after `from`, at most the last 64 KiB of it.
pub fn since(path: &Path, from: u64) -> String {
    let bytes = read_from(path, from.max(length(path).saturating_sub(TAIL_BYTES))).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// All that was written after `from`.
pub fn whole(path: &Path, from: u64) -> Result<String> {
    let bytes = read_from(path, from).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let skipped = lines.len().saturating_sub(count);
    lines.iter().skip(skipped).map(|line| format!("    {line}\n")).collect()
}

fn read_from(path: &Path, from: u64) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Prints what is appended, for ever.
pub async fn follow(path: &Path, mut from: u64) {
    loop {
        let fresh = read_from(path, from).unwrap_or_default();
        from += fresh.len() as u64;
        say(&String::from_utf8_lossy(&fresh));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
