//! From a won deal to the work in a program of one's own: its own pool, its own runtime, no server beside it but PostgreSQL. It
//! makes the project, writes down hours, and shows what is late.

use crm_kernel::{Condition, Context, DealId, Error, Expected, Filter, ListQuery, Moment, OrganizationId, Role};
use crm_kernel::{Timestamp, UserId};
use crm_projects::{
    NewProject, PgProjects, Priority, ProjectChanges, ProjectOfDeal, ProjectStatus, Projects, VOCABULARY, default_sort, within,
};
use crm_tenancy::{ConnectOptions, Db};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a program tells what it did")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, organization, user, deal] = arguments.as_slice() else {
        return Err("usage: handover postgres://crm_app:...@host/database ORGANIZATION_ID USER_ID DEAL_ID".into());
    };
    for line in run(url, organization.parse()?, user.parse()?, deal.parse()?).await? {
        println!("{line}");
    }
    Ok(())
}

/// Gives what it has to tell, line by line.
pub async fn run(
    url: &str,
    organization: OrganizationId,
    user: UserId,
    deal: DealId,
) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let mut told = Vec::new();
    // The role of the application, never an administrator: the seal binds nobody who owns the tables.
    let db = Db::connect(url, ConnectOptions::default())?;
    let faults = crm_tenancy::seal::check(&db).await?;
    assert!(faults.is_empty(), "{faults:?}");

    let context = Context::new(organization, user, Role::Member);
    let projects = PgProjects::new(db.clone());

    // What was sold becomes work: under the deal's name, for its company.
    let of = || -> Result<ProjectOfDeal, Box<dyn std::error::Error>> {
        let hours = Some("120".parse()?);
        Ok(ProjectOfDeal { estimated_hours: hours, project_manager_id: Some(user), ..ProjectOfDeal::default() })
    };
    let project = match projects.create_of_deal(&context, deal, of()?).await {
        Ok(project) => project,
        // It is not won: `deal_not_won`.
        Err(Error::Invalid(fields)) => return Err(format!("{fields:?}").into()),
        Err(error) => return Err(error.into()),
    };
    told.push(format!("{} came of the deal ({})", project.name, project.origin));
    // However often and by however many it is asked for, one living project comes from a deal.
    match projects.create_of_deal(&context, deal, of()?).await {
        Err(Error::Conflict(fields)) => told.extend(fields.iter().map(|field| format!("not twice: {}", field.code))),
        other => return Err(format!("made twice: {other:?}").into()),
    }

    // The hours of a week. Only if nobody changed it since; otherwise `Error::Stale`.
    let week = ProjectChanges {
        project_status: Some(ProjectStatus::InProgress),
        actual_hours: Some(Some("37.5".parse()?)),
        ..ProjectChanges::default()
    };
    let project = projects.update(&context, project.id, &Expected::OneOf(vec![project.version]), &week).await?;
    let progress = projects.progress(&context, project.id).await?;
    let percent = progress.hours_percent.ok_or("it has an estimate")?;
    told.push(format!("{}: {percent} % of its hours, {} tasks", progress.project_status, progress.tasks));

    // It is done, and what was left out of it is a project of its own: both or neither. The day of completion is today.
    let mut tx = db.begin(&context).await?;
    let done = ProjectChanges { project_status: Some(ProjectStatus::Completed), ..ProjectChanges::default() };
    let done = within::update(&mut tx, project.id, &Expected::OneOf(vec![project.version]), &done).await?;
    let rest = NewProject {
        name: "The old machines go".into(),
        company_id: done.company_id,
        due_date: Some("2026-03-31".parse()?),
        priority: Some(Priority::High),
        ..NewProject::default()
    };
    within::create(&mut tx, rest).await?;
    tx.commit().await?;
    told.push(format!("{} is {}", done.name, done.project_status));

    // What should have been done before today, and is not.
    let late = ListQuery { filter: asked("open_due_date < today() AND owner_id = me", user)?, ..ListQuery::all(default_sort()) };
    let mut query = late.clone();
    loop {
        let page = projects.list(&context, &query).await?;
        told.extend(page.data.iter().map(|project| format!("late: {} ({})", project.name, project.priority)));
        let Some(cursor) = page.page.next_cursor else { break };
        query = late.clone().continue_after(&cursor)?;
    }
    Ok(told)
}

/// A filter in the text of the language; `me` is this person, and `today()` the day that it is in UTC.
fn asked(text: &str, caller: UserId) -> Result<Filter, String> {
    let condition = Condition::parse(text, &VOCABULARY).map_err(|error| error.message)?;
    Filter::default().and(condition, &Moment::utc(caller, Timestamp::now())).map_err(|error| error.message)
}
