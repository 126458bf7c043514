//! The demo organisation through the API says what its files say, to the cent.
//!
//! The truth is computed by testkit from the CSV files, without any code of the seed; the seed is the real command, run as a
//! user runs it; the answers come over HTTP.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod support;

use std::collections::BTreeMap;

use crm_testkit::demo::Truth;
use serde_json::{Value, json};
use support::Demo;

/// `name -> figure` of a part of the summary, rows without a name left out.
fn figures(summary: &Value, part: &str, name: &str, outcome: &str, figure: &str) -> BTreeMap<String, String> {
    let rows = summary[part].as_array().unwrap().iter();
    let named = rows.filter_map(|row| Some((row[name].as_str()?.to_owned(), row[outcome][figure].as_str()?.to_owned())));
    named.filter(|(_, value)| value != "0.00").collect()
}

fn cents<K: ToString>(truth: &BTreeMap<K, bigdecimal::BigDecimal>) -> BTreeMap<String, String> {
    truth.iter().map(|(name, amount)| (name.to_string(), amount.with_scale(2).to_plain_string())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pipeline_of_the_demo_is_the_truth_of_its_files() {
    let (demo, truth) = (Demo::start().await, Truth::compute());
    let summary = demo.get("/a-crm/deals/pipeline").await;

    let stages = summary["stages"].as_array().unwrap();
    for (stage, count) in &truth.deals_by_stage {
        let row = stages.iter().find(|row| row["stage"] == *stage).unwrap();
        assert_eq!(row["count"], json!(count), "deals in {stage}");
    }
    let counted: u64 = stages.iter().filter_map(|row| row["count"].as_u64()).sum();
    assert_eq!(counted, truth.deals.len() as u64, "every deal stands in one stage");

    assert_eq!(summary["won"]["amount"], truth.won_revenue.with_scale(2).to_plain_string(), "revenue won in all");
    assert_eq!(summary["won"]["count"], json!(truth.won));
    assert_eq!(summary["win_rate"], truth.win_rate(4).to_plain_string(), "win rate");
    assert_eq!(figures(&summary, "months", "month", "won", "amount"), cents(&truth.won_revenue_by_month), "by month of closing");
    assert_eq!(figures(&summary, "owners", "owner_name", "won", "amount"), cents(&truth.won_revenue_by_agent), "by agent");
    assert_eq!(figures(&summary, "teams", "team_name", "won", "amount"), cents(&truth.won_revenue_by_office), "by office");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_deal_of_the_demo_is_listed_once_with_the_values_of_its_file() {
    let (demo, truth) = (Demo::start().await, Truth::compute());
    let companies = names(&demo, "/a-crm/companies?limit=200&fields=id,name", "id", "name").await;
    let members = names(&demo, "/organizations/current/members?limit=200", "user_id", "full_name").await;
    let mut listed = BTreeMap::new();
    let mut cursor = String::new();
    loop {
        let page = demo.get(&format!("/a-crm/deals?limit=200&sort=expected_close_date{cursor}")).await;
        for deal in page["data"].as_array().unwrap() {
            let key = deal["custom_fields"]["opportunity_id"].as_str().unwrap().to_owned();
            assert!(listed.insert(key, deal.clone()).is_none(), "a deal is listed twice");
        }
        let Some(next) = page["page"]["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(listed.len(), truth.deals.len());
    for deal in &truth.deals {
        let row = &listed[&deal.opportunity_id];
        let amount = deal.amount.as_ref().map(|amount| amount.with_scale(2).to_plain_string());
        assert_eq!(row["stage"], deal.stage);
        assert_eq!(row["amount"], json!(amount), "{}", deal.opportunity_id);
        assert_eq!(row["actual_close_date"], json!(deal.closed_on));
        assert_eq!(row["custom_fields"]["engaged_on"], json!(deal.engaged_on));
        assert_eq!(row["custom_fields"]["product"], deal.product);
        assert_eq!(members[row["owner_id"].as_str().unwrap()], deal.agent);
        assert_eq!(row["company_id"].as_str().map(|id| companies[id].clone()), deal.account);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_has_a_working_day_and_its_lines_add_up() {
    let demo = Demo::start().await;
    let count = async |path: &str| demo.get(&format!("{path}?limit=200")).await["data"].as_array().unwrap().len();
    assert_eq!(count("/a-crm/contacts").await, 170, "two people at each company");
    assert_eq!(count("/a-crm/products").await, 7, "every product of the files");

    for stage in ["closed_won", "prospecting"] {
        let sums = "SELECT format('%s of %s', count(*) FILTER (WHERE amount = total), count(*))
                      FROM crm_deals JOIN (SELECT deal_id, sum(amount) AS total FROM crm_deal_line_items GROUP BY deal_id) AS line
                        ON deal_id = id WHERE stage = ";
        let sums = demo.database().texts(&format!("{sums}'{stage}'")).await;
        let expected = if stage == "prospecting" { "163 of 163" } else { "131 of 131" };
        assert_eq!(sums, [expected], "a deal in {stage} is worth its lines");
    }

    let today = demo.get("/a-crm/tasks/my-tasks").await;
    for part in ["overdue", "today", "upcoming"] {
        assert!(!today[part]["data"].as_array().unwrap().is_empty(), "the owner has tasks {part}: {today}");
    }

    let campaigns = demo.get("/a-crm/campaigns?status=completed").await;
    let campaign = campaigns["data"][0]["id"].as_str().unwrap().to_owned();
    let metrics = demo.get(&format!("/a-crm/campaigns/{campaign}/metrics")).await;
    let won = demo.get(&format!("/a-crm/campaigns/{campaign}/deals?stage=closed_won&limit=200")).await;
    let won = won["data"].as_array().unwrap();
    assert_eq!(metrics["members"], 170, "{metrics}");
    assert!(!won.is_empty());
    assert_eq!(metrics["conversions"], json!(won.len()), "conversions are the deals that came of it");
    assert!(won.iter().all(|deal| deal["custom_fields"]["product"] == "GTX Plus Pro"));

    let projects = demo.get("/a-crm/projects").await;
    assert_eq!(projects["data"].as_array().unwrap().len(), 3);
    assert!(projects["data"].as_array().unwrap().iter().all(|project| project["deal_id"].is_string()));
    let notes = demo.get("/a-crm/notes?limit=200").await;
    let notes = notes["data"].as_array().unwrap();
    assert_eq!(notes.len(), 81);
    assert!(notes.iter().any(|note| note["mentions"].as_array().is_some_and(|mentions| !mentions.is_empty())));

    let unlogged = "SELECT count(*)::text FROM crm_notes AS note WHERE NOT EXISTS (
                        SELECT FROM crm_activities WHERE entity_type = 'note' AND entity_id = note.id AND activity_type = 'created')";
    assert_eq!(demo.database().texts(unlogged).await, ["0"], "everything came through the guards and the log");
}

/// The lines of the README that ask: what a manager sees in one minute.
#[tokio::test(flavor = "multi_thread")]
async fn a_manager_sees_what_was_sold_by_whom_what_will_close_and_what_rots() {
    let (demo, truth) = (Demo::start().await, Truth::compute());
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let minute = readme.split("### In one minute").nth(1).unwrap().split("\n#").next().unwrap();
    let asked: Vec<&str> = minute.lines().filter_map(|line| line.trim().strip_prefix("crm \"$API")?.strip_suffix('"')).collect();
    let [sold, closing, board, oldest] = asked[..] else { panic!("four calls: {asked:?}") };

    let sold = demo.get(sold).await;
    assert_eq!(sold["total"]["won"]["amount"], truth.won_revenue.with_scale(2).to_plain_string());
    let best = truth.won_revenue_by_agent.iter().max_by_key(|(_, amount)| *amount).unwrap();
    assert_eq!(sold["owners"][0]["owner_name"], json!(best.0), "who sold most comes first");
    assert_eq!(sold["owners"][0]["figures"]["won"]["amount"], best.1.with_scale(2).to_plain_string());

    let closing = demo.get(closing).await;
    let offered: bigdecimal::BigDecimal =
        truth.deals.iter().filter(|deal| deal.stage == "prospecting").filter_map(|deal| deal.amount.as_ref()).sum();
    // Expected 138 days after today at the latest, as long as the slowest deal took: always within the four quarters.
    assert_eq!(closing["total"]["open_count"], json!(truth.deals_by_stage["prospecting"]));
    assert_eq!(closing["total"]["pipeline"], offered.with_scale(2).to_plain_string());
    assert!(closing["months"].as_array().unwrap().iter().filter(|month| month["figures"]["open_count"] != 0).count() > 1);

    let board = demo.get(board).await;
    let stage = |key: &str| board["stages"].as_array().unwrap().iter().find(|stage| stage["stage"] == key).unwrap().clone();
    let cards = |key: &str| stage(key)["data"].as_array().unwrap().clone();
    assert!(cards("qualification").iter().all(|card| card["is_rotting"] == true), "nothing has moved since 2017");
    assert!(cards("prospecting").iter().all(|card| card["is_rotting"] == false), "these are of today");

    let oldest = demo.get(oldest).await;
    let first = truth.deals.iter().filter(|deal| deal.stage == "qualification").filter_map(|deal| deal.engaged_on.as_ref()).min();
    assert_eq!(oldest["data"][0]["custom_fields"]["engaged_on"], json!(first), "what has stood still for longest comes first");
    assert_eq!(oldest["data"].as_array().unwrap().len(), 5);
}

async fn names(demo: &Demo, path: &str, id: &str, name: &str) -> BTreeMap<String, String> {
    let page = demo.get(path).await;
    assert_eq!(page["page"]["has_more"], false, "one page holds them all");
    let pair = |row: &Value| (row[id].as_str().unwrap().to_owned(), row[name].as_str().unwrap().to_owned());
    page["data"].as_array().unwrap().iter().map(pair).collect()
}
