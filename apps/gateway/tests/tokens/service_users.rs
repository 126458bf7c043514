//! Service users: members that are programs.

use serde_json::{Value, json};

use crate::{
    is_turned_away,
    support::{App, Caller, world::World},
    with_password,
};

const SERVICE_USERS: &str = "/api/v1/organizations/current/service-users";

async fn make(caller: &Caller, name: &str, role: &str) -> String {
    caller.post(SERVICE_USERS, &json!({ "name": name, "role": role })).await.expect(201).id()
}

async fn program_of(app: &App, caller: &Caller, user: &str, body: &Value) -> Caller {
    let answer = caller.post(&format!("{SERVICE_USERS}/{user}/tokens"), &with_password(body)).await.expect(201);
    assert_eq!(answer.body["api_token"]["user_id"], user);
    app.holder(answer.body["token"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn its_program_works_as_itself() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let answer = world.caller("admin").post(SERVICE_USERS, &json!({ "name": "Website", "role": "member" })).await.expect(201);
    let user = answer.id();
    assert_eq!(answer.header("location"), format!("{SERVICE_USERS}/{user}"));
    let program = program_of(&app, world.caller("admin"), &user, &json!({ "name": "Forms" })).await;
    let made = program.post("companies", &json!({ "name": "From the website" })).await.expect(201);
    assert_eq!((&made.body["owner_id"], &made.body["created_by_id"]), (&json!(user), &json!(user)));
    let log = world.owner().get(&format!("companies/{}/activities?include=user", made.id())).await.expect(200);
    let activity = &log.data()[0];
    assert_eq!((&activity["actor_kind"], &activity["user_id"]), (&json!("service"), &json!(user)));
    assert_eq!(activity["user"]["full_name"], "Website");
    program.patch(&format!("companies/{}", made.id()), &json!({ "industry": "Its own" })).await.expect(200);
    program
        .patch(&format!("companies/{}", world.first("companies")), &json!({ "industry": "x" }))
        .await
        .problem(403, "forbidden");
    let me = program.get("/api/v1/auth/me").await.expect(200).body;
    assert_eq!((&me["user"]["id"], &me["role"]), (&json!(user), &json!("member")));
    let members = world.owner().get("/api/v1/organizations/current/members?kind=service").await.expect(200);
    assert_eq!((&members.data()[0]["full_name"], &members.data()[0]["email"]), (&json!("Website"), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn its_tokens_end_with_the_rights_of_who_made_them() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let user = make(world.owner(), "Website", "admin").await;
    let kept = program_of(&app, world.owner(), &user, &json!({ "name": "Of the owner" })).await;
    let admins = "/api/v1/organizations/current/members";
    for (number, change) in [json!({ "role": "member" }), json!({ "status": "suspended" })].into_iter().enumerate() {
        let email = format!("admin-{number}@acme.example.com");
        let person = app.database.add_member(world.tenant.organization_id, &email, crm_kernel::Role::Admin).await.user_id;
        let program = program_of(&app, &app.login(&email).await, &user, &json!({ "name": "Of an admin" })).await;
        program.get("companies").await.expect(200);
        world.owner().patch(&format!("{admins}/{person}"), &json!({ "title": "Deputy" })).await.expect(200);
        program.get("companies").await.expect(200);
        world.owner().patch(&format!("{admins}/{person}"), &change).await.expect(200);
        is_turned_away(program.get("companies").await, "whoever made it has seen it, and may no longer make any");
    }
    kept.get("companies").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_an_admin_no_more_sees_none_with_the_token_from_before() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let user = make(world.owner(), "Website", "member").await;
    let (admin, at) = (world.caller("admin"), format!("{SERVICE_USERS}/{user}"));
    admin.get(SERVICE_USERS).await.expect(200);
    admin.get(&at).await.expect(200);
    let person = format!("/api/v1/organizations/current/members/{}", world.tenant.admin.user_id);
    world.owner().patch(&person, &json!({ "role": "member" })).await.expect(200);
    admin.get(SERVICE_USERS).await.problem(403, "forbidden");
    admin.get(&at).await.problem(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_cannot_log_in() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let user = make(world.owner(), "Website", "admin").await;
    for email in ["Website", &user, "null", ""] {
        let body = json!({ "email": email, "password": crm_testkit::PASSWORD });
        let answer = app.nobody().post("/api/v1/auth/login", &body).await;
        assert!([401, 422].contains(&answer.status), "{email}: {}", answer.text);
    }
    assert_eq!(app.database.number(&format!("SELECT count(*) FROM identity.credentials WHERE user_id = '{user}'")).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn owner_and_admin_manage_it_at_a_login_and_nobody_else() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let user = make(world.owner(), "Website", "member").await;
    let address = format!("{SERVICE_USERS}/{user}");
    for role in ["member", "viewer"] {
        let caller = world.caller(role);
        caller.get(SERVICE_USERS).await.problem(403, "forbidden");
        caller.post(SERVICE_USERS, &json!({ "name": "Never", "role": "viewer" })).await.problem(403, "forbidden");
        caller.get(&address).await.problem(403, "forbidden");
        caller.patch(&address, &json!({ "role": "admin" })).await.problem(403, "forbidden");
        caller.delete(&address).await.problem(403, "forbidden");
        caller.post(&format!("{address}/tokens"), &json!({ "name": "Never" })).await.problem(403, "forbidden");
    }
    for role in ["owner", "admin"] {
        let caller = world.caller(role);
        for given in ["admin", "member", "viewer"] {
            make(caller, &format!("By {role}"), given).await;
        }
        caller
            .post(SERVICE_USERS, &json!({ "name": "Never", "role": "owner" }))
            .await
            .problem(400, "malformed")
            .names(&["/role"]);
        caller.patch(&address, &json!({ "role": "owner" })).await.problem(400, "malformed").names(&["/role"]);
        caller.post(SERVICE_USERS, &json!({ "name": " ", "role": "viewer" })).await.problem(422, "invalid").names(&["/name"]);
        caller.patch(&address, &json!({ "name": "x".repeat(256) })).await.problem(422, "invalid").names(&["/name"]);
        caller
            .post(&format!("{address}/tokens"), &json!({ "name": "", "entities": ["unicorn"] }))
            .await
            .problem(422, "invalid")
            .names(&["/name", "/entities/0"]);
    }
    // A program that is an admin does not manage programs.
    let admin = make(world.owner(), "Admin", "admin").await;
    let program = program_of(&app, world.owner(), &admin, &json!({ "name": "Admin" })).await;
    program.get(SERVICE_USERS).await.problem(403, "forbidden");
    program.post(&format!("{address}/tokens"), &json!({ "name": "Never" })).await.problem(403, "forbidden");
    program.patch(&format!("companies/{}", world.first("companies")), &json!({ "industry": "By an admin" })).await.expect(200);
    let list = world.owner().get(&format!("{SERVICE_USERS}?role=viewer&limit=1&count=true")).await.expect(200);
    assert_eq!((list.data().len(), &list.body["page"]["total"]["count"]), (1, &json!(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn people_and_strangers_are_not_addressed_here() {
    let app = App::start().await;
    let (world, umbrella) = (World::create(&app, "Acme").await, World::create(&app, "Umbrella").await);
    let foreign = make(umbrella.owner(), "Foreign", "member").await;
    let people =
        [world.tenant.member.user_id, world.tenant.owner.user_id, umbrella.tenant.member.user_id].map(|id| id.to_string());
    for id in people.iter().chain([&foreign, &uuid::Uuid::now_v7().to_string()]) {
        let address = format!("{SERVICE_USERS}/{id}");
        let owner = world.owner();
        owner.get(&address).await.problem(404, "not_found");
        owner.patch(&address, &json!({ "name": "Changed", "role": "viewer" })).await.problem(404, "not_found");
        owner.delete(&address).await.problem(404, "not_found");
        owner.post(&format!("{address}/tokens"), &json!({ "name": "Never" })).await.problem(404, "not_found");
        owner.post(&format!("{address}/tokens"), &json!({ "name": "" })).await.problem(404, "not_found");
    }
    world.member().get("companies").await.expect(200);
    assert_eq!(world.owner().get(SERVICE_USERS).await.expect(200).data().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn changing_and_removing_it_takes_effect_at_once_and_is_logged() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let user = make(world.owner(), "Website", "member").await;
    let address = format!("{SERVICE_USERS}/{user}");
    let program = program_of(&app, world.owner(), &user, &json!({ "name": "Forms" })).await;
    let body = json!({ "name": "From the website" });
    let made = program.post("companies", &body).await.expect(201).id();
    let changed =
        world.caller("admin").patch(&address, &json!({ "name": "Old website", "role": "viewer" })).await.expect(200).body;
    assert_eq!((&changed["name"], &changed["role"]), (&json!("Old website"), &json!("viewer")));
    program.post("companies", &body).await.problem(403, "forbidden");
    program.get("companies").await.expect(200);
    world.owner().patch(&address, &json!({})).await.expect(200);
    let log = world.owner().get(&format!("activities?entity_type=member&entity_id={user}")).await.expect(200);
    let fields: Vec<&Value> = log.data().iter().map(|activity| &activity["fields"]).collect();
    assert!(fields.contains(&&json!(["full_name"])) && fields.contains(&&json!(["role"])), "{}", log.text);
    world.owner().delete(&address).await.expect(204);
    is_turned_away(program.get("companies").await, "removed");
    world.owner().get(&address).await.problem(404, "not_found");
    world.owner().delete(&address).await.problem(404, "not_found");
    world.owner().post(&format!("{address}/tokens"), &json!({ "name": "Never" })).await.problem(404, "not_found");
    let record = world.owner().get(&format!("companies/{made}?include=owner")).await.expect(200).body;
    assert_eq!(record["owner"]["full_name"], "Old website", "records go on naming it");
    let revoked = format!(
        "SELECT count(*) FROM identity.api_tokens WHERE user_id = '{user}' AND revoked_by_id = '{}'",
        world.tenant.owner.user_id
    );
    assert_eq!(app.database.number(&revoked).await, 1);
    // Not even whoever writes memberships makes it an owner.
    let other = make(world.owner(), "Other", "admin").await;
    let mut admin = app.database.admin().await;
    let sql = format!("UPDATE memberships SET role = 'owner' WHERE user_id = '{other}'");
    let refused = diesel_async::SimpleAsyncConnection::batch_execute(&mut admin, &sql).await.unwrap_err();
    assert!(refused.to_string().contains("cannot be an owner"), "{refused}");
}
