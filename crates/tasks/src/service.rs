//! The contract of tasks, and its keeping on PostgreSQL: each method is one transaction. What is done within it when something is
//! written is in `within.rs`.

use async_trait::async_trait;
use crm_kernel::{Context, Count, Deleted, Error, Expected, ListQuery, Page, Result, Role, TaskId, Timestamp, Total};
use crm_tenancy::{Db, Tx};

use crate::{
    model::{NewTask, Task, TaskChanges},
    my_tasks::{Borders, MyTasks, MyTasksPart, Part},
    store, within,
};

/// How many tasks a part of somebody's tasks shows.
const MOST_OF_A_PART: usize = 100;

/// Tasks of one organisation. Another organisation's task does not exist here: every method says `NotFound`.
#[async_trait]
pub trait Tasks: Send + Sync {
    /// A page. The bin (`Deleted::Only`) is for owner and admin: `Forbidden` otherwise.
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<Task>>;

    /// A living task.
    async fn get(&self, context: &Context, id: TaskId) -> Result<Task>;

    /// A task, from the bin too; for owner and admin.
    async fn get_with_deleted(&self, context: &Context, id: TaskId) -> Result<Task>;

    /// Those of these that exist, deleted ones included, in no particular order: for showing what records refer to.
    async fn get_many(&self, context: &Context, ids: &[TaskId]) -> Result<Vec<Task>>;

    /// A new task, for the caller unless it says otherwise.
    async fn create(&self, context: &Context, new: NewTask) -> Result<Task>;

    /// Puts these values in place of all editable ones.
    async fn replace(&self, context: &Context, id: TaskId, expected: &Expected, new: NewTask) -> Result<Task>;

    /// Changes what is named and leaves the rest. Completing is one of the changes, see [`Tasks::complete`]. A change that changes
    /// nothing keeps the version and is not logged.
    async fn update(&self, context: &Context, id: TaskId, expected: &Expected, changes: &TaskChanges) -> Result<Task>;

    /// Moves it to the bin. What refers to it stays; nothing new can be attached.
    async fn delete(&self, context: &Context, id: TaskId, expected: &Expected) -> Result<()>;

    /// Brings it back; for owner, admin and who deleted it.
    async fn restore(&self, context: &Context, id: TaskId) -> Result<Task>;

    /// Completes it, now. One that comes again is followed by the next, which its `next_id` names; there is one at
    /// most, however often it is opened and completed.
    async fn complete(&self, context: &Context, id: TaskId, expected: &Expected) -> Result<Task>;

    /// Opens it again: it is pending. One that is open stays as it is. The one that followed goes to the bin if nobody has touched it.
    async fn reopen(&self, context: &Context, id: TaskId, expected: &Expected) -> Result<Task>;

    /// The caller's open tasks, by the caller's time zone.
    async fn mine(&self, context: &Context) -> Result<MyTasks>;
}

/// Tasks kept in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgTasks {
    db: Db,
}

impl PgTasks {
    /// On this database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db }
    }
}

#[async_trait]
impl Tasks for PgTasks {
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<Task>> {
        let mut tx = self.db.begin(context).await?;
        if query.deleted == Deleted::Only {
            tx.require(Role::is_manager, "see the bin")?;
        }
        let rows = store::list(&mut tx, query).await?;
        let total = match query.count {
            Count::Bounded => Some(Total::bounded(store::count(&mut tx, query).await?)),
            Count::Skip => None,
        };
        Ok(Page::from_rows(query, rows, total, store::position).map(|(task, _)| task))
    }

    async fn get(&self, context: &Context, id: TaskId) -> Result<Task> {
        store::get(&mut self.db.begin(context).await?, id).await
    }

    async fn get_with_deleted(&self, context: &Context, id: TaskId) -> Result<Task> {
        let mut tx = self.db.begin(context).await?;
        tx.require(Role::is_manager, "see the bin")?;
        store::get_with_deleted(&mut tx, id).await
    }

    async fn get_many(&self, context: &Context, ids: &[TaskId]) -> Result<Vec<Task>> {
        store::get_many(&mut self.db.begin(context).await?, ids).await
    }

    async fn create(&self, context: &Context, new: NewTask) -> Result<Task> {
        let mut tx = self.db.begin(context).await?;
        let task = within::create(&mut tx, new).await?;
        tx.commit().await?;
        Ok(task)
    }

    async fn replace(&self, context: &Context, id: TaskId, expected: &Expected, new: NewTask) -> Result<Task> {
        let mut tx = self.db.begin(context).await?;
        let task = within::replace(&mut tx, id, expected, new).await?;
        tx.commit().await?;
        Ok(task)
    }

    async fn update(&self, context: &Context, id: TaskId, expected: &Expected, changes: &TaskChanges) -> Result<Task> {
        let mut tx = self.db.begin(context).await?;
        let task = within::update(&mut tx, id, expected, changes).await?;
        tx.commit().await?;
        Ok(task)
    }

    async fn delete(&self, context: &Context, id: TaskId, expected: &Expected) -> Result<()> {
        let mut tx = self.db.begin(context).await?;
        within::delete(&mut tx, id, expected).await?;
        tx.commit().await
    }

    async fn restore(&self, context: &Context, id: TaskId) -> Result<Task> {
        let mut tx = self.db.begin(context).await?;
        let task = within::restore(&mut tx, id).await?;
        tx.commit().await?;
        Ok(task)
    }

    async fn complete(&self, context: &Context, id: TaskId, expected: &Expected) -> Result<Task> {
        let mut tx = self.db.begin(context).await?;
        let task = within::complete(&mut tx, id, expected).await?;
        tx.commit().await?;
        Ok(task)
    }

    async fn reopen(&self, context: &Context, id: TaskId, expected: &Expected) -> Result<Task> {
        let mut tx = self.db.begin(context).await?;
        let task = within::reopen(&mut tx, id, expected).await?;
        tx.commit().await?;
        Ok(task)
    }

    async fn mine(&self, context: &Context) -> Result<MyTasks> {
        let mut tx = self.db.begin(context).await?;
        let caller = tx.user_id();
        let time_zone = store::time_zone(&mut tx, caller).await?.ok_or(Error::NotFound("member"))?;
        let borders = Borders::of(Timestamp::now(), &time_zone)?;
        let overdue = part(&mut tx, Part::Overdue, &borders).await?;
        let today = part(&mut tx, Part::Today, &borders).await?;
        let upcoming = part(&mut tx, Part::Upcoming, &borders).await?;
        let undated = part(&mut tx, Part::Undated, &borders).await?;
        Ok(MyTasks { time_zone, overdue, today, upcoming, undated })
    }
}

async fn part(tx: &mut Tx, part: Part, borders: &Borders) -> Result<MyTasksPart> {
    let most = i64::try_from(MOST_OF_A_PART + 1).unwrap_or(i64::MAX);
    let mut data = store::mine(tx, part, borders, most).await?;
    let has_more = data.len() > MOST_OF_A_PART;
    data.truncate(MOST_OF_A_PART);
    Ok(MyTasksPart { data, has_more })
}
