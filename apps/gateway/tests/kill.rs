//! kill -9 under write load: every acknowledged write is there once, with exactly its activities.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod support;

use std::collections::HashMap;

use crm_testkit::TestDatabase;
use serde_json::{Value, json};
use support::{
    Answer, Caller,
    document::example,
    faults::{report, rounds},
    log_in,
    process::{Gateway, KeyFile},
    waiting::until,
};
use tokio::{sync::mpsc, task::JoinSet};
use uuid::Uuid;

const WRITERS: usize = 8;
/// Address, schema, table, what the log calls it, and the text field that changes.
type Noun = (&'static str, &'static str, &'static str, &'static str, &'static str);

const NOUNS: [Noun; 3] = [
    ("companies", "NewCompany", "crm_companies", "company", "industry"),
    ("contacts", "NewContact", "crm_contacts", "contact", "title"),
    ("deals", "NewDeal", "crm_deals", "deal", "deal_source"),
];

/// What a writer knows of a record it tried to make.
struct Attempt {
    noun: Noun,
    id: Uuid,
    created: bool,
    /// Values of changes that were acknowledged, in order.
    changed: Vec<String>,
    /// The value of a change whose answer never came.
    asked: Option<String>,
}

/// Creates and changes records until the gateway is gone.
async fn write(caller: Caller, acknowledged: mpsc::UnboundedSender<()>) -> Vec<Attempt> {
    let mut attempts = Vec::new();
    for noun in NOUNS.into_iter().cycle() {
        let id = Uuid::now_v7();
        attempts.push(Attempt { noun, id, created: false, changed: Vec::new(), asked: None });
        let attempt = attempts.last_mut().unwrap();
        let mut body = example(noun.1, &id.to_string());
        body["id"] = json!(id);
        let Ok(answer) = caller.call("POST", noun.0).json(&body).try_send().await else { return attempts };
        answer.expect(201);
        attempt.created = true;
        acknowledged.send(()).unwrap();
        for number in 0..3 {
            let value = format!("{id} {number}");
            attempt.asked = Some(value.clone());
            let call = caller.call("PATCH", &format!("{}/{id}", noun.0)).json(&json!({ noun.4: value }));
            let Ok(answer) = call.try_send().await else { return attempts };
            answer.expect(200);
            attempt.asked = None;
            attempt.changed.push(value);
            acknowledged.send(()).unwrap();
        }
    }
    attempts
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kill_9_once_with_its_activities() {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    let keys = KeyFile::generate().await;
    let mut gateway = Gateway::on(&database, &keys, &[]).await;
    let member = log_in(&gateway.nobody(), &tenant.email("member")).await;
    let (mut acknowledged, mut unanswered) = (0, 0);
    let rounds = rounds(3, 20);
    for round in 0..rounds {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let mut writers = JoinSet::new();
        for _ in 0..WRITERS {
            writers.spawn(write(gateway.welcome(&member), sender.clone()));
        }
        drop(sender);
        // Another moment of the load in every round.
        for _ in 0..150 + round % 5 * 37 {
            receiver.recv().await.expect("the writers are at work");
        }
        gateway.kill().await;
        let attempts: Vec<Attempt> = writers.join_all().await.into_iter().flatten().collect();
        let orphans =
            database.texts("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND usename = 'crm_app'").await;

        gateway = Gateway::on(&database, &keys, &[]).await;
        let served = gateway.welcome(&member).get("companies?limit=1").await.expect(200);
        assert_eq!(served.data().len(), 1, "the gateway serves at once, with the tokens of before");
        gone(&database, &orphans).await;
        for noun in NOUNS {
            let kept = kept(&database, noun).await;
            for attempt in attempts.iter().filter(|attempt| attempt.noun == noun) {
                verify(attempt, &kept);
                acknowledged += usize::from(attempt.created) + attempt.changed.len();
                unanswered += usize::from(!attempt.created) + usize::from(attempt.asked.is_some());
            }
        }
    }
    assert!(acknowledged >= 150 * rounds && unanswered > 0, "{acknowledged} acknowledged, {unanswered} cut off");
    for (_, _, table, entity, _) in NOUNS {
        let rows = database.number(&format!("SELECT count(*) FROM {table}")).await;
        let created = database
            .number(&format!("SELECT count(*) FROM crm_activities WHERE entity_type = '{entity}' AND activity_type = 'created'"))
            .await;
        assert_eq!(rows, created, "{table}: as many records as creations");
        let orphans = format!(
            "SELECT count(*) FROM crm_activities WHERE entity_type = '{entity}' AND entity_id NOT IN (SELECT id FROM {table})"
        );
        assert_eq!(database.number(&orphans).await, 0, "{table}: an activity without its record");
        let versions = database.number(&format!("SELECT sum(version) FROM {table}")).await;
        let logged = database.number(&format!("SELECT count(*) FROM crm_activities WHERE entity_type = '{entity}'")).await;
        assert_eq!(versions, logged, "{table}: as many versions as activities");
    }
    let counted = format!("{rounds} rounds, {acknowledged} writes acknowledged, 0 lost, 0 half written; {unanswered} cut off");
    report("the gateway killed (kill -9)", &counted);
}

/// A contact that was asked for with a key: the key, the body, and the id that was answered.
type Asked = (String, Value, Option<String>);

async fn ask(caller: &Caller, key: &str, body: &Value) -> reqwest::Result<Answer> {
    caller.call("POST", "contacts").header("idempotency-key", key).json(body).try_send().await
}

/// Creates contacts, each with a key of its own, until the gateway is gone.
async fn ask_on(caller: Caller, acknowledged: mpsc::UnboundedSender<()>) -> Vec<Asked> {
    let mut asked = Vec::new();
    loop {
        let key = Uuid::now_v7().to_string();
        let body = example("NewContact", &key);
        let answer = ask(&caller, &key, &body).await.ok();
        let is_over = answer.is_none();
        asked.push((key, body, answer.map(|answer| answer.expect(201).id())));
        if is_over {
            return asked;
        }
        acknowledged.send(()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_again_with_its_key_is_done_once_whatever_died_between() {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    let keys = KeyFile::generate().await;
    let mut gateway = Gateway::on(&database, &keys, &[]).await;
    let member = log_in(&gateway.nobody(), &tenant.email("member")).await;
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        writers.spawn(ask_on(gateway.welcome(&member), sender.clone()));
    }
    drop(sender);
    for _ in 0..150 {
        receiver.recv().await.expect("the writers are at work");
    }
    gateway.kill().await;
    let asked: Vec<Asked> = writers.join_all().await.into_iter().flatten().collect();
    let orphans =
        database.texts("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND usename = 'crm_app'").await;
    gateway = Gateway::on(&database, &keys, &[]).await;
    gone(&database, &orphans).await;
    let member = gateway.welcome(&member);
    for (key, body, answered) in &asked {
        let again = ask(&member, key, body).await.unwrap().expect(201);
        assert!(answered.as_ref().is_none_or(|id| *id == again.id()), "what was acknowledged is answered again");
    }
    let unanswered = asked.iter().filter(|(_, _, answered)| answered.is_none()).count();
    assert!(unanswered > 0, "something was cut off");
    assert_eq!(
        usize::try_from(database.number("SELECT count(*) FROM crm_contacts").await),
        Ok(asked.len()),
        "each is there once"
    );
    let created = "SELECT count(*) FROM crm_activities WHERE entity_type = 'contact' AND activity_type = 'created'";
    assert_eq!(usize::try_from(database.number(created).await), Ok(asked.len()), "and was made once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_by_filter_goes_on_where_its_process_died() {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    let keys = KeyFile::generate().await;
    let mut gateway = Gateway::on(&database, &keys, &[]).await;
    let owner = log_in(&gateway.nobody(), &tenant.email("owner")).await;
    let many = format!(
        "INSERT INTO crm_contacts (organization_id, first_name, last_name)
         SELECT '{}', 'One', 'of many' FROM generate_series(1, 1000)",
        tenant.organization_id
    );
    database.execute(&many).await;
    let body = json!({ "filter": "last_name = \"of many\"", "set": { "department": "set" } });
    let run = |caller: &Caller| caller.call("POST", "contacts/bulk").header("idempotency-key", "k").json(&body);
    let changed = async || database.number("SELECT count(*) FROM crm_contacts WHERE department = 'set'").await;

    // Whichever way it goes, it waits at the middle.
    let middle = "SELECT FROM crm_contacts WHERE id = (SELECT id FROM crm_contacts ORDER BY id OFFSET 500 LIMIT 1) FOR UPDATE";
    let lock = database.hold(middle).await;
    let first = tokio::spawn(run(&owner).try_send());
    until("it is half way", async || changed().await == 400).await;
    let orphans =
        database.texts("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND usename = 'crm_app'").await;
    gateway.kill().await;
    assert!(first.await.unwrap().is_err(), "nobody answers any more");
    drop(lock);
    gone(&database, &orphans).await;
    gateway = Gateway::on(&database, &keys, &[]).await;
    let owner = gateway.welcome(&owner);
    run(&owner).send().await.problem(409, "conflict").names(&["Idempotency-Key"]);
    database.execute("UPDATE crm_idempotent_answers SET created_at = created_at - interval '31 seconds'").await;
    let rest = run(&owner).send().await.expect(200);
    let counts = ["changed", "unchanged", "left"].map(|name| rest.body[name].as_i64().unwrap());
    assert_eq!((counts, changed().await), ([1000, 0, 0], 1000), "{}", rest.text);
    let operation = rest.body["operation_id"].as_str().unwrap();
    let once = format!("SELECT count(DISTINCT entity_id) FROM crm_activities WHERE operation_id = '{operation}'");
    assert_eq!(database.number(&once).await, 1000, "one operation in the log, whoever did it");
    let twice = "SELECT count(*) FROM crm_contacts WHERE version <> 2";
    assert_eq!(database.number(twice).await, 0, "no record was changed twice, none was left out");
    assert_eq!(run(&owner).send().await.expect(200).text, rest.text);
    report(
        "the gateway killed (kill -9) in a run by filter with a key",
        "1000 records, 400 before and 600 after, each changed once",
    );
}

/// Waits until the dead gateway's connections are over: only then is it decided what of the last moment was kept.
async fn gone(database: &TestDatabase, backends: &[String]) {
    let pids = if backends.is_empty() { "0".to_owned() } else { backends.join(",") };
    let query = format!("SELECT count(*) FROM pg_stat_activity WHERE pid IN ({pids})");
    until("the server notices that its client is dead", async || database.number(&query).await == 0).await;
}

/// What the database has of every record of the noun, by its id: version, text, and the log as kind, version, new text.
async fn kept(database: &TestDatabase, (_, _, table, entity, field): Noun) -> HashMap<String, Value> {
    let query = format!(
        "SELECT json_build_object('id', record.id, 'version', record.version, 'text', record.{field}, 'log', (
                    SELECT coalesce(json_agg(json_build_array(activity_type, record_version, changes -> '{field}' ->> 1) ORDER BY seq), '[]')
                      FROM crm_activities AS activity
                      LEFT JOIN crm_activity_details AS detail
                        ON detail.organization_id = activity.organization_id AND detail.activity_id = activity.id
                     WHERE entity_type = '{entity}' AND entity_id = record.id))
           FROM {table} AS record"
    );
    let records = database.texts(&query).await;
    let parsed = records.iter().map(|record| serde_json::from_str::<Value>(record).unwrap());
    let kept: HashMap<String, Value> = parsed.map(|record| (record["id"].as_str().unwrap().to_owned(), record)).collect();
    assert_eq!(kept.len(), records.len(), "{table}: a record is there twice");
    kept
}

fn verify(attempt: &Attempt, kept: &HashMap<String, Value>) {
    let what = format!("{} {}", attempt.noun.3, attempt.id);
    let Some(record) = kept.get(&attempt.id.to_string()) else {
        assert!(!attempt.created, "{what} was acknowledged and is lost");
        return;
    };
    let log = record["log"].as_array().unwrap();
    assert_eq!(record["version"], log.len(), "{what}: one activity for each version");
    for (number, activity) in log.iter().enumerate() {
        let kind = if number == 0 { "created" } else { "updated" };
        assert_eq!((&activity[0], &activity[1]), (&json!(kind), &json!(number + 1)), "{what}");
    }
    let changes: Vec<String> = log.iter().skip(1).map(|activity| activity[2].as_str().unwrap().to_owned()).collect();
    let with_asked: Vec<String> = attempt.changed.iter().chain(&attempt.asked).cloned().collect();
    let as_answered = changes == attempt.changed || changes == with_asked;
    assert!(as_answered, "{what}: kept {changes:?}, acknowledged {:?}, cut off {:?}", attempt.changed, attempt.asked);
    if let Some(last) = changes.last() {
        assert_eq!(record["text"], *last, "{what}");
    }
}
