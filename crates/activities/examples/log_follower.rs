//! A program that follows the log, with its own pool, its own runtime and no server beside it but PostgreSQL: it shows what has
//! happened to a company so far, in sentences, and then what is recorded from now on, as records for other programs.

use std::{collections::BTreeSet, time::Duration};

use crm_activities::{
    Activities, Activity, PgActivities, default_sort,
    timeline::{self, Names, Subject, TimelineQuestion},
};
use crm_kernel::{Access, ActivityId, CompanyId, Context, Direction, ListQuery, OrganizationId, Position, Result, Role};
use crm_kernel::{Sort, Timestamp, UserId};
use crm_tenancy::{ConnectOptions, Db};
use serde_json::Value;

/// How long after it was recorded an activity may be seen first: ids have the order of recording, and a transaction that began to
/// write earlier may end later. Longer than any transaction of the programs that write here is open.
const LATE: Duration = Duration::from_secs(120);

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a program tells what it did")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, organization, user, company] = arguments.as_slice() else {
        return Err("usage: log_follower postgres://crm_app:...@host/database ORGANIZATION_ID USER_ID COMPANY_ID".into());
    };
    let mut follower = Follower::start(url, organization.parse()?, user.parse()?, None).await?;
    for sentence in follower.history_of(company.parse()?).await? {
        println!("{sentence}");
    }
    let mut seconds = tokio::time::interval(Duration::from_secs(5));
    loop {
        seconds.tick().await;
        for activity in follower.news().await? {
            println!("{} {} {}", activity.entity_type, activity.activity_type, activity.fields.join(", "));
        }
    }
}

/// What has been told to somebody, and from where to go on.
pub struct Follower {
    activities: PgActivities,
    caller: Context,
    /// A cursor of [`everything`], behind which it goes on: a program keeps it, and begins with it when it is started again.
    pub bookmark: Option<String>,
    /// What lies behind the bookmark and has been told.
    told: BTreeSet<ActivityId>,
}

impl Follower {
    /// Begins behind a bookmark, or at the beginning of the log.
    pub async fn start(
        url: &str,
        organization: OrganizationId,
        user: UserId,
        bookmark: Option<String>,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        // The role of the application, never an administrator: the seal binds nobody who owns the tables.
        let db = Db::connect(url, ConnectOptions { max_size: 2, ..ConnectOptions::default() })?;
        let faults = crm_tenancy::seal::check(&db).await?;
        assert!(faults.is_empty(), "{faults:?}");
        // A viewer sees the log. What only reads says so, and the database refuses it every write.
        let caller = Context { access: Access::ReadOnly, ..Context::new(organization, user, Role::Viewer) };
        Ok(Self { activities: PgActivities::new(db), caller, bookmark, told: BTreeSet::new() })
    }

    /// What has happened on the page of a company, newest first: its notes and tasks too, as people would say it.
    pub async fn history_of(&self, company: CompanyId) -> Result<Vec<String>> {
        let (subject, id) = (Subject::Company, company.uuid());
        let entities = subject.shows().to_vec();
        let whole = TimelineQuestion { subject, id, entities, names: Names::Shown, query: timeline::question(id) };
        let (mut question, mut sentences) = (whole.clone(), Vec::new());
        loop {
            let page = self.activities.timeline(&self.caller, &question).await?;
            sentences.extend(page.data.into_iter().map(|entry| entry.sentence));
            let Some(cursor) = page.page.next_cursor else { return Ok(sentences) };
            question.query = whole.query.clone().continue_after(&cursor)?;
        }
    }

    /// What was recorded since the last time, each activity once.
    pub async fn news(&mut self) -> Result<Vec<Activity>> {
        let begun = Timestamp::now();
        let mut news = Vec::new();
        let mut after = self.bookmark.clone();
        loop {
            let query = match &after {
                Some(cursor) => everything().continue_after(cursor)?,
                None => everything(),
            };
            let page = self.activities.list(&self.caller, &query).await?;
            for activity in page.data {
                if is_settled(activity.id, begun) {
                    self.bookmark = Some(everything().cursor(Position::new(Value::Null, activity.id)));
                }
                if self.told.insert(activity.id) {
                    news.push(activity);
                }
            }
            after = page.page.next_cursor;
            if after.is_none() {
                // What is settled is behind the bookmark by now, and not read again.
                self.told.retain(|id| !is_settled(*id, begun));
                return Ok(news);
            }
        }
    }
}

/// The log of the organisation, oldest first.
fn everything() -> ListQuery {
    let oldest_first = Sort { direction: Direction::Ascending, ..default_sort() };
    ListQuery { limit: 200, ..ListQuery::all(oldest_first) }
}

/// Whether nothing can be recorded before it any more. An id of version 7 says when it was made.
fn is_settled(id: ActivityId, now: Timestamp) -> bool {
    let (seconds, _) = id.uuid().get_timestamp().map(|made| made.to_unix()).unwrap_or_default();
    i64::try_from(seconds).is_ok_and(|made| made < (now.0 - LATE).unix_timestamp())
}
