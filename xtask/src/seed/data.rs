//! The demo files as they are, read into types. What is misspelt in them is mended here, and here alone.

use std::path::Path;

use anyhow::{Context, Result, bail};
use bigdecimal::BigDecimal;
use crm_kernel::Date;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// All of it.
pub struct Data {
    pub accounts: Vec<Account>,
    pub products: Vec<Product>,
    pub agents: Vec<Agent>,
    pub opportunities: Vec<Opportunity>,
}

#[derive(Deserialize)]
pub struct Account {
    #[serde(rename = "account")]
    pub name: String,
    pub sector: String,
    pub year_established: i32,
    /// In millions of USD; as text, because the reader of CSV would make a float of it.
    revenue: String,
    pub employees: i32,
    office_location: String,
    pub subsidiary_of: Option<String>,
}

#[derive(Deserialize)]
pub struct Product {
    #[serde(rename = "product")]
    pub name: String,
    pub series: String,
    pub sales_price: String,
}

#[derive(Deserialize)]
pub struct Agent {
    #[serde(rename = "sales_agent")]
    pub name: String,
    pub manager: String,
    pub regional_office: String,
}

#[derive(Deserialize)]
pub struct Opportunity {
    pub opportunity_id: String,
    pub sales_agent: String,
    pub product: String,
    pub account: Option<String>,
    pub deal_stage: SourceStage,
    pub engage_date: Option<Date>,
    pub close_date: Option<Date>,
    pub close_value: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub enum SourceStage {
    Prospecting,
    Engaging,
    Won,
    Lost,
}

impl Data {
    pub fn load(folder: &Path) -> Result<Self> {
        let mut data = Self {
            accounts: read(folder, "accounts.csv")?,
            products: read(folder, "products.csv")?,
            agents: read(folder, "sales_teams.csv")?,
            opportunities: read(folder, "sales_pipeline.csv")?,
        };
        for account in &mut data.accounts {
            mend(&mut account.sector, "technolgy", "technology");
        }
        for opportunity in &mut data.opportunities {
            mend(&mut opportunity.product, "GTXPro", "GTX Pro");
        }
        Ok(data)
    }

    pub fn list_price(&self, product: &str) -> Result<&str> {
        let found = self.products.iter().find(|each| each.name == product);
        found.map(|product| product.sales_price.as_str()).with_context(|| format!("the product {product} has no list price"))
    }
}

impl Account {
    /// In USD, exactly.
    pub fn revenue(&self) -> Result<BigDecimal> {
        let millions: BigDecimal = self.revenue.parse().with_context(|| format!("{} is no number", self.revenue))?;
        Ok(millions * BigDecimal::from(1_000_000))
    }

    /// ISO 3166-1 alpha-2.
    pub fn country(&self) -> Result<&'static str> {
        Ok(match self.office_location.as_str() {
            "Belgium" => "BE",
            "Brazil" => "BR",
            "China" => "CN",
            "Germany" => "DE",
            "Italy" => "IT",
            "Japan" => "JP",
            "Jordan" => "JO",
            "Kenya" => "KE",
            "Korea" => "KR",
            "Norway" => "NO",
            "Panama" => "PA",
            "Philipines" => "PH",
            "Poland" => "PL",
            "Romania" => "RO",
            "United States" => "US",
            other => bail!("{other} is no country that the demo data are known to hold"),
        })
    }
}

fn mend(text: &mut String, wrong: &str, right: &str) {
    if text == wrong {
        right.clone_into(text);
    }
}

/// All rows of a CSV file.
pub fn read<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<Vec<T>> {
    let file = folder.join(name);
    let mut reader = csv::Reader::from_path(&file).with_context(|| format!("cannot read {}", file.display()))?;
    reader.deserialize().collect::<Result<_, _>>().with_context(|| format!("{} is not what it should be", file.display()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Data;

    #[test]
    fn the_files_are_whole_and_every_misspelling_is_mended() {
        let data = Data::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("data/demo")).expect("the demo files");
        let counts = (data.accounts.len(), data.products.len(), data.agents.len(), data.opportunities.len());
        assert_eq!(counts, (85, 7, 35, 8800));
        assert!(data.opportunities.iter().all(|each| data.list_price(&each.product).is_ok()));
        assert!(data.accounts.iter().all(|account| account.country().is_ok() && account.sector != "technolgy"));
        let acme = data.accounts.iter().find(|account| account.name == "Acme Corporation").expect("in the file");
        assert_eq!(acme.revenue().expect("a number").to_plain_string(), "1100040000.00");
    }
}
