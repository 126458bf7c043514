//! How the program starts, why it refuses to, and what it never says.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod support;

use std::os::unix::fs::PermissionsExt;

use crm_testkit::{PASSWORD, TestDatabase};
use serde_json::{Value, json};
use support::{
    document::Document,
    log_in,
    process::{Gateway, KeyFile, command, run},
};

/// Starts it on this address of a database and returns why it did not.
async fn refusal(url: &str) -> String {
    let key = KeyFile::generate().await;
    let ended = run(&mut command(&[
        ("CRM_DATABASE_URL", url),
        ("CRM_TOKEN_KEY_FILE", key.path()),
        ("CRM_SEALING_KEY_FILE", key.sealing()),
        ("CRM_BIND", "127.0.0.1:0"),
    ]))
    .await;
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(!ended.status.success(), "it started: {said}");
    assert!(!said.contains("listening"), "{said}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superuser_is_refused_with_the_reason() {
    let database = TestDatabase::create().await;
    let said = refusal(&database.admin_url()).await;
    assert!(said.contains("is a superuser: row-level security does not bind it"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_seal_is_refused_with_every_reason() {
    let database = TestDatabase::create().await;
    database
        .execute("DELETE FROM __diesel_schema_migrations WHERE version = (SELECT max(version) FROM __diesel_schema_migrations)")
        .await;
    database.execute("CREATE TABLE crm_leaks (organization_id uuid, id uuid, PRIMARY KEY (organization_id, id))").await;
    database.execute("ALTER TABLE crm_contacts NO FORCE ROW LEVEL SECURITY").await;
    database.execute("CREATE TABLE crm_plain (id uuid PRIMARY KEY)").await;
    let said = refusal(&database.url()).await;
    for reason in [
        "this migration has not been applied",
        "crm_leaks: row-level security is not enabled and forced",
        "crm_leaks: changes to it would not be logged",
        "crm_contacts: row-level security is not enabled and forced",
        "crm_plain: its primary key does not begin with the organisation",
    ] {
        assert!(said.contains(reason), "{reason} is missing from: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_tables_is_refused() {
    let database = TestDatabase::create().await;
    database.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO crm_app").await;
    assert!(refusal(&database.url()).await.contains("crm-gateway: "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_refused_without_telling_the_password() {
    let said = refusal("postgres://crm_app:secret-word@127.0.0.1:1/nowhere").await;
    assert!(said.contains("the database cannot be checked"), "{said}");
    assert!(!said.contains("secret-word"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_in_the_configuration_is_named_at_once() {
    let nothing = run(command(&[]).arg("--check-config")).await;
    let said = String::from_utf8_lossy(&nothing.stderr).into_owned();
    assert!(!nothing.status.success());
    for missing in ["CRM_DATABASE_URL is missing", "CRM_TOKEN_KEY_FILE is missing", "CRM_SEALING_KEY_FILE is missing"] {
        assert!(said.contains(missing), "{said}");
    }

    let wrong = [
        ("CRM_DATABASE_URL", ""),
        ("CRM_DATABASE_CONNECTIONS", "none"),
        ("CRM_BIND", "nowhere"),
        ("CRM_TOKEN_KEY_FILE", "/dev/null"),
        ("CRM_SEALING_KEY_FILE", "/dev/null"),
    ];
    for check in [true, false] {
        let mut command = command(&wrong);
        let ended = run(if check { command.arg("--check-config") } else { &mut command }).await;
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(!ended.status.success());
        assert_eq!(said.lines().count(), wrong.len(), "{said}");
        assert!(wrong.iter().all(|(name, _)| said.contains(name)), "{said}");
    }
    let key = KeyFile::generate().await;
    let right = [
        ("CRM_DATABASE_URL", "postgres://crm_app:secret-word@127.0.0.1:1/nowhere"),
        ("CRM_TOKEN_KEY_FILE", key.path()),
        ("CRM_SEALING_KEY_FILE", key.sealing()),
    ];
    let ended = run(command(&right).arg("--check-config")).await;
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success() && !said.contains("secret-word"), "needs no database: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_about_identity_providers_is_named_and_no_secret_is() {
    let key = KeyFile::generate().await;
    let secret = "a secret that is long enough for any hash";
    let folder = std::env::temp_dir().join(format!("crm-gateway-{}", uuid::Uuid::now_v7()));
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("gotrue.secret"), secret).unwrap();
    let file = folder.join("providers.json");
    let check = async |providers: &str| {
        std::fs::write(&file, providers).unwrap();
        let settings = [
            ("CRM_DATABASE_URL", "postgres://crm_app@127.0.0.1:1/nowhere"),
            ("CRM_TOKEN_KEY_FILE", key.path()),
            ("CRM_SEALING_KEY_FILE", key.sealing()),
            ("CRM_IDENTITY_PROVIDERS", file.to_str().unwrap()),
        ];
        let ended = run(command(&settings).arg("--check-config")).await;
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(!said.contains(secret), "{said}");
        (ended.status.success(), said)
    };
    let gotrue = r#"{"name": "one", "kind": "gotrue", "issuer": "https://one.example.com", "audience": "crm", "secret_file": "gotrue.secret"}"#;
    let (right, said) = check(&format!(r#"{{"providers": [{gotrue}]}}"#)).await;
    assert!(right, "a file that it names is sought beside it: {said}");
    let wrong = gotrue.replace("https", "http").replace("gotrue.secret", "nowhere.secret");
    let (right, said) = check(&format!(r#"{{"providers": [{wrong}, {{"name": "two"}}]}}"#)).await;
    assert!(!right, "{said}");
    for mistake in ["provider 1: issuer", "nowhere.secret", "provider 2: missing field"] {
        assert!(said.contains(mistake) && said.contains("CRM_IDENTITY_PROVIDERS"), "{mistake}: {said}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_once_and_for_its_owner_alone() {
    let key = KeyFile::generate().await;
    assert_eq!(std::fs::metadata(&key.0).unwrap().permissions().mode() & 0o777, 0o600);
    let before = std::fs::read_to_string(&key.0).unwrap();
    let again = run(command(&[]).arg("generate-key").arg(&key.0)).await;
    assert!(!again.status.success(), "a key that is in use must not be overwritten");
    assert_eq!(std::fs::read_to_string(&key.0).unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_printed_without_database_or_configuration() {
    let printed = run(command(&[]).arg("openapi")).await;
    assert!(printed.status.success());
    assert_eq!(serde_json::from_slice::<Value>(&printed.stdout).unwrap(), Document::of_the_application().value);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_tells_of_every_request_and_of_no_secret() {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    let (key, url) = (KeyFile::generate().await, database.url());
    for (filter, format) in [("info", "json"), ("trace", "text")] {
        let gateway = Gateway::on(&database, &key, &[("CRM_LOG", filter), ("CRM_LOG_FORMAT", format)]).await;
        let owner = log_in(&gateway.nobody(), &tenant.email("owner")).await;
        let wrong = json!({ "email": tenant.email("owner"), "password": "a wrong but telling password" });
        gateway.nobody().post("/api/v1/auth/login", &wrong).await.expect(401);
        gateway.nobody().post("/api/v1/auth/login", &json!({ "email": 1, "password": "an unread password" })).await.expect(400);
        owner
            .call("GET", "companies?name=a-name-in-the-query")
            .header("x-request-id", "told-in-the-log")
            .send()
            .await
            .expect(200);
        let tokens = gateway
            .nobody()
            .post("/api/v1/auth/refresh", &json!({ "refresh_token": owner.refresh_token }))
            .await
            .expect(200)
            .body;
        let word = |name: &str| tokens[name].as_str().unwrap().to_owned();
        let renewed = owner.clone();
        renewed.call("POST", "/api/v1/auth/logout").header("x-request-id", "the-last-one").send().await.expect(204);
        let hash = database.texts("SELECT password_hash FROM identity.credentials LIMIT 1").await.remove(0);
        let log = wait_for(&gateway, "the-last-one").await;
        let password_of_the_database = url.split(':').nth(2).unwrap().split('@').next().unwrap();
        let secrets = [
            PASSWORD.to_owned(),
            "a wrong but telling password".into(),
            "an unread password".into(),
            owner.token.clone().unwrap(),
            owner.refresh_token.clone(),
            word("access_token"),
            word("refresh_token"),
            hash,
            password_of_the_database.to_owned(),
            std::fs::read_to_string(&key.0).unwrap().lines().nth(1).unwrap().to_owned(),
        ];
        for secret in secrets {
            assert!(secret.len() > 8 && !log.contains(&secret), "{filter}: the log tells {secret}");
        }
        assert!(log.contains("told-in-the-log") && log.contains("/api/v1/a-crm/companies"), "{filter}: {log}");
        if filter == "info" {
            assert!(!log.contains("a-name-in-the-query"), "a query is none of the log's business: {log}");
            let lines: Vec<Value> =
                log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"))).collect();
            let told = lines.iter().find(|line| line["request_id"] == "told-in-the-log").unwrap();
            assert_eq!((&told["status"], &told["method"]), (&json!(200), &json!("GET")), "{told}");
            assert_eq!(told["organization"], json!(tenant.organization_id), "{told}");
            let requests = lines.iter().filter(|line| line["message"] == "request").count();
            assert_eq!(requests, 6, "one line for each request: {log}");
        }
    }
}

/// The log, once it has told of this request: an answer may be faster than its line.
async fn wait_for(gateway: &Gateway, request: &str) -> String {
    support::waiting::until(&format!("the log tells of {request}"), async || gateway.log().contains(request)).await;
    gateway.log()
}
