//! Whoever has got into a session for some minutes makes no API token that stays, and those that are there can be ended at once.

use crm_kernel::Role;
use serde_json::json;

use crate::{
    is_turned_away, mint,
    support::{App, world::World},
    with_password,
};

const TOKENS: &str = "/api/v1/auth/tokens";
const INVITATIONS: &str = "/api/v1/organizations/current/invitations";

#[tokio::test(flavor = "multi_thread")]
async fn making_one_takes_the_password_of_who_has_one() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let (service_users, robot) = ("/api/v1/organizations/current/service-users", json!({ "name": "Robot", "role": "viewer" }));
    let of_robot = format!("{service_users}/{}/tokens", world.owner().post(service_users, &robot).await.expect(201).id());
    for address in [TOKENS, &of_robot] {
        let refused = world.owner().post(address, &json!({ "name": "Stolen" })).await.problem(422, "invalid");
        refused.names(&["/password"]);
        let refused = world.owner().post(address, &json!({ "name": "Stolen", "password": "a guess" })).await;
        refused.problem(422, "invalid").names(&["/password"]);
        world.owner().post(address, &with_password(&json!({ "name": "Mine" }))).await.expect(201);
    }
    let made = app.database.number("SELECT count(*) FROM identity.api_tokens").await;
    assert_eq!(made, 2, "and nothing was made of those that were refused");
    for _ in 0..10 {
        world.owner().post(TOKENS, &json!({ "name": "Stolen", "password": "a guess" })).await;
    }
    world.owner().post(TOKENS, &with_password(&json!({ "name": "Late" }))).await.problem(429, "limited");
    let viewer = world.tenant.viewer.user_id;
    app.database.execute(&format!("DELETE FROM identity.credentials WHERE user_id = '{viewer}'")).await;
    world.caller("viewer").post(TOKENS, &json!({ "name": "Of who has no password" })).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_ends_all_of_ones_own_and_a_new_password_ends_none() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let (others, _) = mint(world.owner(), &json!({ "name": "Of the owner" })).await;
    let mut own = Vec::new();
    for name in ["One", "Two", "Three"] {
        own.push(mint(world.member(), &json!({ "name": name })).await.0);
    }
    let change = json!({ "current_password": crm_testkit::PASSWORD, "new_password": "another passphrase" });
    let tokens = world.member().post("/api/v1/auth/password/change", &change).await.expect(200).body;
    let member = app.holder(tokens["access_token"].as_str().unwrap());
    own[0].get("companies").await.expect(200);
    own[0].delete(TOKENS).await.problem(403, "forbidden");
    member.delete(TOKENS).await.expect(204);
    for program in &own {
        is_turned_away(program.get("companies").await, "revoked");
    }
    others.get("companies").await.expect(200);
    member.get("companies").await.expect(200);
    member.delete(TOKENS).await.expect(204);
    let revoked = member.get(&format!("{TOKENS}?status=revoked")).await.expect(200);
    assert_eq!(revoked.data().len(), 3, "{}", revoked.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn making_an_owner_or_an_admin_takes_the_password_too() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let member = format!("/api/v1/organizations/current/members/{}", world.tenant.member.user_id);
    for role in ["owner", "admin"] {
        let invitation = json!({ "email": format!("{role}@elsewhere.example"), "role": role });
        let wrong = json!({ "email": "thief@elsewhere.example", "role": role, "password": "a guess" });
        for body in [&invitation, &wrong] {
            world.owner().post(INVITATIONS, body).await.problem(422, "invalid").names(&["/password"]);
        }
        world.owner().post(INVITATIONS, &with_password(&invitation)).await.expect(201);
        for body in [json!({ "role": role }), json!({ "role": role, "password": "a guess" })] {
            world.owner().patch(&member, &body).await.problem(422, "invalid").names(&["/password"]);
        }
        let made = world.owner().patch(&member, &with_password(&json!({ "role": role }))).await.expect(200);
        assert_eq!(made.body["role"], json!(role));
        world.owner().patch(&member, &json!({ "role": "member" })).await.expect(200);
    }
    let thieves = "SELECT count(*) FROM identity.invitations WHERE email LIKE 'thief%'";
    assert_eq!(app.database.number(thieves).await, 0);
    // Who may not do it at all is told that, with or without a password.
    let admin = world.caller("admin");
    admin.patch(&member, &json!({ "role": "owner" })).await.problem(403, "forbidden");
    admin.post(INVITATIONS, &json!({ "email": "x@elsewhere.example", "role": "owner" })).await.problem(403, "forbidden");
    admin.post(INVITATIONS, &json!({ "email": "y@elsewhere.example", "role": "member" })).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_or_an_admin_comes_back_with_the_password_alone() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let owner = world.owner();
    for role in [Role::Owner, Role::Admin] {
        let person = world.newcomer(&app, role, &format!("suspended-{role}")).await;
        let member = format!("/api/v1/organizations/current/members/{}", person.context.user_id);
        owner.patch(&member, &json!({ "status": "suspended" })).await.expect(200);
        for body in [json!({ "status": "active" }), json!({ "status": "active", "password": "a guess" })] {
            owner.patch(&member, &body).await.problem(422, "invalid").names(&["/password"]);
        }
        owner.patch(&member, &json!({ "status": "active", "role": "member" })).await.expect(200);
        owner.patch(&member, &json!({ "status": "suspended" })).await.expect(200);
        owner.patch(&member, &json!({ "status": "active" })).await.expect(200);
    }
    let person = world.newcomer(&app, Role::Admin, "back").await;
    let member = format!("/api/v1/organizations/current/members/{}", person.context.user_id);
    owner.patch(&member, &json!({ "status": "suspended" })).await.expect(200);
    owner.patch(&member, &with_password(&json!({ "status": "active" }))).await.expect(200);

    let service_users = "/api/v1/organizations/current/service-users";
    let program = owner.post(service_users, &json!({ "name": "Sync", "role": "viewer" })).await.expect(201).id();
    let program = format!("{service_users}/{program}");
    for body in [json!({ "role": "admin" }), json!({ "role": "admin", "password": "a guess" })] {
        owner.patch(&program, &body).await.problem(422, "invalid").names(&["/password"]);
    }
    owner.patch(&program, &json!({ "role": "member" })).await.expect(200);
    owner.patch(&program, &with_password(&json!({ "role": "admin" }))).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_of_an_admin_that_has_expired_stays_so() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let admin = world.newcomer(&app, Role::Admin, "leaver").await;
    let mut invitations = Vec::new();
    for (role, email) in [("admin", "dead@elsewhere.example"), ("member", "alive@elsewhere.example")] {
        let body = with_password(&json!({ "email": email, "role": role }));
        invitations.push(admin.caller.post(INVITATIONS, &body).await.expect(201).id());
    }
    let resend = async |id: &str| world.owner().call("POST", &format!("{INVITATIONS}/{id}/resend")).send().await;
    resend(&invitations[0]).await.expect(200);
    let back = format!("UPDATE identity.invitations SET invited_by_id = '{}'", admin.context.user_id);
    app.database.execute(&back).await;
    let gone = format!("/api/v1/organizations/current/members/{}", admin.context.user_id);
    world.owner().call("DELETE", &gone).send().await.expect(200);
    resend(&invitations[0]).await.problem(422, "invalid");
    resend(&invitations[1]).await.expect(200);

    let own = with_password(&json!({ "email": "late@elsewhere.example", "role": "owner" }));
    let late = world.owner().post(INVITATIONS, &own).await.expect(201).id();
    app.database.execute("UPDATE identity.invitations SET expires_at = now() - interval '1 second'").await;
    resend(&late).await.problem(422, "invalid");
    resend(&invitations[1]).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_closes_what_its_person_wrote_and_another_sent_again() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let body = json!({ "email": "thief@elsewhere.example", "role": "member" });
    let id = world.owner().post(INVITATIONS, &body).await.expect(201).id();
    world.caller("admin").call("POST", &format!("{INVITATIONS}/{id}/resend")).send().await.expect(200);
    let change = json!({ "current_password": crm_testkit::PASSWORD, "new_password": "another passphrase" });
    world.owner().post("/api/v1/auth/password/change", &change).await.expect(200);
    let status = world.caller("admin").get(&format!("{INVITATIONS}/{id}")).await.expect(200).body["status"].clone();
    assert_eq!(status, json!("revoked"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_closes_the_invitations_that_its_person_sent() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let invited = async |by: &crate::support::Caller, email: &str| {
        by.post(INVITATIONS, &json!({ "email": email, "role": "member" })).await.expect(201).id()
    };
    let thiefs = invited(world.owner(), "thief@elsewhere.example").await;
    let others = invited(world.caller("admin"), "friend@elsewhere.example").await;
    let change = json!({ "current_password": crm_testkit::PASSWORD, "new_password": "another passphrase" });
    let tokens = world.owner().post("/api/v1/auth/password/change", &change).await.expect(200).body;
    let owner = app.holder(tokens["access_token"].as_str().unwrap());
    let status = async |id: &str| owner.get(&format!("{INVITATIONS}/{id}")).await.expect(200).body["status"].clone();
    assert_eq!((status(&thiefs).await, status(&others).await), (json!("revoked"), json!("pending")));
    let accept = async |id: &str| {
        let body = json!({ "token": app.invitation_token(id).await, "full_name": "X", "password": "a third passphrase" });
        app.nobody().post("/api/v1/auth/invitations/accept", &body).await
    };
    accept(&thiefs).await.problem(404, "not_found");
    accept(&others).await.expect(201);

    let again = invited(&owner, "thief@elsewhere.example").await;
    let email = world.tenant.email("owner");
    app.nobody().post("/api/v1/auth/password/forgot", &json!({ "email": email })).await.expect(202);
    let reset = json!({ "token": app.letter_token("reset_password", &email).await, "password": "a fourth passphrase" });
    app.nobody().post("/api/v1/auth/password/reset", &reset).await.expect(200);
    accept(&again).await.problem(404, "not_found");
    let revoked = "SELECT count(*) FROM crm_activities WHERE entity_type = 'invitation' AND activity_type = 'status_changed'
                    AND entity_id IN (SELECT id FROM identity.invitations WHERE closed_as = 'revoked')";
    assert_eq!(app.database.number(revoked).await, 2, "the log says so");
}
