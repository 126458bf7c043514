//! docs/EMBEDDING.md is true: what it shows of Rust stands in a program that runs, and it names every crate that can be embedded.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::path::{Path, PathBuf};

use crm_testkit::TestDatabase;

#[path = "../examples/back_office.rs"]
#[allow(dead_code, reason = "its main reads arguments, which a test has not")]
mod back_office;

const PROGRAM: &str = include_str!("../examples/back_office.rs");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn document() -> String {
    std::fs::read_to_string(root().join("docs/EMBEDDING.md")).unwrap()
}

/// The blocks of Rust that a document shows.
fn snippets(document: &str) -> Vec<&str> {
    document.split("```rust\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// Whether a program has these lines one after the other, wherever they are indented to.
fn has(program: &str, snippet: &str) -> bool {
    [0, 4, 8].into_iter().any(|depth| {
        let indented = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("{:depth$}{line}\n", "") };
        program.contains(&snippet.lines().map(indented).collect::<String>())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_runs_on_a_database_of_its_own() {
    let database = TestDatabase::create().await;
    let told = back_office::run(&database.admin_url(), &database.url()).await.expect("the program runs");
    assert_eq!(
        told,
        [
            "company created, deal created, task created",
            "A lathe for Hooli is planning",
            "somebody has changed the deal",
            "/name required",
            "told twice, one deal",
            "all chores of housekeeping",
        ]
    );
}

#[test]
fn every_snippet_of_the_document_stands_in_the_program() {
    let document = document();
    let snippets = snippets(&document);
    assert!(snippets.len() >= 8, "only {} snippets", snippets.len());
    for snippet in snippets {
        assert!(has(PROGRAM, snippet), "not in xtask/examples/back_office.rs:\n{snippet}");
    }
    assert!(!document.contains("```rust,"), "a snippet that nobody compares");
}

#[test]
fn a_snippet_that_was_changed_is_found() {
    let program = "fn main() {\n    let a = 1;\n\n    let b = 2;\n}\n";
    assert!(has(program, "let a = 1;\n\nlet b = 2;\n"));
    assert!(!has(program, "let a = 1;\nlet b = 2;\n"));
    assert!(!has(program, "let a = 2;\n"));
}

#[test]
fn the_document_names_every_crate_that_can_be_embedded_and_each_leads_to_it() {
    let document = document();
    for entry in std::fs::read_dir(root().join("crates")).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        if name == "testkit" {
            continue;
        }
        assert!(document.contains(&format!("`crm-{name}`")), "crm-{name} is not named");
        if let Ok(readme) = std::fs::read_to_string(folder.join("README.md")) {
            assert!(readme.contains("../../docs/EMBEDDING.md"), "crates/{name}/README.md leads nowhere");
        }
    }
}
