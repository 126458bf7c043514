//! Whom the demo's companies are bought from by: two people each, made of common first names and surnames that were drawn apart.
//!
//! Must stay true: nobody is a real person, and every address ends in .example; the same account always has the same people.

use std::path::Path;

use anyhow::{Context as _, Result};
use crm_kernel::slug::slugify;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::seed::data;
use crate::seed::ids;

/// How many people each company has.
const PER_COMPANY: usize = 2;
/// Who buys hardware, and where in a company they sit; those who decide come first.
const POSITIONS: [[(&str, &str); 5]; PER_COMPANY] = [
    [
        ("Head of IT", "IT"),
        ("Director of Purchasing", "Purchasing"),
        ("Chief Technology Officer", "Management"),
        ("Chief Financial Officer", "Finance"),
        ("Operations Director", "Operations"),
    ],
    [
        ("Systems Administrator", "IT"),
        ("Buyer", "Purchasing"),
        ("Infrastructure Engineer", "IT"),
        ("Controller", "Finance"),
        ("Office Manager", "Operations"),
    ],
];
/// How they were met. Weights are repetitions.
const SOURCES: [&str; 7] = ["referral", "referral", "web", "web", "search", "event", "cold call"];

#[derive(Deserialize)]
struct Name {
    name: String,
}

/// The names that people are made of.
pub struct Names {
    first: Vec<String>,
    last: Vec<String>,
}

impl Names {
    pub fn load(root: &Path) -> Result<Self> {
        let folder = root.join("xtask/data/scale");
        let read =
            |name| -> Result<Vec<String>> { Ok(data::read::<Name>(&folder, name)?.into_iter().map(|it| it.name).collect()) };
        Ok(Self { first: read("first-names.csv")?, last: read("surnames.csv")? })
    }

    /// The people of a company, as rows for the import.
    pub fn contacts_of(&self, company: &Value) -> Result<Vec<Value>> {
        POSITIONS.iter().enumerate().map(|(place, positions)| self.contact(company, place, positions)).collect()
    }

    fn contact(&self, company: &Value, place: usize, positions: &[(&str, &str)]) -> Result<Value> {
        let account = company["name"].as_str().context("a company has a name")?;
        let key = format!("{account} {place}");
        let (first, last) = (pick(&self.first, "first name", &key)?, pick(&self.last, "surname", &key)?);
        let (title, department) = pick(positions, "position", &key)?;
        let mailbox = format!("{}.{}", slugify(first, "a"), slugify(last, "b"));
        Ok(json!({
            "id": id(company, place)?,
            "company_id": company["id"],
            "first_name": first,
            "last_name": last,
            "email": format!("{mailbox}@{}.example", slugify(account, "company")),
            "title": title,
            "department": department,
            "contact_status": "active",
            "lead_source": pick(&SOURCES, "source", &key)?,
            "lead_score": 40 + ids::draw("score", &key, 56),
            "owner_id": company["owner_id"],
            "created_at": company["created_at"],
        }))
    }
}

/// The id of the person of a company whom a deal is about: always the same of its two.
pub fn buyer(company: &Value, opportunity: &str) -> Result<String> {
    id(company, ids::draw("buyer", opportunity, PER_COMPANY))
}

fn id(company: &Value, place: usize) -> Result<String> {
    let met = company["created_at"].as_str().context("a company has a time")?;
    let met = time::OffsetDateTime::parse(met, &time::format_description::well_known::Rfc3339)?;
    let account = company["name"].as_str().context("a company has a name")?;
    Ok(ids::of("contact", &format!("{account} {place}"), met).to_string())
}

fn pick<'a, T>(all: &'a [T], what: &str, key: &str) -> Result<&'a T> {
    all.get(ids::draw(what, key, all.len())).with_context(|| format!("there is no {what} to draw"))
}
