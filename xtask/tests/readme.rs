//! The Rust that the README shows is taken from an example that is compiled and run.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::{fs, path::Path};

/// The text of every `crates/*/examples/*.rs`, without indentation, so that an excerpt may stand further left.
fn examples() -> Vec<String> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let folders = fs::read_dir(crates).unwrap().filter_map(|folder| fs::read_dir(folder.unwrap().path().join("examples")).ok());
    folders.flatten().map(|file| unindented(&fs::read_to_string(file.unwrap().path()).unwrap())).collect()
}

fn unindented(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", line.trim_start())).collect()
}

#[test]
fn the_rust_of_the_readme_is_an_excerpt_of_an_example() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let shown: Vec<&str> = readme.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!shown.is_empty(), "the README shows Rust");
    let examples = examples();
    for excerpt in shown {
        assert!(examples.iter().any(|example| example.contains(&unindented(excerpt))), "no example has\n{excerpt}");
    }
}
