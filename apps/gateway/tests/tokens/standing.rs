//! Tokens of people whose standing changes: gone with the next request, whatever the token says.

use crm_kernel::Role;
use serde_json::json;

use crate::{
    is_turned_away, mint,
    support::{App, Caller, world::World},
};

struct Scene {
    app: App,
    world: World,
    /// The member's session and two of the member's programs.
    callers: Vec<Caller>,
}

impl Scene {
    async fn create() -> Self {
        let app = App::start().await;
        let world = World::create(&app, "Acme").await;
        let member = world.member();
        let callers = vec![
            member.clone(),
            mint(member, &json!({ "name": "All" })).await.0,
            mint(member, &json!({ "name": "Read", "read_only": true })).await.0,
        ];
        for caller in &callers {
            caller.get("companies").await.expect(200);
        }
        Self { app, world, callers }
    }

    async fn change(&self, sql: &str) {
        let sql = sql.replace("{member}", &self.world.tenant.member.user_id.to_string());
        self.app.database.execute(&sql.replace("{organization}", &self.world.tenant.organization_id.to_string())).await;
    }

    async fn all_are_turned_away(&self, what: &str) {
        for caller in &self.callers {
            is_turned_away(caller.get("companies").await, what);
            is_turned_away(caller.get("activities").await, what);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_suspended_member_for_good() {
    let scene = Scene::create().await;
    scene.change("UPDATE memberships SET status = 'suspended' WHERE user_id = '{member}'").await;
    scene.all_are_turned_away("suspended").await;
    scene.change("UPDATE memberships SET status = 'active' WHERE user_id = '{member}'").await;
    // Whoever comes back logs in and makes new ones: what a suspended person held may be in other hands.
    scene.all_are_turned_away("suspended once").await;
    scene.app.login(&scene.world.tenant.email("member")).await.get("companies").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_removed_member_for_good() {
    let scene = Scene::create().await;
    scene.change("UPDATE memberships SET status = 'removed' WHERE user_id = '{member}'").await;
    scene.all_are_turned_away("removed").await;
    scene.change("UPDATE memberships SET status = 'active' WHERE user_id = '{member}'").await;
    for program in &scene.callers[1..] {
        is_turned_away(program.get("companies").await, "who comes back brings no token along");
    }
    let revoked = "SELECT count(*) FROM identity.api_tokens WHERE user_id = '{member}' AND revoked_at IS NOT NULL";
    let revoked = revoked.replace("{member}", &scene.world.tenant.member.user_id.to_string());
    assert_eq!(scene.app.database.number(&revoked).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_deleted_person_and_of_a_deleted_organisation() {
    for sql in [
        "UPDATE users SET deleted_at = now() WHERE id = '{member}'",
        "UPDATE organizations SET deleted_at = now() WHERE id = '{organization}'",
    ] {
        let scene = Scene::create().await;
        scene.change(sql).await;
        scene.all_are_turned_away(sql).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_demoted_member_does_what_the_new_role_may() {
    let scene = Scene::create().await;
    let program = &scene.callers[1];
    let body = json!({ "name": "By a program" });
    program.post("companies", &body).await.expect(201);
    scene.change("UPDATE memberships SET role = 'viewer' WHERE user_id = '{member}'").await;
    for caller in &scene.callers {
        caller.get("companies").await.expect(200);
        caller.post("companies", &body).await.problem(403, "forbidden");
        caller
            .patch(&format!("companies/{}", scene.world.first("companies")), &json!({ "industry": "x" }))
            .await
            .problem(403, "forbidden");
    }
    // What a token was made with it keeps: a promotion takes a new token.
    scene.change("UPDATE memberships SET role = 'admin' WHERE user_id = '{member}'").await;
    let service_users = "/api/v1/organizations/current/service-users";
    program.get(service_users).await.problem(403, "forbidden");
    let again = scene.app.login(&scene.world.tenant.email("member")).await;
    again.get(service_users).await.expect(200);
    assert_eq!(scene.world.tenant.member.role, Role::Member);
}
