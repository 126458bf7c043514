//! What a stranger who guesses passwords sees of whether an account exists: nothing, in every state of the throttle.

use crm_testkit::PASSWORD;
use serde_json::{Value, json};

use crate::support::{Answer, App, world::World};

/// What a stranger can compare: status, headers and body, without what differs between any two answers.
fn seen(answer: &Answer) -> (u16, Vec<String>, Value) {
    let varying = ["date", "x-request-id"];
    let mut headers: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| !varying.contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    headers.sort();
    let mut body = answer.body.clone();
    body["request_id"] = Value::Null;
    (answer.status, headers, body)
}

async fn guess(app: &App, email: &str, from: &str) -> Answer {
    // Nothing is forgiven meanwhile, so that how long a try took does not show in the seconds to wait.
    app.database.forget_no_tries().await;
    let call = app.nobody().call("POST", "/api/v1/auth/login").header("x-forwarded-for", from);
    call.json(&json!({ "email": email, "password": "not the password" })).send().await
}

/// Forty tries at an account that exists and at one that does not, side by side: from one address each, from one that the person has
/// logged in from, and from a new address each time.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_exists_and_one_that_does_not_are_answered_alike_whatever_was_tried_before() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let office = "203.0.113.5";
    let enter = |who: &str| {
        let call = app.nobody().call("POST", "/api/v1/auth/login").header("x-forwarded-for", office);
        call.json(&json!({ "email": world.tenant.email(who), "password": PASSWORD }))
    };
    let device = enter("admin").send().await.expect(200).body["device_token"].clone();
    type Places<'a> = &'a dyn Fn(u32) -> (String, String);
    let rounds: [(&str, &str, Places<'_>); 3] = [
        ("owner", "one address each", &|_| ("198.51.100.1".into(), "198.51.100.2".into())),
        ("admin", "an address that the person has come from, and another", &|_| (office.into(), "203.0.113.6".into())),
        ("viewer", "a new address each time", &|number| (format!("192.0.2.{number}"), format!("10.0.2.{number}"))),
    ];
    for (who, what, places) in rounds {
        let (exists, does_not) = (world.tenant.email(who), format!("nobody-{who}@example.com"));
        let mut statuses = Vec::new();
        for number in 0..40 {
            let (here, there) = places(number);
            let (left, right) = (guess(&app, &exists, &here).await, guess(&app, &does_not, &there).await);
            assert_eq!(seen(&left), seen(&right), "{what}, try {number}");
            statuses.push(left.status);
        }
        assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 10, "{what}: both states were seen: {statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 30, "{what}");
    }
    // The person's own client comes in all the same, from that very address.
    let body = json!({ "email": world.tenant.email("admin"), "password": PASSWORD, "device_token": device });
    let call = app.nobody().call("POST", "/api/v1/auth/login").header("x-forwarded-for", office);
    call.json(&body).send().await.expect(200);
    let (exists, does_not) = (world.tenant.email("admin"), "nobody-admin@example.com");
    let (left, right) = (guess(&app, &exists, office).await, guess(&app, does_not, "203.0.113.6").await);
    assert_eq!((left.status, seen(&left)), (429, seen(&right)), "and the stranger is told nothing by that");
}
