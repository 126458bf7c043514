//! A task that comes again is followed by one task when it is completed.

use crm_kernel::{Context, Expected, TaskId, Timestamp};
use crm_tasks::{NewTask, PgTasks, RelatedType, Task, TaskChanges, TaskStatus, Tasks};
use crm_tenancy::housekeeping;
use crm_testkit::{Tenant, TestDatabase, refusals};
use serde_json::json;
use time::{Duration, Time};

struct Bench {
    database: TestDatabase,
    tenant: Tenant,
    tasks: PgTasks,
}

impl Bench {
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        let tenant = database.tenant("Acme").await;
        let tasks = PgTasks::new(database.db());
        Self { database, tenant, tasks }
    }

    fn member(&self) -> &Context {
        &self.tenant.member
    }

    async fn made(&self, new: NewTask) -> Task {
        self.tasks.create(self.member(), new).await.expect("a member creates")
    }

    async fn completed(&self, task: &Task) -> Task {
        self.tasks.complete(self.member(), task.id, &Expected::Any).await.expect("its own")
    }
}

/// Due tomorrow at this hour in UTC.
fn tomorrow(hour: u8) -> Timestamp {
    let day = Timestamp::now().0.date() + Duration::days(1);
    Timestamp(day.with_time(Time::from_hms(hour, 0, 0).expect("an hour")).assume_utc())
}

fn every(rule: &str, due: Timestamp) -> NewTask {
    NewTask { title: "Ask".into(), due_date: Some(due), recurrence: Some(rule.into()), ..NewTask::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn completing_makes_the_next_one_with_its_fields_and_its_reminder() {
    let bench = Bench::new().await;
    let due = tomorrow(9);
    let company = bench.database.company(bench.member(), "Ours").await;
    let remind = Timestamp(due.0 - Duration::minutes(30));
    let new = NewTask {
        remind_at: Some(remind),
        related_to_type: Some(RelatedType::Company),
        related_to_id: Some(company),
        tags: Some(crm_kernel::Tags(vec!["weekly".into()])),
        ..every("FREQ=WEEKLY", due)
    };
    let task = bench.made(new).await;
    let done = bench.completed(&task).await;
    assert!(done.completed_at.is_some() && done.status == TaskStatus::Completed);
    assert_eq!(done.version, task.version + 1, "one change, which also names the next");
    let logged = format!("SELECT count(*) FROM crm_activities WHERE entity_id = '{}'", task.id);
    assert_eq!(bench.database.number(&logged).await, 2, "made, and completed");
    let next = bench.tasks.get(bench.member(), done.next_id.expect("one follows")).await.expect("it is there");
    assert_eq!(next.due_date, Some(Timestamp(due.0 + Duration::days(7))));
    assert_eq!(next.remind_at, Some(Timestamp(remind.0 + Duration::days(7))));
    assert_eq!((next.status, next.completed_at, next.next_id), (TaskStatus::Pending, None, None));
    assert_eq!((&next.tags, next.related_to_id, next.assigned_to_id), (&task.tags, Some(company), task.assigned_to_id));

    // Opened, the one that nobody touched goes; completed once more, in whichever way, there is one again.
    let open = bench.tasks.reopen(bench.member(), task.id, &Expected::Any).await.expect("its own");
    assert_eq!((open.status, open.completed_at, open.next_id), (TaskStatus::Pending, None, None));
    let living = "SELECT count(*) FROM crm_tasks WHERE deleted_at IS NULL";
    assert_eq!(bench.database.number(living).await, 1);
    let gone = format!("SELECT count(*) FROM crm_activities WHERE entity_id = '{}'", next.id);
    assert_eq!(bench.database.number(&gone).await, 2, "made, and put into the bin");
    let patched = TaskChanges { status: Some(TaskStatus::Completed), ..TaskChanges::default() };
    let again = bench.tasks.update(bench.member(), task.id, &Expected::Any, &patched).await.expect("its own");
    assert!(again.next_id.is_some_and(|again| again != next.id));
    assert_eq!(bench.database.number(living).await, 2);
    let same = bench.completed(&again).await;
    assert_eq!(same.version, again.version, "completing what is completed changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_next_one_that_somebody_touched_stays_when_the_one_before_is_opened() {
    let bench = Bench::new().await;
    let task = bench.made(every("FREQ=WEEKLY", tomorrow(9))).await;
    let next = bench.completed(&task).await.next_id.expect("one follows");
    let renamed = TaskChanges { title: Some("Ask for the figures".into()), ..TaskChanges::default() };
    bench.tasks.update(bench.member(), next, &Expected::Any, &renamed).await.expect("its own");
    let opened = TaskChanges { status: Some(TaskStatus::InProgress), ..TaskChanges::default() };
    let open = bench.tasks.update(bench.member(), task.id, &Expected::Any, &opened).await.expect("its own");
    assert_eq!((open.status, open.next_id), (TaskStatus::InProgress, Some(next)));
    assert_eq!(bench.completed(&open).await.next_id, Some(next), "no other is made");
    assert_eq!(bench.database.number("SELECT count(*) FROM crm_tasks WHERE deleted_at IS NULL").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hour_that_the_clocks_left_out_moves_one_task_and_not_its_series() {
    let bench = Bench::new().await;
    let user = bench.tenant.colleague.user_id;
    bench.database.execute(&format!("UPDATE users SET time_zone = 'Europe/Berlin' WHERE id = '{user}'")).await;
    let due = "2039-03-26T01:30:00Z".parse().expect("a time");
    let mut task = bench.made(NewTask { assigned_to_id: Some(user), ..every("FREQ=DAILY", due) }).await;
    for coming in ["2039-03-27T01:30:00Z", "2039-03-28T00:30:00Z", "2039-03-29T00:30:00Z"] {
        let done = bench.completed(&task).await;
        task = bench.tasks.get(bench.member(), done.next_id.expect("one follows")).await.expect("it is there");
        assert_eq!(task.due_date.map(|due| due.to_string()).as_deref(), Some(coming));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_complete_it_at_once_make_one_next() {
    let bench = Bench::new().await;
    let task = bench.made(every("FREQ=DAILY", tomorrow(9))).await;
    let mut asked = tokio::task::JoinSet::new();
    for context in [&bench.tenant.member, &bench.tenant.owner, &bench.tenant.admin, &bench.tenant.member].map(Clone::clone) {
        let tasks = bench.tasks.clone();
        asked.spawn(async move { tasks.complete(&context, task.id, &Expected::Any).await });
    }
    let answers = asked.join_all().await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(bench.database.number("SELECT count(*) FROM crm_tasks").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_ends_makes_no_more() {
    let bench = Bench::new().await;
    let mut task = bench.made(every("FREQ=DAILY;COUNT=3", tomorrow(9))).await;
    for left in [2, 1] {
        let done = bench.completed(&task).await;
        task = bench.tasks.get(bench.member(), done.next_id.expect("one follows")).await.expect("it is there");
        assert!(task.recurrence.as_ref().is_some_and(|rule| rule.contains(&format!("COUNT={left}"))), "{:?}", task.recurrence);
    }
    assert_eq!(bench.completed(&task).await.next_id, None, "that was the last of three");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_is_that_of_the_person_and_a_day_stays_a_day() {
    let bench = Bench::new().await;
    let user = bench.tenant.colleague.user_id;
    bench.database.execute(&format!("UPDATE users SET time_zone = 'Europe/Berlin' WHERE id = '{user}'")).await;
    // Nine in the morning there, on both sides of a change of the clocks.
    let due = "2039-03-25T08:00:00Z".parse().expect("a time");
    let theirs = bench.made(NewTask { assigned_to_id: Some(user), ..every("FREQ=DAILY;INTERVAL=4", due) }).await;
    let done = bench.completed(&theirs).await;
    let next = bench.tasks.get(bench.member(), done.next_id.expect("one follows")).await.expect("it is there");
    assert_eq!(next.due_date.map(|due| due.to_string()).as_deref(), Some("2039-03-29T07:00:00Z"));

    let day = NewTask { is_all_day: Some(true), assigned_to_id: Some(user), ..every("FREQ=MONTHLY", tomorrow(0)) };
    let day = bench.made(day).await;
    let done = bench.completed(&day).await;
    let next = bench.tasks.get(bench.member(), done.next_id.expect("one follows")).await.expect("it is there");
    assert!(next.is_all_day && next.due_date.is_some_and(|due| due.0.time() == Time::MIDNIGHT), "{next:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_completes_a_task_may_change_it_too_and_the_next_is_as_it_was_left() {
    let bench = Bench::new().await;
    let task = bench.made(every("FREQ=DAILY", tomorrow(9))).await;
    let changes = TaskChanges {
        title: Some("Ask again".into()),
        status: Some(TaskStatus::Completed),
        recurrence: Some(Some("FREQ=WEEKLY".into())),
        due_date: Some(Some(tomorrow(11))),
        assigned_to_id: Some(None),
        ..TaskChanges::default()
    };
    let done =
        bench.tasks.update(bench.member(), task.id, &Expected::OneOf(vec![task.version]), &changes).await.expect("its own");
    assert_eq!((done.version, done.assigned_to_id), (task.version + 1, None));
    let next = bench.tasks.get(bench.member(), done.next_id.expect("one follows")).await.expect("it is there");
    assert_eq!(next.due_date, Some(Timestamp(tomorrow(11).0 + Duration::days(7))));
    assert_eq!((next.title.as_str(), next.assigned_to_id), ("Ask again", None), "what was nobody's stays so");

    // What is wrong with the change is refused, whether or not one would follow.
    let stranger = bench.database.tenant("Umbrella").await;
    let wrong = TaskChanges { assigned_to_id: Some(Some(stranger.member.user_id)), ..changes };
    let task = bench.made(every("FREQ=DAILY", tomorrow(9))).await;
    let refused = bench.tasks.update(bench.member(), task.id, &Expected::Any, &wrong).await;
    refusals::invalid(refused, "/assigned_to_id", "reference", "nobody of this organisation");
    assert_eq!(bench.tasks.get(bench.member(), task.id).await.expect("it is there"), task, "nothing happened");
}

#[tokio::test(flavor = "multi_thread")]
async fn work_is_done_also_when_nothing_can_follow() {
    let bench = Bench::new().await;
    let company = bench.database.company(bench.member(), "Ours").await;
    let about =
        NewTask { related_to_type: Some(RelatedType::Company), related_to_id: Some(company), ..every("FREQ=DAILY", tomorrow(9)) };
    let task = bench.made(about).await;
    bench.database.delete_company(company).await;
    let done = bench.completed(&task).await;
    assert_eq!((done.status, done.next_id, done.version), (TaskStatus::Completed, None, task.version + 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_come_again_is_refused_where_the_fault_is() {
    let bench = Bench::new().await;
    let member = bench.member();
    let undated = NewTask { due_date: None, ..every("FREQ=DAILY", tomorrow(9)) };
    refusals::invalid(bench.tasks.create(member, undated).await, "/recurrence", "due", "when?");
    for rule in [
        "FREQ=HOURLY",
        "every day",
        "FREQ=DAILY\nRDATE:20390101T000000Z",
        "FREQ=MONTHLY;BYMONTHDAY=40",
        "FREQ=DAILY;COUNT=0",
        "FREQ=DAILY;BYHOUR=9",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
    ] {
        refusals::invalid(bench.tasks.create(member, every(rule, tomorrow(9))).await, "/recurrence", "recurrence", rule);
    }
    let task = bench.made(every("FREQ=DAILY", tomorrow(9))).await;
    let undated = TaskChanges { due_date: Some(None), ..TaskChanges::default() };
    let refused = bench.tasks.update(member, task.id, &Expected::Any, &undated).await;
    refusals::invalid(refused, "/due_date", "due", "it comes again");
    let noon = NewTask { is_all_day: Some(true), ..every("FREQ=DAILY", tomorrow(12)) };
    refusals::invalid(bench.tasks.create(member, noon).await, "/due_date", "day", "noon is no day");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_followed_a_task_is_purged_before_it_and_after_it() {
    let bench = Bench::new().await;
    let own = bench.tenant.organization_id;
    bench.database.execute(&format!("UPDATE organizations SET bin_retention_days = 30 WHERE id = '{own}'")).await;
    let delete = async |id: TaskId, days: u32| {
        bench.tasks.delete(bench.member(), id, &Expected::Any).await.expect("its own");
        // The guards keep the moment of deletion; time cannot be waited for.
        let aged = format!("UPDATE crm_tasks SET deleted_at = now() - interval '{days} days' WHERE id = '{id}'");
        bench.database.execute(&format!("SET session_replication_role = replica; {aged}; RESET session_replication_role")).await;
    };
    let purge = async || housekeeping::run(&bench.database.db()).await.expect("the database is there")["bins"];
    let there = async |id: TaskId| bench.database.number(&format!("SELECT count(*) FROM crm_tasks WHERE id = '{id}'")).await == 1;

    // The one that followed goes first, the one before it lives on and does not name it any more.
    let first = bench.made(every("FREQ=WEEKLY", tomorrow(9))).await;
    let done = bench.completed(&first).await;
    let second = done.next_id.expect("one follows");
    delete(second, 31).await;
    assert_eq!((purge().await, there(second).await), (1, false));
    let kept = bench.tasks.get(bench.member(), first.id).await.expect("it lives");
    assert_eq!((kept.next_id, kept.status, kept.version), (None, TaskStatus::Completed, done.version + 1));
    assert_eq!(
        (kept.completed_at, kept.last_activity_at),
        (done.completed_at, done.last_activity_at),
        "nobody did anything to it"
    );
    let log = bench.database.activities_of("task", first.id).await;
    let last = log.last().expect("it is logged");
    assert_eq!((log.len(), last.actor_kind.as_str(), last.activity_type.as_str()), (3, "system", "updated"));
    assert_eq!(last.changes, Some(json!({ "next_id": [second, null] })));

    // The one before goes first, the one that followed lives on, and goes when its time has come.
    let first = bench.made(every("FREQ=WEEKLY", tomorrow(10))).await;
    let second = bench.completed(&first).await.next_id.expect("one follows");
    delete(first.id, 31).await;
    assert_eq!((purge().await, there(first.id).await, there(second).await), (1, false, true));
    delete(second, 31).await;
    assert_eq!((purge().await, there(second).await), (1, false));

    // While the one before is in the bin it is not changed: the one that followed waits for it, and both go.
    let first = bench.made(every("FREQ=WEEKLY", tomorrow(11))).await;
    let second = bench.completed(&first).await.next_id.expect("one follows");
    delete(second, 31).await;
    delete(first.id, 29).await;
    assert_eq!((purge().await, there(second).await), (0, true), "it could be restored, and names the other");
    bench.tasks.restore(bench.member(), first.id).await.expect("who deleted it");
    delete(first.id, 31).await;
    assert_eq!((purge().await, there(first.id).await, there(second).await), (2, false, false));
    let dangling = "SELECT count(*) FROM crm_tasks AS task WHERE next_id IS NOT NULL
                    AND NOT EXISTS (SELECT FROM crm_tasks AS next WHERE (next.organization_id, next.id) = (task.organization_id, task.next_id))";
    assert_eq!(bench.database.number(dangling).await, 0);
}
