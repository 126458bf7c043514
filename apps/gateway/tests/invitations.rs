//! Invitations as clients meet them: every refusal with its status, and the way in.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod support;

use crm_testkit::PASSWORD;
use serde_json::{Value, json};
use support::{App, Caller, letters::external_token, world::World};
use uuid::Uuid;

const INVITATIONS: &str = "/api/v1/organizations/current/invitations";

fn invitation(email: &str) -> Value {
    json!({ "email": email, "role": "member" })
}

async fn invite(owner: &Caller, email: &str) -> String {
    owner.post(INVITATIONS, &invitation(email)).await.expect(201).id()
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_is_invited_and_comes_in() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let made = world.caller("admin").post(INVITATIONS, &invitation("New@example.com")).await.expect(201);
    assert_eq!(made.header("location"), format!("{INVITATIONS}/{}", made.id()));
    assert_eq!((&made.body["email"], &made.body["status"]), (&json!("new@example.com"), &json!("pending")));
    assert!(!made.text.contains("secret"), "{}", made.text);
    let read = world.owner().get(&format!("{INVITATIONS}/{}?include=invited_by&fields=id,email", made.id())).await.expect(200);
    assert_eq!(read.body["invited_by"]["user_id"], json!(world.tenant.admin.user_id));
    let listed = world.owner().get(&format!("{INVITATIONS}?status=pending&email=NEW@example.com&count=true")).await.expect(200);
    assert_eq!((listed.ids(), &listed.body["page"]["total"]["count"]), (vec![made.id()], &json!(1)));
    assert!(world.owner().get(&format!("{INVITATIONS}?status=accepted")).await.expect(200).ids().is_empty());

    let token = app.invitation_token(&made.id()).await;
    let look = app.nobody().post("/api/v1/auth/invitations/look", &json!({ "token": token })).await.expect(200);
    let shown = json!({ "organization_name": "Acme", "email": "new@example.com", "role": "member", "invited_by": "admin",
                        "has_account": false, "chooses_password": true });
    assert_eq!(look.body, shown);
    let accept = json!({ "token": token, "full_name": "New Person", "password": PASSWORD });
    let tokens = app.nobody().post("/api/v1/auth/invitations/accept", &accept).await.expect(201);
    let new = app.holder(tokens.body["access_token"].as_str().unwrap());
    let me = new.get("/api/v1/auth/me").await.expect(200);
    assert_eq!((&me.body["user"]["full_name"], &me.body["role"]), (&json!("New Person"), &json!("member")));
    new.post("companies", &json!({ "name": "First" })).await.expect(201);
    app.login("new@example.com").await;
    app.nobody().post("/api/v1/auth/invitations/accept", &accept).await.problem(404, "not_found");

    let entities = "/api/v1/a-crm/activities?entity_type=invitation";
    assert_eq!(world.owner().get(entities).await.expect(200).data().len(), 2);
    assert!(world.member().get(entities).await.expect(200).data().is_empty(), "who was invited is not for members");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_has_its_status() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let (owner, admin) = (world.owner(), world.caller("admin"));
    let id = invite(owner, "new@example.com").await;
    let (at, never) = (format!("{INVITATIONS}/{id}"), format!("{INVITATIONS}/{}", Uuid::now_v7()));

    owner.post(INVITATIONS, &json!({})).await.problem(400, "malformed").names(&["/email", "/role"]);
    owner
        .post(INVITATIONS, &json!({ "email": "x", "role": "boss", "zzz": 1 }))
        .await
        .problem(400, "malformed")
        .names(&["/role", "/zzz"]);
    owner.get(&format!("{INVITATIONS}?role=member")).await.problem(400, "malformed").names(&["role"]);
    app.nobody().post(INVITATIONS, &json!({})).await.problem(401, "unauthenticated");
    for caller in [world.member(), world.caller("viewer")] {
        caller.post(INVITATIONS, &invitation("other@example.com")).await.problem(403, "forbidden");
        caller.get(INVITATIONS).await.problem(403, "forbidden");
        for (path, status, code) in [(&at, 403, "forbidden"), (&never, 404, "not_found")] {
            caller.get(path).await.problem(status, code);
            caller.delete(path).await.problem(status, code);
            caller.call("POST", &format!("{path}/resend")).send().await.problem(status, code);
        }
    }
    for caller in [owner, admin] {
        caller.get(&never).await.problem(404, "not_found");
        caller.delete(&never).await.problem(404, "not_found");
        caller.call("POST", &format!("{never}/resend")).send().await.problem(404, "not_found");
    }
    let of_owner = json!({ "email": "boss@example.com", "role": "owner", "password": crm_testkit::PASSWORD });
    admin.post(INVITATIONS, &of_owner).await.problem(403, "forbidden");
    let boss = owner.post(INVITATIONS, &of_owner).await.expect(201).id();
    admin.delete(&format!("{INVITATIONS}/{boss}")).await.problem(403, "forbidden");
    admin.call("POST", &format!("{INVITATIONS}/{boss}/resend")).send().await.problem(403, "forbidden");

    owner.post(INVITATIONS, &invitation("no address")).await.problem(422, "invalid").names(&["/email"]);
    let mut strange = invitation("other@example.com");
    strange["team_id"] = json!(Uuid::now_v7());
    owner.post(INVITATIONS, &strange).await.problem(422, "invalid").names(&["/team_id"]);
    owner.post(INVITATIONS, &invitation("NEW@example.com")).await.problem(409, "conflict").names(&["/email"]);
    owner.post(INVITATIONS, &invitation(&world.tenant.email("viewer"))).await.problem(409, "conflict").names(&["/email"]);

    for _ in 0..4 {
        owner.call("POST", &format!("{at}/resend")).send().await.expect(200);
    }
    let limited = owner.call("POST", &format!("{at}/resend")).send().await.problem(429, "limited");
    assert_eq!(limited.header("retry-after"), "3600");
    owner.delete(&at).await.expect(204);
    owner.delete(&at).await.expect(204);
    owner.call("POST", &format!("{at}/resend")).send().await.problem(409, "conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_dead_has_one_answer_and_a_persons_own_proof_is_asked_for() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let (look, accept, join) =
        ("/api/v1/auth/invitations/look", "/api/v1/auth/invitations/accept", "/api/v1/auth/invitations/join");
    app.nobody().post(look, &json!({})).await.problem(400, "malformed").names(&["/token"]);
    app.nobody().post(accept, &json!({ "token": "x", "role": "owner" })).await.problem(400, "malformed").names(&["/role"]);
    let joins = |caller: &Caller, token: &str| json!({ "token": token, "refresh_token": caller.refresh_token });
    app.nobody().post(join, &joins(&app.nobody(), "x")).await.problem(401, "unauthenticated");
    for token in ["", "x", &"x".repeat(200), &"x".repeat(20_000), &format!("{}.{}", Uuid::now_v7().simple(), "x".repeat(43))] {
        app.nobody().post(look, &json!({ "token": token })).await.problem(404, "not_found");
        app.nobody().post(accept, &json!({ "token": token, "password": "x" })).await.problem(404, "not_found");
        world.member().post(join, &joins(world.member(), token)).await.problem(404, "not_found");
    }

    let token = app.invited_elsewhere("new@example.com", "Umbrella").await;
    let send = async |body: Value| app.nobody().post(accept, &body).await;
    send(json!({ "token": token })).await.problem(422, "invalid").names(&["/full_name"]);
    send(json!({ "token": token, "full_name": "New" })).await.problem(422, "invalid").names(&["/password"]);
    send(json!({ "token": token, "full_name": " ", "password": PASSWORD })).await.problem(422, "invalid").names(&["/full_name"]);
    world.member().post(join, &joins(world.member(), &token)).await.problem(403, "forbidden");

    let member = world.tenant.email("member");
    let token = app.invited_elsewhere(&member, "Initech").await;
    let seen = app.nobody().post(look, &json!({ "token": token })).await.expect(200);
    assert_eq!((&seen.body["has_account"], &seen.body["chooses_password"]), (&json!(true), &json!(false)));
    send(json!({ "token": token })).await.problem(401, "unauthenticated");
    send(json!({ "token": token, "full_name": "Thief", "password": "another password" })).await.problem(401, "unauthenticated");
    send(json!({ "token": token, "external_token": external_token("nobody") })).await.problem(401, "unauthenticated");
    send(json!({ "token": token, "external_token": "x", "password": PASSWORD }))
        .await
        .problem(422, "invalid")
        .names(&["/external_token"]);
    world.caller("viewer").post(join, &joins(world.caller("viewer"), &token)).await.problem(403, "forbidden");
    let joined = world.member().post(join, &joins(world.member(), &token)).await.expect(201);
    let there = app.holder(joined.body["access_token"].as_str().unwrap());
    assert_eq!(there.get("/api/v1/auth/me").await.expect(200).body["organization"]["name"], "Initech");
    world.member().post(join, &joins(world.member(), &token)).await.problem(401, "unauthenticated");
    there.get("/api/v1/auth/me").await.problem(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_in_no_answer_and_a_provider_makes_a_person() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let id = invite(world.owner(), "new@example.com").await;
    let token = app.invitation_token(&id).await;
    let secret = token.split_once('.').unwrap().1;
    for path in [INVITATIONS.to_owned(), format!("{INVITATIONS}/{id}"), "/api/v1/a-crm/activities?limit=200".to_owned()] {
        let answer = world.owner().get(&path).await.expect(200);
        assert!(!answer.text.contains(secret) && !answer.text.contains("secret"), "{path}");
    }
    let body = json!({ "token": token, "full_name": "New", "external_token": external_token("subject") });
    let made = app.nobody().post("/api/v1/auth/invitations/accept", &body).await.expect(201);
    let again = app.nobody().post("/api/v1/auth/exchange", &json!({ "token": external_token("subject") })).await.expect(200);
    assert_eq!(made.body["user_id"], again.body["user_id"], "from now on the provider opens");
}
