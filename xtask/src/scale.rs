//! Organisations as large as customers have them: `cargo xtask seed --scale`, and the ground of `cargo xtask plans`.
//!
//! Must stay true: the same sizes make the same organisation, record for record; every record passes the guards and is in the log; what is
//! acknowledged as made stays, and a fill that was cut off goes on where it stopped.

mod words;

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use crm_kernel::{Context, Role, TeamId};
use crm_tenancy::provisioning::{NewMember, NewOrganization, NewPerson};
use crm_tenancy::{ConnectOptions, CustomFieldDefinitions, Db, PgCustomFieldDefinitions, Provisioning, migrations};
use serde_json::json;
use tokio_postgres::Client;

use crate::database::{self, Database};
use crate::environment::Environment;
use crate::progress::{say, seconds, step};
use crate::seed::DEMO_PASSWORD;
use crate::url;

/// Records that one INSERT brings, and one transaction keeps.
const AT_ONCE: i64 = 10_000;
const TEAMS: usize = 10;
const MEMBERS: usize = 200;
/// As many as the demo's opportunities name.
const PRODUCTS: i64 = 7;

/// Where the organisations are made, and from which checkout.
pub struct Ground<'a> {
    pub admin_url: &'a str,
    pub app_url: &'a str,
    pub root: &'a Path,
}

/// How many records an organisation has. The other nouns follow the deals.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub companies: i64,
    pub contacts: i64,
    pub deals: i64,
}

/// What the scale seed makes beside the large one: a planner that knows one organisation only knows less than it will have to.
const OTHERS: [(&str, Sizes); 2] = [
    ("small", Sizes { companies: 500, contacts: 1_500, deals: 600 }),
    ("middle", Sizes { companies: 2_000, contacts: 6_000, deals: 3_000 }),
];
/// As large as the largest customer that is promised to be served well.
pub const LARGE_SIZES: Sizes = Sizes { companies: 200_000, contacts: 1_000_000, deals: 300_000 };
/// The database of its own in which commands that measure have it.
pub const DATABASE: &str = "crm_scale";
/// Name of the large one in addresses; its owner logs in as `owner@big.example`.
pub const LARGE: &str = "big";

struct Noun {
    /// As its ids are made of.
    singular: &'static str,
    plural: &'static str,
    table: &'static str,
    statement: &'static str,
    count: fn(&Sizes) -> i64,
}

/// In the order in which they refer to each other.
const NOUNS: [Noun; 11] = [
    Noun {
        singular: "company",
        plural: "companies",
        table: "crm_companies",
        statement: include_str!("scale/companies.sql"),
        count: |it| it.companies,
    },
    Noun {
        singular: "contact",
        plural: "contacts",
        table: "crm_contacts",
        statement: include_str!("scale/contacts.sql"),
        count: |it| it.contacts,
    },
    Noun {
        singular: "campaign",
        plural: "campaigns",
        table: "crm_campaigns",
        statement: include_str!("scale/campaigns.sql"),
        count: |it| it.deals / 100,
    },
    Noun {
        singular: "deal",
        plural: "deals",
        table: "crm_deals",
        statement: include_str!("scale/deals.sql"),
        count: |it| it.deals,
    },
    Noun {
        singular: "project",
        plural: "projects",
        table: "crm_projects",
        statement: include_str!("scale/projects.sql"),
        count: |it| it.deals / 5,
    },
    Noun {
        singular: "note",
        plural: "notes",
        table: "crm_notes",
        statement: include_str!("scale/notes.sql"),
        count: |it| it.deals,
    },
    Noun {
        singular: "task",
        plural: "tasks",
        table: "crm_tasks",
        statement: include_str!("scale/tasks.sql"),
        count: |it| it.deals,
    },
    Noun {
        singular: "product",
        plural: "products",
        table: "crm_products",
        statement: include_str!("scale/products.sql"),
        count: |_| PRODUCTS,
    },
    Noun {
        singular: "line",
        plural: "lines",
        table: "crm_deal_line_items",
        statement: include_str!("scale/lines.sql"),
        count: |it| it.deals * 2,
    },
    Noun {
        singular: "deal",
        plural: "moves",
        table: "(SELECT organization_id, deal_id AS id FROM crm_deal_stage_history WHERE from_stage IS NOT NULL)",
        statement: include_str!("scale/moves.sql"),
        count: |it| it.deals,
    },
    Noun {
        singular: "member",
        plural: "members",
        table: "crm_campaign_contacts",
        statement: include_str!("scale/members.sql"),
        count: |it| it.contacts / 4,
    },
];

/// The database in which commands measure, with the large organisation in it; made when it is not there.
pub async fn measured(environment: &Environment, database: &Database, large: &Sizes) -> Result<(Client, String, Context)> {
    let admin_url = url::with_database(&database.admin_url, DATABASE)?;
    let app_url = url::with_database(&database.app_url, DATABASE)?;
    database::create_if_absent(&admin_url).await?;
    migrations::run(&admin_url).await.context("the schema cannot be brought up to date")?;
    database::set_passwords(environment, database).await?;
    let admin = database::connect(&admin_url).await?;
    if find(&admin, LARGE).await?.is_none() {
        fill_all(&Ground { admin_url: &admin_url, app_url: &app_url, root: &environment.root }, large).await?;
    }
    let context = find(&admin, LARGE).await?.context("the large organisation was not made")?;
    Ok((admin, app_url, context))
}

/// Makes what is missing of the large organisation and of the two beside it.
pub async fn fill_all(ground: &Ground<'_>, large: &Sizes) -> Result<()> {
    ensure!(large.companies >= 2_000, "a large organisation has 2,000 companies at least");
    for (slug, sizes) in &OTHERS {
        fill(ground, slug, sizes).await?;
    }
    fill(ground, LARGE, large).await?;
    let admin = database::connect(ground.admin_url).await?;
    step("vacuum and statistics", async { Ok(admin.batch_execute("VACUUM (ANALYZE)").await?) }).await
}

async fn fill(ground: &Ground<'_>, slug: &str, sizes: &Sizes) -> Result<()> {
    let begun = Instant::now();
    let admin = database::connect(ground.admin_url).await?;
    let context = match find(&admin, slug).await? {
        Some(context) => context,
        None => found(ground, slug).await?,
    };
    for noun in &NOUNS {
        admin.batch_execute(&words::constant(noun.plural, (noun.count)(sizes))).await?;
    }
    admin.batch_execute(include_str!("scale/words.sql")).await?;
    define_fields(ground, &admin, &context).await?;
    words::load(&admin, ground.root).await?;
    members(&admin, &context).await?;
    let mut made = 0;
    for noun in &NOUNS {
        made += bring_in(&admin, &context, noun, (noun.count)(sizes)).await?;
    }
    let rate = f64::from(u32::try_from(made)?) / begun.elapsed().as_secs_f64();
    say(&format!("{slug}: {made} records in {}, {rate:.0} a second, each in the log\n", seconds(begun.elapsed())));
    Ok(())
}

/// The owner of the organisation, if it is there.
pub async fn find(admin: &Client, slug: &str) -> Result<Option<Context>> {
    let query = "SELECT organization.id::text, membership.user_id::text
                   FROM organizations AS organization
                   JOIN memberships AS membership ON membership.organization_id = organization.id AND membership.role = 'owner'
                  WHERE organization.slug = $1";
    let found = admin.query_opt(query, &[&slug]).await?;
    let context = |row: tokio_postgres::Row| -> Result<Context> {
        let (organization, owner): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        Ok(Context::new(organization.parse()?, owner.parse()?, Role::Owner))
    };
    found.map(context).transpose()
}

/// The organisation with its people, in one transaction. One hash for everybody: see the demo's.
async fn found(ground: &Ground<'_>, slug: &str) -> Result<Context> {
    let password_hash = crm_tenancy::passwords::hash(DEMO_PASSWORD.to_owned()).await?;
    let password_hash = Some(password_hash.as_str());
    let mut provisioning = Provisioning::begin(ground.admin_url).await?;
    let new = NewOrganization { name: slug, slug, default_currency: "USD", time_zone: "UTC" };
    let email = format!("owner@{slug}.example");
    let owner = NewPerson { email: &email, full_name: "Scale Owner", password_hash };
    let founded = provisioning.found(&new, &owner).await?;
    let mut teams: Vec<TeamId> = Vec::new();
    for number in 0..TEAMS {
        teams.push(provisioning.add_team(founded.organization_id, &format!("Team {number}"), None).await?);
    }
    for (number, team) in (1..=MEMBERS).zip(teams.iter().cycle()) {
        let (email, name) = (format!("member{number}@{slug}.example"), format!("Member {number}"));
        let mut member = NewMember::new(NewPerson { email: &email, full_name: &name, password_hash }, Role::Member);
        (member.title, member.manager_id, member.team_id) = (Some("Sales agent"), Some(founded.owner_id), Some(*team));
        provisioning.add_member(founded.organization_id, &member).await?;
    }
    provisioning.commit().await?;
    Ok(Context::new(founded.organization_id, founded.owner_id, Role::Owner))
}

/// Its own fields that are missing: two that keep an index, two that do not.
async fn define_fields(ground: &Ground<'_>, admin: &Client, context: &Context) -> Result<()> {
    let query = "SELECT entity || '.' || key FROM crm_custom_fields WHERE organization_id = $1::text::uuid";
    let rows = admin.query(query, &[&context.organization_id.to_string()]).await?;
    let present: Vec<String> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    let db = Db::connect(ground.app_url, ConnectOptions { max_size: 1, ..ConnectOptions::default() })?;
    let definitions = PgCustomFieldDefinitions::new(db);
    for (entity, key, label, field_type, indexed) in [
        ("company", "region", "Region", "text", false),
        ("company", "year_established", "Established in", "integer", true),
        ("contact", "language", "Language", "text", false),
        ("deal", "product", "Product", "text", true),
    ] {
        if !present.contains(&format!("{entity}.{key}")) {
            let new = json!({ "entity": entity, "key": key, "label": label, "field_type": field_type, "indexed": indexed });
            definitions.create(context, serde_json::from_value(new)?).await?;
        }
    }
    Ok(())
}

/// Whom records can belong to, in an order that every run gives the same.
async fn members(admin: &Client, context: &Context) -> Result<()> {
    admin.batch_execute("CREATE TEMPORARY TABLE members (place bigint PRIMARY KEY, user_id uuid)").await?;
    admin
        .execute(
            "INSERT INTO members
             SELECT row_number() OVER (ORDER BY length(email), email) - 1, user_id
               FROM memberships JOIN users ON users.id = user_id
              WHERE organization_id = $1::text::uuid AND email LIKE 'member%'",
            &[&context.organization_id.to_string()],
        )
        .await?;
    Ok(())
}

/// The rest of them, `AT_ONCE` in a transaction. Gives how many.
async fn bring_in(admin: &Client, context: &Context, noun: &Noun, total: i64) -> Result<i64> {
    let organization = context.organization_id.to_string();
    // Numbers that make no record, such as lines of a deal without an amount, are gone through again behind the last one that did.
    let reached = format!(
        "SELECT coalesce(max(n), 0) FROM generate_series(1::bigint, $2::bigint) AS n
           JOIN {} AS record ON record.organization_id = $1::text::uuid AND record.id = pg_temp.id($3, n, $2)",
        noun.table
    );
    let present: i64 = admin.query_one(&reached, &[&organization, &total, &noun.singular]).await?.try_get(0)?;
    let begun = Instant::now();
    let statement = admin.prepare(noun.statement).await.with_context(|| format!("{} cannot be made", noun.plural))?;
    let (mut first, mut made) = (present + 1, 0);
    while first <= total {
        let last = total.min(first + AT_ONCE - 1);
        admin.batch_execute("BEGIN").await?;
        admin
            .execute(
                "SELECT app.begin_request($1::text::uuid, $2::text::uuid, NULL, NULL, 'system', false, NULL, NULL, 'cargo xtask', NULL)",
                &[&organization, &context.user_id.to_string()],
            )
            .await?;
        made += i64::try_from(admin.execute(&statement, &[&first, &last]).await?)?;
        admin.batch_execute("COMMIT").await?;
        first = last + 1;
    }
    if made > 0 {
        say(&format!("  {made} {} in {}\n", noun.plural, seconds(begun.elapsed())));
    }
    Ok(made)
}
