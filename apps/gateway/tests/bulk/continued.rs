//! Runs by filter that are sent again with the same Idempotency-Key: answered, refused while they run, or continued.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, App, Caller, waiting::until, world::World};

/// Several steps of a run.
const MANY: i64 = 500;

struct Stage {
    app: App,
    world: World,
}

impl Stage {
    async fn create() -> Self {
        let app = App::start().await;
        let world = World::create(&app, "Acme").await;
        let many = format!(
            "INSERT INTO crm_contacts (organization_id, first_name, last_name, tags)
             SELECT '{}', 'One', 'of many', '[\"many\"]' FROM generate_series(1, {MANY})",
            world.tenant.organization_id
        );
        app.database.execute(&many).await;
        Self { app, world }
    }

    async fn changed(&self) -> i64 {
        self.app.database.number("SELECT count(*) FROM crm_contacts WHERE department = 'set'").await
    }

    /// Every record was changed once, all as one operation.
    async fn is_done_once(&self, answer: &Answer) {
        let counts = ["changed", "unchanged", "left"].map(|name| answer.body[name].as_i64().unwrap());
        assert_eq!((counts, self.changed().await), ([MANY, 0, 0], MANY), "{}", answer.text);
        let operation = answer.body["operation_id"].as_str().unwrap();
        let logged = format!("SELECT count(*) FROM crm_activities WHERE operation_id = '{operation}'");
        assert_eq!(self.app.database.number(&logged).await, MANY, "one operation in the log");
        let twice = "SELECT count(*) FROM crm_contacts WHERE tags ? 'many' AND version <> 2";
        assert_eq!(self.app.database.number(twice).await, 0, "no record was changed twice, none was left out");
    }

    /// A record in the last step of the run.
    async fn late(&self) -> String {
        let late = "SELECT id::text FROM crm_contacts WHERE tags ? 'many' ORDER BY id DESC OFFSET 20 LIMIT 1";
        let early = "SELECT id::text FROM crm_contacts WHERE tags ? 'many' ORDER BY id OFFSET 20 LIMIT 1";
        let (late, early) = (self.app.database.texts(late).await.remove(0), self.app.database.texts(early).await.remove(0));
        let page = self.world.owner().get("contacts?tags=many&limit=1").await.expect(200);
        if page.data()[0]["id"].as_str().unwrap() < early.as_str() { late } else { early }
    }
}

fn set() -> Value {
    json!({ "filter": "tags : \"many\"", "set": { "department": "set" } })
}

async fn run(caller: &Caller, key: &str, body: &Value) -> Answer {
    caller.call("POST", "contacts/bulk").header("idempotency-key", key).json(body).send().await
}

fn is_repetition(answer: &Answer) -> bool {
    answer.header("idempotency-replayed") == "true"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_done_once_and_answered_alike() {
    let stage = Stage::create().await;
    let owner = stage.world.owner();
    let first = run(owner, "k", &set()).await.expect(200);
    assert!(!is_repetition(&first));
    stage.is_done_once(&first).await;
    for _ in 0..2 {
        let again = run(owner, "k", &set()).await.expect(200);
        assert_eq!((again.text.as_str(), is_repetition(&again)), (first.text.as_str(), true));
    }
    let other = json!({ "filter": "tags : \"many\"", "delete": true });
    run(owner, "k", &other).await.problem(422, "invalid").names(&["Idempotency-Key"]);
    let told = run(stage.world.caller("admin"), "k", &set()).await.expect(200);
    assert_eq!((&told.body["unchanged"], is_repetition(&told)), (&json!(MANY), false), "another caller's key is another key");
    let mut dry = set();
    dry["dry_run"] = json!(true);
    for _ in 0..2 {
        let looked = run(owner, "dry", &dry).await.expect(200);
        assert!(!is_repetition(&looked), "what changes nothing is asked again");
    }
    let out = format!("UPDATE memberships SET role = 'member' WHERE user_id = '{}'", stage.world.tenant.owner.user_id);
    stage
        .app
        .database
        .execute(&format!("ALTER TABLE memberships DISABLE TRIGGER USER; {out}; ALTER TABLE memberships ENABLE TRIGGER USER"))
        .await;
    run(owner, "k", &set()).await.problem(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_runs_a_repetition_is_told_so_and_together_they_do_it_once() {
    let stage = Stage::create().await;
    let node = stage.app.another_node();
    let there = node.welcome(stage.world.owner());
    let late = stage.late().await;
    let lock = stage.app.database.hold(&format!("SELECT FROM crm_contacts WHERE id = '{late}' FOR UPDATE")).await;
    let running = {
        let owner = stage.world.owner().clone();
        tokio::spawn(async move { run(&owner, "k", &set()).await })
    };
    until("the last step waits", async || stage.changed().await == 400).await;
    for caller in [stage.world.owner(), &there] {
        run(caller, "k", &set()).await.problem(409, "conflict").names(&["Idempotency-Key"]);
    }
    drop(lock);
    stage.is_done_once(&running.await.unwrap().expect(200)).await;

    let other = Stage::create().await;
    let node = other.app.another_node();
    let callers: Vec<Caller> = (0..6)
        .map(|number| if number % 2 == 0 { other.world.owner().clone() } else { node.welcome(other.world.owner()) })
        .collect();
    let body = set();
    let answers = join_all(callers.iter().map(|caller| run(caller, "k", &body))).await;
    let first: Vec<Answer> = answers.iter().filter(|answer| answer.status == 200 && !is_repetition(answer)).cloned().collect();
    assert_eq!(first.len(), 1, "one of them did it");
    other.is_done_once(&first[0]).await;
    for answer in answers {
        assert!(answer.status == 200 || answer.status == 409, "{}", answer.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stopped_half_way_is_continued() {
    let stage = Stage::create().await;
    let late = stage.late().await;
    let lock = stage.app.database.hold(&format!("SELECT FROM crm_contacts WHERE id = '{late}' FOR UPDATE")).await;
    let running = {
        let owner = stage.world.owner().clone();
        tokio::spawn(async move { run(&owner, "k", &set()).await })
    };
    until("the last step waits", async || stage.changed().await == 400).await;
    let cut = "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
                WHERE datname = current_database() AND usename = 'crm_app'";
    stage.app.database.number(cut).await;
    running.await.unwrap().problem(503, "unavailable");
    assert_eq!(stage.changed().await, 400, "what its steps have done stays");
    drop(lock);
    let rest = run(stage.world.owner(), "k", &set()).await.expect(200);
    assert!(!is_repetition(&rest), "a part of it was done now");
    stage.is_done_once(&rest).await;
    let again = run(stage.world.owner(), "k", &set()).await.expect(200);
    assert_eq!((again.text, true), (rest.text, again.headers.contains_key("idempotency-replayed")));
}
