//! What people of the demo have written and planned: rows for the services, keys as the fields of the API.
//!
//! Must stay true: the same data give the same rows, apart from days, which count from the day of the seeding; whatever a text says of a
//! deal stands in the deal.

use anyhow::{Context as _, Result};
use crm_kernel::Timestamp;
use serde_json::{Value, json};

use crate::seed::data::Data;
use crate::seed::ids;
use crate::seed::people::People;
use crate::seed::work::{moment, text};

pub const CAMPAIGN: &str = "GTX Plus Pro launch, autumn 2017";
pub const CAMPAIGN_TEXT: &str =
    "Three e-mails to everybody who buys hardware at our accounts: announcement, comparison, offer until the end of October.";
pub const FAIR: &str = "Hardware fair: invitations";
pub const FAIR_TEXT: &str = "Stand, two talks and invitations by name. Who comes is decided a month before.";

/// How many won deals have a project.
const PROJECTS: usize = 3;
/// How many companies have a note, and how many open deals.
const NOTES: usize = 40;
/// Of open deals: what is asked, what comes next.
const HEARD: [(&str, &str); 5] = [
    ("wants a test unit before the budget round", "send the **loan agreement**"),
    ("compares us with the supplier they have", "prepare a *comparison of running costs*"),
    ("asks for delivery in two parts", "clear the dates with the warehouse"),
    ("needs the approval of the board", "offer to present there"),
    ("likes the device, not the price", "speak to the manager about a discount"),
];
/// Of companies.
const KNOWN: [&str; 4] = [
    "Orders are placed in the **first week of a quarter**. Call before, not after.",
    "Purchasing decides alone below 5,000 USD; above it finance signs too.\n\n- offer as PDF\n- one price per line",
    "Support was slow last time. Keep promises of delivery *in writing*.",
    "They standardise on one series. Who sells the first device sells the rest.",
];
/// What is to be done, as what, in which of these days, at which hour; an hour of none is the whole day.
const PLANS: [(&str, &str, &str, i64, Option<i64>); 8] = [
    ("Call back about the offer", "call", "high", -9, Some(10)),
    ("Send the comparison of running costs", "email", "medium", -4, Some(15)),
    ("Ask whether the test unit arrived", "follow_up", "medium", -1, None),
    ("Follow up on the offer", "follow_up", "high", 0, None),
    ("Clear delivery dates with the warehouse", "todo", "medium", 0, None),
    ("Show the device", "demo", "high", 2, Some(9)),
    ("Meet purchasing", "meeting", "medium", 6, Some(13)),
    ("Ask for a decision", "call", "low", 13, Some(11)),
];

/// The projects of the largest of the last won deals, each with its deal.
pub fn projects(people: &People, deals: &[Value]) -> Result<Vec<(Value, Value)>> {
    let amount = |deal: &Value| deal["amount"].as_str().and_then(|text| text.parse::<u64>().ok());
    let mut won: Vec<&Value> =
        deals.iter().filter(|deal| deal["stage"] == "closed_won" && deal["company_id"].is_string()).collect();
    won.sort_by_key(|deal| (deal["actual_close_date"].as_str().map(|day| day.get(..7)), amount(deal)));
    let plans =
        [("Rollout", -20, 25, "120"), ("Replacement of old servers", -45, -3, "80"), ("Training of administrators", 5, 40, "24")];
    let latest = won.into_iter().rev().take(PROJECTS);
    latest
        .zip(plans)
        .map(|(deal, (what, begins, ends, hours))| {
            let name = format!("{what}: {}", text(deal, "name")?);
            let id = ids::of("project", &name, people.seeded_at);
            let day = |days| moment(people, days, 0).date().to_string();
            let project = json!({"id": id, "name": name, "start_date": day(begins), "due_date": day(ends), "estimated_hours": hours,
                                 "owner_id": deal["owner_id"], "project_manager_id": deal["owner_id"], "priority": "high"});
            Ok((project, deal.clone()))
        })
        .collect()
}

/// Of companies and of open deals, the first of them pinned; some mention whom they are for.
pub fn notes(people: &People, companies: &[Value], deals: &[Value]) -> Result<Vec<Value>> {
    let manager = people.id_of("Dustin Brinkmann")?;
    let open = deals.iter().filter(|deal| deal["stage"] == "prospecting" && deal["company_id"].is_string());
    let mut notes = vec![json!({
        "content": "## How we work\n\n\
                    1. Every open deal has a next step and a day for it.\n\
                    2. What stands still for 45 days is closed or revived.\n\
                    3. Prices below list need a manager.",
        "is_pinned": true, "mentions": [manager],
    })];
    for company in companies.iter().take(NOTES) {
        let known = KNOWN.get(ids::draw("known", text(company, "name")?, KNOWN.len())).context("nothing is known")?;
        notes.push(json!({"content": known, "related_to_type": "company", "related_to_id": company["id"], "is_pinned": true,
                          "owner_id": company["owner_id"]}));
    }
    for deal in open.take(NOTES) {
        let (heard, next) = HEARD.get(ids::draw("heard", text(deal, "id")?, HEARD.len())).context("nothing was heard")?;
        let content =
            format!("Spoke about **{}** at {} USD: {heard}.\n\nNext: {next}.", text(deal, "name")?, text(deal, "amount")?);
        let mentions = if next.contains("manager") { vec![manager] } else { Vec::new() };
        notes.push(json!({"content": content, "related_to_type": "deal", "related_to_id": deal["id"], "mentions": mentions,
                          "owner_id": deal["owner_id"]}));
    }
    for (place, note) in notes.iter_mut().enumerate() {
        note["id"] = json!(ids::of("note", &place.to_string(), people.seeded_at));
    }
    Ok(notes)
}

/// Every agent's days, those of the owner who looks at the demo, and those of the projects.
pub fn tasks(
    people: &People,
    data: &Data,
    companies: &[Value],
    deals: &[Value],
    projects: &[(String, Value)],
) -> Result<Vec<Value>> {
    let mut tasks = Vec::new();
    for agent in &data.agents {
        let who = people.id_of(&agent.name)?;
        let is_open = |deal: &Value| deal["stage"] == "prospecting" || deal["stage"] == "qualification";
        // The youngest first: nobody plans for what has stood still for years.
        let own = deals.iter().rev().filter(|deal| is_open(deal) && deal["company_id"].is_string() && deal["owner_id"] == who);
        for (deal, plan) in own.zip(PLANS) {
            tasks.push(task(people, plan, who, ("deal", &deal["id"]), text(deal, "name")?));
        }
    }
    for (company, plan) in companies.iter().zip(PLANS) {
        tasks.push(task(people, plan, &people.owner_id, ("company", &company["id"]), text(company, "name")?));
    }
    tasks.push(json!({"title": "Pipeline review with the managers", "task_type": "meeting", "priority": "high",
                      "due_date": Timestamp(moment(people, 1, 9)), "recurrence": "FREQ=WEEKLY", "assigned_to_id": people.owner_id}));
    for (project, deal) in projects {
        for (title, days, status) in [
            ("Inventory of what is there", -10, "completed"),
            ("Deliver and set up", -2, "in_progress"),
            ("Hand over to support", 8, "pending"),
        ] {
            tasks.push(json!({"title": title, "status": status, "task_type": "todo", "related_to_type": "project", "related_to_id": project,
                              "due_date": Timestamp(moment(people, days, 12)), "assigned_to_id": deal["owner_id"]}));
        }
    }
    for (place, task) in tasks.iter_mut().enumerate() {
        task["id"] = json!(ids::of("task", &place.to_string(), people.seeded_at));
    }
    Ok(tasks)
}

fn task(
    people: &People,
    (title, kind, priority, days, hour): (&str, &str, &str, i64, Option<i64>),
    who: &str,
    (noun, about): (&str, &Value),
    name: &str,
) -> Value {
    json!({"title": format!("{title}: {name}"), "task_type": kind, "priority": priority, "is_all_day": hour.is_none(),
           "due_date": Timestamp(moment(people, days, hour.unwrap_or_default())), "assigned_to_id": who,
           "related_to_type": noun, "related_to_id": about})
}
