//! Sign-up, passwords, addresses and the profile, as a client meets them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod support;

use biscuit_auth::{UnverifiedBiscuit, macros::block};
use crm_gateway::services::Settings;
use crm_tenancy::identity::accounts::{AccountOptions, Delivery, SignUp};
use crm_testkit::PASSWORD;
use serde_json::{Value, json};
use support::{Answer, App, Caller, log_in};

const EMAIL: &str = "zoe@example.com";
const OTHER: &str = "a password of my own 🐎";

fn registration(email: &str) -> Value {
    json!({ "email": email, "password": OTHER, "full_name": "Zoë 🚀 Müller", "organization_name": "Größe & Söhne" })
}

/// The holder of the tokens in an answer.
fn holder(app: &App, answer: &Answer) -> Caller {
    let text = |name: &str| answer.body[name].as_str().unwrap().to_owned();
    Caller { refresh_token: text("refresh_token"), ..app.holder(text("access_token")) }
}

async fn password_opens(app: &App, email: &str, password: &str) -> bool {
    let login = app.nobody().post("/api/v1/auth/login", &json!({ "email": email, "password": password })).await;
    assert!([200, 401].contains(&login.status), "{}", login.text);
    login.status == 200
}

/// What two answers have in common when nothing can be learnt from them: all but the request's own id and moment.
fn shape(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let varying = ["date", "x-request-id"];
    let headers = answer.headers.iter().filter(|(name, _)| !varying.contains(&name.as_str()));
    let mut headers: Vec<_> = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    headers.sort();
    (answer.status, headers, answer.text.replace(answer.header("x-request-id"), "<id>"))
}

#[tokio::test(flavor = "multi_thread")]
async fn from_sign_up_to_a_first_company() {
    let app = App::start().await;
    let accepted = app.nobody().post("/api/v1/auth/register", &registration(EMAIL)).await.expect(202);
    assert_eq!(accepted.body.as_object().unwrap().len(), 1, "{}", accepted.text);
    let token = app.letter_token("confirm_registration", EMAIL).await;
    let strange = json!({ "token": token, "password": "the password of a stranger" });
    app.nobody().post("/api/v1/auth/register/confirm", &strange).await.problem(422, "invalid").names(&["/password"]);
    let token = json!({ "token": token, "password": OTHER });
    let confirmed = app.nobody().post("/api/v1/auth/register/confirm", &token).await.expect(201);
    let owner = holder(&app, &confirmed);
    let me = owner.get("/api/v1/auth/me").await.expect(200);
    assert_eq!((&me.body["role"], &me.body["user"]["full_name"]), (&json!("owner"), &json!("Zoë 🚀 Müller")));
    owner.post("companies", &json!({ "name": "First" })).await.expect(201);
    app.nobody().post("/api/v1/auth/refresh", &json!({ "refresh_token": owner.refresh_token })).await.expect(200);
    app.nobody().post("/api/v1/auth/register/confirm", &token).await.problem(422, "invalid").names(&["/token"]);
    assert!(password_opens(&app, EMAIL, OTHER).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn known_and_unknown_addresses_are_answered_byte_for_byte_alike() {
    let app = App::start().await;
    let tenant = app.database.tenant("Acme").await;
    let known = tenant.email("member");
    let asker = app.login(&tenant.email("viewer")).await;
    let ask = async |path: &str, body: Value| shape(&asker.post(path, &body).await.expect(202));
    for (path, body) in [
        ("/api/v1/auth/register", registration as fn(&str) -> Value),
        ("/api/v1/auth/password/forgot", |email| json!({ "email": email })),
        ("/api/v1/auth/email", |email| json!({ "email": email, "current_password": PASSWORD })),
    ] {
        assert_eq!(ask(path, body(&known)).await, ask(path, body(EMAIL)).await, "{path}");
    }
    for (path, body) in [
        ("/api/v1/auth/register", json!({ "email": known, "password": "short", "full_name": "", "organization_name": "x" })),
        ("/api/v1/auth/register", json!({ "email": EMAIL, "password": "short", "full_name": "", "organization_name": "x" })),
    ] {
        app.nobody().post(path, &body).await.problem(422, "invalid").names(&["/password", "/full_name"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_understood_is_named() {
    let app = App::start().await;
    for (path, required) in [
        ("/api/v1/auth/register", vec!["/email", "/password", "/full_name", "/organization_name"]),
        ("/api/v1/auth/register/confirm", vec!["/token", "/password"]),
        ("/api/v1/auth/password/forgot", vec!["/email"]),
        ("/api/v1/auth/password/reset", vec!["/token", "/password"]),
    ] {
        let refused = app.nobody().post(path, &json!({})).await.problem(400, "malformed");
        assert!(
            required.iter().all(|pointer| refused.pointers().iter().any(|named| named == pointer)),
            "{path}: {}",
            refused.text
        );
        app.nobody().post(path, &json!({ "no_such_field": 1 })).await.problem(400, "malformed");
        for token in ["", "x", "ü.ü", "\u{0}", "018f2e9c5b7e7cc3a8e7c0a9f3d1b2c4.x"] {
            let body = match path.rsplit('/').next().unwrap() {
                "confirm" if path.contains("register") => json!({ "token": token, "password": OTHER }),
                "confirm" => json!({ "token": token }),
                "reset" => json!({ "token": token, "password": OTHER }),
                _ => continue,
            };
            app.nobody().post(path, &body).await.problem(422, "invalid").names(&["/token"]);
        }
    }
    let slug = json!({ "token": "x", "password": OTHER, "slug": "No Slug" });
    app.nobody().post("/api/v1/auth/register/confirm", &slug).await.problem(422, "invalid").names(&["/slug"]);
    app.nobody().post("/api/v1/auth/password/forgot", &json!({ "email": "x" })).await.problem(422, "invalid").names(&["/email"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chosen_name_that_is_taken_can_be_chosen_again() {
    let app = App::start().await;
    app.database.tenant("Acme").await;
    let mut wanted = registration(EMAIL);
    wanted["slug"] = json!("acme");
    app.nobody().post("/api/v1/auth/register", &wanted).await.expect(202);
    let token = app.letter_token("confirm_registration", EMAIL).await;
    let confirm = async |body: Value| app.nobody().post("/api/v1/auth/register/confirm", &body).await;
    confirm(json!({ "token": token, "password": OTHER })).await.problem(409, "conflict").names(&["/slug"]);
    let made = confirm(json!({ "token": token, "password": OTHER, "slug": "acme-too" })).await.expect(201);
    let organization = holder(&app, &made).get("/api/v1/organizations/current").await.expect(200);
    assert_eq!(organization.body["slug"], "acme-too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_password_is_set_anew() {
    let app = App::start().await;
    let tenant = app.database.tenant("Acme").await;
    let email = tenant.email("member");
    let before = app.login(&email).await;
    app.nobody().post("/api/v1/auth/password/forgot", &json!({ "email": email })).await.expect(202);
    let token = app.letter_token("reset_password", &email).await;
    let reset = async |password: &str| {
        app.nobody().post("/api/v1/auth/password/reset", &json!({ "token": token, "password": password })).await
    };
    reset("password123").await.problem(422, "invalid").names(&["/password"]);
    let device = reset(OTHER).await.expect(200).body["device_token"].clone();
    let login = json!({ "email": email, "password": OTHER, "device_token": device });
    app.nobody().post("/api/v1/auth/login", &login).await.expect(200);
    reset(OTHER).await.problem(422, "invalid").names(&["/token"]);
    before.get("companies").await.problem(401, "unauthenticated");
    let stale = json!({ "refresh_token": before.refresh_token });
    app.nobody().post("/api/v1/auth/refresh", &stale).await.problem(401, "unauthenticated");
    assert!(!password_opens(&app, &email, PASSWORD).await && password_opens(&app, &email, OTHER).await);

    let log = "activities?entity_type=credential&activity_type=password_reset";
    let owner = app.login(&tenant.email("owner")).await;
    let told = owner.get(log).await.expect(200);
    assert_eq!(told.data().len(), 1, "{}", told.text);
    assert_eq!(told.data()[0]["activity_type"], "password_reset");
    assert!(app.login(&tenant.email("viewer")).await.get(log).await.expect(200).data().is_empty(), "others need not know");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_changed_by_a_whole_session_that_knows_the_old_one() {
    let app = App::start().await;
    let tenant = app.database.tenant("Acme").await;
    let email = tenant.email("viewer");
    let (viewer, elsewhere) = (app.login(&email).await, app.login(&email).await);
    let body = |current: &str, new: &str| json!({ "current_password": current, "new_password": new });
    let path = "/api/v1/auth/password/change";
    app.nobody().post(path, &body(PASSWORD, OTHER)).await.problem(401, "unauthenticated");
    let narrowed = UnverifiedBiscuit::from_base64(viewer.token.as_deref().unwrap()).unwrap();
    let narrowed = narrowed.append(block!("check if operation($operation)")).unwrap().to_base64().unwrap();
    for (method, path) in [("POST", path), ("POST", "/api/v1/auth/email"), ("PATCH", "/api/v1/auth/me")] {
        let body = match path.rsplit('/').next().unwrap() {
            "change" => body(PASSWORD, OTHER),
            "email" => json!({ "email": EMAIL, "current_password": PASSWORD }),
            _ => json!({ "full_name": "Mallory" }),
        };
        app.holder(&narrowed).call(method, path).json(&body).send().await.problem(403, "forbidden");
    }
    viewer.post(path, &body("wrong", "short")).await.problem(422, "invalid").names(&["/current_password", "/new_password"]);
    viewer.post(path, &json!({})).await.problem(400, "malformed").names(&["/current_password", "/new_password"]);
    let changed = viewer.post(path, &body(PASSWORD, OTHER)).await.expect(200);
    for old in [&viewer, &elsewhere] {
        old.get("/api/v1/auth/me").await.problem(401, "unauthenticated");
    }
    holder(&app, &changed).get("/api/v1/auth/me").await.expect(200);
    assert!(!password_opens(&app, &email, PASSWORD).await && password_opens(&app, &email, OTHER).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_changed_by_its_letter() {
    let app = App::start().await;
    let tenant = app.database.tenant("Acme").await;
    let old = tenant.email("member");
    let member = app.login(&old).await;
    let change = async |email: &str, password: &str| {
        member.post("/api/v1/auth/email", &json!({ "email": email, "current_password": password })).await
    };
    change("x", "wrong").await.problem(422, "invalid").names(&["/email", "/current_password"]);
    change(&old, PASSWORD).await.problem(422, "invalid").names(&["/email"]);
    change(EMAIL, PASSWORD).await.expect(202);
    let token = json!({ "token": app.letter_token("confirm_email", EMAIL).await });
    app.database.add_member(tenant.organization_id, EMAIL, crm_kernel::Role::Viewer).await;
    app.nobody().post("/api/v1/auth/email/confirm", &token).await.problem(401, "unauthenticated");
    app.login(&tenant.email("owner"))
        .await
        .post("/api/v1/auth/email/confirm", &token)
        .await
        .problem(422, "invalid")
        .names(&["/token"]);
    member.post("/api/v1/auth/email/confirm", &token).await.problem(409, "conflict").names(&["/email"]);
    app.database.execute(&format!("UPDATE users SET email = 'gone@example.com' WHERE email = '{EMAIL}'")).await;
    member.post("/api/v1/auth/email/confirm", &token).await.expect(204);
    member.post("/api/v1/auth/email/confirm", &token).await.problem(422, "invalid").names(&["/token"]);
    let me = member.get("/api/v1/auth/me").await.expect(200);
    assert_eq!(me.body["user"]["email"], EMAIL);
    log_in(&app.nobody(), EMAIL).await;
    assert!(!password_opens(&app, &old, PASSWORD).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_profile_is_the_persons_own() {
    let app = App::start().await;
    let tenant = app.database.tenant("Acme").await;
    let viewer = app.login(&tenant.email("viewer")).await;
    let path = "/api/v1/auth/me";
    let changes = json!({ "full_name": "Zoë 🚀", "time_zone": "Asia/Kathmandu", "locale": "ne-NP" });
    let me = viewer.patch(path, &changes).await.expect(200);
    for field in ["full_name", "time_zone", "locale"] {
        assert_eq!(me.body["user"][field], changes[field], "{field}");
    }
    assert_eq!(viewer.patch(path, &json!({})).await.expect(200).body, me.body, "what is absent stays");
    let wrong = json!({ "full_name": " ", "time_zone": "Mars/Base", "locale": "en_US" });
    viewer.patch(path, &wrong).await.problem(422, "invalid").names(&["/full_name", "/time_zone", "/locale"]);
    viewer.patch(path, &json!({ "full_name": null })).await.problem(400, "malformed").names(&["/full_name"]);
    viewer.patch(path, &json!({ "email": EMAIL })).await.problem(400, "malformed").names(&["/email"]);
    app.nobody().patch(path, &changes).await.problem(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn configuration_decides_who_may_sign_up_and_what_is_promised() {
    let with = async |sign_up: SignUp, delivery: Delivery| {
        App::start_with(Settings { accounts: AccountOptions { sign_up, delivery }, ..Settings::default() }).await
    };
    let path = "/api/v1/auth/register";
    let open = with(SignUp::Open, Delivery::On).await;
    let entered = open.nobody().post(path, &registration(EMAIL)).await.expect(201);
    holder(&open, &entered).get("companies").await.expect(200);
    open.nobody().post(path, &registration(EMAIL)).await.expect(202);
    let closed = with(SignUp::Closed, Delivery::On).await;
    closed.nobody().post(path, &registration(EMAIL)).await.problem(403, "forbidden");
    closed.nobody().post(path, &json!({})).await.problem(400, "malformed");
    let silent = with(SignUp::Confirm, Delivery::Off).await;
    silent.nobody().post(path, &registration(EMAIL)).await.problem(503, "unavailable");
    silent.nobody().post("/api/v1/auth/password/forgot", &json!({ "email": EMAIL })).await.problem(503, "unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrowed_token_is_not_told_of_other_organisations() {
    let app = App::start().await;
    let (acme, second) = (app.database.tenant("Acme").await, app.database.tenant("Second").await);
    let email = acme.email("member");
    app.database.add_member(second.organization_id, &email, crm_kernel::Role::Viewer).await;
    let whole = app.login(&email).await;
    let names = async |caller: &Caller| {
        let me = caller.get("/api/v1/auth/me").await.expect(200);
        let listed = me.body["organizations"].as_array().unwrap().iter();
        listed.map(|organization| organization["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&whole).await, ["Acme", "Second"]);
    let token = UnverifiedBiscuit::from_base64(whole.token.as_deref().unwrap()).unwrap();
    let narrowed = token.append(block!(r#"check if access("own") or access("read")"#)).unwrap().to_base64().unwrap();
    let narrowed = app.holder(&narrowed);
    assert_eq!(names(&narrowed).await, ["Acme"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_that_are_asked_for_end_in_429_alike_for_everyone() {
    let app = App::start().await;
    let known = app.database.tenant("Acme").await.email("member");
    for path in ["/api/v1/auth/password/forgot", "/api/v1/auth/register"] {
        let mut shapes = Vec::new();
        for (email, address) in [(known.as_str(), "198.51.100.1"), ("nobody@example.com", "198.51.100.2")] {
            let body = if path.ends_with("forgot") { json!({ "email": email }) } else { registration(email) };
            let send = async || app.nobody().call("POST", path).header("x-forwarded-for", address).json(&body).send().await;
            for _ in 0..5 {
                send().await.expect(202);
            }
            let limited = send().await.problem(429, "limited");
            assert!((1..=600).contains(&limited.header("retry-after").parse::<u32>().unwrap()));
            shapes.push((limited.status, limited.body["code"].clone(), limited.headers.len()));
        }
        assert_eq!(shapes[0], shapes[1], "{path}");
    }
    assert!(password_opens(&app, &known, PASSWORD).await, "the owner comes in");
}
