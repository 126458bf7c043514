//! A program of another team that embeds several crates: the back office of a workshop, which sells machines in its own system and
//! keeps customers, deals and work in the CRM. docs/EMBEDDING.md shows its parts; xtask/tests/embedding.rs runs it and compares.

use std::time::Duration;

use crm_activities::{Activities, PgActivities};
use crm_companies::{Companies, NewCompany, PgCompanies};
use crm_deals::{Deal, DealChanges, Deals, NewDeal, PgDeals, StageStep};
use crm_kernel::{
    Context, DealId, Error, Expected, Filter, ListQuery, Money, OperationId, OrganizationId, Result, Role, UserId, fields,
};
use crm_notes::NewNote;
use crm_projects::{Project, ProjectOfDeal};
use crm_tasks::NewTask;
use crm_tenancy::{
    ConnectOptions, Db, Provisioning,
    external_ids::{self, ExternalId},
    housekeeping, migrations,
    provisioning::{Founded, NewMember, NewOrganization, NewPerson},
    seal,
};

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a program tells what it did")]
async fn main() -> std::result::Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [admin_url, url] = arguments.as_slice() else {
        return Err("usage: back_office postgres://ADMINISTRATOR:...@host/database postgres://crm_app:...@host/database".into());
    };
    for line in run(admin_url, url).await? {
        println!("{line}");
    }
    Ok(())
}

/// At deployment, with an administrator's address; the program itself never has it.
async fn install(admin_url: &str) -> Result<(Founded, UserId)> {
    migrations::run(admin_url).await?;

    let workshop = NewOrganization { name: "Workshop", slug: "workshop", default_currency: "EUR", time_zone: "Europe/Zurich" };
    let person = |email, full_name| NewPerson { email, full_name, password_hash: None };
    let mut administrator = Provisioning::begin(admin_url).await?;
    let founded = administrator.found(&workshop, &person("chief@workshop.example", "Ada Chief")).await?;
    let desk = NewMember::new(person("desk@workshop.example", "Sales desk"), Role::Member);
    let desk = administrator.add_member(founded.organization_id, &desk).await?;
    administrator.commit().await?;
    Ok((founded, desk))
}

/// At every start of the program, with the address of `crm_app`.
async fn open(url: &str) -> std::result::Result<Db, Failure> {
    let options = ConnectOptions { max_size: 8, wait: Duration::from_secs(2), ..ConnectOptions::default() };
    let db = Db::connect(url, options)?;
    let faults = seal::check(&db).await?;
    if !faults.is_empty() {
        return Err(format!("the database does not keep organisations apart: {faults:?}").into());
    }
    Ok(db)
}

/// Somebody whom the program has let in by its own means: by a badge, a session of its own, a certificate.
struct Employee {
    organization: OrganizationId,
    member: UserId,
    staff_number: u32,
}

fn caller(employee: &Employee) -> Context {
    let mut context = Context::new(employee.organization, employee.member, Role::Member);
    context.user_agent = Some(format!("back office, staff number {}", employee.staff_number));
    // Whatever is done with this context is one thing in the log.
    context.operation_id = Some(OperationId::generate());
    context
}

/// What a program does about a refusal.
fn advice(error: &Error) -> String {
    match error {
        // Each with the pointer of its field and a code that stays the same: show them at the form.
        Error::Invalid(faults) | Error::Conflict(faults) | Error::TooCostly(faults) | Error::Malformed(faults) => {
            faults.iter().map(|fault| format!("{} {}", fault.pointer, fault.code)).collect::<Vec<_>>().join(", ")
        }
        // In the bin, in another organisation or never there: nobody can tell, and nothing else should be said.
        Error::NotFound(what) => format!("there is no such {what}"),
        // Read it again, and ask the person whether the change is still meant.
        Error::Stale(what) => format!("somebody has changed the {what}"),
        Error::Forbidden(_) => "ask an administrator of the organisation".into(),
        Error::Unauthenticated(_) => "no longer a member".into(),
        // Try again: at once for nothing, later for everything.
        Error::Limited { retry_after_seconds } => format!("again in {retry_after_seconds} s"),
        Error::Unavailable(_) | Error::TooSlow(_) => "again in a while".into(),
        // What is inside of these is for the program's own log, never for a client.
        _ => "an error of ours".into(),
    }
}

/// A quotation was written. What several crates do here is one transaction.
async fn quoted(db: &Db, caller: &Context, customer: &str, amount: Money) -> Result<Deal> {
    let mut tx = db.begin(caller).await?;
    let company = NewCompany { name: customer.into(), ..NewCompany::default() };
    let company = crm_companies::within::create(&mut tx, company).await?;
    let deal = NewDeal {
        name: format!("A lathe for {customer}"),
        company_id: Some(company.id),
        amount: Some(amount),
        ..NewDeal::default()
    };
    let deal = crm_deals::within::create(&mut tx, deal).await?;
    let follow_up = NewTask {
        title: format!("Ask {customer} about the quotation"),
        related_to_type: Some(crm_tasks::RelatedType::Deal),
        related_to_id: Some(deal.id.uuid()),
        ..NewTask::default()
    };
    crm_tasks::within::create(&mut tx, follow_up).await?;
    // Until here nobody else has seen any of it. Dropped without this, `tx` undoes all three.
    tx.commit().await?;
    Ok(deal)
}

/// The customer has signed: the deal is won and becomes work, or neither.
async fn signed(db: &Db, caller: &Context, deal: &Deal, letter: &str) -> Result<Project> {
    let mut tx = db.begin(caller).await?;
    let won = StageStep { stage: "closed_won".into(), ..StageStep::default() };
    crm_deals::within::move_to(&mut tx, deal.id, &Expected::OneOf(vec![deal.version]), &won).await?;
    let project = crm_projects::within::create_of_deal(&mut tx, deal.id, ProjectOfDeal::default()).await?;
    // The letter is worth having, but not worth the sale: what fails in an attempt is undone alone.
    let note = NewNote {
        content: letter.into(),
        related_to_type: Some(crm_notes::RelatedType::Project),
        related_to_id: Some(project.id.uuid()),
        ..NewNote::default()
    };
    let kept = tx.attempt(async |tx| crm_notes::within::create(tx, note).await).await;
    if let Err(error @ (Error::Unavailable(_) | Error::Internal(_))) = kept {
        return Err(error);
    }
    tx.commit().await?;
    Ok(project)
}

/// An order of the program's own system. It may be told twice, and makes one deal.
async fn ordered(db: &Db, manager: &Context, order: &str) -> Result<DealId> {
    let name = ExternalId { source: "workshop".into(), external_id: order.into() };
    let mut tx = db.begin(manager).await?;
    if let Some(known) = external_ids::find(&mut tx, "deal", &name).await? {
        return Ok(DealId(known));
    }
    let deal = NewDeal { name: format!("Order {order}"), ..NewDeal::default() };
    let deal = crm_deals::within::create(&mut tx, deal).await?;
    // Who tells it at the same moment waits here for the other, and is refused with `Conflict`: told once more, it finds the deal.
    external_ids::attach(&mut tx, "deal", deal.id.uuid(), &name).await?;
    tx.commit().await?;
    Ok(deal.id)
}

/// What was done under the operation of this context: the log has it, whichever crate has done it.
async fn done_by(db: &Db, caller: &Context) -> std::result::Result<Vec<String>, Failure> {
    let (activities, operation) = (PgActivities::new(db.clone()), caller.operation_id.ok_or("it has an operation")?);
    let field = fields::find(crm_activities::FIELDS, "operation_id").ok_or("no such field")?;
    let filter = Filter::default().and_id(field, operation);
    let page = activities.list(caller, &ListQuery { filter, ..ListQuery::all(crm_activities::default_sort()) }).await?;
    Ok(page.data.iter().rev().map(|activity| format!("{} {}", activity.entity_type, activity.activity_type)).collect())
}

/// Gives what it has to tell, line by line.
pub async fn run(admin_url: &str, url: &str) -> std::result::Result<Vec<String>, Failure> {
    let mut told = Vec::new();
    let (founded, desk) = install(admin_url).await?;
    let db = open(url).await?;
    let employee = Employee { organization: founded.organization_id, member: desk, staff_number: 7 };

    // Each service is a trait, so that a program can put its own in the place of one, as in its tests.
    let companies: &dyn Companies = &PgCompanies::new(db.clone());
    let deals: &dyn Deals = &PgDeals::new(db.clone());

    let quotation = caller(&employee);
    let deal = quoted(&db, &quotation, "Hooli", "48000.00".parse()?).await?;
    told.push(done_by(&db, &quotation).await?.join(", "));

    // Too long for a note, but the sale stands.
    let project = signed(&db, &caller(&employee), &deal, &"x".repeat(20_001)).await?;
    told.push(format!("{} is {}", project.name, project.project_status));

    // The deal has moved on since it was read here.
    let late = DealChanges { name: Some("Two lathes".into()), ..DealChanges::default() };
    let late = deals.update(&caller(&employee), deal.id, &Expected::OneOf(vec![deal.version]), &late).await;
    told.extend(late.err().map(|error| advice(&error)));
    let nameless = companies.create(&caller(&employee), NewCompany::default()).await;
    told.extend(nameless.err().map(|error| advice(&error)));

    // Names of other systems are given by owner and admin.
    let chief = caller(&Employee { member: founded.owner_id, ..employee });
    let twice = [ordered(&db, &chief, "2026-17").await?, ordered(&db, &chief, "2026-17").await?];
    told.push(format!("told twice, {} deal", if twice[0] == twice[1] { "one" } else { "another" }));

    // Nobody purges the bin, empties what was erased and makes the log's coming months unless a program does: one in the installation.
    let chores = housekeeping::run(&db).await?;
    told.push(format!("{} chores of housekeeping", if chores.is_empty() { "no" } else { "all" }));
    Ok(told)
}
