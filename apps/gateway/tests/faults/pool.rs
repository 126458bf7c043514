//! No connection to be had: the gateway's own are all in use, or the server gives no more.

use std::time::{Duration, Instant};

use crm_testkit::{OwnServer, TestDatabase};
use diesel_async::SimpleAsyncConnection;
use futures_util::future::join_all;
use serde_json::json;

use super::{
    load::is_honest,
    support::{
        document::example,
        faults::{report, rounds},
        log_in,
        process::{Gateway, KeyFile},
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn whoever_finds_no_free_connection_is_told_so_in_time_and_the_next_is_served() {
    let (database, keys) = (TestDatabase::create().await, KeyFile::generate().await);
    let tenant = database.tenant("Acme").await;
    let gateway = Gateway::on(&database, &keys, &[("CRM_DATABASE_CONNECTIONS", "2")]).await;
    let member = log_in(&gateway.nobody(), &tenant.email("member")).await;
    let record = member.post("companies", &example("NewCompany", "one")).await.expect(201);
    let path = format!("companies/{}", record.body["id"].as_str().unwrap());
    let (rounds, mut refused, mut slowest) = (rounds(1, 5), 0, Duration::ZERO);
    for round in 0..rounds {
        // Somebody holds the row: changes of it wait for the lock, each on a connection of the pool.
        let mut holder = database.admin().await;
        holder.batch_execute("BEGIN; SELECT FROM crm_companies FOR UPDATE").await.unwrap();
        let begun = Instant::now();
        let change = json!({ "industry": format!("round {round}") });
        let answers = join_all((0..12).map(|_| member.patch(&path, &change))).await;
        slowest = slowest.max(begun.elapsed());
        refused += answers.len();
        answers.into_iter().for_each(is_honest);
        holder.batch_execute("ROLLBACK").await.unwrap();
        member.patch(&path, &change).await.expect(200);
    }
    assert!(slowest < Duration::from_secs(12), "a refusal took {slowest:?}");
    let counted = format!(
        "{rounds} rounds, {refused} answered 503 with Retry-After, the last after {} ms; then served at once",
        slowest.as_millis()
    );
    report("all connections of the pool in use", &counted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_no_more_connections_is_a_503_until_it_does() {
    let folder = std::env::temp_dir().join(format!("crm-own-server-{}", uuid::Uuid::now_v7()));
    let own = OwnServer::start_in(folder, &["max_connections=8"]).await;
    let (database, keys) = (TestDatabase::create_on(&own).await, KeyFile::generate().await);
    let tenant = database.tenant("Acme").await;
    let gateway = Gateway::on(&database, &keys, &[]).await;
    let member = log_in(&gateway.nobody(), &tenant.email("member")).await;
    own.execute("ALTER ROLE crm_app CONNECTION LIMIT 0").await;
    own.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'crm_app'").await;
    let answers = join_all((0..8).map(|_| member.get("companies?limit=1"))).await;
    let refused = answers.len();
    answers.into_iter().for_each(is_honest);
    is_honest(
        gateway
            .nobody()
            .post("/api/v1/auth/login", &json!({ "email": tenant.email("viewer"), "password": crm_testkit::PASSWORD }))
            .await,
    );
    own.execute("ALTER ROLE crm_app CONNECTION LIMIT -1").await;
    member.get("companies?limit=1").await.expect(200);
    report(
        "PostgreSQL takes no more connections",
        &format!("{} answered 503 with Retry-After; served at once when it did", refused + 1),
    );
}
