//! Campaigns through the API: who takes part, how far they come, and runs that add an audience.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod support;

use serde_json::{Value, json};
use support::{Answer, App, Caller, waiting::until, world::World};

/// Two whole steps of a run and a bit.
const MANY: usize = crm_campaigns::STEP * 2 + 100;

struct Stage {
    app: App,
    world: World,
    campaign: String,
}

impl Stage {
    async fn create() -> Self {
        let app = App::start().await;
        let world = World::create(&app, "Acme").await;
        let campaign = world.first("campaigns");
        Self { app, world, campaign }
    }

    async fn fill(&self) {
        let many = format!(
            "INSERT INTO crm_contacts (organization_id, first_name, last_name, tags)
             SELECT '{}', 'One', 'of many', '[\"many\"]' FROM generate_series(1, {MANY})",
            self.world.tenant.organization_id
        );
        self.app.database.execute(&many).await;
    }

    fn at(&self, rest: &str) -> String {
        format!("campaigns/{}/{rest}", self.campaign)
    }

    async fn added(&self) -> i64 {
        self.app.database.number("SELECT count(*) FROM crm_campaign_contacts").await
    }

    async fn run(&self, caller: &Caller, key: &str) -> Answer {
        let body = json!({ "filter": "tags : \"many\"" });
        caller.call("POST", &self.at("contacts")).header("idempotency-key", key).json(&body).send().await
    }

    /// Everybody was added once, all as one operation.
    async fn is_done_once(&self, answer: &Answer) {
        let counts = ["matched", "added", "already_members", "opted_out", "not_found"].map(|name| answer.body[name].clone());
        assert_eq!(counts.to_vec(), [json!(MANY), json!(MANY), json!(0), json!(0), json!(0)], "{}", answer.text);
        let operation = answer.body["operation_id"].as_str().unwrap();
        let logged = format!("SELECT count(*) FROM crm_activities WHERE operation_id = '{operation}'");
        assert_eq!(self.app.database.number(&logged).await, i64::try_from(MANY).unwrap(), "one operation in the log");
        assert_eq!(self.added().await, i64::try_from(MANY).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_are_added_followed_and_taken_out() {
    let stage = Stage::create().await;
    let (world, member) = (&stage.world, stage.world.member());
    let contacts: Vec<String> =
        world.records["contacts"].iter().map(|contact| contact["id"].as_str().unwrap().to_owned()).collect();
    member.patch(&format!("contacts/{}", contacts[1]), &json!({ "opted_out": true })).await.expect(200);
    let added = member.post(&stage.at("contacts"), &json!({ "contact_ids": contacts })).await.expect(200);
    assert_eq!((&added.body["added"], &added.body["opted_out"], &added.body["not_found"]), (&json!(2), &json!(1), &json!(1)));
    assert_eq!(added.body["opted_out_ids"], json!([contacts[1]]));
    assert_eq!(added.body["not_found_ids"], json!([contacts[3]]), "what lies in the bin is not there");

    let one = stage.at(&format!("contacts/{}", contacts[0]));
    let seen = member.get(&one).await.expect(200);
    let opened = member.patch(&one, &json!({ "status": "opened" })).await.expect(200);
    assert_eq!((&seen.body["status"], &opened.body["version"]), (&json!("pending"), &json!(2)));
    assert!(opened.body["sent_at"].is_string() && opened.body["delivered_at"].is_string() && opened.body["clicked_at"].is_null());
    member.patch(&one, &json!({ "status": "sent" })).await.problem(422, "invalid").names(&["/status"]);
    let stale = member.call("PATCH", &one).header("if-match", "\"1\"").json(&json!({ "status": "clicked" })).send().await;
    stale.problem(412, "stale");
    world.caller("viewer").patch(&one, &json!({ "status": "clicked" })).await.problem(403, "forbidden");
    member.get(&stage.at(&format!("contacts/{}", contacts[1]))).await.problem(404, "not_found");

    let listed = world.caller("viewer").get(&stage.at("contacts?include=contact&status=opened")).await.expect(200);
    assert_eq!(listed.data()[0]["contact"]["id"], json!(contacts[0]));
    let of_contact = member.get(&format!("contacts/{}/campaigns?include=campaign", contacts[0])).await.expect(200);
    assert_eq!(of_contact.data()[0]["campaign"]["id"], json!(stage.campaign));

    // Opting out is seen at once, and figures follow.
    member.patch(&format!("contacts/{}", contacts[0]), &json!({ "opted_out": true })).await.expect(200);
    let replaced =
        member.put(&format!("contacts/{}", contacts[0]), &json!({ "first_name": "A", "last_name": "B" })).await.expect(200);
    assert_eq!(replaced.body["opted_out"], json!(true), "who does not say it does not take it back");
    let gone = member.get(&one).await.expect(200);
    assert_eq!(gone.body["status"], json!("unsubscribed"));
    let metrics = world.caller("viewer").get(&stage.at("metrics")).await.expect(200);
    assert_eq!((&metrics.body["members"], &metrics.body["unsubscribe_rate"]), (&json!(2), &json!("1.0000")));

    member.delete(&stage.at("contacts")).await.problem(400, "malformed").names(&["filter"]);
    let removed = member.delete(&stage.at("contacts?status=unsubscribed")).await.expect(200);
    assert_eq!(removed.body["removed"], json!(1));
    let removed = member.delete(&stage.at("contacts?filter=contact.opted_out%20%3D%20false")).await.expect(200);
    assert_eq!((removed.body["removed"].clone(), stage.added().await), (json!(1), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn deals_name_the_campaign_they_came_of() {
    let stage = Stage::create().await;
    let (world, member) = (&stage.world, stage.world.member());
    let deal = json!({ "name": "Won", "amount": "300.00", "stage": "closed_won", "campaign_id": stage.campaign });
    let deal = member.post("deals", &deal).await.expect(201);
    assert_eq!(deal.body["campaign_id"], json!(stage.campaign));
    for list in [
        stage.at("deals"),
        format!("deals?campaign_id={}", stage.campaign),
        "deals?filter=campaign.status%20%3D%20%22planning%22".into(),
    ] {
        let listed = member.get(&list).await.expect(200);
        assert_eq!((listed.data().len(), &listed.data()[0]["id"]), (1, &deal.body["id"]), "{list}");
    }
    member.patch(&format!("campaigns/{}", stage.campaign), &json!({ "actual_cost": "100" })).await.expect(200);
    let metrics = member.get(&stage.at("metrics")).await.expect(200);
    let figures = ["revenue", "cost", "roi", "cost_per_conversion"].map(|name| metrics.body[name].as_str().unwrap().to_owned());
    assert_eq!(figures, ["300.00", "100.00", "2.0000", "100.00"]);

    let umbrella = World::create(&stage.app, "Umbrella").await;
    let stolen = json!({ "name": "Stolen", "campaign_id": stage.campaign });
    umbrella.member().post("deals", &stolen).await.problem(422, "invalid").names(&["/campaign_id"]);
    for address in ["contacts", "metrics", "deals", "activities"] {
        umbrella.owner().get(&stage.at(address)).await.problem(404, "not_found");
    }
    let foreign = json!({ "contact_ids": [world.first("contacts")] });
    umbrella.owner().post(&stage.at("contacts"), &foreign).await.problem(404, "not_found");
    let own = format!("campaigns/{}/contacts", umbrella.first("campaigns"));
    let added = umbrella.member().post(&own, &foreign).await.expect(200);
    assert_eq!((&added.body["added"], &added.body["not_found"]), (&json!(0), &json!(1)));
    umbrella.owner().delete(&stage.at("contacts?status=pending")).await.problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_added_is_refused() {
    let stage = Stage::create().await;
    let member = stage.world.member();
    let at = stage.at("contacts");
    let id = stage.world.first("contacts");
    for body in
        [json!({}), json!({ "contact_ids": [id], "filter": "version >= 1" }), json!({ "contact_ids": [id], "dry_run": true })]
    {
        member.post(&at, &body).await.problem(400, "malformed");
    }
    member.post(&at, &json!({ "filter": " " })).await.problem(400, "malformed").names(&["/filter"]);
    member.post(&at, &json!({ "filter": "nobody = 1" })).await.problem(400, "malformed").names(&["/filter"]);
    let ids: Vec<Value> = (0..1_001).map(|_| json!(uuid::Uuid::now_v7())).collect();
    member.post(&at, &json!({ "contact_ids": ids })).await.problem(422, "invalid").names(&["/contact_ids"]);
    member.post(&at, &json!({ "contact_ids": [] })).await.problem(422, "invalid").names(&["/contact_ids"]);
    for caller in [stage.world.caller("viewer"), &stage.app.login(&stage.world.tenant.email("colleague")).await] {
        caller.post(&at, &json!({ "contact_ids": [id] })).await.problem(403, "forbidden");
        caller.post(&at, &json!({ "filter": "version >= 1" })).await.problem(403, "forbidden");
        caller.delete(&stage.at("contacts?status=pending")).await.problem(403, "forbidden");
    }
    let looked = member.post(&at, &json!({ "filter": "version >= 1", "dry_run": true })).await.expect(200);
    assert_eq!((looked.body, stage.added().await), (json!({ "matched": 3 }), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_done_once_and_answered_alike() {
    let stage = Stage::create().await;
    stage.fill().await;
    let member = stage.world.member();
    let first = stage.run(member, "k").await.expect(200);
    stage.is_done_once(&first).await;
    let again = stage.run(member, "k").await.expect(200);
    assert_eq!((again.text.as_str(), again.header("idempotency-replayed")), (first.text.as_str(), "true"));
    let told = stage.run(member, "another").await.expect(200);
    assert_eq!((&told.body["added"], &told.body["already_members"]), (&json!(0), &json!(MANY)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stopped_half_way_is_continued() {
    let stage = Stage::create().await;
    stage.fill().await;
    // The run goes from the newest to the oldest: this one is in its last step.
    let oldest = "SELECT id::text FROM crm_contacts WHERE tags ? 'many' ORDER BY id LIMIT 1";
    let oldest = stage.app.database.texts(oldest).await.remove(0);
    let lock = stage.app.database.hold(&format!("SELECT FROM crm_contacts WHERE id = '{oldest}' FOR UPDATE")).await;
    let done = i64::try_from(crm_campaigns::STEP * 2).unwrap();
    let running = async { stage.run(stage.world.member(), "k").await };
    let cut = async {
        until("the last step waits", async || stage.added().await == done).await;
        stage.run(stage.world.member(), "k").await.problem(409, "conflict").names(&["Idempotency-Key"]);
        let cut = "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
                    WHERE datname = current_database() AND usename = 'crm_app'";
        stage.app.database.number(cut).await;
    };
    let (stopped, ()) = futures_util::future::join(running, cut).await;
    stopped.problem(503, "unavailable");
    assert_eq!(stage.added().await, done, "what its steps have done stays");
    drop(lock);
    let rest = stage.run(stage.world.member(), "k").await.expect(200);
    stage.is_done_once(&rest).await;
}
