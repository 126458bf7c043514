//! The words that a large organisation is made of: names, branches and places by how common they are, and the demo's opportunities whole.
//!
//! Must stay true: the same files give the same words in the same places, whatever machine reads them.

use std::path::Path;

use anyhow::Result;
use serde::Deserialize;
use tokio_postgres::Client;

use crate::seed::data::{self, Data, SourceStage};

/// As many places as `words.place` has; the SQL files draw a place below this.
const PLACES: usize = 4096;

#[derive(Deserialize)]
struct Name {
    name: String,
    share: f64,
}

#[derive(Deserialize)]
struct Branch {
    sector: String,
    sub_industry: String,
    companies: f64,
}

#[derive(Deserialize)]
struct Place {
    city: String,
    country: String,
    share: f64,
}

/// Puts them into temporary tables of this connection.
pub async fn load(client: &Client, root: &Path) -> Result<()> {
    let folder = root.join("xtask/data/scale");
    let first_names: Vec<Name> = data::read(&folder, "first-names.csv")?;
    let surnames: Vec<Name> = data::read(&folder, "surnames.csv")?;
    let branches: Vec<Branch> = data::read(&folder, "sectors.csv")?;
    let places: Vec<Place> = data::read(&folder, "places.csv")?;
    let firsts = spread(&first_names, |it| it.share);
    let lasts = spread(&surnames, |it| it.share);
    let branches = spread(&branches, |it| it.companies);
    let places = spread(&places, |it| it.share);
    client
        .execute(
            "CREATE TEMPORARY TABLE words (place bigint PRIMARY KEY, first_name text, surname text, sector text, sub_industry text, city text,
                                           country text)",
            &[],
        )
        .await?;
    client
        .execute(
            "INSERT INTO words
             SELECT place - 1, first_name, surname, sector, sub_industry, city, country
               FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[]) WITH ORDINALITY
                 AS word (first_name, surname, sector, sub_industry, city, country, place)",
            &[
                &texts(&firsts, |it| &it.name),
                &texts(&lasts, |it| &it.name),
                &texts(&branches, |it| &it.sector),
                &texts(&branches, |it| &it.sub_industry),
                &texts(&places, |it| &it.city),
                &texts(&places, |it| &it.country),
            ],
        )
        .await?;
    opportunities(client, &Data::load(&root.join("xtask/data/demo"))?).await?;
    client.batch_execute("ANALYZE words; ANALYZE opportunities").await?;
    Ok(())
}

/// Those of the demo, numbered among the open and among the closed ones.
async fn opportunities(client: &Client, data: &Data) -> Result<()> {
    client
        .execute(
            "CREATE TEMPORARY TABLE opportunities (is_open boolean, place bigint, product text, list_price numeric, stage text, value numeric,
                                                   days integer, PRIMARY KEY (is_open, place))",
            &[],
        )
        .await?;
    let (mut open, mut closed) = (0_i64, 0_i64);
    let statement =
        client.prepare("INSERT INTO opportunities VALUES ($1, $2, $3, $4::text::numeric, $5, $6::text::numeric, $7)").await?;
    for opportunity in &data.opportunities {
        let stage = match opportunity.deal_stage {
            SourceStage::Prospecting => "prospecting",
            SourceStage::Engaging => "qualification",
            SourceStage::Won => "closed_won",
            SourceStage::Lost => "closed_lost",
        };
        let is_open = matches!(opportunity.deal_stage, SourceStage::Prospecting | SourceStage::Engaging);
        let place = if is_open { &mut open } else { &mut closed };
        let list_price = data.list_price(&opportunity.product)?;
        let value = opportunity.close_value.as_deref().filter(|value| *value != "0");
        let days = opportunity.engage_date.zip(opportunity.close_date);
        let days = days.map(|(engaged, closed)| (closed.0 - engaged.0).whole_days()).map(i32::try_from).transpose()?;
        let row: [&(dyn tokio_postgres::types::ToSql + Sync); 7] =
            [&is_open, &*place, &opportunity.product, &list_price, &stage, &value, &days];
        client.execute(&statement, &row).await?;
        *place += 1;
    }
    client.batch_execute(&constant("open_opportunities", open)).await?;
    client.batch_execute(&constant("closed_opportunities", closed)).await?;
    Ok(())
}

/// A number of our own, under a name that the statements call.
pub fn constant(name: &str, number: i64) -> String {
    format!("CREATE FUNCTION pg_temp.{name}() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT {number}::bigint'")
}

/// One of them for each place, each at as many places as is its share.
fn spread<T>(all: &[T], share: impl Fn(&T) -> f64) -> Vec<&T> {
    let total: f64 = all.iter().map(&share).sum();
    let mut chosen = Vec::with_capacity(PLACES);
    let mut reached = 0.0;
    for (number, item) in all.iter().enumerate() {
        reached += share(item) / total;
        let is_last = number + 1 == all.len();
        while chosen.len() < PLACES && (is_last || share_of(chosen.len()) < reached) {
            chosen.push(item);
        }
    }
    chosen
}

/// The middle of a place, between 0 and 1.
#[allow(clippy::cast_precision_loss, reason = "4096 is exact")]
fn share_of(place: usize) -> f64 {
    (place as f64 + 0.5) / PLACES as f64
}

fn texts<'a, T>(chosen: &[&'a T], text: impl Fn(&'a T) -> &'a str) -> Vec<&'a str> {
    chosen.iter().map(|item| text(item)).collect()
}
