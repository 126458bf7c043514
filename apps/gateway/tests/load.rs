//! A thousand logins at once, and somebody who reads meanwhile and hardly notices.
//!
//! The gateway is a program of its own, and those who log in are threads of the lowest priority: what they take is what clients on
//! other machines would take. Idle and busy stretches take turns, so that whatever else this machine does meets both, and all reads of
//! either kind are judged together: a stretch alone has too few for its p95 to be more than the luck of seven reads.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]
#![allow(clippy::print_stdout, reason = "the numbers are worth seeing when the test passes, too")]

mod support;

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use crm_testkit::{PASSWORD, TestDatabase};
use futures_util::future::join_all;
use serde_json::json;
use support::{
    Caller, log_in,
    process::{Gateway, KeyFile},
};

const LOGINS: usize = 1000;
const STRETCHES: usize = 7;
/// Reads of an idle stretch.
const READS: usize = 150;
/// The longest page that a list gives. A read that is not much longer than a slice of the system's scheduler, four milliseconds
/// here, would measure the scheduler: fifty take six.
const PAGE: usize = 200;

/// A thousand people from a thousand addresses, all at once; how many were answered how. Few of them exist, which makes no difference.
fn logins(base: &str, email: &str, stretch: usize) -> BTreeMap<u16, usize> {
    rustix::process::setpriority_process(None, 19).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let nobody = Caller { http: support::client(), base: base.to_owned(), token: None, refresh_token: String::new() };
        let tries = (0..LOGINS).map(|number| {
            // Each another account: an account has few tries at once.
            let stranger = format!("stranger-{stretch}-{number}@example.com");
            let email = if number % 200 == 0 { email } else { &stranger };
            let body = json!({ "email": email, "password": PASSWORD });
            let address = format!("10.{stretch}.{}.{}", number / 250, number % 250 + 1);
            let call = nobody.call("POST", "/api/v1/auth/login").header("x-forwarded-for", &address).json(&body);
            async move {
                let answer = call.send().await;
                assert!(answer.status != 429 || !answer.header("retry-after").is_empty(), "it says when to come back");
                answer.status
            }
        });
        let mut answered = BTreeMap::new();
        for status in join_all(tries).await {
            *answered.entry(status).or_default() += 1;
        }
        answered
    })
}

async fn timed_read(reader: &Caller) -> Duration {
    let began = Instant::now();
    let page = reader.get("companies?limit=200").await.expect(200);
    let elapsed = began.elapsed();
    assert_eq!(page.body["data"].as_array().map(Vec::len), Some(PAGE), "the whole page was read");
    elapsed
}

/// Below which 95 of 100 stay.
fn p95(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() * 95 / 100]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_hardly_notices_a_thousand_logins_at_once() {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    let (key, url) = (KeyFile::generate().await, database.url());
    let gateway = Gateway::start(&[
        ("CRM_DATABASE_URL", url.as_str()),
        ("CRM_TOKEN_KEY_FILE", key.path()),
        ("CRM_SEALING_KEY_FILE", key.sealing()),
        ("CRM_TRUSTED_PROXIES", "127.0.0.0/8"),
        ("CRM_LOG", "info"),
    ])
    .await;
    let reader = log_in(&gateway.nobody(), &tenant.email("owner")).await;
    for number in 0..PAGE {
        reader.post("companies", &json!({ "name": format!("Company {number}") })).await.expect(201);
    }
    let (mut idle, mut busy, mut answers) = (Vec::new(), Vec::new(), BTreeMap::<u16, usize>::new());
    for stretch in 0..STRETCHES {
        for _ in 0..READS {
            idle.push(timed_read(&reader).await);
        }

        let (base, email) = (gateway.base.clone(), tenant.email("member"));
        let load = thread::spawn(move || logins(&base, &email, stretch));
        let before = busy.len();
        while !load.is_finished() {
            busy.push(timed_read(&reader).await);
        }
        for (status, count) in load.join().unwrap() {
            *answers.entry(status).or_default() += count;
        }
        assert!(busy.len() > before + 40, "only {} reads while the others logged in", busy.len() - before);
    }
    let reads = (idle.len(), busy.len());
    let (idle, busy) = (p95(idle), p95(busy));
    println!("p95 of {reads:?} reads, idle {idle:?}, busy {busy:?}; logins answered {answers:?}");
    assert_eq!(answers.values().sum::<usize>(), STRETCHES * LOGINS, "everyone is answered");
    assert!(answers.keys().all(|status| [200, 401, 429].contains(status)), "{answers:?}");
    assert!(answers[&401] > STRETCHES * 120, "as many as the queue holds are judged each time: {answers:?}");
    assert!(answers[&429] > LOGINS, "most are told to come back: {answers:?}");
    let ratio = busy.as_secs_f64() / idle.as_secs_f64();
    assert!(ratio < 2.0, "p95 of a read, busy to idle: {ratio:.2}, of idle {idle:?}, busy {busy:?}");
}
