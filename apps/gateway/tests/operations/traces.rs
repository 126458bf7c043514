//! Traces: a span for each request reaches a collector, below the caller's; no collector is no harm.

use std::sync::{Arc, Mutex};

use actix_web::{App, HttpResponse, HttpServer, web};

use crate::{
    Place,
    support::{log_in, waiting::until},
};

/// What collectors get: the address, the kind of body, the body.
type Received = Arc<Mutex<Vec<(String, String, Vec<u8>)>>>;

/// A collector that keeps what it gets.
fn collector() -> (String, Received) {
    let received = Received::default();
    let kept = web::Data::new(Arc::clone(&received));
    let take = |request: actix_web::HttpRequest, body: web::Bytes, kept: web::Data<Received>| async move {
        let kind = request.headers().get("content-type").map_or("", |value| value.to_str().unwrap()).to_owned();
        kept.lock().unwrap().push((request.path().to_owned(), kind, body.to_vec()));
        HttpResponse::Ok().finish()
    };
    let server = HttpServer::new(move || App::new().app_data(kept.clone()).default_service(web::to(take)));
    let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let address = format!("http://{}", server.addrs()[0]);
    tokio::spawn(server.run());
    (address, received)
}

fn contains(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn bytes(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_for_each_request_reaches_the_collector_below_the_one_that_asked() {
    let (address, received) = collector();
    let place = Place::create().await;
    let gateway = place.start(&[("CRM_OTLP_ENDPOINT", &address)]).await;
    let member = log_in(&gateway.nobody(), &place.tenant.email("member")).await;
    let call = member.call("GET", "companies?name=a-name-in-the-query").header("x-request-id", "traced");
    call.header("traceparent", &format!("00-{TRACE}-{PARENT}-01")).send().await.expect(200);
    let line = || gateway.log().lines().find(|line| line.contains("\"traced\"")).map(str::to_owned);
    until("the log tells", async || line().is_some()).await;
    assert!(line().unwrap().contains(TRACE), "the log names the trace: {}", gateway.log());
    // What is left is sent before the end.
    gateway.end().await;
    let received = received.lock().unwrap();
    assert!(received.iter().all(|(path, kind, _)| path == "/v1/traces" && kind == "application/x-protobuf"), "{received:?}");
    let found = received.iter().find(|(_, _, body)| contains(body, &bytes(TRACE))).expect("the trace goes on");
    for part in [&bytes(PARENT)[..], b"company:list", b"GET /api/v1/a-crm/companies", b"traced", b"crm-gateway"] {
        assert!(contains(&found.2, part), "{} is missing", String::from_utf8_lossy(part));
    }
    for (_, _, body) in received.iter() {
        assert!(!contains(body, b"a-name-in-the-query"), "a query is none of the collector's business");
        assert!(!contains(body, member.token.as_deref().unwrap().as_bytes()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_harms_nobody() {
    let place = Place::create().await;
    let gateway = place.start(&[("CRM_OTLP_ENDPOINT", "http://127.0.0.1:1")]).await;
    let member = log_in(&gateway.nobody(), &place.tenant.email("member")).await;
    for _ in 0..20 {
        member.get("companies").await.expect(200);
    }
    gateway.end().await;
}
