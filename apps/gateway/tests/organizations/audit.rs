//! The audit list: everything that concerns security, for those who manage, and nothing of it for others.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{CURRENT, set_up, support::waiting::until};

/// What members and viewers see nothing of.
const HIDDEN: [&str; 6] = ["session", "credential", "api_token", "invitation", "second_factor", "external_identity"];

#[tokio::test(flavor = "multi_thread")]
async fn logins_roles_and_settings_are_there_with_who_when_whence_and_what() {
    let (app, world) = set_up().await;
    let person = world.newcomer(&app, crm_kernel::Role::Member, "somebody").await;
    let member = format!("{CURRENT}/members/{}", person.context.user_id);
    world
        .caller("admin")
        .call("PATCH", &member)
        .header("user-agent", "Agent")
        .json(&json!({ "role": "viewer" }))
        .send()
        .await
        .expect(200);
    world.owner().patch(CURRENT, &json!({ "name": "New name" })).await.expect(200);
    world.owner().post(&format!("{CURRENT}/teams"), &json!({ "name": "Team" })).await.expect(201);
    world.owner().patch(&member, &json!({ "status": "suspended" })).await.expect(200);
    let wrong = json!({ "email": world.tenant.email("viewer"), "password": "not the password" });
    app.nobody().post("/api/v1/auth/login", &wrong).await.problem(401, "unauthenticated");
    let address = format!("{CURRENT}/audit");
    // Written beside the answer, not before it.
    let refused = format!("{address}?activity_type=login_refused");
    until("a wrong password is in the list", async || !world.owner().get(&refused).await.expect(200).data().is_empty()).await;
    let list = world.caller("admin").get(&format!("{address}?limit=200")).await.expect(200);
    let kind = |row: &Value| format!("{} {}", row["entity_type"].as_str().unwrap(), row["activity_type"].as_str().unwrap());
    let kinds: BTreeSet<String> = list.data().iter().map(kind).collect();
    for wanted in [
        "session login",
        "session session_ended",
        "credential login_refused",
        "member updated",
        "member status_changed",
        "organization updated",
        "team created",
    ] {
        assert!(kinds.contains(wanted), "{wanted} is not in {kinds:?}");
    }
    assert!(kinds.iter().all(|kind| !kind.starts_with("company")), "records of the CRM are elsewhere: {kinds:?}");
    let role = list.data().iter().find(|row| row["changes"]["role"].is_array()).unwrap();
    assert_eq!(role["changes"]["role"], json!(["member", "viewer"]));
    assert_eq!(role["user_id"], json!(world.tenant.admin.user_id));
    assert_eq!((&role["ip"], role["user_agent"].as_str()), (&json!("127.0.0.1"), Some("Agent")));

    let count =
        async |question: &str| world.owner().get(&format!("{address}?limit=200&{question}")).await.expect(200).data().len();
    assert_eq!(count(&format!("user_id={}&entity_type=member", world.tenant.admin.user_id)).await, 1);
    assert_eq!(count(&format!("entity_id={}&activity_type=status_changed", person.context.user_id)).await, 1);
    let all = list.data().len();
    let middle = list.data()[all / 2]["occurred_at"].as_str().unwrap();
    let (earlier, later) = (count(&format!("occurred_until={middle}")).await, count(&format!("occurred_from={middle}")).await);
    assert_eq!(earlier + later, all, "the ends of a period meet");
    let cursor = world.owner().get(&format!("{address}?limit=2&occurred_until={middle}")).await.expect(200);
    let next = cursor.body["page"]["next_cursor"].as_str().unwrap();
    let rest = format!("{address}?limit=200&occurred_until={middle}&cursor={next}");
    assert_eq!(world.owner().get(&rest).await.expect(200).data().len(), earlier - 2);
    let bad = format!("{address}?occurred_from=yesterday&occurred_until={middle}&occurred_until={middle}&colour=red");
    world.owner().get(&bad).await.problem(400, "malformed").names(&["occurred_from", "occurred_until", "colour"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_and_viewers_see_nothing_of_it_anywhere() {
    let (_app, world) = set_up().await;
    let session = world.owner().get(&format!("{CURRENT}/audit?entity_type=session&limit=1")).await.expect(200);
    let (activity, entity) = (session.ids().remove(0), session.data()[0]["entity_id"].as_str().unwrap().to_owned());
    world.owner().get(&format!("activities/{activity}")).await.expect(200);
    for role in ["member", "viewer"] {
        let caller = world.caller(role);
        caller.get(&format!("{CURRENT}/audit")).await.problem(403, "forbidden");
        caller.get(&format!("activities/{activity}")).await.problem(404, "not_found");
        for kind in HIDDEN {
            assert_eq!(caller.get(&format!("activities?entity_type={kind}")).await.expect(200).data().len(), 0, "{kind}");
        }
        assert_eq!(caller.get(&format!("activities?entity_id={entity}")).await.expect(200).data().len(), 0);
        let all = caller.get("activities?limit=200&count=true").await.expect(200);
        assert!(all.data().iter().all(|row| !HIDDEN.contains(&row["entity_type"].as_str().unwrap()) && row["ip"].is_null()));
        assert_eq!(all.body["page"]["total"]["count"], json!(all.data().len()), "they are not counted either");
        let records = format!("companies/{}/activities", world.first("companies"));
        assert!(caller.get(&records).await.expect(200).data().iter().all(|row| row["entity_type"] == "company"));
    }
}
