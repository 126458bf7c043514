//! What an answer brings along: embedded records, the log, summaries. A token that has been limited gets no more of them than it
//! could have asked for.

use biscuit_auth::{builder::BlockBuilder, macros::block};
use serde_json::{Value, json};

use crate::{
    mint, narrowed,
    support::{App, Caller, world::World},
};

struct Scene {
    app: App,
    world: World,
    company: String,
    contact: String,
    deal: String,
}

impl Scene {
    /// A company with a contact and a deal.
    async fn create() -> Self {
        let app = App::start().await;
        let world = World::create(&app, "Acme").await;
        let second = |noun: &str| world.records[noun][1]["id"].as_str().unwrap().to_owned();
        let (company, contact, deal) = (world.first("companies"), second("contacts"), second("deals"));
        Self { app, world, company, contact, deal }
    }

    fn holder(&self, block: BlockBuilder) -> Caller {
        self.app.holder(narrowed(self.world.owner(), block))
    }
}

/// The token may, and the answer has what was asked for.
async fn embeds(caller: &Caller, address: &str, relation: &str) {
    let answer = caller.get(&format!("{address}?include={relation}")).await.expect(200).body;
    let record = answer["data"].get(0).unwrap_or(&answer);
    assert!(record[relation]["created_at"].is_string(), "{address}: {record}");
}

async fn refuses(caller: &Caller, address: &str) {
    let answer = caller.get(address).await.problem(403, "forbidden");
    assert!(!answer.text.contains("@acme.example.com") && !answer.text.contains("data"), "{address}: {}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn embedding_takes_the_right_to_read_what_is_embedded() {
    let scene = Scene::create().await;
    let (contact, deal) = (format!("contacts/{}", scene.contact), format!("deals/{}", scene.deal));
    embeds(scene.world.owner(), &contact, "company").await;
    let limited = [
        scene.holder(block!(r#"check if entity("contact")"#)),
        scene.holder(block!(r#"check if entity($entity), ["contact", "deal"].contains($entity)"#)),
        scene.holder(block!(r#"check if operation($operation), $operation.starts_with("contact:")"#)),
        scene.holder(block!(r#"reject if entity("company"); reject if entity("member")"#)),
        mint(scene.world.owner(), &json!({ "name": "A", "entities": ["contact"] })).await.0,
        mint(scene.world.owner(), &json!({ "name": "B", "operations": ["contact:list", "contact:get"] })).await.0,
    ];
    for caller in &limited {
        caller.get(&contact).await.expect(200);
        caller.get("contacts").await.expect(200);
        for relation in ["company", "owner", "created_by", "company,owner"] {
            refuses(caller, &format!("{contact}?include={relation}")).await;
            refuses(caller, &format!("contacts?include={relation}")).await;
            refuses(caller, &format!("contacts?include={relation}&fields=id")).await;
        }
    }
    let with_companies = [
        scene.holder(block!(r#"check if entity($entity), ["contact", "company", "deal"].contains($entity)"#)),
        scene.holder(block!(r#"check if access("read"); reject if entity("member")"#)),
        mint(scene.world.owner(), &json!({ "name": "C", "entities": ["contact", "company", "deal"] })).await.0,
        mint(scene.world.owner(), &json!({ "name": "D", "operations": ["contact:get", "deal:get", "company:get"] })).await.0,
    ];
    for caller in &with_companies {
        embeds(caller, &contact, "company").await;
        embeds(caller, &deal, "company").await;
        refuses(caller, &format!("{contact}?include=company,owner")).await;
    }
    let members = mint(scene.world.owner(), &json!({ "name": "E", "operations": ["deal:get", "member:get"] })).await.0;
    embeds(&members, &deal, "owner").await;
    refuses(&members, &format!("{deal}?include=primary_contact")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_one_record_reads_that_one_and_nothing_through_it() {
    let scene = Scene::create().await;
    let (company, contact) = (scene.company.clone(), scene.contact.clone());
    let one = scene.holder(block!("check if resource({contact})", contact = contact.clone()));
    let address = format!("contacts/{contact}");
    one.get(&address).await.expect(200);
    one.patch(&address, &json!({ "title": "Changed" })).await.expect(200);
    for path in [
        format!("{address}?include=company"),
        format!("{address}?include=owner"),
        format!("{address}/deals"),
        format!("{address}/activities"),
        format!("{address}/timeline"),
        format!("companies/{company}"),
        format!("companies/{company}/contacts"),
        "contacts".into(),
        format!("contacts?id={contact}"),
        "activities".into(),
        format!("activities?entity_id={contact}"),
        "deals/pipeline".into(),
        "/api/v1/auth/me".into(),
        "/api/v1/organizations/current/members".into(),
    ] {
        refuses(&one, &path).await;
    }
    let of_deal = scene.holder(block!("check if resource({deal})", deal = scene.deal.clone()));
    of_deal.get(&format!("deals/{}/line-items", scene.deal)).await.expect(200);
    for path in ["projects", "activities?include=user"] {
        refuses(&of_deal, &format!("deals/{}/{path}", scene.deal)).await;
    }
    for path in ["deals/board", "deals/board/prospecting"] {
        refuses(&of_deal, path).await;
    }
    // An id in the address that is not the record's own kind is no way around the check.
    let of_company = scene.holder(block!("check if resource({company})", company = company.clone()));
    of_company.get(&format!("companies/{company}")).await.expect(200);
    for path in ["contacts", "deals", "activities", "timeline"] {
        refuses(&of_company, &format!("companies/{company}/{path}")).await;
    }
    let two = scene.holder(block!("check if resource($id), $id == {company} || $id == {contact}"));
    embeds(&two, &address, "company").await;
    refuses(&two, &format!("{address}?include=company,owner")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_all_but_one_record_never_shows_that_one() {
    let scene = Scene::create().await;
    let company = scene.company.clone();
    for block in [
        block!("reject if resource({company})", company = company.clone()),
        block!("check if resource($id), $id != {company}", company = company.clone()),
    ] {
        let caller = scene.holder(block);
        caller.get(&format!("contacts/{}", scene.contact)).await.expect(200);
        for path in [
            format!("companies/{company}"),
            format!("contacts/{}?include=company", scene.contact),
            format!("deals/{}?include=company", scene.deal),
            "companies".into(),
            format!("companies?id={company}"),
            "contacts?include=company".into(),
            format!("companies/{company}/activities"),
            "activities".into(),
            format!("activities?entity_id={company}"),
            "deals/pipeline".into(),
            "deals/board".into(),
            "deals/board/prospecting".into(),
        ] {
            refuses(&caller, &path).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_shows_no_values_of_records_that_the_token_may_not_read() {
    let scene = Scene::create().await;
    let log = scene.world.owner().get("activities?limit=200").await.expect(200);
    let of = |kind: &str| {
        let found = log.data().iter().find(|activity| activity["entity_type"] == kind).unwrap();
        format!("activities/{}", found["id"].as_str().unwrap())
    };
    let limited = [
        scene.holder(block!(r#"check if entity($entity), ["activity", "contact"].contains($entity)"#)),
        mint(scene.world.owner(), &json!({ "name": "A", "entities": ["activity", "contact"] })).await.0,
        mint(
            scene.world.owner(),
            &json!({ "name": "B", "operations": ["activity:list", "activity:get", "contact:get", "contact:list", "deal:list"] }),
        )
        .await
        .0,
    ];
    for caller in &limited {
        let own = caller.get("activities?entity_type=contact&limit=200").await.expect(200);
        assert!(own.data().len() > 3 && own.data().iter().all(|activity| activity["entity_type"] == "contact"), "{}", own.text);
        caller.get(&of("contact")).await.expect(200);
        caller.get(&format!("contacts/{}/activities", scene.contact)).await.expect(200);
        for path in [
            "activities".to_owned(),
            "activities?entity_type=company".into(),
            "activities?entity_type=contact&entity_type=company".into(),
            format!("activities?entity_id={}", scene.company),
            "activities?entity_type=no_such_kind".into(),
            "activities?entity_type=contact&include=user".into(),
            of("company"),
            of("deal"),
        ] {
            refuses(caller, &path).await;
        }
    }
    let no_deals = scene.holder(block!(r#"reject if entity("deal")"#));
    refuses(&no_deals, "activities").await;
    refuses(&no_deals, &of("deal")).await;
    no_deals.get("activities?entity_type=contact").await.expect(200);
    let reader = mint(scene.world.owner(), &json!({ "name": "Reader", "read_only": true })).await.0;
    reader.get("activities?include=user").await.expect(200);
    reader.get(&of("deal")).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_summary_names_nobody_to_a_token_that_may_not_read_members() {
    let scene = Scene::create().await;
    let names =
        |body: &Value| body["owners"].as_array().unwrap().iter().map(|owner| owner["owner_name"].clone()).collect::<Vec<_>>();
    let whole = scene.world.owner().get("deals/pipeline").await.expect(200).body;
    assert!(names(&whole).iter().any(Value::is_string), "{whole}");
    for caller in [
        scene.holder(block!(r#"check if entity("deal")"#)),
        mint(scene.world.owner(), &json!({ "name": "A", "operations": ["deal:pipeline"] })).await.0,
    ] {
        let limited = caller.get("deals/pipeline").await.expect(200).body;
        assert!(names(&limited).iter().all(Value::is_null), "{limited}");
        assert_eq!(limited["owners"][0]["owner_id"], whole["owners"][0]["owner_id"]);
        refuses(&caller, "/api/v1/organizations/current/members").await;
    }
    let reader = mint(scene.world.owner(), &json!({ "name": "B", "read_only": true })).await.0;
    assert_eq!(reader.get("deals/pipeline").await.expect(200).body, whole);
    let figures = json!({ "name": "C", "operations": ["deal:pipeline", "deal:forecast", "deal:win_loss"] });
    let figures = mint(scene.world.owner(), &figures).await.0;
    for path in ["deals/pipeline", "deals/forecast", "deals/win-loss"] {
        figures.get(path).await.expect(200);
        // One deal's name would be enough to learn what it is worth.
        refuses(&figures, &format!("{path}?name=Deal")).await;
        reader.get(&format!("{path}?name=Deal")).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_deal_show_no_more_of_people_and_products_than_may_be_read() {
    let scene = Scene::create().await;
    let (lines, people) = (format!("deals/{}/line-items", scene.deal), format!("deals/{}/contacts", scene.deal));
    let product =
        scene.world.owner().post("products", &json!({ "name": "GTX Pro", "unit_price": "4821" })).await.expect(201).id();
    let of_product = json!({ "data": [{ "product_id": product, "quantity": 2 }] });
    let with_role = json!({ "data": [{ "contact_id": scene.contact, "role": "decides" }] });
    let limited = scene.holder(block!(r#"check if entity("deal")"#));
    limited.put(&lines, &of_product).await.problem(403, "forbidden");
    assert_eq!(limited.put(&people, &with_role).await.expect(200).body["data"][0]["name"], Value::Null);
    assert_eq!(limited.get(&people).await.expect(200).body["data"][0]["contact_id"], scene.contact.as_str());

    let own = json!({ "data": [{ "name": "Delivery", "unit_price": "20" }] });
    assert_eq!(limited.put(&lines, &own).await.expect(200).body["total"], "20.00");
    let whole = scene.world.owner().put(&lines, &of_product).await.expect(200).body;
    assert_eq!((&whole["data"][0]["name"], &whole["total"]), (&json!("GTX Pro"), &json!("9642.00")));
    let name = scene.world.owner().get(&people).await.expect(200).body["data"][0]["name"].clone();
    assert!(name.is_string(), "{name}");
    let again = json!({ "data": [{ "id": whole["data"][0]["id"], "product_id": product, "quantity": 3 }] });
    assert_eq!(limited.put(&lines, &again).await.expect(200).body["total"], "14463.00", "a line that is there shows itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_move_deals_takes_none_along_with_a_stage_or_a_pipeline() {
    let scene = Scene::create().await;
    let owner = scene.world.owner();
    let pipeline = owner.get("pipelines").await.expect(200).body["data"][0].clone();
    let deal = format!("deals/{}", scene.deal);
    owner.put(&format!("{deal}/stage"), &json!({ "stage": "qualification" })).await.expect(200);
    let other = json!({ "name": "Renewals", "stages": stages_of(&pipeline) });
    let other = owner.post("pipelines", &other).await.expect(201).body["id"].as_str().unwrap().to_owned();
    let path = format!("pipelines/{}", pipeline["id"].as_str().unwrap());
    let stages: Vec<Value> = stages_of(&pipeline).into_iter().filter(|stage| stage["key"] != "qualification").collect();
    let body = json!({ "stages": stages, "moves": [{ "from": "qualification", "to": "proposal" }] });
    for caller in [
        scene.holder(block!(r#"check if entity("pipeline")"#)),
        scene.holder(block!(r#"reject if entity("deal")"#)),
        mint(owner, &json!({ "name": "Pipelines", "entities": ["pipeline"] })).await.0,
    ] {
        caller.put(&format!("{deal}/stage"), &json!({ "stage": "proposal" })).await.problem(403, "forbidden");
        caller.call("PATCH", &path).json(&body).send().await.problem(403, "forbidden");
        caller.call("DELETE", &path).query(&[("move_deals_to", other.as_str())]).send().await.problem(403, "forbidden");
        caller.call("PATCH", &path).json(&json!({ "name": "Sales" })).send().await.expect(200);
    }
    assert_eq!(owner.get(&deal).await.expect(200).body["stage"], "qualification", "none has moved it");
    owner.call("PATCH", &path).json(&body).send().await.expect(200);
    assert_eq!(owner.get(&deal).await.expect(200).body["stage"], "proposal");
}

/// As they are sent.
fn stages_of(pipeline: &Value) -> Vec<Value> {
    let mut stages = pipeline["stages"].as_array().unwrap().clone();
    for stage in &mut stages {
        stage.as_object_mut().unwrap().remove("position");
    }
    stages
}
