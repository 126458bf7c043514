//! The order of refusals: 401 before the body is read, then 400, 404, 403, 412, 422, 409.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    NOUNS, Noun,
    support::{App, Caller, world::World},
};

/// Calls on a record that change it; whether they take a body.
const CHANGES: [(&str, bool); 3] = [("PUT", true), ("PATCH", true), ("DELETE", false)];

struct Request<'a> {
    id: &'a str,
    if_match: &'a str,
    body: &'a str,
}

/// Sends it by every method that changes a record and returns the status of each.
async fn statuses(caller: &Caller, noun: &Noun, request: &Request<'_>) -> Vec<u16> {
    let mut statuses = Vec::new();
    for (method, takes_body) in CHANGES {
        let call = caller.call(method, &format!("{}/{}", noun.path, request.id)).header("if-match", request.if_match);
        let call = if takes_body { call.header("content-type", "application/json").text(request.body.to_owned()) } else { call };
        statuses.push(call.send().await.status);
    }
    statuses
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_come_in_the_promised_order() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let never = Uuid::now_v7().to_string();
    for noun in NOUNS {
        let own = world.fresh(noun.path, &format!("own-{}", noun.path)).await;
        let others = world.owner().post(noun.path, &noun.body(&format!("others-{}", noun.path))).await.expect(201).id();
        let good = noun.body("good").to_string();
        let bad = {
            let mut body = noun.body("bad");
            body["tags"] = json!([" "]);
            body.to_string()
        };
        let (viewer, member) = (world.caller("viewer"), world.member());
        let asks = async |caller: &Caller, id: &str, if_match: &str, body: &str| {
            statuses(caller, &noun, &Request { id, if_match, body }).await
        };

        assert_eq!(asks(&app.nobody(), &never, "\"9\"", "{").await, [401; 3], "{}: 401 comes before all else", noun.path);
        assert_eq!(asks(member, &never, "\"9\"", "{").await, [400, 400, 404], "{}: 400 comes before 404", noun.path);
        assert_eq!(asks(viewer, &others, "\"9\"", "{").await, [400, 400, 403], "{}: 400 comes before 403", noun.path);
        for caller in [viewer, member] {
            assert_eq!(asks(caller, &never, "\"9\"", &bad).await, [404; 3], "{}: 404 comes before 403, 412 and 422", noun.path);
            assert_eq!(asks(caller, &others, "\"9\"", &bad).await, [403; 3], "{}: 403 comes before 412 and 422", noun.path);
            assert_eq!(asks(caller, &others, "\"9\"", &good).await, [403; 3], "{}: 403 comes before 412", noun.path);
        }
        assert_eq!(asks(member, &own, "\"9\"", &bad).await, [412; 3], "{}: 412 comes before 422", noun.path);
        let in_bin = world.records[noun.path].last().unwrap()["id"].as_str().unwrap();
        assert_eq!(asks(world.owner(), in_bin, "\"9\"", &bad).await, [404; 3], "{}: what is in the bin is not there", noun.path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_judged_before_collisions() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let bad = |mut body: Value| {
        body["tags"] = json!([" "]);
        body
    };
    for noun in NOUNS {
        let taken_id = world.fresh(noun.path, &format!("first-{}", noun.path)).await;
        let id_taken = |mut body: Value| {
            body["id"] = json!(taken_id);
            body
        };
        world.member().post(noun.path, &id_taken(noun.body("a"))).await.problem(409, "conflict").names(&["/id"]);
        world.member().post(noun.path, &bad(id_taken(noun.body("b")))).await.problem(422, "invalid").names(&["/tags"]);

        let Some((unique, value)) = noun.unique else { continue };
        let taken = |mut body: Value| {
            body[unique] = json!(value);
            body
        };
        let pointer = format!("/{unique}");
        world.member().post(noun.path, &taken(noun.body("c"))).await.expect(201);
        world.member().post(noun.path, &taken(noun.body("d"))).await.problem(409, "conflict").names(&[&pointer]);
        world.member().post(noun.path, &bad(taken(noun.body("d")))).await.problem(422, "invalid").names(&["/tags"]);

        let record = format!("{}/{taken_id}", noun.path);
        let patch = Noun::patch(unique, value);
        world.member().patch(&record, &patch).await.problem(409, "conflict").names(&[&pointer]);
        world.member().patch(&record, &bad(patch.clone())).await.problem(422, "invalid").names(&["/tags"]);
        world.member().call("PATCH", &record).header("if-match", "\"9\"").json(&patch).send().await.problem(412, "stale");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn references_are_judged_before_collisions() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    for noun in NOUNS {
        let person = noun.person_id();
        let references = match noun.path {
            "companies" | "campaigns" => vec![person.as_str()],
            "deals" => vec![person.as_str(), "company_id", "campaign_id"],
            "tasks" => vec![person.as_str(), "related_to_id"],
            _ => vec![person.as_str(), "company_id"],
        };
        for reference in references {
            let mut body = noun.body("both");
            body["id"] = json!(world.first(noun.path));
            body[reference] = json!(Uuid::now_v7());
            if reference == "related_to_id" {
                body["related_to_type"] = json!("company");
            }
            if let Some((unique, _)) = noun.unique {
                body[unique] = world.records[noun.path][0][unique].clone();
            }
            world.member().post(noun.path, &body).await.problem(422, "invalid").names(&[&format!("/{reference}")]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_is_a_whole_problem() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    for noun in NOUNS {
        let record = format!("{}/{}", noun.path, world.first(noun.path));
        let (member, viewer) = (world.member(), world.caller("viewer"));
        app.nobody().get(noun.path).await.problem(401, "unauthenticated");
        member.post(noun.path, &json!([])).await.problem(400, "malformed");
        member.get(&format!("{}/{}", noun.path, Uuid::now_v7())).await.problem(404, "not_found");
        member.get(&format!("{}/not-an-id", noun.path)).await.problem(404, "not_found");
        viewer.patch(&record, &json!({})).await.problem(403, "forbidden");
        viewer.post(noun.path, &noun.body("x")).await.problem(403, "forbidden");
        member.call("PATCH", &record).header("if-match", "\"0\"").json(&json!({})).send().await.problem(412, "stale");
        member.patch(&record, &Noun::patch(noun.name, " ")).await.problem(422, "invalid").names(&[&format!("/{}", noun.name)]);
    }
}
