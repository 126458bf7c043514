//! Programs of Node.js, with packages that lock files pin.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use sha2::{Digest, Sha256};
use tokio::{io::AsyncWriteExt, process::Command};

/// A folder with the packages of a lock file, fetched once for each state of that file.
pub async fn packages(name: &str, package: &str, lock: &str) -> PathBuf {
    let hash: String = Sha256::digest(lock).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{hash}"));
    if cache.is_dir() {
        return cache;
    }
    // Complete or not there: another process may be fetching the same.
    let fetched = cache.with_extension(uuid::Uuid::now_v7().to_string());
    fs::create_dir(&fetched).unwrap();
    fs::write(fetched.join("package.json"), package).unwrap();
    fs::write(fetched.join("package-lock.json"), lock).unwrap();
    run(&fetched, "npm", &["ci", "--ignore-scripts", "--no-audit", "--no-fund"], "").await;
    if fs::rename(&fetched, &cache).is_err() {
        fs::remove_dir_all(&fetched).unwrap();
    }
    cache
}

/// A folder of one's own beside the packages, with these files in it.
pub fn workplace(packages: &Path, files: &[(&str, &str)]) -> PathBuf {
    let folder = packages.join(format!("run-{}", uuid::Uuid::now_v7()));
    fs::create_dir(&folder).unwrap();
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
    folder
}

/// Every package of a lock file is pinned by a hash.
pub fn assert_pinned(lock: &str) {
    let packages: serde_json::Value = serde_json::from_str(lock).unwrap();
    for (name, package) in packages["packages"].as_object().unwrap().iter().filter(|(name, _)| !name.is_empty()) {
        assert!(package["integrity"].as_str().is_some_and(|hash| hash.starts_with("sha512-")), "{name} is not pinned by a hash");
    }
}

/// Runs a program of Node.js to its end; what it wrote to standard output.
pub async fn run(folder: &Path, program: &str, arguments: &[&str], input: &str) -> String {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| {
        panic!("{program} cannot be run ({error}): `cargo xtask doctor` says how to get Node.js, which the TypeScript needs")
    });
    child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    let output = tokio::time::timeout(Duration::from_secs(300), child.wait_with_output()).await;
    let output = output.expect("the program must end by itself").unwrap();
    let (written, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}: {written}\n{errors}");
    written.into_owned()
}
