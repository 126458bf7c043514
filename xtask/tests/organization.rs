//! The first organisation of an installation where nobody may sign up, made by the real command.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use crm_testkit::TestDatabase;

const QUESTION: &str = "SELECT concat_ws(' ', name, slug, default_currency, email, full_name, role, password_hash IS NOT NULL)
                          FROM organizations JOIN memberships ON organization_id = organizations.id JOIN users ON users.id = user_id
                          LEFT JOIN identity.credentials USING (user_id)";

/// As an operator runs it, with the password on standard input.
fn organization(database: &TestDatabase, slug: &str, password: &str) -> Output {
    let state = std::env::temp_dir().join(format!("crm-organization-{}", uuid::Uuid::now_v7()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["organization", "Example Ltd", "--slug", slug, "--owner", "Anna@example.com", "--owner-name", "Anna Example"]);
    command.args(["--currency", "EUR", "--password-file", "-"]);
    command.env("DATABASE_URL", database.admin_url()).env("CRM_STATE_DIR", &state);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    // In the machine's place for what is temporary.
    let _ = std::fs::remove_dir_all(state);
    output
}

#[track_caller]
fn refused(output: &Output, why: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains(why), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_makes_the_first_organisation_and_its_owner() {
    let database = TestDatabase::create().await;
    let made = organization(&database, "example", "four words in a row\n");
    let said = String::from_utf8_lossy(&made.stdout).into_owned();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert!(said.starts_with("made example (") && !said.contains("four words"), "{said}");
    assert_eq!(database.texts(QUESTION).await, ["Example Ltd example EUR anna@example.com Anna Example owner t"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_and_leaves_nothing() {
    let database = TestDatabase::create().await;
    refused(&organization(&database, "example", "short\n"), "the password: at least 10 characters");
    refused(&organization(&database, "example", "\n"), "the password: at least 10 characters");
    refused(&organization(&database, "Not A Slug", "four words in a row\n"), "slug");
    assert_eq!(database.texts("SELECT slug FROM organizations").await, Vec::<String>::new());
    assert!(organization(&database, "example", "four words in a row\n").status.success());
    refused(&organization(&database, "example", "four words in a row\n"), "conflict");
}
