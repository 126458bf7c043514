//! Sessions over HTTP: seen, ended, and refused with the next request on every node.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod support;

use serde_json::{Value, json};
use support::{App, world::World};

const SESSIONS: &str = "/api/v1/auth/sessions";

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_ended_at_one_node_is_refused_at_the_other_with_the_next_request() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let node = app.another_node();
    let email = world.tenant.email("member");
    let (here, there) = (app.login(&email).await, node.welcome(&app.login(&email).await));
    there.get("companies").await.expect(200);
    let list = here.get(SESSIONS).await.expect(200);
    assert_eq!(list.data().len(), 3, "{}", list.text);
    assert_eq!(list.data()[1]["current"], json!(true), "newest first: {}", list.text);
    let newest = list.ids()[0].clone();
    here.delete(&format!("{SESSIONS}/{newest}")).await.expect(204);
    there.get("companies").await.problem(401, "unauthenticated");
    there.post("/api/v1/auth/refresh", &json!({ "refresh_token": there.refresh_token })).await.problem(401, "unauthenticated");

    let again = node.welcome(&app.login(&email).await);
    again.get("companies").await.expect(200);
    here.call("POST", &format!("{SESSIONS}/revoke-others")).send().await.expect(204);
    again.get("companies").await.problem(401, "unauthenticated");
    world.member().get("companies").await.problem(401, "unauthenticated");
    here.get("companies").await.expect(200);
    assert_eq!(here.get(SESSIONS).await.expect(200).data().len(), 1);

    let ends = format!("/api/v1/organizations/current/members/{}/sessions", world.tenant.member.user_id);
    node.welcome(world.caller("admin")).delete(&ends).await.expect(204);
    here.get("companies").await.problem(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn anothers_session_is_answered_like_none() {
    let app = App::start().await;
    let (acme, umbrella) = (World::create(&app, "Acme").await, World::create(&app, "Umbrella").await);
    let never = uuid::Uuid::now_v7().to_string();
    let forget = |body: &Value| {
        let mut body = body.clone();
        body["request_id"] = Value::Null;
        body
    };
    let of_none = acme.member().delete(&format!("{SESSIONS}/{never}")).await.problem(404, "not_found");
    for caller in [acme.owner(), acme.caller("admin"), umbrella.member()] {
        let id = caller.get(SESSIONS).await.expect(200).ids()[0].clone();
        let answer = acme.member().delete(&format!("{SESSIONS}/{id}")).await.problem(404, "not_found");
        assert_eq!(forget(&answer.body), forget(&of_none.body));
        caller.get("companies").await.expect(200);
    }
    acme.member().delete(&format!("{SESSIONS}/no-id")).await.problem(404, "not_found");

    let members = "/api/v1/organizations/current/members";
    let of_none = acme.owner().delete(&format!("{members}/{never}/sessions")).await.problem(404, "not_found");
    let foreign = acme.owner().delete(&format!("{members}/{}/sessions", umbrella.tenant.member.user_id)).await;
    assert_eq!(forget(&foreign.problem(404, "not_found").body), forget(&of_none.body));
    umbrella.member().get("companies").await.expect(200);
    let of_owner = format!("{members}/{}/sessions", acme.tenant.owner.user_id);
    for role in ["admin", "member", "viewer"] {
        acme.caller(role).delete(&of_owner).await.problem(403, "forbidden");
    }
    acme.member().delete(&format!("{members}/{never}/sessions")).await.problem(404, "not_found");
    acme.owner().get("companies").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_of_a_session_is_the_clients_and_not_the_proxys() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let body = json!({ "email": world.tenant.email("member"), "password": crm_testkit::PASSWORD });
    let login = app.nobody().call("POST", "/api/v1/auth/login").header("x-forwarded-for", "203.0.113.5, 198.51.100.23");
    login.header("user-agent", "A browser").json(&body).send().await.expect(200);
    let newest = world.member().get(SESSIONS).await.expect(200).data()[0].clone();
    assert_eq!((&newest["ip"], &newest["user_agent"]), (&json!("198.51.100.23"), &json!("A browser")));
    assert_eq!((&newest["method"], &newest["second_factor_at"]), (&json!("password"), &Value::Null));
}
