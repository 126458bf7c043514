//! Configuration: environment, file, files of secrets, and the page that describes all of it.

use std::{fs, path::PathBuf};

use crm_gateway::configuration::settings::{SETTINGS, Shown};

use crate::support::process::{KeyFile, command, run};

/// A folder that goes with the value.
struct Folder(PathBuf);

impl Folder {
    fn create() -> Self {
        let folder = std::env::temp_dir().join(format!("crm-gateway-{}", uuid::Uuid::now_v7()));
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let file = self.0.join(name);
        fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Whether the configuration is right, and what is said of it.
async fn check(environment: &[(&str, &str)]) -> (bool, String) {
    let ended = run(command(environment).env_remove("CRM_RATE_LIMIT_CALLER").arg("--check-config")).await;
    (ended.status.success(), String::from_utf8_lossy(&ended.stderr).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_configures_and_the_environment_wins() {
    let (folder, key) = (Folder::create(), KeyFile::generate().await);
    let password = folder.write("database", "postgres://crm_app:secret-word@127.0.0.1:1/nowhere\n");
    let file = folder.write(
        "crm.toml",
        &format!(
            "database_url_file = \"{password}\"\ntoken_key_file = \"{}\"\nsealing_key_file = \"{}\"\nbind = \"127.0.0.1:7001\"\n\
             database_connections = 7\ntrusted_proxies = [\"10.0.0.0/8\", \"192.0.2.1\"]\nrate_limit_caller = \"10/1\"\n\
             redis_url = \"redis://:secret-word@127.0.0.1:6379\"\n",
            key.path(),
            key.sealing()
        ),
    );
    let (right, said) = check(&[("CRM_CONFIG_FILE", &file), ("CRM_BIND", "127.0.0.1:7002")]).await;
    assert!(right, "{said}");
    for line in [
        "CRM_DATABASE_URL = (secret) (file)",
        "CRM_REDIS_URL = (secret) (file)",
        "CRM_BIND = 127.0.0.1:7002 (environment)",
        "CRM_DATABASE_CONNECTIONS = 7 (file)",
        "CRM_TRUSTED_PROXIES = 10.0.0.0/8,192.0.2.1 (file)",
        "CRM_RATE_LIMIT_CALLER = 10/1 (file)",
        "CRM_LOG = info (default)",
        "the configuration is complete",
    ] {
        assert!(said.lines().any(|told| told == line || told.ends_with(line)), "`{line}` is missing: {said}");
    }
    assert!(!said.contains("secret-word"), "{said}");
    assert!(SETTINGS.iter().all(|setting| said.contains(setting.name)), "all of them are told: {said}");

    // The secret of the environment in the place of the file's, whichever way either is given.
    let other = folder.write("other", "postgres://crm_app@127.0.0.1:2/elsewhere");
    let (right, said) = check(&[("CRM_CONFIG_FILE", &file), ("CRM_DATABASE_URL_FILE", &other)]).await;
    assert!(right && said.contains("CRM_DATABASE_URL = (secret) (environment)"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_is_named_wherever_it_is() {
    let folder = Folder::create();
    let file = folder.write(
        "crm.toml",
        "database_ur = \"postgres://x:secret-word@y/z\"\nbind = true\nCRM_LOG = \"info\"\n[server]\nport = 1\n",
    );
    let wrong = [
        ("CRM_CONFIG_FILE", file.as_str()),
        ("CRM_REDIS_URL", "nonsense secret-word"),
        ("CRM_RATE_LIMIT_CALLER", "many"),
        ("CRM_CORS_ORIGINS", "*"),
        ("CRM_METRICS_BIND", "9090"),
        ("CRM_OTLP_ENDPOINT", "ftp://secret-word@collector"),
        ("CRM_HEAD_SECONDS", "0"),
        ("CRM_LOG", "crm_gateway=loudly"),
        ("CRM_LOG_FORMAT", "xml"),
    ];
    let ended = run(command(&wrong).arg("--check-config")).await;
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(!ended.status.success());
    for mistake in ["`database_ur` is no setting", "`bind` must be", "`CRM_LOG` is no setting", "`server` is no setting"] {
        assert!(said.contains(mistake), "{mistake}: {said}");
    }
    for (name, _) in &wrong[1..] {
        assert!(said.lines().any(|line| line.contains(&format!("{name}: "))), "{name}: {said}");
    }
    assert!(said.contains("CRM_DATABASE_URL is missing"), "{said}");
    assert!(!said.contains("secret-word"), "{said}");

    for (text, mistake) in [("bind = \"secret-word", "not TOML"), ("", "is missing")] {
        let (right, said) = check(&[("CRM_CONFIG_FILE", &folder.write("bad.toml", text))]).await;
        assert!(!right && said.contains(mistake) && !said.contains("secret-word"), "{said}");
    }
    let (right, said) = check(&[("CRM_CONFIG_FILE", "/nowhere/crm.toml")]).await;
    assert!(!right && said.contains("CRM_CONFIG_FILE: /nowhere/crm.toml: "), "{said}");
    let secret = folder.write("secret", "redis://127.0.0.1");
    let twice = [("CRM_REDIS_URL", "redis://127.0.0.1"), ("CRM_REDIS_URL_FILE", &*secret)];
    let (_, said) = check(&twice).await;
    assert!(said.contains("CRM_REDIS_URL: given twice"), "{said}");
    for (kind, address) in [("cluster", "redis-cluster://:secret-word@a:1"), ("sentinel", "rediss-sentinel://:secret-word@a:1")] {
        let (right, said) = check(&[("CRM_REDIS_URL", address)]).await;
        let told = format!("CRM_REDIS_URL: a {kind} of Redis is not supported");
        assert!(!right && said.contains(&told) && !said.contains("secret-word"), "{said}");
    }
    let (_, said) = check(&[("CRM_MAIL_FILE", "/nowhere/mail")]).await;
    assert!(said.contains("CRM_MAIL_FILE: /nowhere/mail: "), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_that_is_no_setting_is_told_of() {
    let key = KeyFile::generate().await;
    let settings = [
        ("CRM_DATABASE_URL", "postgres://crm_app@127.0.0.1:1/nowhere"),
        ("CRM_TOKEN_KEY_FILE", key.path()),
        ("CRM_SEALING_KEY_FILE", key.sealing()),
        ("CRM_DATABSE_CONNECTIONS", "3"),
    ];
    let (right, said) = check(&settings).await;
    assert!(right && said.contains("CRM_DATABSE_CONNECTIONS is set and is no setting"), "{said}");
}

/// The page and the program name the same settings with the same defaults, in the same order.
#[test]
fn the_page_describes_every_setting() {
    let page = include_str!("../../../../docs/CONFIGURATION.md");
    let rows: Vec<(&str, String)> = page
        .lines()
        .skip_while(|line| !line.starts_with("| variable "))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<&str> = line.split(" | ").map(|cell| cell.trim_matches(['|', ' '])).collect();
            assert!(cells.len() >= 3 && cells[2].len() > 10, "{line}");
            (cells[0].trim_matches('`'), cells[1].replace('`', ""))
        })
        .collect();
    let settings: Vec<(&str, String)> = SETTINGS.iter().map(|setting| (setting.name, setting.default.to_owned())).collect();
    assert_eq!(rows, settings);
    for setting in SETTINGS.iter().filter(|setting| setting.shown == Shown::Never) {
        assert!(page.contains(&format!("`{}_FILE`", setting.name)), "{} can be given as a file", setting.name);
    }
}
