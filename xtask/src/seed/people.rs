//! The demo organisation, its offices and its people, through the functions that only an administrator may call.
//!
//! Must stay true: all of it is one transaction, so that a seed that was cut off leaves either everybody or nobody.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context, Result, bail};
use time::OffsetDateTime;
use tokio_postgres::{Client, Transaction};

use crate::progress::say;
use crate::seed::data::Data;
use crate::seed::{DEMO_PASSWORD, Login, SLUG, logins};

const NAME: &str = "Ascendore Demo";

/// Who is there, as the records name them.
pub struct People {
    pub organization_id: String,
    pub owner_id: String,
    /// The organisation's own beginning, by the clock of the database: the time of what has none in the data.
    pub seeded_at: OffsetDateTime,
    by_email: HashMap<String, String>,
}

impl People {
    /// The user id of somebody the files name.
    pub fn id_of(&self, name: &str) -> Result<&str> {
        let id = self.by_email.get(&email(name));
        id.map(String::as_str).with_context(|| format!("{name} is not a member of the demo organisation"))
    }
}

/// The address of somebody the files name: `Mei-Mei Johns` has mei-mei.johns@demo.example.
pub fn email(name: &str) -> String {
    format!("{}@demo.example", name.to_lowercase().replace(' ', "."))
}

/// Makes the organisation with everybody in it, unless it is there. Gives how many people came in.
pub async fn ensure(admin: &mut Client, data: &Data) -> Result<usize> {
    if let Some(row) = admin.query_opt("SELECT deleted_at IS NOT NULL FROM organizations WHERE slug = $1", &[&SLUG]).await? {
        if row.try_get(0)? {
            bail!("the organisation `{SLUG}` was deleted and still holds its name: start again with `cargo xtask up --fresh`");
        }
        return Ok(0);
    }
    let password_hash = crm_tenancy::passwords::hash(DEMO_PASSWORD.to_owned()).await?;
    let transaction = admin.transaction().await?;
    let mut maker = Maker { transaction, organization_id: String::new(), password_hash };
    let count = maker.make_everybody(data).await.context("the demo organisation's people were refused")?;
    maker.transaction.commit().await?;
    say(&format!("  {NAME}: {count} people\n"));
    Ok(count)
}

/// Everybody who is a member now, made by this run or not.
pub async fn find(admin: &Client) -> Result<People> {
    let organization = admin
        .query_one(
            "SELECT id::text, floor(extract(epoch FROM created_at) * 1000)::bigint FROM organizations WHERE slug = $1",
            &[&SLUG],
        )
        .await?;
    let organization_id: String = organization.try_get(0)?;
    let rows = admin
        .query(
            "SELECT email, user_id::text FROM memberships JOIN users ON users.id = user_id
              WHERE organization_id = $1::text::uuid AND email LIKE '%@demo.example'",
            &[&organization_id],
        )
        .await?;
    let by_email: HashMap<String, String> =
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<_>>()?;
    let [owner, ..] = &logins()[..] else { bail!("no owner is named") };
    let owner_id = by_email.get(owner.email).context("the owner of the demo organisation is gone")?.clone();
    let millis: i64 = organization.try_get(1)?;
    let seeded_at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000)?;
    Ok(People { organization_id, owner_id, seeded_at, by_email })
}

struct Maker<'a> {
    transaction: Transaction<'a>,
    organization_id: String,
    /// One hash for everybody: a hash each would cost seconds and hide nothing, for the password is public.
    password_hash: String,
}

struct Newcomer<'a> {
    email: &'a str,
    name: &'a str,
    role: &'a str,
    title: Option<&'a str>,
    manager_id: Option<&'a str>,
    team_id: Option<&'a str>,
}

impl Maker<'_> {
    async fn make_everybody(&mut self, data: &Data) -> Result<usize> {
        let [owner, others @ ..] = &logins()[..] else { bail!("no owner is named") };
        self.organization_id = self.make_organization(owner).await?;
        for login in others {
            let name = format!("Demo {}", capitalized(login.role));
            let newcomer =
                Newcomer { email: login.email, name: &name, role: login.role, title: None, manager_id: None, team_id: None };
            self.add(&newcomer).await?;
        }
        let teams = self.make_teams(data).await?;
        let managers = self.add_managers(data, &teams).await?;
        for agent in &data.agents {
            let manager_id = managers.get(agent.manager.as_str()).map(String::as_str);
            let team_id = teams.get(agent.regional_office.as_str()).map(String::as_str);
            let title = Some("Sales agent");
            self.add(&Newcomer { email: &email(&agent.name), name: &agent.name, role: "member", title, manager_id, team_id })
                .await?;
        }
        Ok(1 + others.len() + managers.len() + data.agents.len())
    }

    async fn make_organization(&self, owner: &Login) -> Result<String> {
        let query = "SELECT organization_id::text FROM app.create_organization($1, $2, 'USD', 'UTC', $3, 'Demo Owner', $4)";
        let row = self.transaction.query_one(query, &[&NAME, &SLUG, &owner.email, &self.password_hash]).await?;
        Ok(row.try_get(0)?)
    }

    /// The regional offices. Each has two managers in the data, so none is put above the team itself.
    async fn make_teams<'b>(&self, data: &'b Data) -> Result<BTreeMap<&'b str, String>> {
        let offices: BTreeSet<&str> = data.agents.iter().map(|agent| agent.regional_office.as_str()).collect();
        let mut teams = BTreeMap::new();
        for office in offices {
            let query = "SELECT app.add_team($1::text::uuid, $2, NULL)::text";
            let row = self.transaction.query_one(query, &[&self.organization_id, &office]).await?;
            teams.insert(office, row.try_get(0)?);
        }
        Ok(teams)
    }

    async fn add_managers<'b>(&self, data: &'b Data, teams: &BTreeMap<&str, String>) -> Result<BTreeMap<&'b str, String>> {
        let named: BTreeMap<&str, &str> =
            data.agents.iter().map(|agent| (agent.manager.as_str(), agent.regional_office.as_str())).collect();
        let mut managers = BTreeMap::new();
        for (name, office) in named {
            let team_id = teams.get(office).map(String::as_str);
            let title = Some("Sales manager");
            let newcomer = Newcomer { email: &email(name), name, role: "admin", title, manager_id: None, team_id };
            managers.insert(name, self.add(&newcomer).await?);
        }
        Ok(managers)
    }

    async fn add(&self, newcomer: &Newcomer<'_>) -> Result<String> {
        let Newcomer { email, name, role, title, manager_id, team_id } = newcomer;
        let query = "SELECT app.add_member($1::text::uuid, $2, $3, $4, $5, $6::text::uuid, $7::text::uuid, $8)::text";
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 8] =
            [&self.organization_id, email, name, role, title, manager_id, team_id, &self.password_hash];
        let row = self.transaction.query_one(query, &values).await.with_context(|| format!("{email} cannot become a member"))?;
        Ok(row.try_get(0)?)
    }
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
