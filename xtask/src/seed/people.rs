//! The demo organisation, its offices and its people, through the functions that only an administrator may call.
//!
//! Must stay true: all of it is one transaction, so that a seed that was cut off leaves either everybody or nobody.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context, Result, bail};
use crm_kernel::{OrganizationId, Role, TeamId};
use crm_tenancy::{
    Provisioning,
    provisioning::{NewMember, NewOrganization, NewPerson},
};
use time::OffsetDateTime;
use tokio_postgres::Client;

use crate::progress::say;
use crate::seed::data::Data;
use crate::seed::{DEMO_PASSWORD, SLUG, logins};

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
pub async fn ensure(admin: &Client, admin_url: &str, data: &Data) -> Result<usize> {
    if let Some(row) = admin.query_opt("SELECT deleted_at IS NOT NULL FROM organizations WHERE slug = $1", &[&SLUG]).await? {
        if row.try_get(0)? {
            bail!("the organisation `{SLUG}` was deleted and still holds its name: start again with `cargo xtask up --fresh`");
        }
        return Ok(0);
    }
    let password_hash = crm_tenancy::passwords::hash(DEMO_PASSWORD.to_owned()).await?;
    let mut provisioning = Provisioning::begin(admin_url).await?;
    let count =
        make_everybody(&mut provisioning, data, &password_hash).await.context("the demo organisation's people were refused")?;
    provisioning.commit().await?;
    say(&format!("  {NAME}: {count} people\n"));
    Ok(count)
}

/// The organisation and its beginning, if it is there.
pub async fn founded(admin: &Client) -> Result<Option<(String, OffsetDateTime)>> {
    let query = "SELECT id::text, floor(extract(epoch FROM created_at) * 1000)::bigint FROM organizations WHERE slug = $1";
    let Some(row) = admin.query_opt(query, &[&SLUG]).await? else { return Ok(None) };
    let millis: i64 = row.try_get(1)?;
    Ok(Some((row.try_get(0)?, OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000)?)))
}

/// Everybody who is a member now, made by this run or not.
pub async fn find(admin: &Client) -> Result<People> {
    let (organization_id, seeded_at) = founded(admin).await?.context("the demo organisation is gone")?;
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
    Ok(People { organization_id, owner_id, seeded_at, by_email })
}

/// One hash for everybody: a hash each would cost seconds and hide nothing, for the password is public.
async fn make_everybody(provisioning: &mut Provisioning, data: &Data, password_hash: &str) -> Result<usize> {
    let [owner, others @ ..] = &logins()[..] else { bail!("no owner is named") };
    let new = NewOrganization { name: NAME, slug: SLUG, default_currency: "USD", time_zone: "UTC" };
    let password_hash = Some(password_hash);
    let owner = NewPerson { email: owner.email, full_name: "Demo Owner", password_hash };
    let organization = provisioning.found(&new, &owner).await?.organization_id;
    for login in others {
        let name = format!("Demo {}", capitalized(login.role));
        let role = login.role.parse().map_err(anyhow::Error::msg)?;
        let person = NewPerson { email: login.email, full_name: &name, password_hash };
        provisioning.add_member(organization, &NewMember::new(person, role)).await?;
    }
    let teams = make_teams(provisioning, organization, data).await?;
    let mut managers = BTreeMap::new();
    let named: BTreeMap<&str, &str> =
        data.agents.iter().map(|agent| (agent.manager.as_str(), agent.regional_office.as_str())).collect();
    for (name, office) in named {
        let person = NewPerson { email: &email(name), full_name: name, password_hash };
        let mut new = NewMember::new(person, Role::Admin);
        (new.title, new.team_id) = (Some("Sales manager"), teams.get(office).copied());
        managers.insert(name, provisioning.add_member(organization, &new).await?);
    }
    for agent in &data.agents {
        let person = NewPerson { email: &email(&agent.name), full_name: &agent.name, password_hash };
        let mut new = NewMember::new(person, Role::Member);
        (new.title, new.team_id) = (Some("Sales agent"), teams.get(agent.regional_office.as_str()).copied());
        new.manager_id = managers.get(agent.manager.as_str()).copied();
        provisioning.add_member(organization, &new).await?;
    }
    Ok(1 + others.len() + managers.len() + data.agents.len())
}

/// The regional offices. Each has two managers in the data, so none is put above the team itself.
async fn make_teams<'a>(
    provisioning: &mut Provisioning,
    organization: OrganizationId,
    data: &'a Data,
) -> Result<BTreeMap<&'a str, TeamId>> {
    let offices: BTreeSet<&str> = data.agents.iter().map(|agent| agent.regional_office.as_str()).collect();
    let mut teams = BTreeMap::new();
    for office in offices {
        teams.insert(office, provisioning.add_team(organization, office, None).await?);
    }
    Ok(teams)
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
