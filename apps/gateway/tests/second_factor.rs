//! The second factor over HTTP: asked for with a stable code, enrolled where nothing else is let in, counted, the same on every node.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod support;

use crm_testkit::PASSWORD;
use futures_util::future::join_all;
use serde_json::{Value, json};
use support::{
    Answer, App, Caller,
    second_factor::{FACTOR, enable, enroll},
    world::World,
};

async fn login(at: &Caller, email: &str, code: Option<&str>) -> Answer {
    let mut body = json!({ "email": email, "password": PASSWORD });
    if let Some(code) = code {
        body["code"] = json!(code);
    }
    at.post("/api/v1/auth/login", &body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_asks_for_the_code_and_of_two_at_two_nodes_with_the_same_one_wins() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let node = app.another_node();
    let email = world.tenant.email("member");
    let authenticator = enable(world.member()).await;
    let asked = login(&app.nobody(), &email, None).await.problem(401, "second_factor_required");
    assert_eq!(asked.header("www-authenticate"), "Bearer");
    let wrong = login(&app.nobody(), &email, Some(&authenticator.wrong())).await.problem(401, "second_factor_required");
    assert_eq!(asked.body["detail"], wrong.body["detail"]);
    let body = json!({ "email": email, "password": "wrong", "code": authenticator.code(1) });
    app.nobody().post("/api/v1/auth/login", &body).await.problem(401, "unauthenticated");

    let (here, there) = (app.nobody(), node.welcome(&app.nobody()));
    let code = authenticator.code(1);
    let mut answers = join_all([&here, &there].map(|at| login(at, &email, Some(&code)))).await;
    answers.sort_by_key(|answer| answer.status);
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 401], "{answers:?}");
    let token = answers[0].body["access_token"].as_str().unwrap();
    let status = node.welcome(&app.holder(token)).get(FACTOR).await.expect(200).body;
    assert_eq!((&status["given"], &status["recovery_codes_left"]), (&json!(true), &json!(10)));
    assert!(status["enabled_at"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_it_is_required_a_session_without_one_can_enroll_look_and_leave_and_nothing_else() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    app.database.execute("UPDATE organizations SET require_second_factor = true").await;
    let member = world.member();
    for (method, address) in [("GET", "companies"), ("GET", "/api/v1/auth/me"), ("POST", "companies"), ("GET", "activities")] {
        let call = member.call(method, address);
        let call = if method == "POST" { call.json(&json!({ "name": "Never" })) } else { call };
        let answer = call.send().await;
        let answer = answer.problem(403, "second_factor_required");
        assert!(answer.body["detail"].as_str().unwrap().contains(FACTOR), "it says where to enroll: {}", answer.text);
    }
    assert_eq!(member.get(FACTOR).await.expect(200).body["required"], json!(true));
    member.get("/api/v1/auth/sessions").await.expect(200);
    let authenticator = enroll(member).await;
    member.get("companies").await.problem(403, "second_factor_required");
    let confirm = format!("{FACTOR}/confirm");
    member.post(&confirm, &json!({ "code": authenticator.wrong() })).await.problem(422, "invalid").names(&["/code"]);
    let codes = member.post(&confirm, &json!({ "code": authenticator.code(0) })).await.expect(200).body;
    member.get("companies").await.expect(200);

    let off = json!({ "code": codes["recovery_codes"][0], "password": PASSWORD });
    let refused = member.call("DELETE", FACTOR).json(&off).send().await.problem(409, "conflict");
    assert_eq!(refused.body["errors"][0]["code"], "second_factor_needed");
    member.post(FACTOR, &json!({})).await.problem(422, "invalid").names(&["/password"]);
    member.post(FACTOR, &json!({ "password": PASSWORD })).await.problem(409, "conflict");
    app.database.execute("UPDATE organizations SET require_second_factor = false").await;
    let wrong = json!({ "code": "000-000", "password": "wrong password" });
    let answer = member.call("DELETE", FACTOR).json(&wrong).send().await.problem(422, "invalid");
    answer.names(&["/password", "/code"]);
    member.call("DELETE", FACTOR).json(&off).send().await.expect(204);
    member.call("DELETE", FACTOR).json(&off).send().await.problem(404, "not_found");
    login(&app.nobody(), &world.tenant.email("member"), None).await.expect(200);
    world.caller("viewer").call("POST", "/api/v1/auth/logout").send().await.expect(204);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_codes_and_wrong_passwords_end_in_429_alike_for_everyone() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let authenticator = enable(world.member()).await;
    let email = world.tenant.email("member");
    let mut tried = 0;
    let limited = loop {
        let answer = login(&app.nobody(), &email, Some(&authenticator.wrong())).await;
        if answer.status == 429 {
            break answer.problem(429, "limited");
        }
        answer.problem(401, "second_factor_required");
        tried += 1;
    };
    assert_eq!(tried, 5);
    assert!((1..=300).contains(&limited.header("retry-after").parse::<u32>().unwrap()));

    let mut answers = Vec::new();
    for (number, email) in [world.tenant.email("owner"), "nobody@example.com".to_owned()].iter().enumerate() {
        let body = json!({ "email": email, "password": "wrong password" });
        let address = format!("198.51.100.{number}");
        let mut judged = 0;
        let limited = loop {
            let call = app.nobody().call("POST", "/api/v1/auth/login").header("x-forwarded-for", &address);
            let answer = call.json(&body).send().await;
            if answer.status == 429 {
                break answer.problem(429, "limited");
            }
            answer.problem(401, "unauthenticated");
            judged += 1;
        };
        let mut names: Vec<String> = limited.headers.keys().map(ToString::to_string).collect();
        // In a map that is seeded anew each time their order says nothing.
        names.sort();
        let mut body = limited.body.clone();
        for varying in ["request_id", "detail"] {
            body[varying] = Value::Null;
        }
        assert!((1..=60).contains(&limited.header("retry-after").parse::<u32>().unwrap()));
        answers.push((judged, names, body));
    }
    assert_eq!(answers[0], answers[1], "left: an account that exists; right: one that does not");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_provider_and_an_invitation_do_not_go_round_it() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let token = app.linked(world.tenant.member.user_id, "mine").await;
    let authenticator = enable(world.member()).await;
    let exchange = async |body: Value| app.nobody().post("/api/v1/auth/exchange", &body).await;
    exchange(json!({ "token": token })).await.problem(401, "second_factor_required");
    exchange(json!({ "token": token, "code": authenticator.wrong() })).await.problem(401, "second_factor_required");
    exchange(json!({ "token": token, "code": authenticator.recovery_codes[0] })).await.expect(200);

    let link = app.invited_elsewhere(&world.tenant.email("member"), "Umbrella").await;
    let accept = async |body: Value| app.nobody().post("/api/v1/auth/invitations/accept", &body).await;
    accept(json!({ "token": link, "password": PASSWORD })).await.problem(401, "second_factor_required");
    accept(json!({ "token": link, "external_token": token })).await.problem(401, "second_factor_required");
    let coded = json!({ "token": link, "password": PASSWORD, "code": authenticator.recovery_codes[1] });
    accept(coded).await.expect(201);
}
