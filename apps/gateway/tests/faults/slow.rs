//! Clients that send so slowly that they never end: they are shown out, and nobody else waits for them.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use super::support::{
    faults::{report, rounds},
    log_in,
    process::{Gateway, KeyFile},
};

/// Longer than any client may take; whoever is still connected then was not shown out.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(500);

/// Sends a byte now and then until the server ends it; gives how long that took.
async fn drip(address: &str, at_once: &str, slowly: &str) -> Duration {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let begun = Instant::now();
    stream.write_all(at_once.as_bytes()).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let send = async {
        for byte in slowly.bytes().cycle() {
            sleep(PAUSE).await;
            if writer.write_all(&[byte]).await.is_err() {
                break;
            }
        }
    };
    let mut answer = Vec::new();
    let ended = timeout(PATIENCE, async {
        tokio::select! {
            // Its end, or that it was torn down: both show the client out.
            _ = reader.read_to_end(&mut answer) => {}
            () = send => {}
        }
    });
    ended.await.unwrap_or_else(|_| panic!("still connected after {PATIENCE:?}"));
    let text = String::from_utf8_lossy(&answer);
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 408"), "{text}");
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_are_shown_out_and_others_are_served_meanwhile() {
    let (database, keys) = (crm_testkit::TestDatabase::create().await, KeyFile::generate().await);
    let tenant = database.tenant("Acme").await;
    let gateway = Gateway::on(&database, &keys, &[]).await;
    let member = log_in(&gateway.nobody(), &tenant.email("member")).await;
    let address = gateway.base.trim_start_matches("http://").to_owned();
    let clients = rounds(50, 500);
    let token = member.token.as_deref().unwrap();
    let head = "POST /api/v1/a-crm/companies HTTP/1.1\r\nhost: crm\r\n".to_owned();
    let body =
        format!("{head}authorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n{{");
    let slow = async {
        let heads = join_all((0..clients).map(|_| drip(&address, &head, "x-slow: 1\r\n")));
        let bodies = join_all((0..clients).map(|_| drip(&address, &body, " ")));
        futures_util::future::join(heads, bodies).await
    };
    let (mut served, mut slowest) = (0, Duration::ZERO);
    let others = async {
        loop {
            let begun = Instant::now();
            member.get("companies?limit=1").await.expect(200);
            slowest = slowest.max(begun.elapsed());
            served += 1;
            sleep(Duration::from_millis(20)).await;
        }
    };
    let (heads, bodies) = tokio::select! { ended = slow => ended, () = others => unreachable!("the others never end") };
    let longest = |times: Vec<Duration>| times.into_iter().max().unwrap_or_default();
    let (head, body) = (longest(heads), longest(bodies));
    assert!(slowest < Duration::from_secs(5) && served > 20, "{served} served, one after {slowest:?}");
    report(
        "slow clients",
        &format!(
            "{clients} that never end a head, ended after {:.1} s; {clients} that never end a body, after {:.1} s; meanwhile {served} \
             requests of others were served, each within {} ms",
            head.as_secs_f64(),
            body.as_secs_f64(),
            slowest.as_millis()
        ),
    );
}
