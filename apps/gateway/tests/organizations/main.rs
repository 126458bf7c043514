//! Organisations, members, teams and the audit list as a client meets them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod audit;
#[path = "../support/mod.rs"]
mod support;

use serde_json::json;
use support::{App, world::World};

/// The organisation of the token.
const CURRENT: &str = "/api/v1/organizations/current";

async fn set_up() -> (App, World) {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    (app, world)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_organisation_is_read_by_all_and_changed_by_those_who_manage_it() {
    let (_app, world) = set_up().await;
    let before = world.caller("viewer").get(CURRENT).await.expect(200);
    let name = json!({ "name": "Ácme 🚀", "bin_retention_days": 30, "country": "DE" });
    let changed =
        world.caller("admin").call("PATCH", CURRENT).header("if-match", before.etag()).json(&name).send().await.expect(200);
    assert_eq!((&changed.body["name"], &changed.body["bin_retention_days"]), (&json!("Ácme 🚀"), &json!(30)));
    assert_ne!(changed.etag(), before.etag());
    world.caller("admin").call("PATCH", CURRENT).header("if-match", before.etag()).json(&name).send().await.problem(412, "stale");
    let null = world.owner().patch(CURRENT, &json!({ "bin_retention_days": null, "country": null })).await.expect(200);
    assert_eq!((&null.body["bin_retention_days"], &null.body["country"]), (&json!(null), &json!(null)));

    let bad = json!({ "country": "XX", "default_currency": "ABC", "slug": "No Slug", "address_retention_days": 0 });
    let refused = world.owner().patch(CURRENT, &bad).await.problem(422, "invalid");
    refused.names(&["/country", "/default_currency", "/slug", "/address_retention_days"]);
    world.owner().patch(CURRENT, &json!({ "name": null })).await.problem(400, "malformed").names(&["/name"]);
    world.owner().patch(CURRENT, &json!({ "version": 7 })).await.problem(400, "malformed").names(&["/version"]);
    let euro = json!({ "default_currency": "EUR" });
    world.owner().patch(CURRENT, &euro).await.problem(422, "invalid").names(&["/default_currency"]);
    world.owner().patch(CURRENT, &json!({ "time_zone": "Nowhere" })).await.problem(422, "invalid").names(&["/time_zone"]);
    for role in ["member", "viewer"] {
        world.caller(role).patch(CURRENT, &name).await.problem(403, "forbidden");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slug_belongs_to_one_organisation() {
    let (app, world) = set_up().await;
    let other = app.database.tenant("Umbrella").await;
    world.owner().patch(CURRENT, &json!({ "slug": other.slug })).await.problem(409, "conflict").names(&["/slug"]);
    world.owner().patch(CURRENT, &json!({ "slug": "new-name" })).await.expect(200);
    let other = app.login(&other.email("owner")).await;
    other.patch(CURRENT, &json!({ "slug": world.tenant.slug })).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn security_settings_are_the_owners() {
    let (_app, world) = set_up().await;
    let address = format!("{CURRENT}/security");
    let before = world.caller("admin").get(&address).await.expect(200);
    assert_eq!(before.body["require_second_factor"], false);
    let days = json!({ "session_days": 30, "api_token_days": 90 });
    let changed = world.owner().call("PATCH", &address).header("if-match", before.etag()).json(&days).send().await.expect(200);
    assert_eq!((&changed.body["session_days"], &changed.body["api_token_days"]), (&json!(30), &json!(90)));
    world.owner().call("PATCH", &address).header("if-match", before.etag()).json(&days).send().await.problem(412, "stale");
    let locked_out = world.owner().patch(&address, &json!({ "require_second_factor": true })).await.problem(422, "invalid");
    locked_out.names(&["/require_second_factor"]);
    world.owner().patch(&address, &json!({ "session_days": 0 })).await.problem(422, "invalid").names(&["/session_days"]);
    world.caller("admin").patch(&address, &days).await.problem(403, "forbidden");
    world.member().get(&address).await.problem(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_organisation_refuses_every_token() {
    let (app, world) = set_up().await;
    let confirmed = format!("{CURRENT}?confirm={}", world.tenant.slug);
    world.owner().delete(CURRENT).await.problem(400, "malformed").names(&["confirm"]);
    world.owner().delete(&format!("{CURRENT}?confirm=acme&really=1")).await.problem(400, "malformed").names(&["really"]);
    world.owner().delete(&format!("{CURRENT}?confirm=wrong")).await.problem(422, "invalid");
    world.owner().call("DELETE", &confirmed).header("if-match", "\"99\"").send().await.problem(412, "stale");
    world.caller("admin").delete(&confirmed).await.problem(403, "forbidden");
    world.owner().delete(&confirmed).await.expect(204);
    for role in support::world::ROLES {
        world.caller(role).get("companies").await.problem(401, "unauthenticated");
        let body = json!({ "email": world.tenant.email(role), "password": crm_testkit::PASSWORD });
        app.nobody().post("/api/v1/auth/login", &body).await.expect(401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_are_changed_and_hear_it_with_the_next_request() {
    let (app, world) = set_up().await;
    let person = world.newcomer(&app, crm_kernel::Role::Member, "somebody").await;
    let address = format!("{CURRENT}/members/{}", person.context.user_id);
    let before = world.caller("viewer").get(&address).await.expect(200);
    let viewer = json!({ "role": "viewer", "title": "Observer 🔭" });
    let changed = world.caller("admin").call("PATCH", &address).header("if-match", before.etag()).json(&viewer).send().await;
    assert_eq!(changed.expect(200).body["title"], "Observer 🔭");
    world
        .caller("admin")
        .call("PATCH", &address)
        .header("if-match", before.etag())
        .json(&viewer)
        .send()
        .await
        .problem(412, "stale");
    let company = json!({ "name": "Company" });
    person.caller.post("companies", &company).await.problem(403, "forbidden");
    world.caller("admin").patch(&address, &json!({ "role": "owner" })).await.problem(403, "forbidden");
    world.owner().patch(&address, &json!({ "status": "removed" })).await.problem(400, "malformed").names(&["/status"]);
    world.owner().patch(&address, &json!({ "role": "king" })).await.problem(400, "malformed").names(&["/role"]);
    world.owner().patch(&address, &json!({ "email": "x@example.com" })).await.problem(400, "malformed").names(&["/email"]);
    world.owner().patch(&address, &json!({ "status": "suspended" })).await.expect(200);
    person.caller.get("companies").await.problem(401, "unauthenticated");

    let owner = format!("{CURRENT}/members/{}", world.tenant.owner.user_id);
    world.caller("admin").patch(&owner, &json!({ "title": "Boss" })).await.problem(403, "forbidden");
    world.owner().patch(&owner, &json!({ "role": "member" })).await.problem(422, "invalid").names(&["/role"]);
    world.owner().delete(&owner).await.problem(422, "invalid").names(&["/status"]);
    world.owner().post(&format!("{CURRENT}/leave"), &json!({})).await.problem(422, "invalid").names(&["/status"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_is_removed_and_the_answer_says_what_became_of_the_records() {
    let (_app, world) = set_up().await;
    let (member, heir) = (world.tenant.member.user_id, world.tenant.colleague.user_id);
    let address = format!("{CURRENT}/members/{member}");
    let offered = world.caller("admin").get(&format!("{address}/records")).await.expect(200);
    let companies = json!({ "collection": "companies", "field": "owner_id", "living": 3, "in_bin": 1 });
    assert!(offered.body["records"].as_array().unwrap().contains(&companies), "{}", offered.text);
    world.member().get(&format!("{address}/records")).await.problem(403, "forbidden");
    world.owner().delete(&format!("{address}?reassign_to=nobody")).await.problem(400, "malformed").names(&["reassign_to"]);
    let missing = format!("{address}?reassign_to={}", uuid::Uuid::now_v7());
    world.owner().delete(&missing).await.problem(422, "invalid").names(&["/reassign_to"]);
    let itself = json!({ "to": member });
    world.owner().post(&format!("{address}/reassign"), &itself).await.problem(422, "invalid").names(&["/to"]);

    let removed = world.caller("admin").delete(&format!("{address}?reassign_to={heir}")).await.expect(200);
    let moved = json!({ "collection": "companies", "field": "owner_id", "moved": 3, "remaining": 0, "in_bin": 1 });
    assert!(removed.body["records"].as_array().unwrap().contains(&moved), "{}", removed.text);
    let operation = removed.body["operation_id"].as_str().unwrap();
    let logged = world.owner().get(&format!("activities?operation_id={operation}&limit=200")).await.expect(200);
    assert!(logged.data().len() >= 10, "three of each noun and the membership: {}", logged.data().len());
    world.member().get("companies").await.problem(401, "unauthenticated");
    assert_eq!(world.owner().get(&address).await.expect(200).body["status"], "removed");
    world.owner().delete(&address).await.problem(422, "invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn teams_are_kept_by_those_who_manage() {
    let (_app, world) = set_up().await;
    let teams = format!("{CURRENT}/teams");
    let made = world.caller("admin").post(&teams, &json!({ "name": "Süd 🌞" })).await.expect(201);
    let address = made.header("location").to_owned();
    assert_eq!(world.caller("viewer").get(&address).await.expect(200).body, made.body);
    world.owner().post(&teams, &json!({ "name": "süd 🌞" })).await.problem(409, "conflict").names(&["/name"]);
    world.owner().post(&teams, &json!({})).await.problem(400, "malformed").names(&["/name"]);
    world.owner().post(&teams, &json!({ "name": " " })).await.problem(422, "invalid").names(&["/name"]);
    let lead = json!({ "manager_id": world.tenant.member.user_id });
    let led = world.owner().call("PATCH", &address).header("if-match", made.etag()).json(&lead).send().await.expect(200);
    world.owner().call("PATCH", &address).header("if-match", made.etag()).json(&lead).send().await.problem(412, "stale");
    assert_eq!(led.body["manager_id"], lead["manager_id"]);
    let shown = world.owner().get(&format!("{address}?fields=name&include=manager")).await.expect(200);
    assert_eq!(shown.body["manager"]["full_name"], "member");
    assert_eq!(world.owner().get(&format!("{teams}?manager_id=null&name=SÜD 🌞")).await.expect(200).data().len(), 0);
    assert_eq!(
        world.owner().get(&format!("{teams}?manager_id={}", world.tenant.member.user_id)).await.expect(200).data().len(),
        1
    );
    let member = format!("{CURRENT}/members/{}", world.tenant.viewer.user_id);
    world.owner().patch(&member, &json!({ "team_id": made.id() })).await.expect(200);
    let inside = world.owner().get(&format!("{CURRENT}/members?team_id={}", made.id())).await.expect(200);
    assert_eq!(inside.data().len(), 1);
    for role in ["member", "viewer"] {
        world.caller(role).delete(&address).await.problem(403, "forbidden");
    }
    world.owner().put(&address, &json!({ "name": "South" })).await.expect(200);
    world.owner().delete(&address).await.expect(204);
    world.owner().get(&address).await.problem(404, "not_found");
    assert_eq!(world.owner().get(&member).await.expect(200).body["team_id"], json!(null));
}
