//! The calls of a week in a program of one's own: its own pool, its own runtime, no server beside it but PostgreSQL. A customer
//! is called every Monday, and somebody's desk shows what is to be done.

use crm_kernel::{CompanyId, Context, Error, Expected, OrganizationId, Role, UserId};
use crm_tasks::{NewTask, PgTasks, Priority, RelatedType, TaskStatus, TaskType, Tasks, within};
use crm_tenancy::{ConnectOptions, Db};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a program tells what it did")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, organization, user, company] = arguments.as_slice() else {
        return Err("usage: week_of_calls postgres://crm_app:...@host/database ORGANIZATION_ID USER_ID COMPANY_ID".into());
    };
    for line in run(url, organization.parse()?, user.parse()?, company.parse()?).await? {
        println!("{line}");
    }
    Ok(())
}

/// Gives what it has to tell, line by line.
pub async fn run(
    url: &str,
    organization: OrganizationId,
    user: UserId,
    company: CompanyId,
) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let mut told = Vec::new();
    // The role of the application, never an administrator: the seal binds nobody who owns the tables.
    let db = Db::connect(url, ConnectOptions::default())?;
    let faults = crm_tenancy::seal::check(&db).await?;
    assert!(faults.is_empty(), "{faults:?}");

    let context = Context::new(organization, user, Role::Member);
    let tasks = PgTasks::new(db.clone());
    let about = |title: &str| NewTask {
        title: title.into(),
        related_to_type: Some(RelatedType::Company),
        related_to_id: Some(company.uuid()),
        ..NewTask::default()
    };

    // Every Monday at nine, by the clock of whoever does it.
    let call = NewTask {
        task_type: Some(TaskType::Call),
        due_date: Some("2026-03-02T09:00:00Z".parse()?),
        recurrence: Some("FREQ=WEEKLY;BYDAY=MO".into()),
        ..about("Ask how the pilot goes")
    };
    let call = match tasks.create(&context, call).await {
        Ok(task) => task,
        // Every rule that it breaks, each with its field: a rule without a day, a company in the bin.
        Err(Error::Invalid(fields)) => return Err(format!("{fields:?}").into()),
        Err(error) => return Err(error.into()),
    };

    // The call was made, and something was promised in it: both are written down, or neither.
    let mut tx = db.begin(&context).await?;
    // Only if nobody changed it since; otherwise `Error::Stale`.
    let done = within::complete(&mut tx, call.id, &Expected::OneOf(vec![call.version])).await?;
    let promise = NewTask {
        task_type: Some(TaskType::Email),
        priority: Some(Priority::High),
        // On a day, not at a moment: it is overdue when that day is over where its person is.
        due_date: Some("2026-03-03T00:00:00Z".parse()?),
        is_all_day: Some(true),
        ..about("Send the price list")
    };
    within::create(&mut tx, promise).await?;
    tx.commit().await?;

    // Whoever completes a task that comes again need not think of the next one, and days that were missed are passed over.
    let next = tasks.get(&context, done.next_id.ok_or("it comes again")?).await?;
    let due = next.due_date.ok_or("what comes again has a date")?;
    told.push(format!("{}: {} on {due}", done.status, next.title));

    // The desk: every open task is in exactly one of the four parts.
    let desk = tasks.mine(&context).await?;
    for (part, list) in
        [("overdue", desk.overdue), ("today", desk.today), ("upcoming", desk.upcoming), ("some day", desk.undated)]
    {
        told.extend(list.data.iter().map(|task| format!("{part}: {}", task.title)));
    }

    // It was not the right person after all. The next call goes to the bin, since nobody has touched it.
    let again = tasks.reopen(&context, call.id, &Expected::OneOf(vec![done.version])).await?;
    assert_eq!((again.status, again.next_id), (TaskStatus::Pending, None));
    Ok(told)
}
