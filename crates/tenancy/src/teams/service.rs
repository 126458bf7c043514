//! The contract of teams, and its use cases on PostgreSQL.

use async_trait::async_trait;
use crm_kernel::{Context, Count, Expected, ListQuery, Page, Position, Result, Role, TeamId, Total, validation};

use super::{
    model::{NewTeam, Team, TeamChanges},
    store,
};
use crate::Db;

/// Teams of one organisation. Another organisation's team does not exist here: every method says `NotFound`.
#[async_trait]
pub trait Teams: Send + Sync {
    /// A page, by name.
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<Team>>;

    /// A living team.
    async fn get(&self, context: &Context, id: TeamId) -> Result<Team>;

    /// A new team; for owner and admin. `Conflict` when a living team has the name.
    async fn create(&self, context: &Context, new: NewTeam) -> Result<Team>;

    /// Puts these values in place of all editable ones; for owner and admin.
    async fn replace(&self, context: &Context, id: TeamId, expected: &Expected, new: NewTeam) -> Result<Team>;

    /// Changes what is named; for owner and admin.
    async fn update(&self, context: &Context, id: TeamId, expected: &Expected, changes: &TeamChanges) -> Result<Team>;

    /// Deletes it, and takes its members out of it; for owner and admin. Its name is free again.
    async fn delete(&self, context: &Context, id: TeamId, expected: &Expected) -> Result<()>;
}

/// Teams kept in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgTeams {
    db: Db,
}

impl PgTeams {
    /// On this database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db }
    }
}

#[async_trait]
impl Teams for PgTeams {
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<Team>> {
        let mut tx = self.db.begin(context).await?;
        let rows = store::list(&mut tx, query).await?;
        let total = match query.count {
            Count::Bounded => Some(Total::bounded(store::count(&mut tx, query).await?)),
            Count::Skip => None,
        };
        let position = |(team, key): &(Team, String), _: &str| Position::new(key.as_str(), team.id);
        Ok(Page::from_rows(query, rows, total, position).map(|(team, _)| team))
    }

    async fn get(&self, context: &Context, id: TeamId) -> Result<Team> {
        store::get(&mut self.db.begin(context).await?, id).await
    }

    async fn create(&self, context: &Context, new: NewTeam) -> Result<Team> {
        let mut tx = self.db.begin(context).await?;
        tx.require(Role::is_manager, "create teams")?;
        validation::check(&TeamChanges::from(new.clone()))?;
        let team = store::insert(&mut tx, &new).await?;
        tx.commit().await?;
        Ok(team)
    }

    async fn replace(&self, context: &Context, id: TeamId, expected: &Expected, new: NewTeam) -> Result<Team> {
        self.update(context, id, expected, &TeamChanges::from(new)).await
    }

    async fn update(&self, context: &Context, id: TeamId, expected: &Expected, changes: &TeamChanges) -> Result<Team> {
        let mut tx = self.db.begin(context).await?;
        store::refusal(&mut tx, id, expected).await?;
        validation::check(changes)?;
        if *changes == TeamChanges::default() {
            return store::get(&mut tx, id).await;
        }
        let team = store::update(&mut tx, id, expected, changes).await?;
        tx.commit().await?;
        Ok(team)
    }

    async fn delete(&self, context: &Context, id: TeamId, expected: &Expected) -> Result<()> {
        let mut tx = self.db.begin(context).await?;
        store::refusal(&mut tx, id, expected).await?;
        store::delete(&mut tx, id, expected).await?;
        tx.commit().await
    }
}
