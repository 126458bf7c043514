//! A completed project has the day of its completion, and what should be done by now and is not is overdue.

use crm_kernel::{Condition, Context, Date, Error, Expected, FieldError, Filter, ListQuery, Moment, Timestamp, fields};
use crm_projects::{FIELDS, NewProject, PgProjects, Project, ProjectChanges, ProjectStatus, Projects, VOCABULARY, default_sort};
use crm_testkit::{Tenant, TestDatabase};

struct Bench {
    database: TestDatabase,
    tenant: Tenant,
    projects: PgProjects,
}

impl Bench {
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        let tenant = database.tenant("Acme").await;
        let projects = PgProjects::new(database.db());
        Self { database, tenant, projects }
    }

    fn member(&self) -> &Context {
        &self.tenant.member
    }

    async fn made(&self, new: NewProject) -> Project {
        self.projects.create(self.member(), new).await.expect("a member creates")
    }

    async fn changed(&self, project: &Project, changes: ProjectChanges) -> Project {
        self.projects.update(self.member(), project.id, &Expected::Any, &changes).await.expect("the change is right")
    }

    /// The zone is the organisation's from now on; the day that it is there, and so many days from it.
    async fn day_in(&self, zone: &str, days: i32) -> Date {
        self.database.execute(&format!("UPDATE organizations SET time_zone = '{zone}'")).await;
        let found = self.database.texts(&format!("SELECT (now() AT TIME ZONE '{zone}')::date + {days}")).await;
        found.first().and_then(|day| day.parse().ok()).expect("a date")
    }
}

impl Bench {
    /// The zone is this person's from now on.
    async fn clock_of(&self, person: &Context, zone: &str) {
        let user = person.user_id;
        self.database.execute(&format!("UPDATE users SET time_zone = '{zone}' WHERE id = '{user}'")).await;
    }

    /// What `open_due_date < today()` finds for somebody in this zone.
    async fn overdue_for(&self, person: &Context, zone: &str) -> Vec<Project> {
        let condition = Condition::parse("open_due_date < today()", &VOCABULARY).expect("a filter");
        let moment = Moment::new(person.user_id, Timestamp::now(), zone).expect("a zone");
        let filter = Filter::default().and(condition, &moment).expect("it fits");
        self.projects.list(person, &ListQuery { filter, ..ListQuery::all(default_sort()) }).await.expect("a page").data
    }
}

fn named() -> NewProject {
    NewProject { name: "Rollout".into(), ..NewProject::default() }
}

fn to(status: ProjectStatus) -> ProjectChanges {
    ProjectChanges { project_status: Some(status), ..ProjectChanges::default() }
}

fn codes<T: std::fmt::Debug>(answer: Result<T, Error>) -> Vec<String> {
    let Err(Error::Invalid(fields)) = answer else { unreachable!("expected Invalid, got {answer:?}") };
    let mut codes: Vec<String> = fields.iter().map(|FieldError { pointer, code, .. }| format!("{pointer} {code}")).collect();
    codes.sort();
    codes
}

#[tokio::test(flavor = "multi_thread")]
async fn completing_sets_the_organisations_day_and_anything_else_takes_it_away() {
    let bench = Bench::new().await;
    // On one of the two it is another day than in London for all but an hour or two.
    for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago"] {
        let today = bench.day_in(zone, 0).await;
        let project = bench.made(named()).await;
        let done = bench.changed(&project, to(ProjectStatus::Completed)).await;
        assert_eq!(done.completion_date, Some(today), "{zone}");
        let born_done = bench.made(NewProject { project_status: Some(ProjectStatus::Completed), ..named() }).await;
        assert_eq!(born_done.completion_date, Some(today), "{zone}");
        let again = bench.changed(&done, to(ProjectStatus::InProgress)).await;
        assert_eq!(again.completion_date, None, "{zone}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_of_completion_is_kept_corrected_and_never_in_the_future() {
    let bench = Bench::new().await;
    let tomorrow = bench.day_in("Pacific/Kiritimati", 1).await;
    let day = |text: &str| Some(text.parse::<Date>().expect("a date"));
    let project = bench.made(named()).await;
    let completed = ProjectChanges { completion_date: Some(day("2025-03-01")), ..to(ProjectStatus::Completed) };
    let done = bench.changed(&project, completed).await;
    assert_eq!(done.completion_date, day("2025-03-01"));
    let same = bench.changed(&done, to(ProjectStatus::Completed)).await;
    assert_eq!((same.completion_date, same.version), (done.completion_date, done.version), "completing twice changes nothing");
    let kept = NewProject { project_status: Some(ProjectStatus::Completed), ..named() };
    let replaced = bench.projects.replace(bench.member(), project.id, &Expected::Any, kept).await.expect("it is right");
    assert_eq!(replaced.completion_date, day("2025-03-01"), "what stays completed keeps its day");
    let corrected = ProjectChanges { completion_date: Some(day("2025-02-28")), ..ProjectChanges::default() };
    assert_eq!(bench.changed(&done, corrected).await.completion_date, day("2025-02-28"));

    let member = bench.member();
    let future = ProjectChanges { completion_date: Some(Some(tomorrow)), ..ProjectChanges::default() };
    assert_eq!(codes(bench.projects.update(member, project.id, &Expected::Any, &future).await), ["/completion_date future"]);
    let open = ProjectChanges { completion_date: Some(day("2025-02-28")), ..to(ProjectStatus::OnHold) };
    let refused = bench.projects.update(member, project.id, &Expected::Any, &open).await;
    assert_eq!(codes(refused), ["/completion_date only_when_completed"]);
    let raw = format!("UPDATE crm_projects SET completion_date = NULL WHERE id = '{}'", project.id);
    let refused = diesel_async::SimpleAsyncConnection::batch_execute(&mut bench.database.admin().await, &raw).await;
    let refused = refused.expect_err("the database holds it on its own").to_string();
    assert!(refused.contains("crm_projects_completion_date_completed"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_values_is_named_at_once() {
    let bench = Bench::new().await;
    let day = |text: &str| Some(text.parse::<Date>().expect("a date"));
    let wrong = NewProject {
        name: "  ".into(),
        start_date: day("2026-02-01"),
        due_date: day("2026-01-31"),
        completion_date: day("2026-01-01"),
        estimated_hours: Some("-1".parse().expect("a decimal")),
        actual_hours: Some("1000000.001".parse().expect("a decimal")),
        ..NewProject::default()
    };
    let faults = codes(bench.projects.create(bench.member(), wrong).await);
    let pointers: Vec<&str> = faults.iter().filter_map(|fault| fault.split(' ').next()).collect();
    assert_eq!(pointers, ["/actual_hours", "/completion_date", "/due_date", "/estimated_hours", "/name"]);

    // What is stored counts too, and the fault is where the change is.
    let due = bench.made(NewProject { due_date: day("2026-01-31"), ..named() }).await;
    let late = ProjectChanges { start_date: Some(day("2026-02-01")), ..ProjectChanges::default() };
    let refused = bench.projects.update(bench.member(), due.id, &Expected::Any, &late).await;
    assert_eq!(codes(refused), ["/start_date order"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_due_before_today_and_is_not_done_is_overdue() {
    let bench = Bench::new().await;
    let (yesterday, today) = (bench.day_in("Pacific/Pago_Pago", -1).await, bench.day_in("Pacific/Pago_Pago", 0).await);
    bench.clock_of(bench.member(), "Pacific/Pago_Pago").await;
    let due = |day: Date, status: ProjectStatus| NewProject { due_date: Some(day), project_status: Some(status), ..named() };
    let mut late = Vec::new();
    for status in [ProjectStatus::Planning, ProjectStatus::InProgress, ProjectStatus::OnHold] {
        late.push(bench.made(due(yesterday, status)).await);
    }
    let mut others = vec![bench.made(named()).await, bench.made(due(today, ProjectStatus::InProgress)).await];
    for status in [ProjectStatus::Completed, ProjectStatus::Cancelled] {
        others.push(bench.made(due(yesterday, status)).await);
    }
    assert!(late.iter().all(|project| project.is_overdue && project.open_due_date == Some(yesterday)), "{late:?}");
    assert!(!others.iter().any(|project| project.is_overdue), "{others:?}");

    let field = fields::find(FIELDS, "open_due_date").expect("there is such a field");
    let mut filter = Filter::default();
    filter.add(bench.member(), field, &yesterday.to_string()).expect("a date");
    let found =
        bench.projects.list(bench.member(), &ListQuery { filter, ..ListQuery::all(default_sort()) }).await.expect("a page");
    let mut ids: Vec<_> = found.data.iter().map(|project| project.id).collect();
    ids.reverse();
    assert_eq!(ids, late.iter().map(|project| project.id).collect::<Vec<_>>());
    assert!(found.data.iter().all(|project| project.is_overdue));
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_hours_taken_of_hours_estimated() {
    let bench = Bench::new().await;
    let hours = |text: &str| Some(text.parse().expect("a decimal"));
    for (estimated, actual, percent) in [
        (hours("120"), hours("30.5"), Some(25)),
        (hours("3"), hours("2"), Some(66)),
        (hours("10"), hours("25"), Some(250)),
        (hours("10"), None, Some(0)),
        (hours("0"), hours("1"), None),
        (None, hours("1"), None),
    ] {
        let project = bench.made(NewProject { estimated_hours: estimated, actual_hours: actual, ..named() }).await;
        let progress = bench.projects.progress(&bench.tenant.viewer, project.id).await.expect("a viewer reads");
        assert_eq!(progress.hours_percent, percent, "{project:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_counts_living_tasks_that_were_not_cancelled() {
    let bench = Bench::new().await;
    let project = bench.made(named()).await;
    let none = bench.projects.progress(bench.member(), project.id).await.expect("it lives");
    assert_eq!((none.tasks, none.tasks_completed, none.tasks_percent), (0, 0, None));
    let tasks = format!(
        "INSERT INTO crm_tasks (organization_id, title, related_to_type, related_to_id, status, deleted_at)
         SELECT '{}', 'Task', 'project', '{}', status, deleted_at
           FROM (VALUES ('completed', NULL::timestamptz), ('completed', NULL), ('pending', NULL), ('cancelled', NULL),
                        ('completed', now())) AS task (status, deleted_at)",
        bench.member().organization_id,
        project.id
    );
    bench.database.execute(&tasks).await;
    let other = bench.made(named()).await;
    for (id, counts) in [(project.id, (3, 2, Some(66))), (other.id, (0, 0, None))] {
        let progress = bench.projects.progress(&bench.tenant.viewer, id).await.expect("a viewer reads");
        assert_eq!((progress.tasks, progress.tasks_completed, progress.tasks_percent), counts);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_manages_a_project_may_change_it_and_must_be_there() {
    let bench = Bench::new().await;
    let (member, colleague) = (bench.member(), &bench.tenant.colleague);
    let project = bench.made(NewProject { project_manager_id: Some(colleague.user_id), ..named() }).await;
    let renamed = ProjectChanges { name: Some("Theirs".into()), ..ProjectChanges::default() };
    bench.projects.update(colleague, project.id, &Expected::Any, &renamed).await.expect("a manager changes it");
    let nobody = ProjectChanges { project_manager_id: Some(None), ..ProjectChanges::default() };
    bench.projects.update(member, project.id, &Expected::Any, &nobody).await.expect("it may have none");
    let refused = bench.projects.update(colleague, project.id, &Expected::Any, &renamed).await;
    crm_testkit::refusals::forbidden(refused, "who does not manage it any more may not");

    let stranger = bench.database.tenant("Umbrella").await.member.user_id;
    for (who, code) in [(stranger, "reference"), (colleague.user_id, "member_not_active")] {
        if code == "member_not_active" {
            let gone = format!("UPDATE memberships SET status = 'suspended' WHERE user_id = '{who}'");
            bench.database.execute(&gone).await;
        }
        let to = ProjectChanges { project_manager_id: Some(Some(who)), ..ProjectChanges::default() };
        let refused = bench.projects.update(member, project.id, &Expected::Any, &to).await;
        assert_eq!(codes(refused), [format!("/project_manager_id {code}")]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_overdue_is_told_by_the_clock_of_who_asks_as_filters_do() {
    let bench = Bench::new().await;
    // Between the two lie 25 hours: where the seller is, it is always a later day than where her colleague and the organisation are.
    let (seller_zone, home_zone) = ("Pacific/Kiritimati", "Pacific/Pago_Pago");
    let (seller, colleague) = (bench.member(), &bench.tenant.colleague);
    bench.clock_of(seller, seller_zone).await;
    bench.clock_of(colleague, home_zone).await;
    let due = bench.day_in(seller_zone, -1).await;
    bench.day_in(home_zone, 0).await;
    let project = bench.made(NewProject { due_date: Some(due), ..named() }).await;
    assert!(project.is_overdue, "the day is over where she is");
    assert!(bench.projects.progress(seller, project.id).await.expect("it is there").is_overdue);
    assert_eq!(bench.overdue_for(seller, seller_zone).await, std::slice::from_ref(&project));
    assert!(!bench.projects.get(colleague, project.id).await.expect("it is there").is_overdue, "it is not over where he is");
    assert!(bench.overdue_for(colleague, home_zone).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_of_completion_may_be_written_back_and_is_not_taken_away_alone() {
    let bench = Bench::new().await;
    let today = bench.day_in("Pacific/Kiritimati", 0).await;
    let project = bench.made(named()).await;
    let done = bench.changed(&project, to(ProjectStatus::Completed)).await;
    // The organisation moves, and the day lies in its future.
    bench.day_in("Pacific/Pago_Pago", 0).await;
    let back = ProjectChanges { completion_date: Some(Some(today)), ..ProjectChanges::default() };
    let same = bench.changed(&done, back).await;
    assert_eq!((same.completion_date, same.version), (Some(today), done.version));
    let whole = NewProject { project_status: Some(ProjectStatus::Completed), completion_date: Some(today), ..named() };
    let replaced = bench.projects.replace(bench.member(), project.id, &Expected::Any, whole).await.expect("it was read so");
    assert_eq!(replaced.completion_date, Some(today));
    let other =
        ProjectChanges { completion_date: Some(Some(bench.day_in("Pacific/Pago_Pago", 2).await)), ..ProjectChanges::default() };
    let refused = bench.projects.update(bench.member(), project.id, &Expected::Any, &other).await;
    assert_eq!(codes(refused), ["/completion_date future"], "another day is judged");

    let nothing = ProjectChanges { completion_date: Some(None), ..ProjectChanges::default() };
    let refused = bench.projects.update(bench.member(), project.id, &Expected::Any, &nothing).await;
    assert_eq!(codes(refused), ["/completion_date required"]);
    let reopened = ProjectChanges { completion_date: Some(None), ..to(ProjectStatus::InProgress) };
    assert_eq!(bench.changed(&done, reopened).await.completion_date, None, "it goes with the status");
    let again = ProjectChanges { completion_date: Some(None), ..to(ProjectStatus::Completed) };
    let again = bench.changed(&done, again).await;
    assert!(again.completion_date.is_some(), "what was not completed has no day to take away");
}
