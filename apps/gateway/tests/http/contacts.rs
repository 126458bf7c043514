//! Contacts over HTTP: found at every company that they belong to and at every deal that they take part in, page by page.

use serde_json::json;

use crate::support::{App, world::World};

#[tokio::test(flavor = "multi_thread")]
async fn the_lists_below_a_company_and_a_contact_have_what_hangs_there_in_another_way() {
    let app = App::start().await;
    let (world, stranger) = (World::create(&app, "Acme").await, World::create(&app, "Umbrella").await);
    let member = world.member();
    let company = member.post("companies", &json!({ "name": "Analytical" })).await.expect(201).id();
    let mut people = Vec::new();
    for number in 0..6 {
        let person = json!({ "first_name": "Ada", "last_name": format!("Number {number}"), "title": "Engineer" });
        let id = member.post("contacts", &person).await.expect(201).id();
        let own = member.post("companies", &json!({ "name": format!("Employer {number}") })).await.expect(201).id();
        let list = json!({ "data": [{ "company_id": own }, { "company_id": company, "role": "adviser" }] });
        if number % 2 == 0 {
            member.put(&format!("contacts/{id}/companies"), &list).await.expect(200);
        } else {
            member.call("PATCH", &format!("contacts/{id}")).json(&json!({ "company_id": company })).send().await.expect(200);
        }
        people.push(id);
    }
    people.reverse();
    let address = format!("companies/{company}/contacts");
    assert_eq!(world.caller("viewer").get(&address).await.expect(200).ids(), people, "newest first, however they belong to it");
    let counted =
        world.caller("viewer").get(&format!("{address}?count=true&filter=title%20%3D%20%22Engineer%22")).await.expect(200);
    assert_eq!(counted.body["page"]["total"]["count"], 6);

    // One more comes between two pages: the rest is found all the same.
    let first = member.get(&format!("{address}?limit=2")).await.expect(200);
    let late = member.post("contacts", &json!({ "first_name": "Late", "last_name": "Comer" })).await.expect(201).id();
    let other = member.post("companies", &json!({ "name": "Other" })).await.expect(201).id();
    let two = json!({ "data": [{ "company_id": other }, { "company_id": company }] });
    member.put(&format!("contacts/{late}/companies"), &two).await.expect(200);
    let cursor = first.body["page"]["next_cursor"].as_str().expect("a second page").to_owned();
    let second = member.get(&format!("{address}?limit=10&cursor={cursor}")).await.expect(200).ids();
    assert_eq!([first.ids(), second].concat(), people);
    stranger.owner().get(&address).await.problem(404, "not_found");

    let [ada, ..] = people.as_slice() else { panic!("there are six") };
    let mut deals = Vec::new();
    for number in 0..4 {
        let deal = member.post("deals", &json!({ "name": format!("Deal {number}") })).await.expect(201).id();
        if number % 2 == 0 {
            member.put(&format!("deals/{deal}/contacts"), &json!({ "data": [{ "contact_id": ada }] })).await.expect(200);
        } else {
            let primary = json!({ "primary_contact_id": ada });
            member.call("PATCH", &format!("deals/{deal}")).json(&primary).send().await.expect(200);
        }
        deals.push(deal);
    }
    deals.reverse();
    assert_eq!(member.get(&format!("contacts/{ada}/deals")).await.expect(200).ids(), deals);
    assert_eq!(member.get(&format!("contacts/{late}/deals")).await.expect(200).ids(), Vec::<String>::new());
}
