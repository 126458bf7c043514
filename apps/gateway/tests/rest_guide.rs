//! docs/REST-GUIDE.md is true: its blocks are one program in each language, and each errand prints what stands below it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests fail by panicking"
)]

mod support;

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt, path::Path, process::Command, time::Duration};

use crm_testkit::{PASSWORD, TestDatabase};
use support::{
    document::Document,
    node,
    process::{Gateway, KeyFile},
};

const GUIDE: &str = include_str!("../../../docs/REST-GUIDE.md");
const PACKAGE: &str = include_str!("../../../docs/client/package.json");
const LOCK: &str = include_str!("../../../docs/client/package-lock.json");
const CONFIGURATION: &str = include_str!("../../../docs/client/tsconfig.json");
const CURL: &str = include_str!("data/curl.mjs");

/// A guide takes seconds; a program that takes this long has failed.
const PATIENCE: Duration = Duration::from_secs(120);
/// Printed between errands.
const END: &str = "-- end of an errand --";

/// The blocks of this language, from top to bottom.
fn blocks(language: &str) -> Vec<&'static str> {
    let inside = GUIDE.split("```").skip(1).step_by(2);
    inside.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n')).collect()
}

/// All of them as one program, which says where each errand ends.
fn program(language: &str, print: &str) -> String {
    blocks(language).iter().map(|block| format!("{block}\n{print}\n\n")).collect()
}

/// Each errand has printed what the guide says.
fn assert_told(language: &str, written: &str) {
    let errands: Vec<&str> = written.split(END).map(str::trim).collect();
    let said = blocks("text");
    assert_eq!(errands.len(), said.len() + 1, "{language}: {written}");
    for (errand, said) in errands.iter().zip(&said) {
        let (lines, expected): (Vec<&str>, Vec<&str>) = (errand.lines().map(str::trim_end).collect(), said.lines().collect());
        let fits = lines.len() == expected.len() && lines.iter().zip(&expected).all(|(line, pattern)| matches(line, pattern));
        assert!(fits, "the {language} printed\n{errand}\nand the guide says\n{said}");
    }
}

/// Whether the line is the pattern, in which `…` stands for digits.
fn matches(line: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else { return false };
    for part in parts {
        let behind = rest.trim_start_matches(|letter: char| letter.is_ascii_digit());
        let Some(next) = behind.strip_prefix(part).filter(|_| behind.len() < rest.len()) else { return false };
        rest = next;
    }
    rest.is_empty()
}

/// The gateway as it is run, with the limits that it has where nothing else is said.
struct Place {
    gateway: Gateway,
    database: TestDatabase,
    _keys: KeyFile,
}

impl Place {
    async fn create() -> Self {
        let (database, keys) = (TestDatabase::create().await, KeyFile::generate().await);
        // Other tests turn them off; what is empty counts as not set.
        let limits = ["ADDRESS", "CALLER", "ORGANIZATION"].map(|name| format!("CRM_RATE_LIMIT_{name}"));
        let limits: Vec<(&str, &str)> = limits.iter().map(|name| (name.as_str(), "")).collect();
        Self { gateway: Gateway::on(&database, &keys, &limits).await, database, _keys: keys }
    }
}

/// What the programs are told: where the gateway is, and who calls.
struct Reader {
    address: String,
    email: String,
}

impl Reader {
    /// An organisation that nobody else is in.
    async fn in_organization(place: &Place, name: &str) -> Self {
        Self { address: place.gateway.base.clone(), email: place.database.tenant(name).await.email("owner") }
    }

    /// Runs it to its end; what it printed.
    async fn run(&self, folder: &Path, program: &[&str], path: &str) -> String {
        let mut command = tokio::process::Command::new(program[0]);
        command.args(&program[1..]).current_dir(folder).env("PATH", path).kill_on_drop(true);
        command.envs([("ADDRESS", self.address.as_str()), ("EMAIL", &self.email), ("PASSWORD", PASSWORD)]);
        let output = tokio::time::timeout(PATIENCE, command.output()).await;
        let output = output.expect("the program must end by itself").unwrap();
        let (written, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{program:?}: {written}\n{errors}");
        assert_eq!(errors, "", "{program:?} has nothing to complain of");
        written.into_owned()
    }
}

/// Whether the machine has it: neither is needed to build or to test.
fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

fn folder() -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("crm-guide-{}", uuid::Uuid::now_v7()));
    fs::create_dir(&folder).unwrap();
    folder
}

#[test]
fn each_errand_is_shown_in_every_language() {
    let errands = blocks("text").len();
    assert!(errands > 9, "{errands}");
    for language in ["sh", "typescript", "python"] {
        assert_eq!(blocks(language).len(), errands, "{language}");
    }
    assert!(matches("r=12;t=1", "r=…;t=…") && !matches("r=;t=1", "r=…;t=…") && !matches("a", "ab"));
}

/// The shell's examples, with curl where it is, and anyhow with what stands in for it.
#[tokio::test(flavor = "multi_thread")]
async fn the_shell_does_what_the_guide_says() {
    let place = Place::create().await;
    let folder = folder();
    let script = program("sh", &format!("echo '{END}'"));
    let path = std::env::var("PATH").unwrap();
    let stand_in = folder.join("bin");
    fs::create_dir(&stand_in).unwrap();
    fs::write(folder.join("curl.mjs"), CURL).unwrap();
    let shim = format!("#!/bin/sh\nexec node {}/curl.mjs \"$@\"\n", folder.display());
    fs::write(stand_in.join("curl"), shim).unwrap();
    fs::set_permissions(stand_in.join("curl"), fs::Permissions::from_mode(0o755)).unwrap();

    let reader = Reader::in_organization(&place, "Without Curl").await;
    let written = reader.run(&folder, &["sh", "-euc", &script], &format!("{}:{path}", stand_in.display())).await;
    assert_told("shell, without curl,", &written);
    if is_there("curl") {
        fs::remove_file(folder.join("seen.txt")).unwrap();
        let reader = Reader::in_organization(&place, "With Curl").await;
        assert_told("shell", &reader.run(&folder, &["sh", "-euc", &script], &path).await);
    }
    fs::remove_dir_all(folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_typescript_compiles_and_does_what_the_guide_says() {
    let document = Document::of_the_application().value.to_string();
    let source = program("typescript", &format!("console.log(\"{END}\");"));
    let files = [
        ("package.json", PACKAGE),
        ("tsconfig.json", &CONFIGURATION.replace("example.ts", "guide.ts")),
        ("guide.ts", &source),
        ("openapi.json", &document),
    ];
    let folder = node::workplace(&node::packages("client", PACKAGE, LOCK).await, &files);
    let generate =
        ["../node_modules/openapi-typescript/bin/cli.js", "openapi.json", "--output", "schema.d.ts", "--empty-objects-unknown"];
    node::run(&folder, "node", &generate, "").await;
    node::run(&folder, "node", &["../node_modules/typescript/bin/tsc", "--project", "."], "").await;

    let place = Place::create().await;
    let reader = Reader::in_organization(&place, "Typed").await;
    let written = reader.run(&folder, &["node", "guide.js"], &std::env::var("PATH").unwrap()).await;
    assert_told("TypeScript", &written);
    fs::remove_dir_all(folder).unwrap();
}

/// The operations that the Python calls are those of the document, wherever it cannot be run; where it can, it is.
#[tokio::test(flavor = "multi_thread")]
async fn the_python_does_what_the_guide_says() {
    let source = program("python", &format!("print(\"{END}\", flush=True)"));
    let document = Document::of_the_application();
    let known: BTreeSet<String> = document.value["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            let path = without_names(path.strip_prefix("/api/v1").unwrap_or(path));
            methods.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase())).collect::<Vec<_>>()
        })
        .collect();
    let called: Vec<String> = source
        .split("call(\"")
        .skip(1)
        .filter_map(|call| {
            let (method, rest) = call.split_once("\", ")?;
            let path = rest.trim_start_matches('f').strip_prefix('"')?.split('"').next()?;
            Some(format!("{method} {}", without_names(path)))
        })
        .collect();
    assert!(called.len() > 10, "{called:?}");
    for call in called {
        assert!(known.contains(&call), "the Python calls {call}, which is no operation");
    }

    if is_there("python3") {
        let (place, folder) = (Place::create().await, folder());
        fs::write(folder.join("guide.py"), source).unwrap();
        let reader = Reader::in_organization(&place, "Snake").await;
        let written = reader.run(&folder, &["python3", "-W", "error", "guide.py"], &std::env::var("PATH").unwrap()).await;
        assert_told("Python", &written);
        fs::remove_dir_all(folder).unwrap();
    }
}

/// `/a/{id}` and `/a/{company['id']}` are the same.
fn without_names(path: &str) -> String {
    let parts = path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}
