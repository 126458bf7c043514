//! The contract of notes, and its keeping on PostgreSQL: each method is one transaction. What is done within it when something is
//! written is in `within.rs`.

use async_trait::async_trait;
use crm_kernel::{Context, Count, Deleted, Expected, ListQuery, NoteId, Page, Result, Role, Total};
use crm_tenancy::Db;

use crate::{
    html::NoteHtml,
    model::{NewNote, Note, NoteChanges},
    store, within,
};

/// Notes of one organisation. Another organisation's note does not exist here: every method says `NotFound`.
#[async_trait]
pub trait Notes: Send + Sync {
    /// A page. The bin (`Deleted::Only`) is for owner and admin: `Forbidden` otherwise.
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<Note>>;

    /// A living note.
    async fn get(&self, context: &Context, id: NoteId) -> Result<Note>;

    /// A note, from the bin too; for owner and admin.
    async fn get_with_deleted(&self, context: &Context, id: NoteId) -> Result<Note>;

    /// Those of these that exist, deleted ones included, in no particular order: for showing what records refer to.
    async fn get_many(&self, context: &Context, ids: &[NoteId]) -> Result<Vec<Note>>;

    /// A new note, for the caller unless it says otherwise.
    async fn create(&self, context: &Context, new: NewNote) -> Result<Note>;

    /// Puts these values in place of all editable ones.
    async fn replace(&self, context: &Context, id: NoteId, expected: &Expected, new: NewNote) -> Result<Note>;

    /// Changes what is named and leaves the rest. Whoever was mentioned before may stay so. A change that changes nothing keeps the
    /// version and is not logged.
    async fn update(&self, context: &Context, id: NoteId, expected: &Expected, changes: &NoteChanges) -> Result<Note>;

    /// Moves it to the bin. What refers to it stays; nothing new can be attached.
    async fn delete(&self, context: &Context, id: NoteId, expected: &Expected) -> Result<()>;

    /// Brings it back; for owner, admin and who deleted it.
    async fn restore(&self, context: &Context, id: NoteId) -> Result<Note>;

    /// A living note as HTML that is safe to show.
    async fn html(&self, context: &Context, id: NoteId) -> Result<NoteHtml>;
}

/// Notes kept in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgNotes {
    db: Db,
}

impl PgNotes {
    /// On this database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db }
    }
}

#[async_trait]
impl Notes for PgNotes {
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<Note>> {
        let mut tx = self.db.begin(context).await?;
        if query.deleted == Deleted::Only {
            tx.require(Role::is_manager, "see the bin")?;
        }
        let rows = store::list(&mut tx, query).await?;
        let total = match query.count {
            Count::Bounded => Some(Total::bounded(store::count(&mut tx, query).await?)),
            Count::Skip => None,
        };
        Ok(Page::from_rows(query, rows, total, store::position).map(|(note, _)| note))
    }

    async fn get(&self, context: &Context, id: NoteId) -> Result<Note> {
        store::get(&mut self.db.begin(context).await?, id).await
    }

    async fn get_with_deleted(&self, context: &Context, id: NoteId) -> Result<Note> {
        let mut tx = self.db.begin(context).await?;
        tx.require(Role::is_manager, "see the bin")?;
        store::get_with_deleted(&mut tx, id).await
    }

    async fn get_many(&self, context: &Context, ids: &[NoteId]) -> Result<Vec<Note>> {
        store::get_many(&mut self.db.begin(context).await?, ids).await
    }

    async fn create(&self, context: &Context, new: NewNote) -> Result<Note> {
        let mut tx = self.db.begin(context).await?;
        let note = within::create(&mut tx, new).await?;
        tx.commit().await?;
        Ok(note)
    }

    async fn replace(&self, context: &Context, id: NoteId, expected: &Expected, new: NewNote) -> Result<Note> {
        let mut tx = self.db.begin(context).await?;
        let note = within::replace(&mut tx, id, expected, new).await?;
        tx.commit().await?;
        Ok(note)
    }

    async fn update(&self, context: &Context, id: NoteId, expected: &Expected, changes: &NoteChanges) -> Result<Note> {
        let mut tx = self.db.begin(context).await?;
        let note = within::update(&mut tx, id, expected, changes).await?;
        tx.commit().await?;
        Ok(note)
    }

    async fn delete(&self, context: &Context, id: NoteId, expected: &Expected) -> Result<()> {
        let mut tx = self.db.begin(context).await?;
        within::delete(&mut tx, id, expected).await?;
        tx.commit().await
    }

    async fn restore(&self, context: &Context, id: NoteId) -> Result<Note> {
        let mut tx = self.db.begin(context).await?;
        let note = within::restore(&mut tx, id).await?;
        tx.commit().await?;
        Ok(note)
    }

    async fn html(&self, context: &Context, id: NoteId) -> Result<NoteHtml> {
        self.get(context, id).await.map(NoteHtml::from)
    }
}
