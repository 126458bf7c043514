//! Tasks over HTTP: below what they are about, completed and opened again, one's own.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{App, Caller, world::World};

async fn about(caller: &Caller, kind: &str, id: &str) -> String {
    let body = json!({ "title": format!("About a {kind}"), "related_to_type": kind, "related_to_id": id });
    caller.post("tasks", &body).await.expect(201).id()
}

#[tokio::test(flavor = "multi_thread")]
async fn below_a_record_is_what_is_about_it_and_not_what_is_about_another_kind_with_its_id() {
    let app = App::start().await;
    let (world, stranger) = (World::create(&app, "Acme").await, World::create(&app, "Umbrella").await);
    // Clients choose ids: here are four records with one.
    let id = Uuid::now_v7().to_string();
    let kinds = [("companies", "company"), ("contacts", "contact"), ("deals", "deal"), ("projects", "project")];
    let mut tasks = Vec::new();
    for (noun, kind) in kinds {
        let body = json!({ "id": id, "name": "Same" });
        let person = json!({ "id": id, "first_name": "Same", "last_name": "Id" });
        world.member().post(noun, if noun == "contacts" { &person } else { &body }).await.expect(201);
        tasks.push(about(world.member(), kind, &id).await);
    }
    for ((noun, _), task) in kinds.iter().zip(&tasks) {
        let address = format!("{noun}/{id}/tasks");
        let page = world.caller("viewer").get(&format!("{address}?count=true")).await.expect(200);
        assert_eq!((page.ids(), &page.body["page"]["total"]["count"]), (vec![task.clone()], &json!(1)), "{noun}");
        for said in ["related_to_type=deal", "related_to_id=null"] {
            let name = said.split('=').next().unwrap();
            world.owner().get(&format!("{address}?{said}")).await.problem(400, "malformed").names(&[name]);
        }
        assert!(
            world.member().get(&format!("{address}?status=completed")).await.expect(200).ids().is_empty(),
            "filters narrow it"
        );
        stranger.owner().get(&address).await.problem(404, "not_found");
        app.nobody().get(&address).await.problem(401, "unauthenticated");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn completing_is_one_change_and_so_is_opening_again() {
    let app = App::start().await;
    let (world, stranger) = (World::create(&app, "Acme").await, World::create(&app, "Umbrella").await);
    let body = json!({ "title": "Ask", "due_date": "2039-01-03T09:00:00Z", "recurrence": "FREQ=WEEKLY;BYDAY=MO" });
    let made = world.member().post("tasks", &body).await.expect(201);
    let address = format!("tasks/{}", made.id());
    let put = async |caller: &Caller, step: &str, tag: &str| {
        caller.call("PUT", &format!("{address}/{step}")).header("if-match", tag).send().await
    };
    for step in ["complete", "reopen"] {
        put(world.caller("viewer"), step, "*").await.problem(403, "forbidden");
        put(stranger.owner(), step, "*").await.problem(404, "not_found");
        put(world.member(), step, "\"9\"").await.problem(412, "stale");
    }
    let done = put(world.member(), "complete", "\"1\"").await.expect(200);
    assert_eq!((done.etag(), &done.body["status"]), ("\"2\"", &json!("completed")));
    assert!(done.body["completed_at"].is_string());
    let next = world.member().get(&format!("tasks/{}", done.body["next_id"].as_str().unwrap())).await.expect(200);
    assert_eq!((&next.body["due_date"], &next.body["version"]), (&json!("2039-01-10T09:00:00Z"), &json!(1)));
    let open = put(world.member(), "reopen", done.etag()).await.expect(200);
    assert_eq!((open.etag(), &open.body["status"], &open.body["completed_at"]), ("\"3\"", &json!("pending"), &Value::Null));
    let again = put(world.member(), "complete", open.etag()).await.expect(200);
    assert_eq!(again.etag(), "\"4\"");
    assert!(
        again.body["next_id"].is_string() && again.body["next_id"] != done.body["next_id"],
        "the untouched one went to the bin"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn my_tasks_are_the_callers_own_by_the_callers_clock() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let title = |part: &Value| part["data"][0]["title"].clone();
    for (caller, name) in [(world.owner(), "owner's"), (world.caller("admin"), "admin's")] {
        caller.post("tasks", &json!({ "title": name, "due_date": "2020-01-01T00:00:00Z", "is_all_day": true })).await.expect(201);
        let mine = caller.get("tasks/my-tasks").await.expect(200).body;
        assert_eq!((title(&mine["overdue"]), &mine["time_zone"]), (json!(name), &json!("UTC")));
        assert_eq!(mine["overdue"]["has_more"], json!(false));
    }
    let none = world.caller("viewer").get("tasks/my-tasks").await.expect(200).body;
    assert_eq!(none["overdue"]["data"], json!([]));
}
