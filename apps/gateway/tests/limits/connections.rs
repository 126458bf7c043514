//! Connections: heads, bodies, idleness and numbers are bounded, and every answer has the headers it must have.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    Scene,
    support::{document::Document, log_in},
};

/// Short bounds, so that running into one takes a second.
const SHORT: [(&str, &str); 3] = [("CRM_HEAD_SECONDS", "1"), ("CRM_BODY_SECONDS", "1"), ("CRM_KEEP_ALIVE_SECONDS", "1")];
/// All short bounds together, on a busy machine.
const SOON: Duration = Duration::from_secs(15);

const ALIVE: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";

async fn connect(scene: &Scene) -> TcpStream {
    TcpStream::connect(scene.gateway.base.strip_prefix("http://").unwrap()).await.unwrap()
}

/// All that comes until the other end is done.
async fn rest(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    // A reset is an end, too.
    let _ = timeout(SOON, stream.read_to_end(&mut read)).await.expect("the connection must end");
    String::from_utf8_lossy(&read).into_owned()
}

/// One answer on a connection that stays.
async fn answer(stream: &mut TcpStream) -> String {
    let mut read = vec![0; 4096];
    let mut text = String::new();
    while !text.contains("\"alive\"") {
        let length = timeout(SOON, stream.read(&mut read)).await.expect("an answer must come").unwrap();
        assert!(length > 0, "it ended: {text}");
        text.push_str(&String::from_utf8_lossy(&read[..length]));
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_comes_slowly_is_not_waited_for() {
    let scene = Scene::start(&SHORT).await;
    let mut first = connect(&scene).await;
    first.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    assert!(rest(&mut first).await.starts_with("HTTP/1.1 408"));

    // The same after a request: there is no clock in the HTTP library for this.
    let mut second = connect(&scene).await;
    second.write_all(ALIVE).await.unwrap();
    answer(&mut second).await;
    second.write_all(b"GET /healthz HTTP/1.1\r\n").await.unwrap();
    let began = Instant::now();
    let drip = async {
        while second.write_all(b"x: y\r\n").await.is_ok() && began.elapsed() < SOON {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    drip.await;
    assert!(began.elapsed() < SOON, "one who drips a head holds a connection as long as he likes");

    let mut silent = connect(&scene).await;
    rest(&mut silent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_ends_and_a_busy_one_does_not() {
    let scene = Scene::start(&SHORT).await;
    let mut stream = connect(&scene).await;
    let began = Instant::now();
    // For longer than all bounds together.
    while began.elapsed() < Duration::from_secs(4) {
        stream.write_all(ALIVE).await.unwrap();
        answer(&mut stream).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(rest(&mut stream).await, "", "idle, it ends without a word");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_comes_slowly_is_not_waited_for() {
    let scene = Scene::start(&SHORT).await;
    let member = log_in(&scene.gateway.nobody(), &scene.tenant.email("member")).await;
    let mut stream = connect(&scene).await;
    let head = format!(
        "POST /api/v1/a-crm/companies HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: 100\r\n\r\n{{\"name\":",
        member.token.unwrap()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("too_slow"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_sent_all_and_listens_is_answered_and_who_left_in_the_middle_is_not_kept() {
    let scene = Scene::start(&SHORT).await;
    let mut half = connect(&scene).await;
    half.write_all(ALIVE).await.unwrap();
    half.shutdown().await.unwrap();
    assert!(rest(&mut half).await.contains("\"alive\""), "a socket that is closed on one side can be answered");

    let mut left = connect(&scene).await;
    left.write_all(b"GET /healthz HTTP/1.1\r\nhost:").await.unwrap();
    left.shutdown().await.unwrap();
    assert!(!rest(&mut left).await.starts_with("HTTP/1.1 2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_are_bounded() {
    let scene = Scene::start(&[]).await;
    let nobody = scene.gateway.nobody();
    let long = |length: usize| format!("/api/v1/a-crm/companies?name={}", "x".repeat(length));
    nobody.get(&long(16_000)).await.problem(401, "unauthenticated");
    let refused = nobody.get(&long(17_000)).await.problem(414, "address_too_long");
    assert_eq!(refused.header("x-content-type-options"), "nosniff");
    let with = |count: usize, length: usize| {
        let call = nobody.call("GET", "companies");
        (0..count).fold(call, |call, number| call.header(&format!("x-{number}"), &"y".repeat(length)))
    };
    with(50, 10).send().await.problem(401, "unauthenticated");
    with(70, 10).send().await.problem(431, "headers_too_large");
    with(3, 12_000).send().await.problem(431, "headers_too_large");
    // Beyond what the HTTP library takes at all: no problem is written, and nothing else happens either.
    for head in ["x: y\r\n".repeat(200), format!("x: {}\r\n", "y".repeat(300 * 1024))] {
        let mut stream = connect(&scene).await;
        // It may have hung up before it has all.
        let _ = stream.write_all(format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{head}\r\n").as_bytes()).await;
        let answer = rest(&mut stream).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    nobody.get("/healthz").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_so_many_connections_and_no_more() {
    let scene = Scene::start(&[("CRM_CLIENT_CONNECTIONS", "2")]).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = connect(&scene).await;
        stream.write_all(ALIVE).await.unwrap();
        answer(&mut stream).await;
        held.push(stream);
    }
    let mut third = connect(&scene).await;
    third.write_all(ALIVE).await.unwrap();
    let mut byte = [0; 1];
    let early = timeout(Duration::from_millis(500), third.read(&mut byte)).await;
    assert!(early.is_err(), "it waits in the queue of the system");
    held.clear();
    answer(&mut third).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_the_headers_that_keep_browsers_safe() {
    let scene = Scene::start(&[]).await;
    let nobody = scene.gateway.nobody();
    let member = log_in(&nobody, &scene.tenant.email("member")).await;
    let answers = [
        member.get("companies").await.expect(200),
        member.get("companies/00000000-0000-7000-8000-000000000000").await.expect(404),
        nobody.get("companies").await.expect(401),
        nobody.get("/nowhere").await.expect(404),
        nobody.get("/readyz").await.expect(200),
        member.delete("companies").await.expect(405),
    ];
    for answer in &answers {
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("strict-transport-security", ""),
            ("access-control-allow-origin", ""),
        ] {
            assert_eq!(answer.header(name), value, "{}: {name}", answer.name);
        }
        assert!(!answer.header("x-request-id").is_empty(), "{}", answer.name);
    }
    let encrypted = scene.another(&[("CRM_PUBLIC_URL", "https://crm.example.com")]).await;
    let answer = encrypted.nobody().get("companies").await.expect(401);
    assert_eq!(answer.header("strict-transport-security"), "max-age=63072000; includeSubDomains");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_the_origins_that_are_named_may_call_and_no_others() {
    let scene = Scene::start(&[("CRM_CORS_ORIGINS", "https://console.example.com, http://localhost:5173")]).await;
    let nobody = scene.gateway.nobody();
    let from = |method: &str, origin: &str| nobody.call(method, "companies").header("origin", origin);
    let ask = |origin: &str, header: &str| {
        let call = from("OPTIONS", origin).header("access-control-request-method", "PATCH");
        call.header("access-control-request-headers", header)
    };
    let document = Document::of_the_application();
    let parameters = document.operations().into_iter().flat_map(|operation| {
        let parameters = operation.value["parameters"].as_array().cloned().unwrap_or_default();
        parameters.iter().map(|parameter| document.resolve(parameter).clone()).collect::<Vec<_>>()
    });
    let sent: BTreeSet<String> = parameters
        .filter(|parameter| parameter["in"] == "header")
        .map(|parameter| parameter["name"].as_str().unwrap().to_lowercase())
        .collect();
    assert!(sent.contains("idempotency-key") && sent.contains("if-match"), "{sent:?}");
    let sent: Vec<String> = sent.into_iter().collect();
    let list = |header: &str| header.split(',').map(|name| name.trim().to_lowercase()).collect::<BTreeSet<_>>();
    for origin in ["https://console.example.com", "http://localhost:5173"] {
        let allowed = ask(origin, "authorization,content-type,if-match").send().await.expect(200);
        assert_eq!(allowed.header("access-control-allow-origin"), origin);
        assert!(allowed.header("access-control-allow-methods").contains("PATCH"));
        let answer = from("GET", origin).send().await.expect(401);
        assert_eq!(answer.header("access-control-allow-origin"), origin, "a refusal can be read, too");
        assert!(answer.header("access-control-expose-headers").contains("x-request-id"));
        let exposed = list(answer.header("access-control-expose-headers"));
        for header in document.value["components"]["headers"].as_object().unwrap().keys() {
            assert!(exposed.contains(&header.to_lowercase()), "{header} is for pages, too: {exposed:?}");
        }
        ask(origin, &sent.join(",")).send().await.expect(200);
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] {
            let call = from("OPTIONS", origin).header("access-control-request-method", method).send().await.expect(200);
            assert!(list(call.header("access-control-allow-methods")).contains(&method.to_lowercase()));
            let answer = from(method, origin).send().await;
            assert!([401, 405].contains(&answer.status) && answer.header("access-control-allow-origin") == origin, "{method}");
        }
        for answer in [&allowed, &answer] {
            assert_eq!(answer.header("access-control-allow-credentials"), "", "never with cookies");
            assert!(answer.header("vary").to_lowercase().contains("origin"), "{}", answer.header("vary"));
        }
    }
    for origin in ["https://evil.example.com", "https://console.example.com.evil.example", "http://console.example.com", "null"] {
        let refused = ask(origin, "authorization").send().await;
        assert_eq!(refused.header("access-control-allow-origin"), "", "{origin}");
        assert!(refused.status >= 400, "{origin}");
        assert_eq!(from("GET", origin).send().await.header("access-control-allow-origin"), "", "{origin}");
    }
    let refused = ask("https://console.example.com", "x-unheard-of").send().await;
    assert!(refused.status >= 400, "headers that nobody sends are not allowed");
}
