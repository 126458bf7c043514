//! The contract of projects, and its keeping on PostgreSQL: each method is one transaction. What is done within it when something is
//! written is in `within.rs`.

use async_trait::async_trait;
use crm_kernel::{Context, Count, DealId, Deleted, Expected, ListQuery, Page, ProjectId, Result, Role, Total};
use crm_tenancy::Db;

use crate::{
    model::{NewProject, Project, ProjectChanges},
    of_deal::ProjectOfDeal,
    progress::ProjectProgress,
    store, within,
};

/// Projects of one organisation. Another organisation's project does not exist here: every method says `NotFound`.
#[async_trait]
pub trait Projects: Send + Sync {
    /// A page. The bin (`Deleted::Only`) is for owner and admin: `Forbidden` otherwise.
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<Project>>;

    /// A living project.
    async fn get(&self, context: &Context, id: ProjectId) -> Result<Project>;

    /// A project, from the bin too; for owner and admin.
    async fn get_with_deleted(&self, context: &Context, id: ProjectId) -> Result<Project>;

    /// Those of these that exist, deleted ones included, in no particular order: for showing what records refer to.
    async fn get_many(&self, context: &Context, ids: &[ProjectId]) -> Result<Vec<Project>>;

    /// A new project; one that is completed from the first day has a day of completion.
    async fn create(&self, context: &Context, new: NewProject) -> Result<Project>;

    /// A new project of a won deal: for its company and, unless another is said, under its name. `Invalid` when the deal is not won,
    /// `Conflict` when a living project came from it already.
    async fn create_of_deal(&self, context: &Context, deal: DealId, of: ProjectOfDeal) -> Result<Project>;

    /// Puts these values in place of all editable ones. How it came to be stays; a completed one that stays completed keeps its day
    /// unless another is said.
    async fn replace(&self, context: &Context, id: ProjectId, expected: &Expected, new: NewProject) -> Result<Project>;

    /// Changes what is named and leaves the rest. The status decides about the day of completion: completing sets it, to today unless
    /// one is said, and anything else takes it away. A change that changes nothing keeps the version and is not logged.
    async fn update(&self, context: &Context, id: ProjectId, expected: &Expected, changes: &ProjectChanges) -> Result<Project>;

    /// Moves it to the bin. What refers to it stays; nothing new can be attached.
    async fn delete(&self, context: &Context, id: ProjectId, expected: &Expected) -> Result<()>;

    /// Brings it back; for owner, admin and who deleted it.
    async fn restore(&self, context: &Context, id: ProjectId) -> Result<Project>;

    /// How far a living project is.
    async fn progress(&self, context: &Context, id: ProjectId) -> Result<ProjectProgress>;
}

/// Projects kept in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgProjects {
    db: Db,
}

impl PgProjects {
    /// On this database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db }
    }
}

#[async_trait]
impl Projects for PgProjects {
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<Project>> {
        let mut tx = self.db.begin(context).await?;
        if query.deleted == Deleted::Only {
            tx.require(Role::is_manager, "see the bin")?;
        }
        let rows = store::list(&mut tx, query).await?;
        let total = match query.count {
            Count::Bounded => Some(Total::bounded(store::count(&mut tx, query).await?)),
            Count::Skip => None,
        };
        Ok(Page::from_rows(query, rows, total, store::position).map(|(project, _)| project))
    }

    async fn get(&self, context: &Context, id: ProjectId) -> Result<Project> {
        store::get(&mut self.db.begin(context).await?, id).await
    }

    async fn get_with_deleted(&self, context: &Context, id: ProjectId) -> Result<Project> {
        let mut tx = self.db.begin(context).await?;
        tx.require(Role::is_manager, "see the bin")?;
        store::get_with_deleted(&mut tx, id).await
    }

    async fn get_many(&self, context: &Context, ids: &[ProjectId]) -> Result<Vec<Project>> {
        store::get_many(&mut self.db.begin(context).await?, ids).await
    }

    async fn create(&self, context: &Context, new: NewProject) -> Result<Project> {
        let mut tx = self.db.begin(context).await?;
        let project = within::create(&mut tx, new).await?;
        tx.commit().await?;
        Ok(project)
    }

    async fn create_of_deal(&self, context: &Context, deal: DealId, of: ProjectOfDeal) -> Result<Project> {
        let mut tx = self.db.begin(context).await?;
        let project = within::create_of_deal(&mut tx, deal, of).await?;
        tx.commit().await?;
        Ok(project)
    }

    async fn replace(&self, context: &Context, id: ProjectId, expected: &Expected, new: NewProject) -> Result<Project> {
        let mut tx = self.db.begin(context).await?;
        let project = within::replace(&mut tx, id, expected, new).await?;
        tx.commit().await?;
        Ok(project)
    }

    async fn update(&self, context: &Context, id: ProjectId, expected: &Expected, changes: &ProjectChanges) -> Result<Project> {
        let mut tx = self.db.begin(context).await?;
        let project = within::update(&mut tx, id, expected, changes).await?;
        tx.commit().await?;
        Ok(project)
    }

    async fn delete(&self, context: &Context, id: ProjectId, expected: &Expected) -> Result<()> {
        let mut tx = self.db.begin(context).await?;
        within::delete(&mut tx, id, expected).await?;
        tx.commit().await
    }

    async fn restore(&self, context: &Context, id: ProjectId) -> Result<Project> {
        let mut tx = self.db.begin(context).await?;
        let project = within::restore(&mut tx, id).await?;
        tx.commit().await?;
        Ok(project)
    }

    async fn progress(&self, context: &Context, id: ProjectId) -> Result<ProjectProgress> {
        let mut tx = self.db.begin(context).await?;
        let project = store::get(&mut tx, id).await?;
        let tasks = store::task_counts(&mut tx, id).await?;
        Ok(ProjectProgress::of(project, tasks))
    }
}
