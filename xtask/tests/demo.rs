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

async fn names(demo: &Demo, path: &str, id: &str, name: &str) -> BTreeMap<String, String> {
    let page = demo.get(path).await;
    assert_eq!(page["page"]["has_more"], false, "one page holds them all");
    let pair = |row: &Value| (row[id].as_str().unwrap().to_owned(), row[name].as_str().unwrap().to_owned());
    page["data"].as_array().unwrap().iter().map(pair).collect()
}
