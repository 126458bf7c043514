//! Another team's program: a port whose people have staff numbers and badges, and a pool of connections of its own. It knows
//! no password, session or token of the CRM; it says who acts, and the database decides what they may.
//!
//!     cargo run --example own_directory -- <administrator's address> <the application's address>

use std::{collections::HashMap, error::Error, io::Write, time::Duration};

use crm_kernel::{Context, Error as CrmError, OrganizationId, Role, UserId};
use crm_tenancy::{
    Db, Entity, Expect, Pool, Provisioning,
    members::MemberStatus,
    migrations,
    provisioning::{NewMember, NewOrganization, NewPerson},
    seal,
};
use diesel::{ExpressionMethods, QueryDsl};
use diesel_async::{
    AsyncPgConnection, RunQueryDsl,
    pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod},
};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use schema::crm_companies;

mod schema {
    diesel::table! {
        crm_companies (organization_id, id) {
            organization_id -> Uuid,
            id -> Uuid,
            name -> Text,
            slug -> Text,
        }
    }
}

const COMPANY: Entity = Entity { name: "company", table: "crm_companies" };

/// What is written on a badge: 256 random bits.
type Badge = [u8; 32];

/// The port's own directory. What it keeps for the CRM is which member of which organisation somebody is.
#[derive(Default)]
struct Directory {
    by_badge: HashMap<[u8; 32], Employee>,
}

#[derive(Clone, Copy)]
struct Employee {
    staff_number: u32,
    organization: OrganizationId,
    member: UserId,
}

impl Directory {
    fn enrol(&mut self, employee: Employee) -> Result<Badge, String> {
        let mut badge = Badge::default();
        getrandom::fill(&mut badge).map_err(|error| error.to_string())?;
        self.by_badge.insert(Sha256::digest(badge).into(), employee);
        Ok(badge)
    }

    /// Who holds this badge, as the caller of the CRM.
    fn sign_in(&self, badge: &Badge) -> Option<Context> {
        let key: [u8; 32] = Sha256::digest(badge).into();
        let employee = self.by_badge.get(&key)?;
        // The role is a hint for messages. The database looks the true one up in every transaction.
        let mut context = Context::new(employee.organization, employee.member, Role::Viewer);
        context.user_agent = Some(format!("dispatch desk, staff number {}", employee.staff_number));
        Some(context)
    }
}

/// The program's own pool; it may also be one that the program has already.
fn pool(app_url: &str) -> Result<Pool, Box<dyn Error>> {
    let mut config = ManagerConfig::default();
    // The door notices a dead connection by itself; the default asks the server before every use.
    config.recycling_method = RecyclingMethod::Fast;
    let manager = AsyncDieselConnectionManager::<AsyncPgConnection>::new_with_config(app_url, config);
    let pool = Pool::builder(manager).max_size(4).runtime(deadpool::Runtime::Tokio1);
    Ok(pool.wait_timeout(Some(Duration::from_secs(5))).create_timeout(Some(Duration::from_secs(5))).build()?)
}

async fn add_company(db: &Db, caller: &Context, name: &str) -> Result<Uuid, CrmError> {
    let mut tx = db.begin(caller).await?;
    let row = (crm_companies::name.eq(name), crm_companies::slug.eq(name.to_lowercase()));
    let insert = diesel::insert_into(crm_companies::table).values(row).returning(crm_companies::id);
    let id = insert.get_result(&mut tx).await.expect_one(COMPANY)?;
    tx.commit().await?;
    Ok(id)
}

async fn find_company(db: &Db, caller: &Context, id: Uuid) -> Result<String, CrmError> {
    let mut tx = db.begin(caller).await?;
    let row = crm_companies::table.filter(crm_companies::id.eq(id)).select(crm_companies::name);
    row.first(&mut tx).await.expect_one(COMPANY)
}

/// All of it; returns what happened, line by line.
pub async fn run(admin_url: &str, app_url: &str) -> Result<Vec<String>, Box<dyn Error>> {
    migrations::run(admin_url).await?;

    // Two companies of the port, each an organisation, with people who have no password in the CRM.
    let person = |email, full_name| NewPerson { email, full_name, password_hash: None };
    let organization = |name, slug| NewOrganization { name, slug, default_currency: "EUR", time_zone: "Europe/Amsterdam" };
    let mut administrator = Provisioning::begin(admin_url).await?;
    let pilots = administrator.found(&organization("Pilots", "pilots"), &person("chief@pilots.example", "Ada Chief")).await?;
    let clerk = NewMember::new(person("clerk@pilots.example", "Ben Clerk"), Role::Viewer);
    let clerk = administrator.add_member(pilots.organization_id, &clerk).await?;
    let tugs = administrator.found(&organization("Tugs", "tugs"), &person("chief@tugs.example", "Cleo Chief")).await?;
    administrator.commit().await?;

    let mut directory = Directory::default();
    let mut enrol = |staff_number, organization, member| directory.enrol(Employee { staff_number, organization, member });
    let chief_badge = enrol(1, pilots.organization_id, pilots.owner_id)?;
    let clerk_badge = enrol(2, pilots.organization_id, clerk)?;
    let tugs_badge = enrol(3, tugs.organization_id, tugs.owner_id)?;
    let sign_in = |badge| directory.sign_in(badge).ok_or("no such badge");
    let (chief, clerk_caller, stranger) = (sign_in(&chief_badge)?, sign_in(&clerk_badge)?, sign_in(&tugs_badge)?);

    let db = Db::new(pool(app_url)?);
    let faults = seal::check(&db).await?;
    if !faults.is_empty() {
        return Err(format!("the seal is broken: {faults:?}").into());
    }

    let mut told = Vec::new();
    let acme = add_company(&db, &chief, "Acme").await?;
    told.push(format!("the clerk reads {}", find_company(&db, &clerk_caller, acme).await?));
    match find_company(&db, &stranger, acme).await {
        Err(CrmError::NotFound(what)) => told.push(format!("in the other organisation there is no such {what}")),
        other => return Err(format!("the other organisation read it: {other:?}").into()),
    }
    match add_company(&db, &clerk_caller, "Umbrella").await {
        Err(CrmError::Forbidden(reason)) => told.push(format!("the clerk adds nothing: {reason}")),
        other => return Err(format!("a viewer wrote: {other:?}").into()),
    }

    let mut administrator = Provisioning::begin(admin_url).await?;
    administrator.change_role(pilots.organization_id, clerk, Role::Member).await?;
    administrator.commit().await?;
    // The context is the same as before: a role is not kept anywhere but in the database.
    let umbrella = add_company(&db, &clerk_caller, "Umbrella").await?;
    told.push(format!("as a member the clerk adds {}", find_company(&db, &chief, umbrella).await?));

    let mut administrator = Provisioning::begin(admin_url).await?;
    administrator.change_status(pilots.organization_id, clerk, MemberStatus::Suspended).await?;
    administrator.commit().await?;
    match find_company(&db, &clerk_caller, acme).await {
        Err(CrmError::Unauthenticated(reason)) => told.push(format!("the clerk, suspended, is nobody: {reason}")),
        other => return Err(format!("a suspended member read: {other:?}").into()),
    }
    Ok(told)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let [admin_url, app_url] = <[String; 2]>::try_from(std::env::args().skip(1).collect::<Vec<_>>())
        .map_err(|_| "say the administrator's address and the application's")?;
    let told = run(&admin_url, &app_url).await?;
    Ok(writeln!(std::io::stdout(), "{}", told.join("\n"))?)
}
