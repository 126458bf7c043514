//! Runs of many transactions under one key: who may go on with one, and who must stop.
#![allow(clippy::panic, clippy::expect_used, reason = "tests fail by panicking")]

use crm_kernel::{Context, Error};
use crm_tenancy::{
    idempotency::{self, Answer, Request},
    idempotent_runs::{self, Progress, Run},
};
use crm_testkit::TestDatabase;
use serde_json::json;

struct Desk {
    database: TestDatabase,
    caller: Context,
}

impl Desk {
    async fn look(&self, request: &Request) -> Result<Run, Error> {
        let mut tx = self.database.db().begin(&self.caller).await.expect("a transaction");
        let known = idempotent_runs::look(&mut tx, request).await;
        tx.roll_back().await;
        known
    }

    /// Does a step behind this one.
    async fn step(&self, done: Option<u32>) -> Result<(), Error> {
        let mut tx = self.database.db().begin(&self.caller).await.expect("a transaction");
        let held = idempotent_runs::hold(&mut tx, &request(), done).await;
        if held.is_ok() {
            let next = done.map_or(0, |done| done + 1);
            let progress = Progress { step: next, is_left: false, state: json!({ "at": next }) };
            idempotent_runs::note(&mut tx, &request(), &progress).await.expect("a note");
            tx.commit().await.expect("a commit");
        } else {
            tx.roll_back().await;
        }
        held
    }

    async fn silent_for(&self, seconds: u32) {
        let back = format!("UPDATE crm_idempotent_answers SET created_at = now() - interval '{seconds} seconds'");
        self.database.execute(&back).await;
    }
}

fn request() -> Request {
    Request { route: "POST /bulk".into(), key: "k".into(), body_hash: [7; 32] }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_go_on_with_a_run_the_late_one_stops() {
    let database = TestDatabase::create().await;
    let desk = Desk { caller: database.tenant("Acme").await.owner, database };
    assert!(matches!(desk.look(&request()).await, Ok(Run::New)));
    desk.step(None).await.expect("it begins");
    assert!(matches!(desk.step(None).await, Err(Error::Conflict(_))), "it has begun");
    desk.step(Some(0)).await.expect("it goes on");
    assert!(matches!(desk.look(&request()).await, Err(Error::Conflict(_))), "somebody is at work");
    desk.silent_for(25).await;
    assert!(matches!(desk.look(&request()).await, Err(Error::Conflict(_))), "and may be looking for the next records");
    desk.silent_for(35).await;
    let Ok(Run::Stopped(progress)) = desk.look(&request()).await else { panic!("nobody is at work any more") };
    assert_eq!((progress.step, progress.state), (1, json!({ "at": 1 })));
    desk.step(Some(1)).await.expect("another one goes on");
    assert!(matches!(desk.step(Some(1)).await, Err(Error::Conflict(_))), "the first one, when it comes back, does nothing");
    let other = Request { body_hash: [8; 32], ..request() };
    assert!(matches!(desk.look(&other).await, Err(Error::Invalid(_))), "another body is another request");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_cannot_be_replaced() {
    let database = TestDatabase::create().await;
    let desk = Desk { caller: database.tenant("Acme").await.owner, database };
    desk.step(None).await.expect("it begins");
    let answer = Answer { status: 200, etag: None, location: None, body: Some(b"{}".to_vec()), record_ids: Vec::new() };
    let mut tx = desk.database.db().begin(&desk.caller).await.expect("a transaction");
    idempotent_runs::hold(&mut tx, &request(), Some(0)).await.expect("the last step");
    idempotency::keep(&mut tx, &request(), answer.clone()).await.expect("an answer");
    tx.commit().await.expect("a commit");
    let Ok(Run::Answered(kept)) = desk.look(&request()).await else { panic!("it was answered") };
    assert_eq!(kept, answer);
    assert!(matches!(desk.step(Some(0)).await, Err(Error::Conflict(_))));
    let mut tx = desk.database.db().begin(&desk.caller).await.expect("a transaction");
    idempotency::keep(&mut tx, &request(), answer).await.expect_err("the database lets no answer go");
}
