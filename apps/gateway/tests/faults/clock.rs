//! Clocks that jump: the gateway's, the database's, forwards and back.
//!
//! Both programs run with libfaketime (Debian: `libfaketime`), which reads the jump from a file while they run.

use std::{fs, path::PathBuf};

use crm_testkit::{OwnServer, PASSWORD, TestDatabase};
use serde_json::{Value, json};

use super::support::{
    Caller,
    document::example,
    faults::report,
    log_in,
    process::{Gateway, KeyFile},
};

const FAULT: &str = "clocks that jump";
const JUMPS: [&str; 7] = ["+20m", "-20m", "+36h", "-36h", "+3650d", "-3650d", "+0"];

/// Where Debian puts it, whatever the machine.
fn library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap().flatten();
    let found = folders.map(|folder| folder.path().join("faketime/libfaketime.so.1")).find(|file| file.exists());
    found.expect("needs libfaketime: `cargo xtask doctor` says how to get it")
}

/// A clock that can be set, gone with the value.
struct Clock {
    file: PathBuf,
    library: String,
}

impl Clock {
    fn new() -> Self {
        let file = std::env::temp_dir().join(format!("crm-clock-{}", uuid::Uuid::now_v7()));
        let clock = Self { file, library: library().to_str().unwrap().to_owned() };
        clock.jump("+0");
        clock
    }

    fn jump(&self, by: &str) {
        let next = self.file.with_extension("next");
        fs::write(&next, format!("{by}\n")).unwrap();
        fs::rename(next, &self.file).unwrap();
    }

    /// What a program must be started with. The clock that only counts on stays right, as it does when a real clock is set.
    fn environment(&self) -> [(&str, &str); 4] {
        [
            ("LD_PRELOAD", self.library.as_str()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.to_str().unwrap()),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ]
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        // In the machine's place for what is temporary.
        let _ = fs::remove_file(&self.file);
    }
}

async fn refreshed(caller: &Caller) -> (u16, Value) {
    let answer = caller.post("/api/v1/auth/refresh", &json!({ "refresh_token": caller.refresh_token })).await;
    (answer.status, answer.body)
}

/// Whoever logs in now can work now, and what is written is whole and in order.
async fn work(nobody: &Caller, email: &str, label: &str) -> Caller {
    let member = log_in(nobody, email).await;
    let record = member.post("companies", &example("NewCompany", label)).await.expect(201);
    let path = format!("companies/{}", record.body["id"].as_str().unwrap());
    let changed = member.patch(&path, &json!({ "industry": "changed" })).await.expect(200);
    assert_eq!(changed.body["version"], 2);
    let log = member.get(&format!("{path}/activities")).await.expect(200);
    let kinds: Vec<&str> = log.data().iter().filter_map(|row| row["activity_type"].as_str()).collect();
    assert_eq!(kinds.len(), 2, "{label}: {kinds:?}");
    member
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jump_of_the_gateways_clock_ends_tokens_at_worst_and_people_log_in_again() {
    let (database, keys, clock) = (TestDatabase::create().await, KeyFile::generate().await, Clock::new());
    let tenant = database.tenant("Acme").await;
    let gateway = Gateway::on(&database, &keys, &clock.environment()).await;
    let mut ended = 0;
    for (number, jump) in JUMPS.into_iter().enumerate() {
        clock.jump("+0");
        let before = work(&gateway.nobody(), &tenant.email("member"), &format!("before-{number}")).await;
        clock.jump(jump);
        let answer = before.get("companies?limit=1").await;
        assert!([200, 401].contains(&answer.status), "{jump}: {}", answer.text);
        assert!(jump.starts_with('-') || jump == "+0" || answer.status == 401, "{jump}: a token of 15 minutes is over");
        ended += usize::from(answer.status == 401);
        // The session is the database's, whose clock is right: it goes on.
        let (status, body) = refreshed(&before).await;
        assert_eq!(status, 200, "{jump}: {body}");
        let after = Caller { token: Some(body["access_token"].as_str().unwrap().to_owned()), ..before };
        after.get("companies?limit=1").await.expect(200);
        work(&gateway.nobody(), &tenant.email("member"), &format!("after-{number}")).await;
    }
    let far = "SELECT count(*) FROM crm_companies WHERE created_at NOT BETWEEN now() - interval '1 hour' AND now()";
    assert_eq!(database.number(far).await, 0, "what is written has the database's time");
    report(FAULT, &format!("gateway: {} jumps, {ended} ended the access token (401), every session went on", JUMPS.len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jump_of_the_databases_clock_keeps_ids_unique_and_the_log_in_order() {
    let clock = Clock::new();
    let folder = std::env::temp_dir().join(format!("crm-own-server-{}", uuid::Uuid::now_v7()));
    let own = OwnServer::start_with(folder, &[], &clock.environment()).await;
    let (database, keys) = (TestDatabase::create_on(&own).await, KeyFile::generate().await);
    let tenant = database.tenant("Acme").await;
    let gateway = Gateway::on(&database, &keys, &[]).await;
    for (number, jump) in JUMPS.into_iter().enumerate() {
        clock.jump(jump);
        work(&gateway.nobody(), &tenant.email("member"), &format!("jump-{number}")).await;
    }
    let unordered =
        "SELECT count(*) FROM (SELECT record_version, row_number() OVER (PARTITION BY entity_id ORDER BY seq) AS place
                       FROM crm_activities WHERE entity_type = 'company') AS ordered WHERE record_version <> place";
    assert_eq!(database.number(unordered).await, 0, "the order of the log is not that of the clock");
    assert_eq!(database.number("SELECT count(*) FROM crm_companies").await, JUMPS.len() as i64);
    let wrong =
        gateway.nobody().post("/api/v1/auth/login", &json!({ "email": tenant.email("viewer"), "password": PASSWORD })).await;
    wrong.expect(200);
    report(FAULT, &format!("database: {} jumps, every login and write answered, the log of each record in order", JUMPS.len()));
}
