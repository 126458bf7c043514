//! What somebody has to do is divided by their own clock; days are days wherever they are.

use crm_kernel::{Context, Expected, Timestamp};
use crm_tasks::{MyTasksPart, NewTask, PgTasks, TaskStatus, Tasks};
use crm_testkit::{Tenant, TestDatabase};
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

    async fn task(&self, title: &str, due: Option<Timestamp>, is_all_day: bool) {
        let new = NewTask { title: title.into(), due_date: due, is_all_day: Some(is_all_day), ..NewTask::default() };
        self.tasks.create(self.member(), new).await.expect("a member creates");
    }

    async fn moved_to(&self, zone: &str) {
        let user = self.member().user_id;
        self.database.execute(&format!("UPDATE users SET time_zone = '{zone}' WHERE id = '{user}'")).await;
    }
}

fn titles(part: &MyTasksPart) -> Vec<&str> {
    part.data.iter().map(|task| task.title.as_str()).collect()
}

/// Hours from now, or days from today in UTC.
fn hours(hours: i64) -> Option<Timestamp> {
    Some(Timestamp(Timestamp::now().0 + Duration::hours(hours)))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_open_task_is_in_one_part_in_the_order_in_which_it_is_due() {
    let bench = Bench::new().await;
    for (title, due) in
        [("long ago", hours(-500)), ("an hour ago", hours(-1)), ("next week", hours(200)), ("next year", hours(9_000))]
    {
        bench.task(title, due, false).await;
    }
    bench.task("some time", None, false).await;
    for status in [TaskStatus::Completed, TaskStatus::Cancelled] {
        let new = NewTask { title: "done".into(), due_date: hours(-1), status: Some(status), ..NewTask::default() };
        bench.tasks.create(bench.member(), new).await.expect("a member creates");
    }
    let gone = NewTask { title: "gone".into(), ..NewTask::default() };
    let gone = bench.tasks.create(bench.member(), gone).await.expect("a member creates");
    bench.tasks.delete(bench.member(), gone.id, &Expected::Any).await.expect("its own");
    let theirs = NewTask { title: "theirs".into(), ..NewTask::default() };
    bench.tasks.create(&bench.tenant.colleague, theirs).await.expect("a member creates");

    let mine = bench.tasks.mine(bench.member()).await.expect("mine");
    assert_eq!(titles(&mine.overdue), ["long ago", "an hour ago"]);
    assert_eq!(titles(&mine.upcoming), ["next week", "next year"]);
    assert_eq!(titles(&mine.undated), ["some time"]);
    assert!(mine.today.data.is_empty() && !mine.overdue.has_more);
    assert_eq!(titles(&bench.tasks.mine(&bench.tenant.colleague).await.expect("theirs").undated), ["theirs"]);
}

/// A moment far enough from every midnight there is no such: the zones are chosen by the clock, so that it is noon in one of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_day_is_where_its_person_is() {
    let bench = Bench::new().await;
    let now = Timestamp::now().0;
    // Where it is about noon: east of Greenwich in the morning, west of it in the evening.
    let offset = 12 - i64::from(now.hour());
    let noon = format!("Etc/GMT{}{}", if offset > 0 { "-" } else { "+" }, offset.abs());
    let day_there = (now + Duration::hours(offset)).date();
    let midnight = |days: i64| Some(Timestamp((day_there + Duration::days(days)).with_time(Time::MIDNIGHT).assume_utc()));
    bench.task("yesterday", midnight(-1), true).await;
    bench.task("today", midnight(0), true).await;
    bench.task("tomorrow", midnight(1), true).await;
    bench.task("in two hours", hours(2), false).await;
    bench.task("in a day", hours(24), false).await;
    bench.moved_to(&noon).await;
    let mine = bench.tasks.mine(bench.member()).await.expect("mine");
    assert_eq!(mine.time_zone, noon);
    assert_eq!(titles(&mine.overdue), ["yesterday"], "{noon}");
    assert_eq!(mine.today.data.len(), 2, "{noon}: {:?}", titles(&mine.today));
    assert_eq!(mine.upcoming.data.len(), 2, "{noon}: {:?}", titles(&mine.upcoming));

    // On the other side of the date line the same days are others, one way or the other.
    let all = |mine: &crm_tasks::MyTasks| {
        mine.overdue.data.len() + mine.today.data.len() + mine.upcoming.data.len() + mine.undated.data.len()
    };
    for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu", "UTC"] {
        bench.moved_to(zone).await;
        let mine = bench.tasks.mine(bench.member()).await.expect("mine");
        assert_eq!(all(&mine), 5, "{zone}: each is in one part");
        let day = mine.today.data.iter().find(|task| task.is_all_day).map(|task| task.due_date);
        let here = bench.database.texts(&format!("SELECT (now() AT TIME ZONE '{zone}')::date || 'T00:00:00Z'")).await;
        assert_eq!(day.flatten().map(|day| day.to_string()), here.first().cloned(), "{zone}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_ends_after_a_hundred() {
    let bench = Bench::new().await;
    let (organization, user) = (bench.member().organization_id, bench.member().user_id);
    let many = format!(
        "INSERT INTO crm_tasks (organization_id, title, assigned_to_id)
         SELECT '{organization}', 'Task ' || n, '{user}' FROM generate_series(1, 101) AS n"
    );
    bench.database.execute(&many).await;
    let undated = bench.tasks.mine(bench.member()).await.expect("mine").undated;
    assert_eq!((undated.data.len(), undated.has_more), (100, true));
}
