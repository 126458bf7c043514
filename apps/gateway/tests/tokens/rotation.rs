//! The keys of tokens: rotated under running requests, retired at once.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use biscuit_auth::UnverifiedBiscuit;
use crm_tenancy::token::TokenKey;
use crm_testkit::TestDatabase;
use serde_json::json;

use crate::{
    is_turned_away, mint, refresh,
    support::{
        App, log_in,
        process::{Gateway, KeyFile, command, run},
        waiting::until,
        world::World,
    },
};

fn key_of(token: &str) -> u32 {
    UnverifiedBiscuit::from_base64(token).unwrap().root_key_id().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_lives_as_long_as_its_key_is_in_the_ring() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let (old, (program, _)) = (world.owner().clone(), mint(world.owner(), &json!({ "name": "Program" })).await);
    let (first, second) = ("20260101T000000Z.pem".to_owned(), "20260201T000000Z.pem".to_owned());
    let pem = TokenKey::generate().to_pem().unwrap();
    let next = || TokenKey::from_pem(&pem).unwrap();

    app.key().replace(vec![(second.clone(), next()), (first.clone(), app.token_key())]).unwrap();
    old.get("companies").await.expect(200);
    program.get("companies").await.expect(200);
    let new = app.login(&world.tenant.email("owner")).await;
    assert_ne!(key_of(new.token.as_deref().unwrap()), key_of(old.token.as_deref().unwrap()), "the newest key signs");
    let (newer_program, _) = mint(&old, &json!({ "name": "Newer" })).await;
    assert_eq!(key_of(newer_program.token.as_deref().unwrap()), key_of(new.token.as_deref().unwrap()));
    let waiting = ("29990101T000000Z.pem".to_owned(), TokenKey::generate());
    app.key().replace(vec![(second.clone(), next()), (first, app.token_key()), waiting]).unwrap();
    let again = app.login(&world.tenant.email("owner")).await;
    assert_eq!(key_of(again.token.as_deref().unwrap()), key_of(new.token.as_deref().unwrap()), "its time has not come");

    app.key().replace(vec![(second, next())]).unwrap();
    for retired in [&old, &program] {
        is_turned_away(retired.get("companies").await, "of a retired key");
        is_turned_away(retired.get("/api/v1/auth/me").await, "of a retired key");
    }
    new.get("companies").await.expect(200);
    newer_program.get("companies").await.expect(200);
    let renewed = refresh(&app, &old.refresh_token).await.expect(200).body;
    app.holder(renewed["access_token"].as_str().unwrap()).get("companies").await.expect(200);
}

/// A folder of keys with one in it, gone with the value.
struct Folder(PathBuf);

impl Folder {
    async fn create() -> Self {
        let folder = Self(std::env::temp_dir().join(format!("crm-keys-{}", uuid::Uuid::now_v7())));
        fs::create_dir(&folder.0).unwrap();
        fs::write(folder.0.join("README"), "no key").unwrap();
        fs::write(folder.0.join(".half.pem"), "half a key").unwrap();
        folder.generate(&[]).await;
        // Names have seconds, and those of the keys to come must sort behind this one.
        let first = fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().path());
        let first = first
            .filter(|path| !path.file_name().unwrap().as_encoded_bytes().starts_with(b"."))
            .find(|path| path.extension().is_some());
        fs::rename(first.unwrap(), folder.0.join("20260101T000000Z.pem")).unwrap();
        folder
    }

    async fn generate(&self, arguments: &[&str]) {
        let made = run(command(&[]).arg("generate-key").arg(&self.0).args(arguments)).await;
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    /// A line for each key: id, what it does, file.
    async fn list(&self) -> Vec<Vec<String>> {
        let listed = run(command(&[]).arg("list-keys").arg(&self.0)).await;
        assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
        let text = String::from_utf8(listed.stdout).unwrap();
        text.lines().map(|line| line.split_whitespace().map(ToOwned::to_owned).collect()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

async fn says(gateway: &Gateway, words: &str, times: usize) {
    until(&format!("the log says {words}"), async || gateway.log().matches(words).count() >= times).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_exchanges_the_keys_under_the_requests_that_go_on() {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    let (sealing, url, folder) = (KeyFile::generate().await, database.url(), Folder::create().await);
    let environment = [
        ("CRM_DATABASE_URL", url.as_str()),
        ("CRM_TOKEN_KEY_FILE", folder.0.to_str().unwrap()),
        ("CRM_SEALING_KEY_FILE", sealing.sealing()),
        ("CRM_ENVIRONMENT", "test-1"),
        ("CRM_LOG", "info"),
    ];
    let gateway = Gateway::start(&environment).await;
    let old = log_in(&gateway.nobody(), &tenant.email("owner")).await;
    let (program, made) = mint(&old, &json!({ "name": "Program" })).await;

    let (ended, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let stream = tokio::spawn({
        let (caller, ended, answered) = (old.clone(), ended.clone(), answered.clone());
        async move {
            while !ended.load(Ordering::Relaxed) {
                caller.get("companies?limit=1").await.expect(200);
                answered.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    // Facts, not a pace: how many are answered in a second is the machine's affair.
    let goes_on = async || {
        let enough = answered.load(Ordering::Relaxed) + 5;
        until("requests go on", async || stream.is_finished() || answered.load(Ordering::Relaxed) >= enough).await;
        assert!(!stream.is_finished(), "one was lost");
    };
    goes_on().await;
    folder.generate(&["--signs-after", "3600"]).await;
    folder.generate(&[]).await;
    let listed = folder.list().await;
    assert_eq!(listed.iter().map(|key| key[1].as_str()).collect::<Vec<_>>(), ["verifies", "signs", "waits"], "{listed:?}");
    gateway.signal("HUP").await;
    says(&gateway, "the keys of tokens were read again", 1).await;
    goes_on().await;
    let new = log_in(&gateway.nobody(), &tenant.email("owner")).await;
    assert_eq!(format!("{:08x}", key_of(new.token.as_deref().unwrap())), listed[1][0]);
    assert_eq!(format!("{:08x}", key_of(old.token.as_deref().unwrap())), listed[0][0]);
    program.get("companies").await.expect(200);

    fs::write(folder.0.join("30000101T000000Z.pem"), "no key").unwrap();
    gateway.signal("HUP").await;
    says(&gateway, "those in use stay", 1).await;
    goes_on().await;
    old.get("companies").await.expect(200);
    new.get("companies").await.expect(200);
    fs::remove_file(folder.0.join("30000101T000000Z.pem")).unwrap();
    ended.store(true, Ordering::Relaxed);
    stream.await.expect("none was lost");

    fs::remove_file(Path::new(&folder.0).join(&listed[0][2])).unwrap();
    gateway.signal("HUP").await;
    says(&gateway, "the keys of tokens were read again", 2).await;
    is_turned_away(old.get("companies").await, "of a retired key");
    is_turned_away(program.get("companies").await, "of a retired key");
    let (other, _) = mint(&new, &json!({ "name": "Other" })).await;
    other.get("companies").await.expect(200);

    gateway.end().await;
    let (id, other_id) = (made["api_token"]["id"].as_str().unwrap(), "last_used_at IS NOT NULL");
    let used = database.number(&format!("SELECT count(*) FROM identity.api_tokens WHERE id = '{id}' AND {other_id}")).await;
    assert_eq!(used, 1, "what was not written yet is written at the end");
    let used = database.number(&format!("SELECT count(*) FROM identity.api_tokens WHERE name = 'Other' AND {other_id}")).await;
    assert_eq!(used, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ring_that_cannot_be_read_is_a_mistake_of_the_configuration() {
    let folder = Folder::create().await;
    let check = async |environment: &str, path: &Path| {
        let settings = [("CRM_TOKEN_KEY_FILE", path.to_str().unwrap()), ("CRM_ENVIRONMENT", environment)];
        let ended = run(command(&settings).arg("--check-config")).await;
        String::from_utf8(ended.stderr).unwrap()
    };
    assert!(!check("default", &folder.0).await.contains("CRM_TOKEN_KEY_FILE"));
    assert!(check("Not A Name", &folder.0).await.contains("CRM_ENVIRONMENT"));
    assert!(check("default", Path::new("/no/such/folder")).await.contains("CRM_TOKEN_KEY_FILE"));
    let copied = folder.0.join("copy.pem");
    let first = folder.0.join(&folder.list().await[0][2]);
    fs::copy(&first, &copied).unwrap();
    assert!(check("default", &folder.0).await.contains("are the same key"));
    fs::remove_file(&copied).unwrap();
    fs::remove_file(&first).unwrap();
    assert!(check("default", &folder.0).await.contains("no file in it ends in .pem"));
}
