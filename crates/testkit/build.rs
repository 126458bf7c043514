//! Gives the template database a name that changes with the migrations: a template made from older SQL is never reused.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    // Relative to the package, where build scripts run: a path compiled in would outlive a move of the checkout.
    let migrations = Path::new("../../migrations");
    println!("cargo:rerun-if-changed={}", migrations.display());
    let mut scripts: Vec<PathBuf> =
        fs::read_dir(migrations)?.map(|entry| Ok(entry?.path().join("up.sql"))).collect::<io::Result<_>>()?;
    scripts.sort();
    let mut hasher = DefaultHasher::new();
    for script in scripts.iter().filter(|script| script.exists()) {
        (script.parent().and_then(Path::file_name), fs::read(script)?).hash(&mut hasher);
    }
    println!("cargo:rustc-env=CRM_MIGRATIONS_HASH={:016x}", hasher.finish());
    Ok(())
}
