//! Nothing that is sent is left aside: what an operation does not take is refused by name, for every operation of the document.

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{
    App, Call,
    document::{Document, Operation, example},
    world::World,
};

/// An id that nothing has: a request that is refused for its form is refused before anything is looked for.
fn address(operation: &Operation) -> String {
    operation.at(&uuid::Uuid::now_v7().to_string())
}

fn with_body(call: Call, operation: &Operation) -> Call {
    match operation.body_schema() {
        Some(schema) => call.json(&example(schema, "contract")),
        None => call,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_query_parameter_is_refused_by_name_everywhere() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let mut asked = 0;
    for operation in Document::of_the_application().operations() {
        let unknown = format!("{}?no_such_parameter=1", address(&operation));
        let call = || with_body(world.owner().call(&operation.method, &unknown), &operation);
        call().send().await.problem(400, "malformed").names(&["no_such_parameter"]);
        if !operation.is_public() {
            with_body(app.nobody().call(&operation.method, &unknown), &operation).send().await.problem(401, "unauthenticated");
        }
        if operation.query().is_empty() {
            let several = format!("{}?b=1&a=%20&b=2&=", address(&operation));
            let call = with_body(world.owner().call(&operation.method, &several), &operation);
            call.send().await.problem(400, "malformed").names(&["", "a", "b"]);
        }
        for bytes in ["%ff", "name=%c3%28", "%ed%a0%80=1"] {
            let call = with_body(world.owner().call(&operation.method, &format!("{}?{bytes}", address(&operation))), &operation);
            call.send().await.problem(400, "malformed");
        }
        asked += 1;
    }
    assert!(asked > 80, "only {asked} operations");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_that_says_one_thing_says_it_once() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let mut asked = 0;
    for operation in Document::of_the_application().operations() {
        for parameter in operation.query().into_iter().filter(|parameter| parameter["schema"]["type"] != "array") {
            let name = parameter["name"].as_str().unwrap();
            // A bound of a period is known to be there once it could be read.
            let value = if parameter["schema"]["format"] == "date-time" { "2026-01-31T09:30:00Z" } else { "1" };
            let twice = format!("{}?{name}={value}&{name}={value}", address(&operation));
            let answer =
                with_body(world.owner().call(&operation.method, &twice), &operation).send().await.problem(400, "malformed");
            let errors = answer.body["errors"].as_array().unwrap();
            assert!(errors.iter().any(|error| error["pointer"] == name && error["code"] == "repeated"), "{}", answer.text);
            asked += 1;
        }
    }
    assert!(asked > 40, "only {asked} parameters");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_field_and_a_repeated_one_are_refused_by_name_in_every_body() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let mut asked = 0;
    for operation in Document::of_the_application().operations() {
        let Some(schema) = operation.body_schema() else { continue };
        let mut body = example(schema, "contract");
        body["no_such_field"] = json!(null);
        let call = world.owner().call(&operation.method, &address(&operation));
        call.json(&body).send().await.problem(400, "malformed").names(&["/no_such_field"]);

        let call = world.owner().call(&operation.method, &address(&operation)).header("content-type", "application/json");
        let twice = r#"{"a":{"b":1,"b":1},"name":1,"name":1}"#;
        call.text(twice).send().await.problem(400, "malformed").names(&["/a/b", "/name"]);

        let call = world.owner().call(&operation.method, &address(&operation)).header("content-type", "text/plain");
        call.text(example(schema, "contract").to_string()).send().await.problem(415, "unsupported_media_type");
        asked += 1;
    }
    assert!(asked > 35, "only {asked} bodies");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_where_none_is_taken_is_refused() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let mut asked = 0;
    for operation in Document::of_the_application().operations().iter().filter(|operation| operation.body_schema().is_none()) {
        let call = || world.owner().call(&operation.method, &address(operation));
        let answer = call().json(&json!({})).send().await.problem(400, "malformed");
        assert_eq!(answer.body["errors"][0]["code"], "body", "{}", answer.text);
        asked += 1;
    }
    assert!(asked > 40, "only {asked} operations");
    let announced_nothing = world.owner().call("GET", "companies").header("content-length", "0").send().await;
    announced_nothing.expect(200);
    let token = world.owner().token.clone().unwrap();
    let mut stream = TcpStream::connect(app.base.strip_prefix("http://").unwrap()).await.unwrap();
    let head = format!(
        "GET /api/v1/a-crm/companies HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 64];
    let read = stream.read(&mut answer).await.unwrap();
    assert!(answer[..read].starts_with(b"HTTP/1.1 400"), "without an announced length too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_would_change_what_happens_is_honoured_or_refused() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let honours = |operation: &Operation, header: &str| operation.takes_header(header) || operation.honours(header);
    let mut honoured = 0;
    for operation in Document::of_the_application().operations() {
        let send = async |name: &str, value: &str| {
            with_body(world.owner().call(&operation.method, &address(&operation)), &operation).header(name, value).send().await
        };
        for (name, value) in [
            ("If-Match", "\"1\""),
            ("If-Unmodified-Since", "Sun, 22 Nov 2026 12:00:00 GMT"),
            ("Idempotency-Key", "0193"),
            ("Prefer", "return=minimal"),
            ("X-HTTP-Method-Override", "DELETE"),
            ("X-HTTP-Method", "PATCH"),
            ("X-Method-Override", "PUT"),
        ] {
            if honours(&operation, name) {
                honoured += 1;
                continue;
            }
            send(name, value).await.problem(400, "malformed").names(&[name]);
        }
        if operation.method != "GET" {
            send("If-None-Match", "*").await.problem(400, "malformed").names(&["If-None-Match"]);
        }
        for misspelt in [
            "if_match",
            "if-mathc",
            "ifmatch",
            "x-if-match",
            "idempotency-keys",
            "idempotencykey",
            "x-idempotency-key",
            "if_none_match",
        ] {
            send(misspelt, "\"1\"").await.problem(400, "malformed").names(&[misspelt]);
        }
        send("content-encoding", "gzip").await.problem(400, "malformed").names(&["Content-Encoding"]);
    }
    assert!(honoured > 10, "only {honoured} headers are honoured");
    for harmless in
        ["accept", "user-agent", "x-forwarded-for", "if-modified-since", "if-range", "range", "cookie", "traceparent", "x-my-own"]
    {
        world.owner().call("GET", "companies").header(harmless, "0").send().await.expect(200);
    }
    let twice = world.owner().call("POST", "companies").header("content-type", "application/json");
    let twice = twice.header("content-type", "text/plain").text("{\"name\":\"x\"}").send().await;
    twice.problem(400, "malformed").names(&["Content-Type"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_its_form_has_done_nothing() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let record = format!("companies/{}", world.first("companies"));
    let before: Value = world.owner().get(&record).await.expect(200).body;
    let change = json!({ "industry": "changed" });
    world.owner().call("PATCH", &record).header("if_match", "\"99\"").json(&change).send().await.problem(400, "malformed");
    world.owner().call("PATCH", &format!("{record}?dry_run=true")).json(&change).send().await.problem(400, "malformed");
    world.owner().call("DELETE", &record).json(&json!({ "dry_run": true })).send().await.problem(400, "malformed");
    world.owner().call("DELETE", &record).header("prefer", "handling=strict").send().await.problem(400, "malformed");
    assert_eq!(world.owner().get(&record).await.expect(200).body, before);
}
