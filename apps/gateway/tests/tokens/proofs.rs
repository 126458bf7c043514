//! Whoever has got into a session for some minutes makes no API token that stays, and those that are there can be ended at once.

use serde_json::json;

use crate::{
    is_turned_away, mint,
    support::{App, world::World},
    with_password,
};

const TOKENS: &str = "/api/v1/auth/tokens";

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
