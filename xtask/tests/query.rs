//! docs/QUERY.md is true: every example is understood, every refusal is said in these words, and the twenty questions are answered
//! as the files of the demo organisation answer them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
};

use bigdecimal::BigDecimal;
use crm_testkit::demo::{Deal, Truth};
use serde_json::Value;
use support::Demo;

fn document() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/QUERY.md")).unwrap()
}

/// The blocks of code that begin with this word: the list they are about, and what they say.
fn blocks(document: &str, word: &str) -> Vec<(String, String)> {
    let inside = document.split("```").skip(1).step_by(2);
    let blocks = inside.filter_map(|block| block.strip_prefix(&format!("{word} ")).and_then(|block| block.split_once('\n')));
    blocks.map(|(list, text)| (list.to_owned(), text.to_owned())).collect()
}

/// Number, list and filter of each row of the table of questions.
fn questions(document: &str) -> Vec<(usize, String, String)> {
    let rows = document.lines().filter_map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [number, _, list, filter] = cells.as_slice() else { return None };
        Some((number.parse().ok()?, (*list).to_owned(), filter.trim_matches('`').to_owned()))
    });
    rows.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_is_understood() {
    let (demo, document) = (Demo::start().await, document());
    let mut asked = 0;
    for (list, text) in blocks(&document, "filter") {
        for filter in text.lines() {
            let (status, body) = demo.try_get(&format!("/a-crm/{list}"), &[("filter", filter)]).await;
            assert_eq!(status, 200, "{filter}: {body}");
            asked += 1;
        }
    }
    for (list, text) in blocks(&document, "json") {
        let (status, body) = demo.post(&format!("/a-crm/{list}/search"), &serde_json::from_str(&text).unwrap()).await;
        assert_eq!(status, 200, "{text}: {body}");
        assert!(body["page"]["total"]["count"].as_i64() > Some(0), "it finds something: {body}");
        asked += 1;
    }
    for (list, text) in blocks(&document, "refused") {
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines.chunks(2) {
            let (status, body) = demo.try_get(&format!("/a-crm/{list}"), &[("filter", pair[0])]).await;
            assert_eq!(status, 400, "{}: {body}", pair[0]);
            assert_eq!(body["errors"][0]["message"], pair[1].trim_start_matches("> "), "{}", pair[0]);
            asked += 1;
        }
    }
    assert!(asked > 20, "only {asked} examples");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_twenty_questions_are_answered_as_the_files_answer_them() {
    let (demo, files) = (Demo::start().await, Files::read());
    let questions = questions(&document());
    assert_eq!(questions.iter().map(|question| question.0).collect::<Vec<_>>(), (1..=20).collect::<Vec<_>>());
    let owner = demo.token_of("owner@demo.example").await;
    for (number, list, filter) in questions {
        let token = match number {
            13 => demo.token_of("dustin.brinkmann@demo.example").await,
            14 | 19 => demo.token_of("moses.frase@demo.example").await,
            _ => owner.clone(),
        };
        let found = walk(&demo, &token, &list, &filter).await;
        let right = files.answer(number);
        assert_eq!(found, right, "question {number}: {filter}");
        assert!(number == 20 || !found.is_empty(), "question {number} has an answer");
    }
}

/// All that the filter finds: names of companies, the source's ids of deals.
async fn walk(demo: &Demo, token: &str, list: &str, filter: &str) -> BTreeSet<String> {
    let (mut found, mut cursor) = (BTreeSet::new(), String::new());
    loop {
        let mut query = vec![("filter", filter), ("limit", "200"), ("fields", "name,custom_fields")];
        if !cursor.is_empty() {
            query.push(("cursor", &cursor));
        }
        let (status, page) = demo.ask(token, &format!("/a-crm/{list}"), &query).await;
        assert_eq!(status, 200, "{filter}: {page}");
        for record in page["data"].as_array().unwrap() {
            let key = if list == "deals" { &record["custom_fields"]["opportunity_id"] } else { &record["name"] };
            assert!(found.insert(key.as_str().unwrap().to_owned()), "{key} is listed twice");
        }
        let Value::String(next) = &page["page"]["next_cursor"] else { return found };
        cursor = next.clone();
    }
}

/// The files of the demo organisation, read without the code of the seed.
struct Files {
    deals: Vec<Deal>,
    accounts: BTreeMap<String, HashMap<String, String>>,
    /// Agent to manager.
    managers: HashMap<String, String>,
    /// Account to the office of the agent who looks after it.
    offices: HashMap<String, String>,
}

impl Files {
    fn read() -> Self {
        let rows = |name: &str| -> Vec<HashMap<String, String>> {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/demo").join(name);
            csv::Reader::from_path(file).unwrap().deserialize().collect::<Result<_, _>>().unwrap()
        };
        let accounts = rows("accounts.csv").into_iter().map(|row| (row["account"].clone(), row)).collect();
        let managers =
            rows("sales_teams.csv").into_iter().map(|row| (row["sales_agent"].clone(), row["manager"].clone())).collect();
        let deals = Truth::compute().deals;
        let offices = offices(&deals);
        Self { deals, accounts, managers, offices }
    }

    fn answer(&self, number: usize) -> BTreeSet<String> {
        if matches!(number, 1..=8 | 20) {
            let fits = self.accounts.iter().filter(|(_, row)| self.company(number, row));
            return fits.map(|(name, _)| name.clone()).collect();
        }
        let fits = self.deals.iter().filter(|deal| self.deal(number, deal));
        fits.map(|deal| deal.opportunity_id.clone()).collect()
    }

    fn company(&self, number: usize, row: &HashMap<String, String>) -> bool {
        let of_parent = !row["subsidiary_of"].is_empty();
        let year: u32 = row["year_established"].parse().unwrap();
        let employees: u32 = row["employees"].parse().unwrap();
        match number {
            // Every account has a won deal, and so is a customer.
            1 => {
                ["Belgium", "Germany", "Italy", "Poland", "Romania"].contains(&row["office_location"].as_str())
                    && millions(row) > 100
            }
            2 => millions(row) > 1000 && row["office_location"] != "United States",
            3 => employees > 5000 && !of_parent,
            4 => row["subsidiary_of"] == "Acme Corporation",
            5 => row["sector"] == "software" && year < 1990,
            6 => ["medical", "retail"].contains(&row["sector"].as_str()) && !of_parent,
            7 => row["account"].to_lowercase().contains("plex"),
            8 => self.offices[&row["account"]] == "Central",
            _ => false,
        }
    }

    fn deal(&self, number: usize, deal: &Deal) -> bool {
        let open = !deal.stage.starts_with("closed");
        let account = deal.account.as_ref().map(|name| &self.accounts[name]);
        let amount = deal.amount.clone().unwrap_or_default();
        let closed = deal.closed_on.as_deref().unwrap_or_default();
        match number {
            9 => open && account.is_none(),
            10 => deal.is_won() && ("2017-04-01".."2017-07-01").contains(&closed),
            11 => deal.is_won() && amount > 5000 && deal.office == "Central",
            12 => deal.stage == "closed_lost" && account.is_some_and(|row| row["sector"] == "medical"),
            13 => open && self.managers[&deal.agent] == "Dustin Brinkmann",
            14 => deal.is_won() && deal.agent == "Moses Frase",
            15 => deal.stage == "qualification" && deal.product.contains("GTX"),
            // Every open deal was engaged before 2018, and nobody has done anything since the seeding.
            16 => deal.stage == "qualification" && deal.engaged_on.is_some(),
            17 => deal.is_won() && account.is_some_and(|row| millions(row) >= 1000 && row["office_location"] == "United States"),
            18 => deal.is_won() && (amount >= 20_000 || deal.office == "West"),
            19 => deal.stage == "closed_lost" && deal.office == "Central" && ("2017-01-01".."2018-01-01").contains(&closed),
            _ => false,
        }
    }
}

fn millions(row: &HashMap<String, String>) -> BigDecimal {
    row["revenue"].parse().unwrap()
}

/// Whoever has the most opportunities of an account looks after it; of several, the first by name.
fn offices(deals: &[Deal]) -> HashMap<String, String> {
    let mut counts: BTreeMap<(&str, &str), (usize, &str)> = BTreeMap::new();
    for deal in deals {
        if let Some(account) = &deal.account {
            counts.entry((account, &deal.agent)).or_insert((0, &deal.office)).0 += 1;
        }
    }
    let mut best: HashMap<String, (usize, &str)> = HashMap::new();
    for ((account, _), (count, office)) in counts {
        let place = best.entry(account.to_owned()).or_insert((0, office));
        if count > place.0 {
            *place = (count, office);
        }
    }
    best.into_iter().map(|(account, (_, office))| (account, office.to_owned())).collect()
}
