//! Notes over HTTP: below what they are about, pinned ones first; to the letter, and as HTML that is safe.

use serde_json::json;
use uuid::Uuid;

use crate::support::{App, world::World};

#[tokio::test(flavor = "multi_thread")]
async fn below_a_record_are_its_notes_pinned_ones_first_and_no_others() {
    let app = App::start().await;
    let (world, stranger) = (World::create(&app, "Acme").await, World::create(&app, "Umbrella").await);
    // Clients choose ids: here are five records with one.
    let id = Uuid::now_v7().to_string();
    let kinds =
        [("companies", "company"), ("contacts", "contact"), ("deals", "deal"), ("projects", "project"), ("tasks", "task")];
    for (noun, kind) in kinds {
        let body = match noun {
            "contacts" => json!({ "id": id, "first_name": "Same", "last_name": "Id" }),
            "tasks" => json!({ "id": id, "title": "Same" }),
            _ => json!({ "id": id, "name": "Same" }),
        };
        world.member().post(noun, &body).await.expect(201);
        for (content, is_pinned) in [("first", true), ("second", false)] {
            let note = json!({ "content": format!("{kind}: {content}"), "is_pinned": is_pinned, "related_to_type": kind, "related_to_id": id });
            world.member().post("notes", &note).await.expect(201);
        }
    }
    for (noun, kind) in kinds {
        let address = format!("{noun}/{id}/notes");
        let page = world.caller("viewer").get(&format!("{address}?count=true")).await.expect(200);
        let texts: Vec<_> = page.data().iter().map(|note| note["content"].as_str().unwrap().to_owned()).collect();
        assert_eq!(texts, [format!("{kind}: first"), format!("{kind}: second")]);
        assert_eq!(page.body["page"]["total"]["count"], json!(2));
        world.owner().get(&format!("{address}?related_to_type=deal")).await.problem(400, "malformed").names(&["related_to_type"]);
        stranger.owner().get(&address).await.problem(404, "not_found");
        app.nobody().get(&address).await.problem(401, "unauthenticated");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_comes_back_to_the_letter_and_its_html_is_clean() {
    let app = App::start().await;
    let (world, stranger) = (World::create(&app, "Acme").await, World::create(&app, "Umbrella").await);
    let text =
        "**Hi** <img src=x onerror=alert(1)> [x](javascript:alert(1)) [y](https://example.com)\r\n<script>alert(2)</script>";
    let note = world.member().post("notes", &json!({ "content": text })).await.expect(201);
    assert_eq!(note.body["content"], json!(text));
    let address = format!("notes/{}", note.id());
    assert_eq!(world.caller("viewer").get(&address).await.expect(200).body["content"], json!(text));
    let html = world.caller("viewer").get(&format!("{address}/html")).await.expect(200);
    assert!(html.header("content-type").starts_with("application/json"), "never a page of its own");
    let shown = html.body["html"].as_str().unwrap();
    assert!(shown.contains("<strong>Hi</strong>") && shown.contains("href=\"https://example.com\""), "{shown}");
    for danger in ["<script", "<img", "href=\"javascript"] {
        assert!(!shown.contains(danger), "{danger} in {shown}");
    }
    stranger.owner().get(&format!("{address}/html")).await.problem(404, "not_found");
    world.member().delete(&address).await.expect(204);
    world.member().get(&format!("{address}/html")).await.problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_writes_no_notes_and_a_mention_is_of_a_member() {
    let app = App::start().await;
    let (world, stranger) = (World::create(&app, "Acme").await, World::create(&app, "Umbrella").await);
    world.caller("viewer").post("notes", &json!({ "content": "no" })).await.problem(403, "forbidden");
    let own = json!([world.tenant.admin.user_id]);
    let note = world.member().post("notes", &json!({ "content": "for you", "mentions": own })).await.expect(201);
    let mentioned = world.member().get(&format!("notes?mentions={}", world.tenant.admin.user_id)).await.expect(200);
    assert_eq!(mentioned.ids(), [note.id()]);
    let foreign = json!({ "content": "for you", "mentions": [stranger.tenant.admin.user_id] });
    world.member().post("notes", &foreign).await.problem(422, "invalid").names(&["/mentions"]);
    world
        .member()
        .post("notes", &json!({ "content": "x", "mentions": ["me"] }))
        .await
        .problem(422, "invalid")
        .names(&["/mentions"]);
}
