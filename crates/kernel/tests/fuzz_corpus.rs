//! What the fuzzers found interesting is asked again in every run, by the rules that the fuzzers ask: see fuzz/README.md.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

#[path = "../fuzz/src/checks.rs"]
mod checks;

use std::{fs, path::Path};

#[test]
fn the_corpus_keeps_every_promise() {
    let asked = |name: &str, check: fn(&[u8])| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
        let files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        files.iter().for_each(|file| check(&fs::read(file).unwrap()));
        files.len()
    };
    let counts = [asked("text", checks::text), asked("json", checks::json), asked("short", checks::short)];
    assert!(counts.iter().all(|count| *count >= 5), "{counts:?}");
}
