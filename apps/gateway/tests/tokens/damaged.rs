//! Tokens that are none: damaged, forged, expired, of another key or environment; and headers that hold no token.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, SystemTime},
};

use base64::{Engine, engine::general_purpose::URL_SAFE};
use biscuit_auth::{Biscuit, KeyPair, UnverifiedBiscuit, builder::BiscuitBuilder};
use crm_kernel::{Context, Role, SessionId, TokenId};
use crm_tenancy::token::{Claims, KeyRing, Limits, Proof, TokenKey};
use serde_json::json;

use crate::{
    MINUTE, is_turned_away, mint, session,
    support::{App, Caller, claims, document::Document, world::World},
};

#[tokio::test(flavor = "multi_thread")]
async fn without_a_valid_token_every_operation_is_401_whatever_else_is_wrong() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let owner = &world.tenant.owner;
    let session = session(&app, owner).await;
    let good = app.key().issue(&claims(owner, session), MINUTE).unwrap();
    app.holder(&good).get("companies").await.expect(200);
    let flipped = good.replacen(&good[40..44], if &good[40..44] == "AAAA" { "BBBB" } else { "AAAA" }, 1);
    let bad = [
        ("garbage", "garbage".to_owned()),
        ("truncated", good[..good.len() - 4].to_owned()),
        ("changed", flipped),
        ("signed by another key", KeyRing::from(TokenKey::generate()).issue(&claims(owner, session), MINUTE).unwrap()),
        ("expired", app.key().issue(&claims(owner, session), Duration::ZERO).unwrap()),
        ("of a session that never was", app.key().issue(&claims(owner, SessionId::generate()), MINUTE).unwrap()),
        ("of another person's session", app.key().issue(&claims(&world.tenant.admin, session), MINUTE).unwrap()),
        ("longer than any token", format!("{good}{}", "A".repeat(9000))),
    ];
    let operations: Vec<_> =
        Document::of_the_application().operations().into_iter().filter(|operation| !operation.is_public()).collect();
    for operation in &operations {
        let address = operation.at("no-id");
        let call =
            |caller: &Caller| caller.call(&operation.method, &address).header("content-type", "application/json").text("{");
        is_turned_away(call(&app.nobody()).send().await, "no token");
        for (what, token) in &bad {
            // What only the database knows is found out after the address and the body were understood.
            if !what.contains("session") {
                is_turned_away(call(&app.holder(token)).send().await, what);
            }
        }
    }
    for (what, token) in &bad {
        for path in ["companies", "activities", "deals/pipeline", "/api/v1/auth/me", "/api/v1/organizations/current"] {
            is_turned_away(app.holder(token).get(path).await, what);
        }
        is_turned_away(app.holder(token).post("companies", &json!({ "name": "Never" })).await, what);
    }
    for header in [
        format!("bearer{good}"),
        format!("Basic {good}"),
        good.clone(),
        "Bearer".into(),
        "Bearer ".into(),
        format!("Bearer {good}, Bearer {good}"),
    ] {
        is_turned_away(app.nobody().call("GET", "companies").header("authorization", &header).send().await, &header);
    }
    let twice = app.holder(&good).call("GET", "companies").header("authorization", &format!("Bearer {good}"));
    is_turned_away(twice.send().await, "two tokens");
    app.nobody().call("GET", "companies").header("authorization", &format!("bearer  {good}")).send().await.expect(200);
    app.nobody().get(&format!("companies?access_token={good}")).await.problem(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_in_a_token_is_a_hint_and_the_database_knows_better() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let viewer = Context { role: Role::Owner, ..world.tenant.viewer.clone() };
    let token = app.key().issue(&claims(&viewer, session(&app, &viewer).await), MINUTE).unwrap();
    let pretender = app.holder(token);
    pretender.get("companies").await.expect(200);
    pretender.post("companies", &json!({ "name": "Never" })).await.problem(403, "forbidden");
    pretender.get("companies?deleted=only").await.problem(403, "forbidden");
    let record = format!("companies/{}", world.first("companies"));
    pretender.patch(&record, &json!({ "industry": "Never" })).await.problem(403, "forbidden");
    pretender.delete(&record).await.problem(403, "forbidden");
}

/// A token of this caller, and one that is a program's.
async fn good_tokens(world: &World) -> [String; 2] {
    let program = mint(world.owner(), &json!({ "name": "Program" })).await.0;
    [world.owner().token.clone().unwrap(), program.token.unwrap()]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_cut_or_changed_anywhere_is_none() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    for good in good_tokens(&world).await {
        app.holder(&good).get("companies?limit=1").await.expect(200);
        let bytes = URL_SAFE.decode(&good).unwrap();
        // Padding at the end says nothing: without it the token is the same.
        let whole = good.trim_end_matches('=').len();
        for length in (0..whole).step_by(5).chain(whole - 4..whole) {
            is_turned_away(app.holder(&good[..length]).get("companies?limit=1").await, &format!("cut to {length}"));
        }
        for place in (0..bytes.len()).step_by(3) {
            for bit in [0, 7] {
                let mut changed = bytes.clone();
                changed[place] ^= 1 << bit;
                let changed = URL_SAFE.encode(changed);
                let answer = app.holder(changed).get("companies?limit=1").await;
                assert_eq!(
                    answer.status,
                    401,
                    "bit {bit} of byte {place} of {}: {:02x?}",
                    bytes.len(),
                    &bytes[place - 2..place + 2]
                );
                is_turned_away(answer, "changed");
            }
        }
        is_turned_away(app.holder(format!("{good}{good}")).get("companies").await, "twice, as text");
        is_turned_away(app.holder(URL_SAFE.encode([bytes.clone(), bytes].concat())).get("companies").await, "twice, as bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_another_key_or_environment_is_none() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let owner = &world.tenant.owner;
    let claims = claims(owner, session(&app, owner).await);
    let good = world.owner().token.clone().unwrap();
    let ours = UnverifiedBiscuit::from_base64(&good).unwrap().root_key_id().unwrap();
    let source = UnverifiedBiscuit::from_base64(&good).unwrap().print_block_source(0).unwrap();
    let block = || BiscuitBuilder::new().code(&source).unwrap();
    let (other, own) = (KeyPair::new(), app.key_pair());
    let text = |token: Biscuit| token.to_base64().unwrap();
    app.holder(text(block().root_key_id(ours).build(&own).unwrap())).get("companies").await.expect(200);
    let mut out_of_range = URL_SAFE.decode(&good).unwrap();
    // The id once more, as the largest number the encoding can hold: the last one counts.
    out_of_range.extend([0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
    let elsewhere = KeyRing::new(vec![("key".into(), app.token_key())], "elsewhere".parse().unwrap()).unwrap();
    let bad = [
        ("another key", KeyRing::from(TokenKey::generate()).issue(&claims, MINUTE).unwrap()),
        ("another key under our key's name", text(block().root_key_id(ours).build(&other).unwrap())),
        ("our key under no name", text(block().build(&own).unwrap())),
        ("our key under another name", text(block().root_key_id(ours.wrapping_add(1)).build(&own).unwrap())),
        ("our key under the first name", text(block().root_key_id(0).build(&own).unwrap())),
        ("our key under the last name", text(block().root_key_id(u32::MAX).build(&own).unwrap())),
        ("a name out of range", URL_SAFE.encode(out_of_range)),
        ("another environment", elsewhere.issue(&claims, MINUTE).unwrap()),
        ("no environment", text(without(&source, "environment(", ours, &own))),
        ("no actor", text(without(&source, "actor(", ours, &own))),
        ("no proof", text(without(&source, "session(", ours, &own))),
        ("no organisation", text(without(&source, "organization(", ours, &own))),
        ("nothing", text(BiscuitBuilder::new().root_key_id(ours).build(&own).unwrap())),
    ];
    for (what, token) in bad {
        is_turned_away(app.holder(&token).get("companies").await, what);
        is_turned_away(app.holder(&token).post("/api/v1/auth/tokens", &json!({ "name": "Never" })).await, what);
    }
}

/// The same token without the lines that begin so.
fn without(source: &str, beginning: &str, key: u32, pair: &KeyPair) -> Biscuit {
    let lines: Vec<&str> = source.lines().filter(|line| !line.starts_with(beginning)).collect();
    assert!(lines.len() < source.lines().count(), "{source}");
    BiscuitBuilder::new().code(lines.join("\n")).unwrap().root_key_id(key).build(pair).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn not_even_the_key_makes_an_api_token_that_the_database_does_not_know() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let (_, made) = mint(world.owner(), &json!({ "name": "Reader", "read_only": true })).await;
    let real: TokenId = made["api_token"]["id"].as_str().unwrap().parse().unwrap();
    let owner = &world.tenant.owner;
    for id in [real, TokenId::generate()] {
        let claims = Claims { proof: Proof::ApiToken(id), ..claims(owner, SessionId::generate()) };
        let forged = app.key().issue_limited(&claims, &Limits::default(), SystemTime::now() + MINUTE).unwrap();
        is_turned_away(app.holder(&forged.token).get("companies").await, "no such token");
        is_turned_away(app.holder(&forged.token).post("companies", &json!({ "name": "Never" })).await, "no such token");
    }
}

/// Sends bytes and reads one answer; none when the server closes the connection without one.
fn exchange(stream: &mut TcpStream, request: &[u8]) -> Option<u16> {
    // The server may refuse before it has read everything.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let head = answer.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = head {
            let text = String::from_utf8_lossy(&answer[..end]).to_lowercase();
            let length = text.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.trim().parse::<usize>().ok());
            if answer.len() >= end + 4 + length.unwrap_or(0) {
                return text.split(' ').nth(1)?.parse().ok();
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(read) => answer.extend(&buffer[..read]),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_holds_no_token_is_401_and_never_harms_the_server() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let good = world.owner().token.clone().unwrap();
    let address = app.base.strip_prefix("http://").unwrap().to_owned();
    let request = |headers: &[u8]| {
        let mut request = format!("GET /api/v1/a-crm/companies?limit=1 HTTP/1.1\r\nhost: {address}\r\n").into_bytes();
        request.extend(headers);
        request.extend(b"\r\n");
        request
    };
    let line = |value: &[u8]| [b"authorization: ", value, b"\r\n"].concat();
    let connect = || {
        let stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    };
    let right = request(&line(format!("Bearer {good}").as_bytes()));
    assert_eq!(exchange(&mut connect(), &right), Some(200));
    let refused: Vec<Vec<u8>> = vec![
        Vec::new(),
        line(b""),
        line(b" "),
        line(b"Bearer"),
        line(b"Bearer "),
        line(b"Basic dXNlcjpwYXNz"),
        line(b"Digest username=\"a\""),
        line(format!("Token {good}").as_bytes()),
        line(format!("Bearer: {good}").as_bytes()),
        line(format!("Bearer {good} {good}").as_bytes()),
        line("Bearer ünïcödé".as_bytes()),
        line(b"Bearer \xff\xfe\x80"),
        line(&[b"Bearer ", good.as_bytes(), b"\xff"].concat()),
        [line(format!("Bearer {good}").as_bytes()), line(format!("Bearer {good}").as_bytes())].concat(),
        [line(b"Bearer x"), line(format!("Bearer {good}").as_bytes())].concat(),
        line(format!("Bearer {good}{}", "A".repeat(9_000)).as_bytes()),
        line(format!("Bearer {}", "A".repeat(60_000)).as_bytes()),
    ];
    for headers in refused {
        let (mut stream, what) = (connect(), String::from_utf8_lossy(&headers[..headers.len().min(80)]).into_owned());
        // More than all headers together may have is refused before anybody reads what stands in it.
        let expected = if headers.len() > 32 * 1024 { 431 } else { 401 };
        assert_eq!(exchange(&mut stream, &request(&headers)), Some(expected), "{what}");
        assert_eq!(exchange(&mut stream, &right), Some(200), "the connection goes on after {what}");
    }
    let many: Vec<u8> = (0..2_000).flat_map(|number| format!("x-{number}: y\r\n").into_bytes()).collect();
    let floods: Vec<Vec<u8>> = vec![
        line(format!("Bearer {}", "A".repeat(1_000_000)).as_bytes()),
        [many, line(format!("Bearer {good}").as_bytes())].concat(),
        [b"x: ".to_vec(), vec![b'y'; 1_000_000], b"\r\n".to_vec()].concat(),
        line(b"Bearer a\0b"),
    ];
    for headers in floods {
        let (mut stream, what) = (connect(), String::from_utf8_lossy(&headers[..80.min(headers.len())]).into_owned());
        let status = exchange(&mut stream, &request(&headers));
        assert!(status.is_none_or(|status| (400..500).contains(&status)), "{what}: {status:?}");
        assert_eq!(exchange(&mut connect(), &right), Some(200), "the server goes on after {what}");
    }
}
