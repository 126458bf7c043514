//! Bodies: type, size, depth, and every bad field named at once.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    NOUNS, Noun,
    support::{Answer, App, Caller, world::World},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_a_json_object() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    for noun in NOUNS {
        let send = async |kind: &str, body: &str| {
            let call = world.member().call("POST", noun.path).text(body.to_owned());
            let call = if kind.is_empty() { call } else { call.header("content-type", kind) };
            call.send().await
        };
        let good = noun.body("typed").to_string();
        for kind in ["", "text/plain", "application/xml", "application/jsonp", "json", "multipart/form-data"] {
            send(kind, &good).await.problem(415, "unsupported_media_type");
        }
        for kind in [
            "application/merge-patch+json",
            "application/json; charset=latin1",
            "application/json;charset=\"utf-16\"",
            "application/json; charset = utf-16",
            "application/json;charset\t=\t\"UTF-16\"",
            "application/json; charset=utf-8; charset =latin1",
        ] {
            let detail = send(kind, &good).await.problem(415, "unsupported_media_type").body["detail"].clone();
            assert!(detail.as_str().unwrap().starts_with("Content-Type: "), "{detail}");
        }
        for (number, kind) in ["application/json", "APPLICATION/JSON; charset=utf-8", "application/json;x"].iter().enumerate() {
            send(kind, &noun.body(&format!("typed-{number}")).to_string()).await.expect(201);
        }
        for bad in ["", "{", "[]", "null", "1", "\"text\"", "{\"name\":}", "{} {}", "\u{feff}{}", "{\"name\":\"\\ud800\"}"] {
            send("application/json", bad).await.problem(400, "malformed");
        }
        let call = world.member().call("POST", noun.path).header("content-type", "application/json");
        call.text(b"{\"name\":\"\xff\"}".to_vec()).send().await.problem(400, "malformed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_field_is_named_at_once() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    for noun in NOUNS {
        let mut body = noun.body("bad");
        body["no_such_field"] = json!(1);
        body["a/b~c"] = json!(1);
        body["tags"] = json!("not a list");
        body[noun.person_id()] = json!("not an id");
        body[noun.name] = json!("x".repeat(300));
        let name = format!("/{}", noun.name);
        let person = format!("/{}", noun.person_id());
        let named = ["/no_such_field", "/a~1b~0c", "/tags", &person, &name];
        world.member().post(noun.path, &body).await.problem(400, "malformed").names(&named);
        let record = format!("{}/{}", noun.path, world.first(noun.path));
        world.member().put(&record, &body).await.problem(400, "malformed").names(&named);
        let patch = json!({ "no_such_field": 1, "a/b~c": null, "tags": 1, noun.person_id(): [], noun.name: "x".repeat(300) });
        world.member().patch(&record, &patch).await.problem(400, "malformed").names(&named);

        let broken = json!({ noun.name: " ", "tags": ["a", "a"], noun.note: "x".repeat(20_000), "custom_fields": { "a": "\0" } });
        let note = format!("/{}", noun.note);
        let answer = world.member().patch(&record, &broken).await.problem(422, "invalid");
        answer.names(&[&name, "/tags", &note, "/custom_fields/a"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_has_at_most_64_levels() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    // The body itself and `custom_fields` are two.
    let nested = |levels: usize| (2..levels).fold(json!({}), |inner, _| json!({ "a": inner }));
    for noun in NOUNS {
        let record = format!("{}/{}", noun.path, world.first(noun.path));
        let send = async |levels: usize| world.member().patch(&record, &json!({ "custom_fields": nested(levels) })).await;
        send(16).await.expect(200);
        // Up to here it is the body's; what custom fields may hold is less.
        send(64).await.problem(422, "invalid").names(&["/custom_fields"]);
        for levels in [65, 120, 200] {
            is_too_deep(send(levels).await);
        }
        let bottomless = format!("{{\"custom_fields\":{}", "{\"a\":".repeat(40_000));
        let call = world.member().call("PATCH", &record).header("content-type", "application/json").text(bottomless);
        is_too_deep(call.send().await);
    }
}

/// It says so, and not that it were no JSON.
#[track_caller]
fn is_too_deep(answer: Answer) {
    let told = json!([{ "pointer": "", "code": "depth", "message": "at most 64 levels of arrays and objects" }]);
    assert_eq!(answer.problem(400, "malformed").body["errors"], told);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_has_at_most_two_mebibytes() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let limit = 2 * 1024 * 1024;
    let record = format!("/api/v1/a-crm/companies/{}", world.first("companies"));
    let body = |length: usize| format!("{{\"industry\":\"{}\"}}", "x".repeat(length - 15));
    let full = world.member().call("PATCH", &record).header("content-type", "application/json").text(body(limit)).send().await;
    full.problem(422, "invalid").names(&["/industry"]);
    let over =
        world.member().call("PATCH", &record).header("content-type", "application/json").text(body(limit + 1)).send().await;
    over.problem(413, "too_large");

    let announced = format!("content-length: {}\r\n\r\n", limit + 1);
    assert!(
        raw(&app, world.member(), &record, &announced, &[]).await.starts_with("HTTP/1.1 413"),
        "refused by its announced length"
    );
    let piece = "x".repeat(64 * 1024);
    let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
    let chunks: Vec<&[u8]> = vec![chunk.as_bytes(); 33];
    let answer = raw(&app, world.member(), &record, "transfer-encoding: chunked\r\n\r\n", &chunks).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "refused while it comes, without an announced length: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_ends_early_changes_nothing() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let record = format!("/api/v1/a-crm/companies/{}", world.first("companies"));
    let before = world.member().get(&record).await.expect(200);
    let mut stream = open(&app, world.member(), &record, "content-length: 100\r\n\r\n").await;
    stream.write_all(b"{\"industry\":\"half\"}").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(Duration::from_secs(15), stream.read_to_end(&mut answer)).await.expect("the connection must end");
    assert!(!String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 2"), "half a body must not be taken");
    assert_eq!(world.member().get(&record).await.expect(200).body, before.body);
}

/// A PATCH written byte by byte, because a client library hides what happens to half a body.
async fn raw(app: &App, caller: &Caller, path: &str, rest: &str, chunks: &[&[u8]]) -> String {
    let mut stream = open(app, caller, path, rest).await;
    for chunk in chunks {
        // The server may have answered and gone.
        if stream.write_all(chunk).await.is_err() {
            break;
        }
    }
    let mut answer = vec![0; 512];
    let read = timeout(Duration::from_secs(15), stream.read(&mut answer)).await.expect("an answer must come").unwrap_or(0);
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

async fn open(app: &App, caller: &Caller, path: &str, rest: &str) -> TcpStream {
    let mut stream = TcpStream::connect(app.base.strip_prefix("http://").unwrap()).await.unwrap();
    let token = caller.token.as_deref().unwrap();
    let head =
        format!("PATCH {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n{rest}");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_comes_back_as_it_was_sent() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let fields = json!({
        "text": "ünï ⚡ \u{202e}", "empty": "", "list": [1, "a", null, {"b": []}], "true": true, "small": 0.1, "big": 9_007_199_254_740_993_u64,
        "negative": -5, "null in list": [null], "a.b": { "$c": 1 },
    });
    for noun in NOUNS {
        let mut body = noun.body("exact");
        body["custom_fields"] = fields.clone();
        let created = world.member().post(noun.path, &body).await.expect(201);
        let read = world.member().get(&format!("{}/{}", noun.path, created.id())).await.expect(200);
        assert_eq!(read.body["custom_fields"], fields, "{}", noun.path);
        for (field, sent) in body.as_object().unwrap() {
            assert_eq!(&read.body[field], sent, "{}.{field}", noun.path);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn money_is_exact_and_never_a_float() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let record = format!("deals/{}", world.first("deals"));
    for (sent, shown) in [
        (json!("1250000.00"), "1250000.00"),
        (json!(0.1), "0.10"),
        (json!("999999999999999.99"), "999999999999999.99"),
        (json!(3), "3.00"),
        (json!("0"), "0.00"),
    ] {
        let answer = world.member().patch(&record, &Noun::patch("amount", sent.clone())).await.expect(200);
        assert_eq!(answer.body["amount"], shown, "{sent}");
        assert_eq!(answer.body["base_amount"], shown, "{sent}");
    }
    for bad in [
        json!("1e5"),
        json!(1e300),
        json!("NaN"),
        json!("1,5"),
        json!("1.2345"),
        json!("1000000000000000"),
        json!(true),
        json!([]),
    ] {
        world.member().patch(&record, &Noun::patch("amount", bad)).await.problem(400, "malformed").names(&["/amount"]);
    }
    world.member().patch(&record, &Noun::patch("amount", Value::from("-1"))).await.problem(422, "invalid").names(&["/amount"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_may_have_many_values_but_not_any_number() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let many = format!("{{\"name\":\"Many\",\"custom_fields\":{{\"list\":[{}0]}}}}", "0,".repeat(20_000));
    let call = |body: String| world.member().call("POST", "companies").header("content-type", "application/json").text(body);
    call(many.clone()).send().await.expect(201);
    let too_many = many.replace("0]", &format!("0,{}0]", "[],".repeat(40_000)));
    call(too_many).send().await.problem(400, "malformed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_echoes_only_so_much_of_what_was_sent() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let body: serde_json::Map<String, Value> =
        (0..60).map(|number| (format!("{number}{}", "x".repeat(30_000)), json!(1))).collect();
    let answer = world.member().post("companies", &Value::Object(body)).await.problem(400, "malformed");
    assert!(answer.body.to_string().len() < 100_000, "{} bytes", answer.body.to_string().len());
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_fields_are_named_with_all_the_others() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let nobody = app.nobody();
    nobody.post("/api/v1/auth/login", &json!({})).await.problem(400, "malformed").names(&["/email", "/password"]);
    let strange = json!({ "password": 1, "zzz": 1 });
    nobody.post("/api/v1/auth/login", &strange).await.problem(400, "malformed").names(&["/email", "/password", "/zzz"]);
    world
        .member()
        .post("/api/v1/auth/switch", &json!({}))
        .await
        .problem(400, "malformed")
        .names(&["/organization_id", "/refresh_token"]);
    world.member().post("contacts", &json!({})).await.problem(422, "invalid").names(&["/first_name", "/last_name"]);
    world.member().post("companies", &json!({})).await.problem(422, "invalid").names(&["/name"]);
    world.member().post("deals", &json!({})).await.problem(422, "invalid").names(&["/name"]);
    let all = json!({ "email": "bad", "zzz": 1, "lead_score": "x" });
    let named = ["/email", "/zzz", "/lead_score", "/first_name", "/last_name"];
    world.member().post("contacts", &all).await.problem(400, "malformed").names(&named);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_not_in_the_list_of_what_is_allowed() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    for (path, name) in
        [("/api/v1/a-crm/activities", "deleted"), ("/api/v1/a-crm/deals/pipeline", "limit"), ("companies", "no_such_field")]
    {
        let answer = world.member().get(&format!("{path}?{name}=1")).await.problem(400, "malformed");
        let message = answer.body["errors"][0]["message"].as_str().unwrap();
        assert!(!message.contains(name), "{path}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_arrive_is_given_up() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let path = format!("/api/v1/a-crm/companies/{}", world.first("companies"));
    let mut stream = open(&app, world.member(), &path, "content-length: 2000000\r\n\r\n{\"name\":").await;
    let mut answer = Vec::new();
    let ended = timeout(Duration::from_secs(60), stream.read_to_end(&mut answer)).await;
    ended.expect("the server must answer and close, however long the client waits").unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_comes_back_as_it_was_sent_or_is_refused() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    for noun in NOUNS {
        let send = async |method: &str, path: &str, numbers: &[&str]| {
            let mut body = if method == "POST" { noun.body(&format!("numbers-{}", uuid::Uuid::now_v7())) } else { json!({}) };
            body["custom_fields"] = json!({ "a/b": "~", "c": ["~"] });
            let numbers = body.to_string().replace("\"~\"", &numbers.join(","));
            world.member().call(method, path).header("content-type", "application/json").text(numbers).send().await
        };
        // As PostgreSQL and every client read them: with the same value, however they are written.
        for kept in ["9223372036854775807", "-9223372036854775808", "0.30000000000000004", "47.376886599999999", "1e-7", "5e-324"]
        {
            let made = send("POST", noun.path, &[kept]).await.expect(201);
            let wanted: f64 = kept.parse().unwrap();
            for answer in [made.clone(), world.member().get(&format!("{}/{}", noun.path, made.id())).await] {
                let value = &answer.body["custom_fields"]["a/b"];
                assert_eq!(value.as_f64().map(f64::to_bits), Some(wanted.to_bits()), "{kept} is {value}");
                let whole: Option<i64> = kept.parse().ok();
                assert!(whole.is_none() || value.as_i64() == whole, "{kept} is {value}");
            }
        }
        let record = format!("{}/{}", noun.path, world.first(noun.path));
        for other in ["123456789012345678901234567890", "0.1000000000000000000001", "1e400", "-1e-400", "18446744073709551617"] {
            for (method, path) in [("POST", noun.path), ("PATCH", &record)] {
                let refused = send(method, path, &[other]).await.problem(400, "malformed");
                let refused = refused.names(&["/custom_fields/a~1b", "/custom_fields/c/0"]);
                assert_eq!(refused.body["errors"][0]["code"], "number", "{other}");
            }
        }
    }
    let amount = r#"{"name":"Sum","amount":999999999999999.999}"#;
    let call = world.member().call("POST", "deals").header("content-type", "application/json").text(amount);
    call.send().await.problem(400, "malformed").names(&["/amount"]);
    let amount = json!({ "name": "Sum", "amount": "999999999999999.99", "currency": "EUR" });
    assert_eq!(world.member().post("deals", &amount).await.expect(201).body["amount"], "999999999999999.99");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_another_protocol_is_answered_at_once() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let (host, token) = (app.base.trim_start_matches("http://"), world.member().token.clone().unwrap());
    for (number, noun) in NOUNS.iter().enumerate() {
        for (upgrade, status) in [("websocket", 400), ("WebSocket", 400), ("h2c", 201), ("TLS/1.2", 201)] {
            let body = noun.body(&format!("upgraded-{number}-{upgrade}")).to_string();
            let request = format!(
                "POST /api/v1/a-crm/{} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
                 connection: upgrade\r\nupgrade: {upgrade}\r\ncontent-length: {}\r\n\r\n{body}",
                noun.path,
                body.len()
            );
            let mut stream = TcpStream::connect(host).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = vec![0; "HTTP/1.1 400".len()];
            timeout(Duration::from_secs(10), stream.read_exact(&mut answer)).await.expect("nobody waits").unwrap();
            assert_eq!(String::from_utf8_lossy(&answer), format!("HTTP/1.1 {status}"), "{upgrade}");
        }
    }
    let refused = world.member().call("GET", "companies").header("upgrade", "websocket").send().await;
    assert_eq!(refused.problem(400, "malformed").names(&["Upgrade"]).header("connection"), "close");
    let stranger = app.nobody().call("GET", "companies").header("upgrade", "websocket").send().await;
    stranger.problem(401, "unauthenticated");
}
