//! Sessions: how they begin, go on and end.

use crm_kernel::Role;
use crm_testkit::PASSWORD;
use futures_util::future::join_all;
use serde_json::json;

use crate::{
    is_turned_away, refresh,
    support::{App, world::World},
};

#[tokio::test(flavor = "multi_thread")]
async fn rights_that_were_taken_are_gone_with_the_next_request() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let change = async |set: &str| {
        let member = world.tenant.member.user_id;
        app.database.execute(&format!("UPDATE memberships SET {set} WHERE user_id = '{member}'")).await;
    };
    let body = json!({ "name": "By the member" });
    world.member().post("companies", &body).await.expect(201);
    change("role = 'viewer'").await;
    world.member().post("companies", &body).await.problem(403, "forbidden");
    world.member().get("companies").await.expect(200);
    change("status = 'suspended'").await;
    is_turned_away(world.member().get("companies").await, "suspended");
    is_turned_away(world.member().get("/api/v1/auth/me").await, "suspended");
    refresh(&app, &world.member().refresh_token).await.problem(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn logging_out_ends_this_session_at_once_and_no_other() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let (here, there) = (world.owner(), app.login(&world.tenant.email("owner")).await);
    here.call("POST", "/api/v1/auth/logout").send().await.expect(204);
    is_turned_away(here.get("companies").await, "logged out");
    is_turned_away(here.post("companies", &json!({ "name": "Never" })).await, "logged out");
    is_turned_away(here.get("/api/v1/auth/me").await, "logged out");
    refresh(&app, &here.refresh_token).await.problem(401, "unauthenticated");
    there.get("companies").await.expect(200);
    refresh(&app, &there.refresh_token).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_good_once_and_a_second_use_ends_the_session() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let first = app.login(&world.tenant.email("owner")).await;
    let second = refresh(&app, &first.refresh_token).await.expect(200).body;
    let holder = app.holder(second["access_token"].as_str().unwrap());
    holder.get("companies").await.expect(200);
    let third = refresh(&app, second["refresh_token"].as_str().unwrap()).await.expect(200).body;
    assert_ne!(second["refresh_token"], third["refresh_token"]);

    refresh(&app, &first.refresh_token).await.problem(401, "unauthenticated");
    refresh(&app, third["refresh_token"].as_str().unwrap()).await.problem(401, "unauthenticated");
    for token in
        [first.token.unwrap(), second["access_token"].as_str().unwrap().into(), third["access_token"].as_str().unwrap().into()]
    {
        is_turned_away(app.holder(token).get("companies").await, "the whole family is gone");
    }
    for garbage in ["", "x", "\0", &"A".repeat(10_000)] {
        refresh(&app, garbage).await.problem(401, "unauthenticated");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_refreshes_at_the_same_moment_one_wins_at_most() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    for _ in 0..5 {
        let caller = app.login(&world.tenant.email("owner")).await;
        let answers = join_all((0..4).map(|_| refresh(&app, &caller.refresh_token))).await;
        let won: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
        assert_eq!(won.len(), 1, "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
        let token = won[0].body["access_token"].as_str().unwrap();
        is_turned_away(app.holder(token).get("companies").await, "a token used twice ends its session");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_login_says_nothing_about_what_is_wrong() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let email = world.tenant.email("owner");
    let mut details = Vec::new();
    for body in [
        json!({ "email": email, "password": "wrong password" }),
        json!({ "email": "nobody@example.com", "password": PASSWORD }),
        json!({ "email": email, "password": PASSWORD, "organization": "nowhere" }),
        json!({ "email": format!("{email}\0"), "password": "wrong password" }),
    ] {
        let answer = app.nobody().post("/api/v1/auth/login", &body).await;
        if answer.status != 422 {
            details.push(answer.problem(401, "unauthenticated").body["detail"].clone());
        }
    }
    assert!(details.len() >= 3);
    assert!(details.windows(2).all(|pair| pair[0] == pair[1]), "{details:?}");
    let upper = json!({ "email": email.to_uppercase(), "password": PASSWORD, "organization": world.tenant.slug });
    app.nobody().post("/api/v1/auth/login", &upper).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn switching_enters_only_an_organisation_of_ones_own() {
    let app = App::start().await;
    let (acme, umbrella) = (World::create(&app, "Acme").await, app.database.tenant("Umbrella").await);
    let target = json!({ "organization_id": umbrella.organization_id, "refresh_token": acme.owner().refresh_token });
    let guessed = json!({ "organization_id": umbrella.organization_id, "refresh_token": "guessed" });
    acme.owner().post("/api/v1/auth/switch", &guessed).await.problem(401, "unauthenticated");
    acme.owner().post("/api/v1/auth/switch", &target).await.problem(404, "not_found");
    app.database.add_member(umbrella.organization_id, &acme.tenant.email("owner"), Role::Viewer).await;
    let switched = acme.owner().post("/api/v1/auth/switch", &target).await.expect(200).body;
    assert_eq!((&switched["role"], &switched["organization_id"]), (&json!("viewer"), &target["organization_id"]));
    let there = app.holder(switched["access_token"].as_str().unwrap());
    assert_eq!(there.get("companies").await.expect(200).data().len(), 0);
    there.post("companies", &json!({ "name": "Never" })).await.problem(403, "forbidden");
    is_turned_away(acme.owner().get("companies").await, "the login has moved");
    there.call("POST", "/api/v1/auth/logout").send().await.expect(204);
    is_turned_away(there.get("companies").await, "and can be ended there");
}
