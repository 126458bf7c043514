//! A book of companies in a program of one's own: its own pool, its own runtime, no server beside it but PostgreSQL.

use crm_companies::{Companies, CompanyChanges, CompanyStatus, FIELDS, NewCompany, PgCompanies, default_sort, within};
use crm_kernel::{Context, Expected, Filter, ListQuery, ObjectChange, OrganizationId, Role, UserId, fields};
use crm_tenancy::{ConnectOptions, Db};
use serde_json::json;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a program tells what it did")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, organization, user] = arguments.as_slice() else {
        return Err("usage: book_of_companies postgres://crm_app:...@host/database ORGANIZATION_ID USER_ID".into());
    };
    for line in run(url, organization.parse()?, user.parse()?).await? {
        println!("{line}");
    }
    Ok(())
}

/// Gives what it has to tell, line by line.
pub async fn run(url: &str, organization: OrganizationId, user: UserId) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let mut told = Vec::new();
    // The role of the application, never an administrator: the seal binds nobody who owns the tables.
    let db = Db::connect(url, ConnectOptions::default())?;
    let faults = crm_tenancy::seal::check(&db).await?;
    assert!(faults.is_empty(), "{faults:?}");

    let context = Context::new(organization, user, Role::Member);
    let companies = PgCompanies::new(db.clone());

    let new =
        NewCompany { name: "Acme Corporation".into(), annual_revenue: Some("1250000.00".parse()?), ..NewCompany::default() };
    let acme = companies.create(&context, new).await?;
    told.push(format!("{} lives at /{}", acme.name, acme.slug));

    // Only if nobody changed it since; otherwise `Error::Stale`. Of the address only the city changes.
    let expected = Expected::OneOf(vec![acme.version]);
    let changes = CompanyChanges {
        company_status: Some(CompanyStatus::Customer),
        billing_address: ObjectChange::Merge(json!({ "city": "Basel" })),
        ..CompanyChanges::default()
    };
    companies.update(&context, acme.id, &expected, &changes).await?;

    let status = fields::find(FIELDS, "company_status").ok_or("no such field")?;
    let mut filter = Filter::default();
    filter.add(&context, status, "customer").map_err(|error| error.message)?;
    let customers = ListQuery { filter, limit: 200, ..ListQuery::all(default_sort()) };
    let mut query = customers.clone();
    loop {
        let page = companies.list(&context, &query).await?;
        for company in &page.data {
            told.push(format!("a customer: {} of version {}", company.name, company.version));
        }
        let Some(cursor) = page.page.next_cursor else { break };
        query = customers.clone().continue_after(&cursor)?;
    }

    // Several changes, all of them or none: the same use cases on a transaction of one's own.
    let mut tx = db.begin(&context).await?;
    let parent = within::create(&mut tx, NewCompany { name: "Acme Holding".into(), ..NewCompany::default() }).await?;
    let below = CompanyChanges { parent_id: Some(Some(parent.id)), ..CompanyChanges::default() };
    within::update(&mut tx, acme.id, &Expected::Any, &below).await?;
    tx.commit().await?;

    companies.delete(&context, acme.id, &Expected::Any).await?;
    companies.restore(&context, acme.id).await?;
    Ok(told)
}
