//! PostgreSQL restarted under write load, gently and not.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use crm_testkit::{Ending, OwnServer, TestDatabase};

use super::{
    load::{Load, is_honest, verify},
    support::{
        faults::{report, rounds},
        log_in,
        process::{Gateway, KeyFile},
        waiting::until,
    },
};

/// From the moment in which the server takes connections again to the next acknowledged write.
const RECOVERY: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_the_database_restarts_and_writes_go_on_at_once() {
    let mut own = OwnServer::start().await;
    let database = TestDatabase::create_on(&own).await;
    let (tenant, keys) = (database.tenant("Acme").await, KeyFile::generate().await);
    let gateway = Gateway::on(&database, &keys, &[]).await;
    let member = log_in(&gateway.nobody(), &tenant.email("member")).await;
    let mut all = BTreeSet::new();
    for ending in [Ending::Fast, Ending::Immediate, Ending::Killed] {
        let (mut acknowledged, mut refused, mut slowest) = (0, 0, Duration::ZERO);
        let rounds = rounds(1, 10);
        for _ in 0..rounds {
            let load = Load::begin(&member);
            load.writes(100).await;
            own.end(ending);
            load.refusals(20).await;
            is_honest(member.call("GET", "/readyz").send().await);
            is_honest(member.get("companies?limit=1").await);
            own.start_again().await;
            slowest = slowest.max(load.writes(100).await);
            refused += load.refused();
            let written = load.end().await;
            acknowledged += written.len();
            all.extend(written);
            member.call("GET", "/readyz").send().await.expect(200);
            log_in(&gateway.nobody(), &tenant.email("viewer")).await;
        }
        assert!(slowest < RECOVERY, "{ending:?}: {slowest:?} until the next write");
        verify(&database, &all).await;
        let what = format!("PostgreSQL restarted ({})", named(ending));
        let counted = format!(
            "{rounds} rounds, {acknowledged} writes acknowledged, 0 lost, {refused} answered 503 with Retry-After, 0 answered otherwise; \
             next write at most {} ms after it took connections again",
            slowest.as_millis()
        );
        report(&what, &counted);
    }
}

fn named(ending: Ending) -> &'static str {
    match ending {
        Ending::Fast => "fast shutdown",
        Ending::Immediate => "immediate shutdown",
        Ending::Killed => "kill -9",
    }
}

/// What `systemctl stop` and `start` do, with a pause between them: nobody but the load balancer asks meanwhile, so that no request has
/// found out which connections are dead.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_stopped_for_a_while_is_found_again_at_once() {
    let mut own = OwnServer::start().await;
    let database = TestDatabase::create_on(&own).await;
    let (tenant, keys) = (database.tenant("Acme").await, KeyFile::generate().await);
    let gateway = Gateway::on(&database, &keys, &[]).await;
    let member = log_in(&gateway.nobody(), &tenant.email("member")).await;
    let ready = async || member.call("GET", "/readyz").send().await;
    let (mut asked, mut slowest) = (0, Duration::ZERO);
    let pause = Duration::from_secs(rounds(3, 40));
    let endings = [Ending::Fast, Ending::Immediate, Ending::Killed];
    for ending in endings {
        let load = Load::begin(&member);
        load.writes(50).await;
        load.end().await;
        own.end(ending);
        let stopped = Instant::now();
        while stopped.elapsed() < pause {
            is_honest(ready().await);
            asked += 1;
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        own.start_again().await;
        let took = until("the gateway is ready", async || ready().await.status == 200).await;
        log_in(&gateway.nobody(), &tenant.email("viewer")).await;
        member.get("companies?limit=1").await.expect(200);
        slowest = slowest.max(took);
        assert!(took < RECOVERY, "{ending:?}: {took:?} until it was ready");
    }
    let counted = format!(
        "{} rounds, {asked} times 503 at /readyz meanwhile; ready at most {} ms after it took connections again",
        endings.len(),
        slowest.as_millis()
    );
    report(&format!("PostgreSQL stopped for {} s and started", pause.as_secs()), &counted);
}

/// What an administrator does to one connection, or a failover to all.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_the_server_ends_cost_at_most_the_request_that_runs() {
    let own = OwnServer::start().await;
    let database = TestDatabase::create_on(&own).await;
    let (tenant, keys) = (database.tenant("Acme").await, KeyFile::generate().await);
    let gateway = Gateway::on(&database, &keys, &[]).await;
    let member = log_in(&gateway.nobody(), &tenant.email("member")).await;
    let load = Load::begin(&member);
    let rounds = rounds(5, 100);
    let mut ended = 0;
    for _ in 0..rounds {
        load.writes(20).await;
        let query = "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'crm_app'";
        ended += own.number("crm", query).await;
    }
    load.writes(20).await;
    let refused = load.refused();
    let acknowledged = load.end().await;
    verify(&database, &acknowledged).await;
    assert!(refused <= usize::try_from(ended).unwrap(), "{refused} refused, though {ended} connections ended");
    let counted = format!(
        "{rounds} times, {ended} connections, {} writes acknowledged, 0 lost, {refused} answered 503",
        acknowledged.len()
    );
    report("all connections ended by the server", &counted);
}
