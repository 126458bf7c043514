//! Fair shares of the database: a tenant that floods with slow questions does not slow another; a question that takes too long is
//! ended, and whoever asked is told what to narrow.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crm_testkit::{Tenant, TestDatabase};
use diesel_async::SimpleAsyncConnection;
use futures_util::future::join_all;
use serde_json::json;

use crate::{
    Scene,
    support::{Caller, client, log_in, waiting::until},
};

const STRETCHES: usize = 5;
/// Reads of an idle stretch.
const READS: usize = 100;
/// Requests that the flooding tenant has under way at any moment: more than the pool, and more than may wait.
const FLOOD: usize = 80;

/// A lock on everything the tenant has of companies: a change of one of them takes as long as the lock timeout of the role.
async fn lock_companies(database: &TestDatabase, tenant: &Tenant) -> impl Sized {
    let mut admin = database.admin().await;
    let lock = format!("BEGIN; SELECT FROM crm_companies WHERE organization_id = '{}' FOR UPDATE", tenant.organization_id);
    admin.batch_execute(&lock).await.unwrap();
    admin
}

/// Changes a locked record, again and again, until it is told to stop; how many were answered how. On a thread of the lowest priority:
/// what it takes is what clients on other machines would take.
fn flood(base: &str, token: &str, company: &str, stop: &Arc<AtomicBool>) -> BTreeMap<u16, usize> {
    rustix::process::setpriority_process(None, 19).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let caller = Caller { http: client(), base: base.to_owned(), token: Some(token.to_owned()), refresh_token: String::new() };
    let change = async |number: usize| {
        let mut answered = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let answer = caller.patch(&format!("companies/{company}"), &json!({ "industry": number.to_string() })).await;
            let seconds = answer.header("retry-after").parse().expect("it says when to come back");
            answered.push(answer.status);
            tokio::time::sleep(Duration::from_secs(seconds)).await;
        }
        answered
    };
    let answered = runtime.block_on(join_all((0..FLOOD).map(change)));
    let mut all = BTreeMap::new();
    for status in answered.into_iter().flatten() {
        *all.entry(status).or_default() += 1;
    }
    all
}

async fn timed_read(scene: &Scene, reader: &Caller) -> Duration {
    let began = Instant::now();
    let answer = reader.get("companies?limit=20").await;
    let told = || scene.gateway.log().lines().rfind(|line| line.contains("WARN")).unwrap_or_default().to_owned();
    assert_eq!(answer.status, 200, "{}: {}", answer.text, told());
    began.elapsed()
}

/// Until so many connections wait for the locked records.
async fn until_they_wait(database: &TestDatabase, connections: i64) {
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    until("they wait for the lock", async || database.number(waits).await >= connections).await;
}

/// Below which 95 of 100 stay.
fn p95(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() * 95 / 100]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_floods_with_slow_questions_does_not_slow_another() {
    let scene = Scene::start(&[("CRM_DATABASE_CONNECTIONS", "8"), ("CRM_DATABASE_WAIT_SECONDS", "1")]).await;
    let other = scene.database.tenant("Other").await;
    let nobody = scene.gateway.nobody();
    let (noisy, reader) = (log_in(&nobody, &scene.tenant.email("owner")).await, log_in(&nobody, &other.email("owner")).await);
    let company = noisy.post("companies", &json!({ "name": "Locked" })).await.expect(201).id();
    for number in 0..20 {
        reader.post("companies", &json!({ "name": format!("Company {number}") })).await.expect(201);
    }
    let (mut idle, mut busy, mut answers) = (Vec::new(), Vec::new(), BTreeMap::<u16, usize>::new());
    for _ in 0..STRETCHES {
        let mut times = Vec::new();
        for _ in 0..READS {
            times.push(timed_read(&scene, &reader).await);
        }
        idle.push(p95(times));

        let locked = lock_companies(&scene.database, &scene.tenant).await;
        let stop = Arc::new(AtomicBool::new(false));
        let (base, token, company, until) =
            (noisy.base.clone(), noisy.token.clone().unwrap(), company.clone(), Arc::clone(&stop));
        let load = thread::spawn(move || flood(&base, &token, &company, &until));
        until_they_wait(&scene.database, 2).await;
        let mut times = Vec::new();
        for _ in 0..READS {
            times.push(timed_read(&scene, &reader).await);
        }
        stop.store(true, Ordering::Relaxed);
        for (status, count) in load.join().unwrap() {
            *answers.entry(status).or_default() += count;
        }
        drop(locked);
        busy.push(p95(times));
    }
    println!("p95 of each stretch, idle {idle:?}, busy {busy:?}; the flood was answered {answers:?}");
    assert!(answers.keys().all(|status| [429, 503].contains(status)), "{answers:?}");
    assert!(answers[&429] > 0 && answers[&503] > 0, "some wait for the lock in vain, others for their turn: {answers:?}");
    let mut ratios: Vec<f64> = idle.iter().zip(&busy).map(|(idle, busy)| busy.as_secs_f64() / idle.as_secs_f64()).collect();
    ratios.sort_by(f64::total_cmp);
    let ratio = ratios[STRETCHES / 2];
    assert!(ratio < 3.0, "p95 of a read, busy to idle: {ratio:.2}, of idle {idle:?}, busy {busy:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_takes_too_long_is_ended_and_says_what_to_narrow() {
    let scene = Scene::start(&[]).await;
    let member = log_in(&scene.gateway.nobody(), &scene.tenant.email("member")).await;
    member.get("companies").await.expect(200);
    // Sessions that are open keep what they began with.
    scene.database.execute("DO $$ BEGIN EXECUTE format('ALTER ROLE crm_app IN DATABASE %I SET statement_timeout = ''300ms''', current_database()); END $$").await;
    let gateway = scene.another(&[]).await;
    let short = gateway.welcome(&member);
    let mut admin = scene.database.admin().await;
    admin.batch_execute("BEGIN; LOCK TABLE crm_companies IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let answer = short.get("companies?name=x").await.problem(503, "question_too_slow");
    assert!(answer.body["detail"].as_str().unwrap().contains("narrow"), "{}", answer.text);
    assert!(!answer.text.contains("statement"), "nothing internal: {}", answer.text);
    assert_eq!(answer.header("retry-after"), "10");
    admin.batch_execute("ROLLBACK").await.unwrap();
    short.get("companies").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_for_a_connection_in_vain_is_told_to_come_back() {
    let scene = Scene::start(&[("CRM_DATABASE_CONNECTIONS", "1"), ("CRM_DATABASE_WAIT_SECONDS", "1")]).await;
    let other = scene.database.tenant("Other").await;
    let nobody = scene.gateway.nobody();
    let (owner, stranger) = (log_in(&nobody, &scene.tenant.email("owner")).await, log_in(&nobody, &other.email("owner")).await);
    let company = owner.post("companies", &json!({ "name": "Locked" })).await.expect(201).id();
    let _locked = lock_companies(&scene.database, &scene.tenant).await;
    let path = format!("companies/{company}");
    let change = json!({ "industry": "x" });
    let (first, second, third) = tokio::join!(owner.patch(&path, &change), owner.patch(&path, &change), async {
        // Once the only connection is taken; the second of the same organisation waits for its turn, then.
        until_they_wait(&scene.database, 1).await;
        stranger.get("companies").await
    });
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [429, 503], "one waits for the lock, the other for its turn");
    let answer = third.problem(503, "unavailable");
    assert_eq!(answer.header("retry-after"), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_has_a_time_to_end() {
    let scene = Scene::start(&[]).await;
    let patient = log_in(&scene.gateway.nobody(), &scene.tenant.email("owner")).await;
    let company = patient.post("companies", &json!({ "name": "Locked" })).await.expect(201).id();
    let gateway = scene.another(&[("CRM_REQUEST_SECONDS", "1")]).await;
    let owner = gateway.welcome(&patient);
    let locked = lock_companies(&scene.database, &scene.tenant).await;
    let path = format!("companies/{company}");
    // Had it waited for the lock to its end, it would be called `unavailable`.
    owner.patch(&path, &json!({ "industry": "x" })).await.problem(503, "question_too_slow");
    drop(locked);
    let kept = patient.get(&format!("companies/{company}")).await.expect(200);
    assert_eq!(kept.body["industry"], json!(null), "what was cut off has changed nothing");
}
