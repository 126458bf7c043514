//! `cargo xtask organization`: the first organisation of an installation where nobody may sign up, with its owner.
//!
//! Must stay true: the owner's password is judged as at every other door, and never stands among the arguments, which every account
//! of the machine can read.

use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, Result, anyhow, bail};
use crm_tenancy::{
    Provisioning, identity, passwords,
    provisioning::{NewOrganization, NewPerson},
};

use crate::database::Database;
use crate::migrate;
use crate::progress::say;

#[derive(clap::Args)]
pub struct Options {
    /// Name as shown
    name: String,
    /// Name in addresses; no other organisation has it
    #[arg(long)]
    slug: String,
    /// Address of the owner. Who is known by it already keeps name and password
    #[arg(long, value_name = "EMAIL")]
    owner: String,
    /// The owner's name as shown
    #[arg(long, value_name = "NAME")]
    owner_name: String,
    /// File whose first line is the owner's password, `-` for standard input. Without it the owner asks for a letter to set one
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// ISO 4217
    #[arg(long, value_name = "CODE", default_value = "USD")]
    currency: String,
    /// As IANA names it
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    time_zone: String,
}

pub async fn run(database: &Database, options: &Options) -> Result<()> {
    migrate::must_be_done(&database.admin_url).await?;
    let password_hash = match &options.password_file {
        Some(file) => Some(passwords::hash(password(file, options)?).await.map_err(shown_once)?),
        None => None,
    };
    let organization = NewOrganization {
        name: &options.name,
        slug: &options.slug,
        default_currency: &options.currency,
        time_zone: &options.time_zone,
    };
    let owner = NewPerson { email: &options.owner, full_name: &options.owner_name, password_hash: password_hash.as_deref() };
    let mut provisioning = Provisioning::begin(&database.admin_url).await.map_err(shown_once)?;
    let founded = provisioning.found(&organization, &owner).await.map_err(shown_once)?;
    provisioning.commit().await.map_err(shown_once).context("the organisation may not have been kept")?;
    say(&format!("made {} ({}), owned by {}\n", options.slug, founded.organization_id, options.owner));
    Ok(())
}

fn password(file: &Path, options: &Options) -> Result<String> {
    let text = if file == Path::new("-") { io::read_to_string(io::stdin()) } else { fs::read_to_string(file) };
    let text = text.with_context(|| format!("cannot read {}", file.display()))?;
    let password = text.lines().next().unwrap_or_default();
    match identity::judge_password("/password", password, &[&options.owner, &options.owner_name]) {
        Some(fault) => bail!("the password: {}", fault.message),
        None => Ok(password.to_owned()),
    }
}

/// That error tells its source in its own text; with its chain everything would be said twice.
fn shown_once(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("{error}")
}
