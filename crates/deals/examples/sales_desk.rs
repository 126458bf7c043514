//! A desk that sells in a program of one's own: its own pool, its own runtime, no server beside it but PostgreSQL.

use crm_deals::{DealChanges, Deals, FIELDS, NewDeal, PgDeals, PgPipelines, Pipelines, StageStep};
use crm_kernel::{Context, Direction, Error, Expected, Filter, ListQuery, OrganizationId, Role, Sort, UserId, fields};
use crm_tenancy::{ConnectOptions, Db};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a program tells what it did")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, organization, user] = arguments.as_slice() else {
        return Err("usage: sales_desk postgres://crm_app:...@host/database ORGANIZATION_ID USER_ID".into());
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
    let (deals, pipelines) = (PgDeals::new(db.clone()), PgPipelines::new(db));

    // In the first stage of the default pipeline, with its probability, in the organisation's currency.
    let new =
        NewDeal { name: "Forty workstations".into(), expected_close_date: Some("2026-03-31".parse()?), ..NewDeal::default() };
    let deal = deals.create(&context, new).await?;

    let changes = DealChanges { amount: Some(Some("48000.00".parse()?)), ..DealChanges::default() };
    let deal = deals.update(&context, deal.id, &Expected::OneOf(vec![deal.version]), &changes).await?;

    // Won today. Only if nobody changed it since; otherwise `Error::Stale`.
    let won = StageStep { stage: "closed_won".into(), ..StageStep::default() };
    match deals.move_to(&context, deal.id, &Expected::OneOf(vec![deal.version]), &won).await {
        Ok(deal) => told.push(format!("{} was won: version {}", deal.name, deal.version)),
        Err(Error::Invalid(fields)) => told.push(format!("every rule that it breaks: {fields:?}")),
        Err(error) => return Err(error.into()),
    }
    for stay in deals.stage_history(&context, deal.id).await?.data {
        told.push(format!("it stood in {}", stay.stage));
    }

    // My largest deals.
    let owner = fields::find(FIELDS, "owner_id").ok_or("no such field")?;
    let field = fields::find(FIELDS, "base_amount").ok_or("no such field")?;
    let mut mine = Filter::default();
    mine.add(&context, owner, "me").map_err(|error| error.message)?;
    let largest = ListQuery { filter: mine.clone(), ..ListQuery::all(Sort { field, direction: Direction::Descending }) };
    let mut query = largest.clone();
    loop {
        let page = deals.list(&context, &query).await?;
        for deal in &page.data {
            told.push(format!(
                "{} {} {}",
                deal.name,
                deal.amount.as_ref().map(ToString::to_string).unwrap_or_default(),
                deal.currency
            ));
        }
        let Some(cursor) = page.page.next_cursor else { break };
        query = largest.clone().continue_after(&cursor)?;
    }

    let summary = pipelines.summary(&context, &mine).await?;
    told.push(format!("{} {} in {} open deals", summary.open.amount, summary.currency, summary.open.count));
    told.push(format!("{} {} to be expected of them", summary.open.weighted_amount, summary.currency));

    deals.delete(&context, deal.id, &Expected::Any).await?;
    deals.restore(&context, deal.id).await?;
    Ok(told)
}
