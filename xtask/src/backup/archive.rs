//! The file of a backup: a tar archive, compressed with gzip, whose last member `SHA256SUMS` has the checksum of every other
//! one, in order. `tar -xzf FILE && sha256sum -c SHA256SUMS` reads it without this program.
//!
//! What must stay true: the name that was asked for appears last, when everything is on the disk, and never in place of
//! another file. A file that was cut off has no checksums and is no backup.

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, BufWriter, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

const CHECKSUMS: &str = "SHA256SUMS";
/// Bytes of a member at most: a piece, and the row that made it full.
const LARGEST_MEMBER: u64 = 1024 * 1024 * 1024;

/// A backup that is being written. Dropped unfinished, it leaves nothing.
pub struct Writer {
    archive: Option<tar::Builder<GzEncoder<BufWriter<File>>>>,
    checksums: String,
    unfinished: PathBuf,
    wanted: PathBuf,
}

impl Writer {
    pub fn create(wanted: &Path) -> Result<Self> {
        if fs::symlink_metadata(wanted).is_ok() {
            bail!("{} is there already: name a file that does not exist", wanted.display());
        }
        let name = wanted.file_name().context("a backup needs the name of a file")?.to_string_lossy().into_owned();
        let unfinished = wanted.with_file_name(format!(".{name}.unfinished-{}", std::process::id()));
        // Mode 600 from the first byte on: it holds what everybody wrote, and the hashes of their passwords.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished);
        let file = file.with_context(|| format!("cannot write {}", unfinished.display()))?;
        let encoder = GzEncoder::new(BufWriter::new(file), Compression::fast());
        let archive = Some(tar::Builder::new(encoder));
        Ok(Self { archive, checksums: String::new(), unfinished, wanted: wanted.to_owned() })
    }

    pub fn add(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.checksums.push_str(&line(name, &Sha256::digest(bytes)));
        self.append(name, bytes)
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        let archive = self.archive.as_mut().context("the backup is finished")?;
        archive.append_data(&mut header, name, bytes).with_context(|| format!("cannot write {}", self.unfinished.display()))
    }

    /// Gives its size in bytes.
    pub fn finish(mut self) -> Result<u64> {
        let checksums = std::mem::take(&mut self.checksums);
        self.append(CHECKSUMS, checksums.as_bytes())?;
        let encoder = self.archive.take().context("the backup is finished")?.into_inner()?;
        let file = encoder.finish()?.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        file.sync_all().context("cannot bring the backup to the disk")?;
        let bytes = file.metadata()?.len();
        // A link, unlike a renaming, fails when the name has been taken meanwhile.
        fs::hard_link(&self.unfinished, &self.wanted).with_context(|| format!("cannot name it {}", self.wanted.display()))?;
        fs::remove_file(&self.unfinished)?;
        let folder = self.wanted.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()?;
        Ok(bytes)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.unfinished));
    }
}

fn line(name: &str, digest: &[u8]) -> String {
    let hexadecimal: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{hexadecimal}  {name}\n")
}

/// Reads a backup from its begin to its end and hands each member on; fails at the first that is not what its checksum says,
/// and when the file ends before its checksums.
pub async fn read(file: &Path, mut each: impl AsyncFnMut(&str, Vec<u8>) -> Result<()>) -> Result<()> {
    let opened = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut archive = tar::Archive::new(GzDecoder::new(BufReader::new(opened)));
    let (mut computed, mut stated) = (String::new(), None);
    for entry in archive.entries()? {
        let mut entry = entry.context("it is damaged, or no backup")?;
        ensure!(stated.is_none(), "something follows its checksums");
        let name = entry.path()?.to_string_lossy().into_owned();
        ensure!(entry.size() <= LARGEST_MEMBER, "{name} is larger than a backup's parts are");
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).with_context(|| format!("it is damaged at {name}"))?;
        if name == CHECKSUMS {
            stated = Some(bytes);
        } else {
            computed.push_str(&line(&name, &Sha256::digest(&bytes)));
            each(&name, bytes).await?;
        }
    }
    // To the very end: what gzip says of the whole comes last.
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink()).context("it is damaged at its end")?;
    let stated = stated.context("it was cut off: its checksums are missing")?;
    ensure!(stated == computed.as_bytes(), "its checksums are not those of what is in it");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{Writer, read};

    fn scratch() -> PathBuf {
        std::env::temp_dir().join(format!("crm-archive-{}", uuid::Uuid::now_v7()))
    }

    async fn members(file: &Path) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        let mut seen = Vec::new();
        read(file, async |name, bytes| {
            seen.push((name.to_owned(), bytes));
            Ok(())
        })
        .await?;
        Ok(seen)
    }

    fn written(file: &Path) -> anyhow::Result<()> {
        let mut writer = Writer::create(file)?;
        writer.add("manifest.json", b"{}")?;
        writer.add("rows/t/000001.copy", &[b'x'; 70_000])?;
        writer.finish().map(drop)
    }

    #[tokio::test]
    async fn what_was_written_is_read_and_no_file_is_overwritten() -> anyhow::Result<()> {
        let file = scratch();
        written(&file)?;
        let seen = members(&file).await?;
        let seen: Vec<(&str, usize)> = seen.iter().map(|(name, bytes)| (name.as_str(), bytes.len())).collect();
        assert_eq!(seen, [("manifest.json", 2), ("rows/t/000001.copy", 70_000)]);
        assert!(Writer::create(&file).is_err(), "a backup is never overwritten");
        std::fs::remove_file(&file)?;
        Ok(())
    }

    #[tokio::test]
    async fn a_backup_cut_off_or_changed_anywhere_is_refused() -> anyhow::Result<()> {
        let file = scratch();
        written(&file)?;
        let (whole, meant) = (std::fs::read(&file)?, members(&file).await?);
        // The first ten bytes are gzip's own: among them a time and a system that mean nothing.
        for place in 10..whole.len() {
            std::fs::write(&file, whole.get(..place).unwrap_or_default())?;
            assert!(members(&file).await.is_err(), "cut off at {place}");
            let changed: Vec<u8> =
                whole.iter().enumerate().map(|(at, byte)| if at == place { byte ^ 1 } else { *byte }).collect();
            std::fs::write(&file, changed)?;
            // A bit of the compression may mean nothing; then all that was written is read.
            let read = members(&file).await;
            assert!(read.is_err() || read.is_ok_and(|read| read == meant), "changed at {place}");
        }
        std::fs::remove_file(&file)?;
        Ok(())
    }

    #[tokio::test]
    async fn what_is_not_finished_leaves_nothing() -> anyhow::Result<()> {
        let folder = scratch();
        std::fs::create_dir(&folder)?;
        let mut writer = Writer::create(&folder.join("crm.backup"))?;
        writer.add("manifest.json", b"{}")?;
        drop(writer);
        assert_eq!(std::fs::read_dir(&folder)?.count(), 0);
        std::fs::remove_dir(&folder)?;
        Ok(())
    }
}
