//! `cargo xtask seed`: the demo organisation, from the files in xtask/data/demo. docs/DEMO-DATA.md states the mapping.
//!
//! Must stay true: a second run adds what is missing, changes nothing that is there, and says so; every record has the same
//! id in every checkout; people come through the administrator's functions, records through the import of the application.

mod contacts;
pub mod data;
mod ids;
mod people;
mod records;
mod texts;
mod work;

use std::collections::HashSet;
use std::time::Instant;

use anyhow::{Context, Result};
use crm_tenancy::import::Importable;
use serde_json::Value;
use tokio_postgres::Client;

use crate::database::{self, Database};
use crate::environment::Environment;
use crate::import::door::{self, Door};
use crate::migrate;
use crate::progress::{say, seconds};
use crate::scale::{self, Ground, Sizes};
use crate::seed::contacts::Names;
use crate::seed::data::Data;
use crate::seed::people::People;
use crate::seed::records::Records;
use crate::seed::work::Work;

/// Name of the demo organisation in addresses.
pub const SLUG: &str = "demo";
/// Of everybody in the demo organisation. Public, and long enough to be accepted where a password is chosen.
pub const DEMO_PASSWORD: &str = "demo-password-please-change";

#[derive(clap::Args)]
pub struct Options {
    /// Instead of the demo: a large organisation of that many records, log in as owner@big.example, and two of ordinary size
    #[arg(long)]
    scale: bool,
    /// Companies of the large organisation
    #[arg(long, default_value_t = scale::LARGE_SIZES.companies, requires = "scale")]
    companies: i64,
    /// Its contacts
    #[arg(long, default_value_t = scale::LARGE_SIZES.contacts, requires = "scale")]
    contacts: i64,
    /// Its deals; it has as many tasks and notes, a fifth as many projects, a hundredth as many campaigns
    #[arg(long, default_value_t = scale::LARGE_SIZES.deals, requires = "scale")]
    deals: i64,
}

impl Options {
    pub async fn run(&self, environment: &Environment, database: &Database) -> Result<()> {
        if !self.scale {
            return run(environment, database).await;
        }
        migrate::must_be_done(&database.admin_url).await?;
        let large = Sizes { companies: self.companies, contacts: self.contacts, deals: self.deals };
        let app_url = door::url(database).await;
        let ground = Ground { admin_url: &database.admin_url, app_url: &app_url, root: &environment.root };
        scale::fill_all(&ground, &large).await
    }
}

/// Somebody who can log in to the demo organisation.
pub struct Login {
    pub role: &'static str,
    pub email: &'static str,
    pub password: &'static str,
}

/// One login per role, the owner first.
pub fn logins() -> Vec<Login> {
    let login = |role, email| Login { role, email, password: DEMO_PASSWORD };
    vec![
        login("owner", "owner@demo.example"),
        login("admin", "admin@demo.example"),
        login("member", "member@demo.example"),
        login("viewer", "viewer@demo.example"),
    ]
}

/// Who has this role.
pub fn login_of(role: &str) -> Result<Login> {
    logins().into_iter().find(|login| login.role == role).with_context(|| format!("nobody is {role}"))
}

/// Whether the demo organisation is whole: what comes in last stands for all.
pub async fn is_present(database: &Database) -> Result<bool> {
    let client = database::connect(&database.admin_url).await?;
    let Some((organization_id, seeded_at)) = people::founded(&client).await? else { return Ok(false) };
    let query = "SELECT EXISTS (SELECT FROM crm_notes WHERE organization_id = $1::text::uuid AND id = $2::text::uuid)";
    Ok(client.query_one(query, &[&organization_id, &work::sign(seeded_at)]).await?.try_get(0)?)
}

/// Makes what is missing of the demo organisation.
pub async fn run(environment: &Environment, database: &Database) -> Result<()> {
    let begun = Instant::now();
    let data = Data::load(&environment.root.join("xtask/data/demo"))?;
    migrate::must_be_done(&database.admin_url).await?;
    let admin = database::connect(&database.admin_url).await?;
    let made_people = people::ensure(&admin, &database.admin_url, &data).await?;
    let people = people::find(&admin).await?;
    let door = Door::open(database, &people.organization_id, &people.owner_id).await?;
    let records = Records::new(&data, &people);
    let (company_rows, deal_rows) = (records.companies()?, records.deals()?);
    let names = Names::load(&environment.root)?;
    let companies = add_missing(&admin, &door, &people, Importable::Company, company_rows.clone()).await?;
    // Nobody comes to a company that lies in the bin by now.
    let in_bin = in_bin(&admin, &people).await?;
    let mut contact_rows = Vec::new();
    for company in company_rows.iter().filter(|row| !id(row).is_some_and(|id| in_bin.contains(id))) {
        contact_rows.extend(names.contacts_of(company)?);
    }
    let contacts = add_missing(&admin, &door, &people, Importable::Contact, contact_rows).await?;
    let work = Work { admin: &admin, door: &door, people: &people, data: &data };
    let campaigns = work.add_campaigns().await?;
    let deals = add_missing(&admin, &door, &people, Importable::Deal, deal_rows.clone()).await?;
    let further = work.add_the_rest(&company_rows, &deal_rows).await?;
    if made_people + companies + contacts + campaigns + deals + further == 0 {
        say("the demo organisation is whole: nothing to do\n");
    } else {
        say(&format!("demo organisation ready in {}\n", seconds(begun.elapsed())));
    }
    Ok(())
}

async fn add_missing(admin: &Client, door: &Door, people: &People, noun: Importable, mut rows: Vec<Value>) -> Result<usize> {
    let present = present(admin, people, noun, &rows).await?;
    rows.retain(|row| !id(row).is_some_and(|id| present.contains(id)));
    if rows.is_empty() {
        return Ok(0);
    }
    let begun = Instant::now();
    let added = door.bring_in(noun, &rows).await.with_context(|| format!("the demo's {} were refused", plural(noun)))?;
    say(&format!("  {added} {} in {}\n", plural(noun), seconds(begun.elapsed())));
    Ok(added)
}

async fn in_bin(admin: &Client, people: &People) -> Result<HashSet<String>> {
    let query = "SELECT id::text FROM crm_companies WHERE organization_id = $1::text::uuid AND deleted_at IS NOT NULL";
    let found = admin.query(query, &[&people.organization_id]).await?;
    found.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Which of these records are there already, in the bin included.
async fn present(admin: &Client, people: &People, noun: Importable, rows: &[Value]) -> Result<HashSet<String>> {
    let ids: Vec<&str> = rows.iter().filter_map(id).collect();
    let table = noun.entity().table;
    let query = format!("SELECT id::text FROM {table} WHERE organization_id = $1::text::uuid AND id = ANY ($2::text[]::uuid[])");
    let found = admin.query(&query, &[&people.organization_id, &ids]).await?;
    found.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

fn id(row: &Value) -> Option<&str> {
    row.get("id").and_then(Value::as_str)
}

fn plural(noun: Importable) -> &'static str {
    match noun {
        Importable::Company => "companies",
        Importable::Contact => "contacts",
        Importable::Deal => "deals",
    }
}
