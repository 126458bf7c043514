//! A request that ends early, at every one of its bytes, in three ways.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use uuid::Uuid;

use super::support::{
    Caller,
    document::example,
    faults::report,
    log_in,
    process::{Gateway, KeyFile},
    waiting::until,
};

const AT_ONCE: usize = 16;
/// A cut connection must be over long before the time that a slow client is given.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// The client says that it sends no more, and listens.
    Half,
    /// The client is gone.
    Closed,
    /// The client's machine says that it knows nothing of this.
    Reset,
}

fn request(caller: &Caller, id: Uuid) -> Vec<u8> {
    let mut body = example("NewCompany", "cut");
    body["id"] = json!(id);
    let body = body.to_string();
    let token = caller.token.as_deref().unwrap();
    let head = format!(
        "POST /api/v1/a-crm/companies HTTP/1.1\r\nhost: crm\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body.into_bytes()].concat()
}

/// Sends the first bytes and cuts; gives what came back, if anything can.
async fn cut(address: &str, bytes: &[u8], how: Cut) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    match how {
        Cut::Half => {
            stream.shutdown().await.unwrap();
            let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
            read.unwrap_or_else(|_| panic!("after {} bytes and an end the connection must end", bytes.len())).unwrap();
        }
        Cut::Closed => drop(stream),
        Cut::Reset => rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap(),
    }
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_cut_at_any_byte_leaves_no_half_record_and_no_connection() {
    let (database, keys) = (crm_testkit::TestDatabase::create().await, KeyFile::generate().await);
    let tenant = database.tenant("Acme").await;
    let gateway = Gateway::on(&database, &keys, &[]).await;
    let member = log_in(&gateway.nobody(), &tenant.email("member")).await;
    let address = gateway.base.trim_start_matches("http://").to_owned();
    let length = request(&member, Uuid::now_v7()).len();
    let mut counted = 0;
    for how in [Cut::Half, Cut::Closed, Cut::Reset] {
        let cuts = stream::iter(0..length).map(|place| {
            let (address, bytes) = (&address, request(&member, Uuid::now_v7()));
            async move {
                let answer = cut(address, &bytes[..place], how).await;
                let text = String::from_utf8_lossy(&answer);
                let is_refusal = text.is_empty() || text.starts_with("HTTP/1.1 4");
                assert!(is_refusal, "{how:?} at {place}: {text}");
            }
        });
        counted += cuts.buffer_unordered(AT_ONCE).count().await;
    }
    until_no_connection(&address).await;
    assert_eq!(database.number("SELECT count(*) FROM crm_companies").await, 0, "what did not arrive whole is not kept");
    whole_request_of_somebody_gone(&member, &address, &database).await;
    member.get("companies?limit=1").await.expect(200);
    assert!(!gateway.log().contains("panicked"), "{}", gateway.log());
    report(
        "a request cut at every byte (ended, closed, reset)",
        &format!("{counted} cuts of a request of {length} bytes, 0 records, 0 connections left, 0 panics"),
    );
}

/// A whole request whose sender does not wait: kept with its activity, or not at all.
async fn whole_request_of_somebody_gone(member: &Caller, address: &str, database: &crm_testkit::TestDatabase) {
    for how in [Cut::Half, Cut::Closed, Cut::Reset] {
        let id = Uuid::now_v7();
        let answer = cut(address, &request(member, id), how).await;
        until_no_connection(address).await;
        let idle = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'crm_app' AND state <> 'idle'";
        until("no transaction is open", async || database.number(idle).await == 0).await;
        let kept = database.number(&format!("SELECT count(*) FROM crm_companies WHERE id = '{id}'")).await;
        let logged = database.number(&format!("SELECT count(*) FROM crm_activities WHERE entity_id = '{id}'")).await;
        assert_eq!(kept, logged, "{how:?}: a record and its activity");
        let is_told = String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 201");
        assert!(!is_told || kept == 1, "{how:?}: acknowledged and not kept");
    }
}

/// Waits until nobody is connected to this address, as the kernel sees it.
async fn until_no_connection(address: &str) {
    let port: u16 = address.rsplit(':').next().unwrap().parse().unwrap();
    let open = || std::fs::read_to_string("/proc/net/tcp").unwrap().lines().filter(|line| is_open(line, port)).count();
    // The test's own client keeps a connection for its next request. A cut one must be over long before the time of a slow client.
    let took = until("no connection is left", async || open() <= 1).await;
    assert!(took < PATIENCE, "{took:?}");
}

/// Established (01) or waiting to be closed by the gateway (08), on its side.
fn is_open(line: &str, port: u16) -> bool {
    let mut words = line.split_whitespace().skip(1);
    let is_local = words.next().is_some_and(|local| local.ends_with(&format!(":{port:04X}")));
    is_local && words.nth(1).is_some_and(|state| state == "01" || state == "08")
}
