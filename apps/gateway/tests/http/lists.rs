//! Lists: filters, sort, limit, count, cursors, and parameters nobody knows.

use std::collections::BTreeSet;

use serde_json::json;

use crate::{
    NOUNS,
    support::{App, document::Document, world::World},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_parameter_is_refused_and_told_what_is_allowed() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    for operation in Document::of_the_application().operations().iter().filter(|operation| operation.takes("limit")) {
        let noun = operation.collection().unwrap_or("members");
        let id = if operation.has_id() { world.first(noun) } else { String::new() };
        let address = operation.at(&id);
        // A timeline has one order and no fields to choose from.
        if !operation.takes("sort") {
            let answer = world.owner().get(&format!("{address}?colour=red&sort=colour&limit=many&kind=colour")).await;
            answer.problem(400, "malformed").names(&["colour", "sort", "limit", "kind"]);
            continue;
        }
        let answer = world
            .owner()
            .get(&format!("{address}?colour=red&sort=colour&fields=colour&include=colour&limit=many&flavour=sweet"))
            .await;
        let answer = answer.problem(400, "malformed").names(&["colour", "sort", "fields", "include", "limit", "flavour"]);
        let all: Vec<&str> =
            answer.body["errors"].as_array().unwrap().iter().map(|error| error["message"].as_str().unwrap()).collect();
        for filter in operation.filters() {
            assert!(all[0].contains(&filter), "{address}: {filter} is allowed, but {} does not say so", all[0]);
        }
        assert!(["created_at", "full_name", "name"].iter().any(|key| all[1].contains(key)), "{address}: {}", all[1]);
        for bad in [
            "?Limit=1",
            "?limit=1&limit=2",
            "?%00=1",
            "?=",
            "?fields=",
            "?include=",
            "?sort=",
            "?sort=-",
            "?count=yes",
            "?deleted=true",
            "?cursor=",
        ] {
            world.owner().get(&format!("{address}{bad}")).await.problem(400, "malformed");
        }
        let many = format!("{address}?{}", "limit=1&".repeat(301));
        world.owner().get(&many).await.problem(400, "malformed");
        let twice =
            world.owner().get(&format!("{address}?limit=1&limit=1&sort=created_at&sort=created_at&count=true&count=true")).await;
        assert!(
            ["limit", "sort", "count"].iter().all(|name| twice.pointers().contains(&(*name).to_owned())),
            "all at once: {}",
            twice.text
        );
    }
    for noun in NOUNS {
        let record = format!("{}/{}", noun.path, world.first(noun.path));
        world
            .owner()
            .get(&format!("{record}?colour=red&fields=colour"))
            .await
            .problem(400, "malformed")
            .names(&["colour", "fields"]);
        world.owner().get(&format!("{record}?fields=id&fields=id")).await.problem(400, "malformed").names(&["fields"]);
        world.owner().get(&format!("{record}?deleted=only")).await.problem(400, "malformed").names(&["deleted"]);
    }
    world.owner().get("deals/pipeline?colour=red&limit=1").await.problem(400, "malformed").names(&["colour", "limit"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_has_one_to_200_records() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    for noun in NOUNS {
        for bad in ["0", "201", "-1", "1.5", "99999999999999999999", "", "ten"] {
            world.owner().get(&format!("{}?limit={bad}", noun.path)).await.problem(400, "malformed").names(&["limit"]);
        }
        for (limit, length) in [("1", 1), ("2", 2), ("200", 3)] {
            let page = world.owner().get(&format!("{}?limit={limit}", noun.path)).await.expect(200);
            assert_eq!(page.data().len(), length);
            assert_eq!(page.body["page"]["has_more"], length < 3);
            assert_eq!(page.body["page"]["next_cursor"].is_string(), length < 3);
            assert!(page.body["page"].get("total").is_none(), "nobody asked for a count");
        }
        let counted = world.owner().get(&format!("{}?limit=1&count=true", noun.path)).await.expect(200);
        assert_eq!(counted.body["page"]["total"], json!({ "count": 3, "exact": true }));
        let bin = world.owner().get(&format!("{}?deleted=only&count=true", noun.path)).await.expect(200);
        assert_eq!((bin.data().len(), &bin.body["page"]["total"]["count"]), (1, &json!(1)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_goes_on_with_its_own_question_only() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    for noun in NOUNS {
        let (sort, person) = (noun.sort, noun.person);
        let all = world.owner().get(&format!("{}?sort={sort}", noun.path)).await.expect(200).ids();
        let mut seen = Vec::new();
        let mut address = format!("{}?sort={sort}&limit=1", noun.path);
        loop {
            let page = world.owner().get(&address).await.expect(200);
            seen.extend(page.ids());
            assert!(seen.len() <= 3, "{}: paging must end", noun.path);
            let Some(cursor) = page.body["page"]["next_cursor"].as_str() else { break };
            address = format!("{}?sort={sort}&limit=1&cursor={cursor}", noun.path);
        }
        assert_eq!(seen, all, "{}: every record once, in order", noun.path);

        let first = world.owner().get(&format!("{}?sort={sort}&limit=1", noun.path)).await.expect(200);
        let cursor = first.body["page"]["next_cursor"].as_str().unwrap().to_owned();
        for other in [
            "sort=created_at",
            "",
            &format!("sort=-{sort}"),
            &format!("sort={sort}&{person}_id=me"),
            &format!("sort={sort}&deleted=only"),
        ] {
            let answer = world.owner().get(&format!("{}?{other}&limit=1&cursor={cursor}", noun.path)).await;
            answer.problem(400, "malformed").names(&["cursor"]);
        }
        world
            .owner()
            .get(&format!("{}?sort={sort}&limit=2&fields=id&include={person}&count=true&cursor={cursor}", noun.path))
            .await
            .expect(200);
        for other in NOUNS.iter().filter(|other| other.path != noun.path) {
            let cursor =
                world.owner().get(&format!("{}?limit=1", other.path)).await.expect(200).body["page"]["next_cursor"].clone();
            let answer = world.owner().get(&format!("{}?cursor={}", noun.path, cursor.as_str().unwrap())).await;
            answer.problem(400, "malformed").names(&["cursor"]);
            let search = json!({ "cursor": cursor });
            let answer = world.owner().post(&format!("{}/search", noun.path), &search).await;
            answer.problem(400, "malformed").names(&["/cursor"]);
        }
        let half = &cursor[..cursor.len() / 2];
        for damaged in ["x", "e30", "bnVsbA", "%00", half, &format!("{cursor}A"), &"A".repeat(5000)] {
            let answer = world.owner().get(&format!("{}?sort={sort}&limit=1&cursor={damaged}", noun.path)).await;
            answer.problem(400, "malformed").names(&["cursor"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_are_taken_whole_and_repeated_ones_mean_any_of() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let make = async |name: &str, status: &str| {
        let body = json!({ "name": name, "company_status": status, "industry": "Retail, food" });
        world.owner().post("companies", &body).await.expect(201).id()
    };
    let (one, two, three) = (make("One, Inc.", "lead").await, make("TWO", "prospect").await, make("Three", "churned").await);
    let found = async |question: &str| BTreeSet::from_iter(world.viewer_get(question).await);
    let set = |ids: &[&String]| ids.iter().map(|id| (*id).clone()).collect::<BTreeSet<_>>();
    assert_eq!(found("industry=Retail,%20food").await, set(&[&one, &two, &three]));
    assert_eq!(found("industry=Retail").await, set(&[]));
    assert_eq!(found("industry=Retail,+food&company_status=prospect&company_status=churned").await, set(&[&two, &three]));
    assert_eq!(found("name=one,%20inc.").await, set(&[&one]));
    assert_eq!(found("name=two&name=THREE").await, set(&[&two, &three]));
    assert_eq!(found(&format!("id={one}&id={three}")).await, set(&[&one, &three]));
    assert_eq!(found("industry=Retail,%20food&company_size=null").await, set(&[&one, &two, &three]));
    assert_eq!(found("industry=Retail,%20food&owner_id=me").await, set(&[]), "the viewer owns nothing");
    for (question, pointer) in
        [("company_status=big", "company_status"), ("owner_id=you", "owner_id"), ("id=1", "id"), ("name=%00", "name")]
    {
        world.owner().get(&format!("companies?{question}")).await.problem(400, "malformed").names(&[pointer]);
    }
    let below = format!("companies/{one}/contacts?company_id={one}");
    world.owner().get(&below).await.problem(400, "malformed").names(&["company_id"]);
}

impl World {
    async fn viewer_get(&self, question: &str) -> Vec<String> {
        self.caller("viewer").get(&format!("companies?{question}")).await.expect(200).ids()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_parameter_of_a_forecast_is_named() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    let asked = async |query: &str| world.owner().get(&format!("deals/forecast?{query}")).await;
    asked("period=week&periods=0&colour=red").await.problem(400, "malformed").names(&["period", "periods", "colour"]);
    for query in ["period=month&periods=25", "period=quarter&periods=9", "periods=300", "periods=some"] {
        asked(query).await.problem(400, "malformed").names(&["periods"]);
    }
    let forecast = asked("period=month&periods=24").await.expect(200).body;
    assert_eq!(forecast["periods"].as_array().map(Vec::len), Some(24));
}
