//! `cargo xtask tidy`: the rules of the house that neither the compiler nor clippy knows.
//!
//! A rule is either broken or kept; what is merely worth a look is a remark and fails nothing. A rule is changed here, with
//! the reason, and never worked around there.

mod anatomy;
mod commands;
mod dependencies;
mod deploy;
mod documents;
mod embedded;
mod manifests;
mod migrations;
mod proofs;
mod sources;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::environment::Environment;
use crate::progress::say;

/// The files of the checkout that belong to it, by their path within it.
pub struct Checkout<'a> {
    pub root: &'a Path,
    pub files: Vec<PathBuf>,
}

#[derive(Default)]
pub struct Findings {
    pub broken: Vec<String>,
    pub remarks: Vec<String>,
}

impl Findings {
    pub fn broken(&mut self, place: impl std::fmt::Display, what: impl std::fmt::Display) {
        self.broken.push(format!("{place}: {what}"));
    }

    pub fn remark(&mut self, place: impl std::fmt::Display, what: impl std::fmt::Display) {
        self.remarks.push(format!("{place}: {what}"));
    }
}

impl Checkout<'_> {
    /// A text file's content; `None` for anything else.
    pub fn text(&self, file: &Path) -> Option<String> {
        std::fs::read_to_string(self.root.join(file)).ok()
    }

    pub fn with_extension<'b>(&'b self, extension: &'b str) -> impl Iterator<Item = &'b PathBuf> {
        self.files.iter().filter(move |file| file.extension().is_some_and(|found| found == extension))
    }
}

pub fn run(environment: &Environment) -> Result<()> {
    say(&check(environment)?);
    Ok(())
}

/// Gives the remarks; fails with the broken rules.
pub fn check(environment: &Environment) -> Result<String> {
    let checkout = Checkout { root: &environment.root, files: files(&environment.root)? };
    let mut findings = Findings::default();
    dependencies::check(environment, &mut findings)?;
    manifests::check(&checkout, &mut findings);
    sources::check(&checkout, &mut findings);
    migrations::check(&checkout, &mut findings);
    anatomy::check(&checkout, &mut findings);
    documents::check(&checkout, &mut findings);
    commands::check(&checkout, &mut findings);
    deploy::check(&checkout, &mut findings);
    proofs::check(&checkout, &mut findings);
    let remarks: String = findings.remarks.iter().map(|remark| format!("remark: {remark}\n")).collect();
    if !findings.broken.is_empty() {
        bail!("{remarks}{}\n{} rules of the house are broken", findings.broken.join("\n"), findings.broken.len());
    }
    Ok(format!("{remarks}tidy: {} files in order\n", checkout.files.len()))
}

/// What git tracks or would track. Without git (an unpacked archive) everything but the build's output.
fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let listed = Command::new("git").args(arguments).current_dir(root).output();
    let mut files: Vec<PathBuf> = match listed {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect()
        }
        _ => walk(root, root)?,
    };
    files.retain(|file| root.join(file).is_file());
    files.sort();
    Ok(files)
}

fn walk(root: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let entry = entry?;
        let is_output = ["target", "node_modules", ".git"].iter().any(|name| entry.file_name() == *name);
        if entry.file_type()?.is_dir() && !is_output {
            files.extend(walk(root, &entry.path())?);
        } else if entry.file_type()?.is_file() {
            files.extend(entry.path().strip_prefix(root).map(Path::to_owned));
        }
    }
    Ok(files)
}
