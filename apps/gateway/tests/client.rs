//! The client whose types are made from the document: it compiles, and the gateway does what its types say.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod support;

use std::fs;

use serde_json::{Value, json};
use support::{App, document::Document, node, world::World};

const PACKAGE: &str = include_str!("../../../docs/client/package.json");
const LOCK: &str = include_str!("../../../docs/client/package-lock.json");
const CONFIGURATION: &str = include_str!("../../../docs/client/tsconfig.json");
const EXAMPLE: &str = include_str!("../../../docs/client/example.ts");

#[tokio::test(flavor = "multi_thread")]
async fn a_typed_client_lists_creates_and_understands_refusals() {
    node::assert_pinned(LOCK);
    let document = Document::of_the_application().value.to_string();
    let packages = node::packages("client", PACKAGE, LOCK).await;
    let files = [
        ("package.json", PACKAGE),
        ("tsconfig.json", CONFIGURATION),
        ("example.ts", EXAMPLE),
        ("openapi.json", document.as_str()),
    ];
    let folder = node::workplace(&packages, &files);
    let generate =
        ["../node_modules/openapi-typescript/bin/cli.js", "openapi.json", "--output", "schema.d.ts", "--empty-objects-unknown"];
    node::run(&folder, "node", &generate, "").await;
    node::run(&folder, "node", &["../node_modules/typescript/bin/tsc", "--project", "."], "").await;

    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let token = world.member().token.clone().unwrap();
    let written = node::run(&folder, "node", &["example.js", &app.base, &token], "").await;
    fs::remove_dir_all(&folder).unwrap();

    let seen: Value = serde_json::from_str(written.lines().last().unwrap()).unwrap();
    assert_eq!(seen["listed"], json!(["Typed Shipping"]), "{seen}");
    assert_eq!((&seen["total"], &seen["version"]), (&json!(1), &json!(2)), "{seen}");
    assert_eq!(seen["owner"]["user_id"], json!(world.tenant.member.user_id), "{seen}");
    assert_eq!((&seen["late"], &seen["lateStatus"]), (&json!("stale"), &json!(412)), "{seen}");
    assert_eq!((&seen["bad"], &seen["fields"]), (&json!("invalid"), &json!(["/employee_count", "/name", "/website"])), "{seen}");
    let company = world.member().get(&format!("companies/{}", seen["made"].as_str().unwrap())).await.expect(200);
    assert_eq!(company.body["industry"], "Shipping");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_document_refuses_does_not_compile() {
    let document = Document::of_the_application().value.to_string();
    let packages = node::packages("client", PACKAGE, LOCK).await;
    let wrong = EXAMPLE.replace("company_size: \"small\"", "company_size: \"huge\"");
    assert_ne!(wrong, EXAMPLE);
    let files = [
        ("package.json", PACKAGE),
        ("tsconfig.json", CONFIGURATION),
        ("example.ts", wrong.as_str()),
        ("openapi.json", document.as_str()),
    ];
    let folder = node::workplace(&packages, &files);
    let generate =
        ["../node_modules/openapi-typescript/bin/cli.js", "openapi.json", "--output", "schema.d.ts", "--empty-objects-unknown"];
    node::run(&folder, "node", &generate, "").await;
    let mut compiler = tokio::process::Command::new("node");
    compiler.args(["../node_modules/typescript/bin/tsc", "--project", "."]).current_dir(&folder).kill_on_drop(true);
    let compiled = compiler.output().await.unwrap();
    fs::remove_dir_all(&folder).unwrap();
    let said = String::from_utf8_lossy(&compiled.stdout).into_owned();
    assert!(!compiled.status.success() && said.contains("huge"), "{said}");
}
