//! Numbers for those who watch over it: on a port of their own, with labels that are bounded.

use diesel_async::SimpleAsyncConnection;
use serde_json::json;

use crate::{
    Place, free_address,
    support::{Caller, client, log_in, waiting::until},
};

async fn scrape(address: &str) -> String {
    let answer = client().get(format!("http://{address}/metrics")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    answer.text().await.unwrap()
}

/// The value of the line that begins so.
fn value(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is missing: {text}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_limits_faults_and_the_database_are_counted() {
    let (place, address) = (Place::create().await, free_address());
    let settings =
        [("CRM_METRICS_BIND", address.as_str()), ("CRM_RATE_LIMIT_CALLER", "6/3600"), ("CRM_DATABASE_CONNECTIONS", "5")];
    let gateway = place.start(&settings).await;
    let owner = log_in(&gateway.nobody(), &place.tenant.email("owner")).await;
    let company = owner.post("companies", &json!({ "name": "Counted" })).await.expect(201).id();
    for _ in 0..3 {
        owner.get(&format!("companies/{company}")).await.expect(200);
    }
    owner.get("companies?filter=nonsense").await.expect(400);

    // Somebody forgot a transaction that writes, and a record is locked meanwhile.
    let mut admin = place.database.admin().await;
    let forgotten = format!("BEGIN; UPDATE crm_companies SET industry = 'x' WHERE id = '{company}'");
    admin.batch_execute(&forgotten).await.unwrap();
    owner.patch(&format!("companies/{company}"), &json!({ "industry": "y" })).await.problem(503, "unavailable");
    owner.get("companies").await.problem(429, "limited");
    gateway.nobody().get(&format!("/nowhere/{company}")).await.expect(404);

    // An answer may be faster than what counts it.
    until("everything is counted", async || scrape(&address).await.contains("operation=\"-\"")).await;
    let text = scrape(&address).await;
    assert_eq!(value(&text, "crm_requests_total{operation=\"company:get\",method=\"GET\",status=\"2xx\"}"), 3.0);
    assert_eq!(value(&text, "crm_requests_total{operation=\"company:create\",method=\"POST\",status=\"2xx\"}"), 1.0);
    assert_eq!(value(&text, "crm_requests_total{operation=\"company:update\",method=\"PATCH\",status=\"5xx\"}"), 1.0);
    assert_eq!(value(&text, "crm_requests_total{operation=\"company:list\",method=\"GET\",status=\"4xx\"}"), 2.0);
    assert_eq!(value(&text, "crm_request_duration_seconds_count{operation=\"company:get\"}"), 3.0);
    assert_eq!(
        value(&text, "crm_request_duration_seconds_bucket{le=\"1.0\",operation=\"company:update\"}"),
        0.0,
        "it waited 3 s"
    );
    assert_eq!(value(&text, "crm_requests_limited_total{kind=\"caller\"}"), 1.0);
    assert_eq!(value(&text, "crm_database_faults_total{kind=\"lock\"}"), 1.0);
    assert_eq!(value(&text, "crm_database_connections{kind=\"limit\"}"), 5.0);
    assert!((1.0..=5.0).contains(&value(&text, "crm_database_connections{kind=\"open\"}")), "{text}");
    assert_eq!(value(&text, "crm_database_connections{kind=\"waiting\"}"), 0.0);
    assert_eq!(value(&text, "crm_database_up"), 1.0);
    assert_eq!(value(&text, "crm_redis_up"), -1.0);
    assert!(value(&text, "crm_database_open_transactions") >= 1.0, "{text}");
    assert!(value(&text, "crm_feed_horizon_seconds") > 2.0, "the forgotten transaction is older than the lock timeout: {text}");
    assert!(value(&text, "crm_database_oldest_transaction_seconds") >= value(&text, "crm_feed_horizon_seconds") - 0.1);
    assert_eq!(value(&text, "crm_letters_waiting"), 0.0);
    assert_eq!(value(&text, "crm_housekeeping_done_timestamp_seconds"), 0.0, "it begins after minutes");
    for chosen in [company.as_str(), &place.tenant.organization_id.to_string(), "nonsense", "nowhere"] {
        assert!(!text.contains(chosen), "no label has what somebody chose: {chosen}");
    }
    assert!(text.ends_with("# EOF\n"), "the text is whole");

    admin.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(value(&scrape(&address).await, "crm_feed_horizon_seconds"), 0.0);
    gateway.nobody().get("/metrics").await.expect(404);
    let elsewhere = Caller { base: format!("http://{address}"), ..gateway.nobody() };
    elsewhere.get("/healthz").await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_a_number_too_and_what_it_would_say_is_none() {
    let (place, address) = (Place::create().await, free_address());
    let gateway = place.start(&[("CRM_METRICS_BIND", &address)]).await;
    assert_eq!(value(&scrape(&address).await, "crm_database_up"), 1.0);
    let doors = |change: &str| format!("DO $$ BEGIN EXECUTE format('{change}', current_database()); END $$");
    place.database.execute(&doors("REVOKE CONNECT ON DATABASE %I FROM PUBLIC, crm_app")).await;
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'crm_app' AND datname = current_database()";
    place.database.execute(end).await;
    until("it is noticed", async || value(&scrape(&address).await, "crm_database_up") == 0.0).await;
    let text = scrape(&address).await;
    assert!(value(&text, "crm_letters_waiting").is_nan(), "{text}");
    gateway.nobody().get("/healthz").await.expect(200);
    gateway.nobody().get("/readyz").await.problem(503, "unavailable");
    place.database.execute(&doors("GRANT CONNECT ON DATABASE %I TO crm_app")).await;
    until("it is back", async || value(&scrape(&address).await, "crm_database_up") == 1.0).await;
}
