//! What the demo data say, computed from their files alone: the truth that the API must repeat to the cent.
//!
//! Must stay true: this shares no code with the seed, so that a mistake there cannot hide here; sums are exact decimals.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
};

use bigdecimal::{BigDecimal, RoundingMode};

/// One opportunity, with the words of the API.
#[derive(Debug, Clone, PartialEq)]
pub struct Deal {
    /// The id the source gives it: `custom_fields.opportunity_id`.
    pub opportunity_id: String,
    /// Full name of the agent, who owns the deal.
    pub agent: String,
    /// The agent's regional office, which is the name of a team.
    pub office: String,
    /// Name of the company, where the source names one.
    pub account: Option<String>,
    /// The product, both of its spellings made one.
    pub product: String,
    /// Key of the stage.
    pub stage: &'static str,
    /// When the agent engaged: `YYYY-MM-DD`.
    pub engaged_on: Option<String>,
    /// When it was won or lost: `YYYY-MM-DD`.
    pub closed_on: Option<String>,
    /// What was earned, zero for a lost deal; the list price while prospecting; nothing for other open ones.
    pub amount: Option<BigDecimal>,
}

impl Deal {
    /// `YYYY-MM` of the closing.
    #[must_use]
    pub fn closing_month(&self) -> Option<&str> {
        self.closed_on.as_deref().and_then(|date| date.get(..7))
    }

    /// Whether it was won.
    #[must_use]
    pub fn is_won(&self) -> bool {
        self.stage == "closed_won"
    }
}

/// All that the tests compare.
#[derive(Debug, Clone)]
pub struct Truth {
    /// Every opportunity, in the order of the file.
    pub deals: Vec<Deal>,
    /// How many deals stand in each stage, by its key.
    pub deals_by_stage: BTreeMap<&'static str, u64>,
    /// Revenue of all won deals.
    pub won_revenue: BigDecimal,
    /// The same by month of closing, `YYYY-MM`.
    pub won_revenue_by_month: BTreeMap<String, BigDecimal>,
    /// The same by full name of the agent; agents who won nothing are not in it.
    pub won_revenue_by_agent: BTreeMap<String, BigDecimal>,
    /// The same by regional office.
    pub won_revenue_by_office: BTreeMap<String, BigDecimal>,
    /// Deals won.
    pub won: u64,
    /// Deals won or lost.
    pub closed: u64,
}

impl Truth {
    /// Reads the files and computes.
    ///
    /// # Panics
    /// When the files are missing or not what they should be: a test can say nothing then.
    #[must_use]
    pub fn compute() -> Self {
        let deals = deals();
        let mut deals_by_stage = BTreeMap::new();
        for deal in &deals {
            *deals_by_stage.entry(deal.stage).or_default() += 1;
        }
        let count = |stage: &str| deals_by_stage.get(stage).copied().unwrap_or_default();
        Self {
            won_revenue: deals.iter().filter(|deal| deal.is_won()).filter_map(|deal| deal.amount.as_ref()).sum(),
            won_revenue_by_month: won_revenue_by(&deals, |deal| deal.closing_month().unwrap_or_default()),
            won_revenue_by_agent: won_revenue_by(&deals, |deal| &deal.agent),
            won_revenue_by_office: won_revenue_by(&deals, |deal| &deal.office),
            won: count("closed_won"),
            closed: count("closed_won") + count("closed_lost"),
            deals_by_stage,
            deals,
        }
    }

    /// Won of closed deals, between 0 and 1, rounded half to even at this many decimal digits.
    #[must_use]
    pub fn win_rate(&self, digits: i64) -> BigDecimal {
        (BigDecimal::from(self.won) / BigDecimal::from(self.closed)).with_scale_round(digits, RoundingMode::HalfEven)
    }
}

/// Revenue of won deals, summed by any key of a deal.
pub fn won_revenue_by<'a>(deals: &'a [Deal], key: impl Fn(&'a Deal) -> &'a str) -> BTreeMap<String, BigDecimal> {
    let mut sums: BTreeMap<String, BigDecimal> = BTreeMap::new();
    for deal in deals.iter().filter(|deal| deal.is_won()) {
        let amount = deal.amount.as_ref().expect("a won deal has an amount");
        *sums.entry(key(deal).to_owned()).or_default() += amount;
    }
    sums
}

/// A row of a file by the names of its columns.
type Row = HashMap<String, String>;

fn deals() -> Vec<Deal> {
    let offices: HashMap<String, String> =
        rows("sales_teams.csv").iter().map(|row| (text(row, "sales_agent"), text(row, "regional_office"))).collect();
    let prices: HashMap<String, String> =
        rows("products.csv").iter().map(|row| (text(row, "product"), text(row, "sales_price"))).collect();
    rows("sales_pipeline.csv").iter().map(|row| deal(row, &offices, &prices)).collect()
}

fn deal(row: &Row, offices: &HashMap<String, String>, prices: &HashMap<String, String>) -> Deal {
    let agent = text(row, "sales_agent");
    let source = text(row, "product");
    let product = if source == "GTXPro" { "GTX Pro".to_owned() } else { source };
    let stage = stage(&text(row, "deal_stage"));
    let offered = (stage == "prospecting").then(|| prices.get(&product).expect("a product has a list price").clone());
    Deal {
        opportunity_id: text(row, "opportunity_id"),
        office: offices.get(&agent).expect("every agent has an office").clone(),
        agent,
        account: filled(row, "account"),
        product,
        stage,
        engaged_on: filled(row, "engage_date"),
        closed_on: filled(row, "close_date"),
        amount: filled(row, "close_value").or(offered).map(|value| value.parse().expect("a close value is a decimal")),
    }
}

fn stage(word: &str) -> &'static str {
    let known = [("Prospecting", "prospecting"), ("Engaging", "qualification"), ("Won", "closed_won"), ("Lost", "closed_lost")];
    known.iter().find(|(source, _)| *source == word).map(|(_, key)| *key).expect("a stage of the demo data")
}

fn rows(name: &str) -> Vec<Row> {
    let file = folder().join(name);
    let mut reader = csv::Reader::from_path(&file).expect("the demo data lie in xtask/data/demo");
    reader.deserialize().collect::<Result<_, _>>().expect("the demo data are CSV")
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../xtask/data/demo")
}

fn text(row: &Row, column: &str) -> String {
    row.get(column).expect("a column of the demo data").clone()
}

fn filled(row: &Row, column: &str) -> Option<String> {
    Some(text(row, column)).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use bigdecimal::BigDecimal;

    use super::Truth;

    #[test]
    fn the_truth_agrees_with_what_the_source_is_known_to_hold() {
        let truth = Truth::compute();
        let stages: Vec<(&str, u64)> = truth.deals_by_stage.iter().map(|(stage, count)| (*stage, *count)).collect();
        assert_eq!(stages, [("closed_lost", 2473), ("closed_won", 4238), ("prospecting", 500), ("qualification", 1589)]);
        assert_eq!(truth.won_revenue, BigDecimal::from(10_005_534));
        assert_eq!(truth.win_rate(4).to_string(), "0.6315");
        for parts in [&truth.won_revenue_by_month, &truth.won_revenue_by_agent, &truth.won_revenue_by_office] {
            assert_eq!(parts.values().sum::<BigDecimal>(), truth.won_revenue);
        }
        assert_eq!(
            (truth.won_revenue_by_month.len(), truth.won_revenue_by_agent.len(), truth.won_revenue_by_office.len()),
            (10, 30, 3)
        );
    }
}
