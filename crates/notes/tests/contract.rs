//! Notes pass the contract of every noun.

mod parents;

use async_trait::async_trait;
use crm_kernel::{Context, Expected, Field, ListQuery, NoteId, Object, ObjectChange, Page, Result, Sort, Tags};
use crm_notes::{BulkNotes, FIELDS, NewNote, Note, NoteChanges, Notes, PgNotes, RelatedType, default_sort};
use crm_tenancy::Db;
use crm_testkit::contract::{Draft, Noun};
use serde_json::{Value, json};
use uuid::Uuid;

struct Contract {
    notes: PgNotes,
    db: Db,
}

/// Values repeat at different intervals, so that every list has ties.
fn new_note(draft: Draft) -> NewNote {
    let number = draft.number;
    let every = |interval: usize| number.is_multiple_of(interval);
    NewNote {
        id: draft.id.map(NoteId),
        content: format!("{} *order* {}", if every(2) { "ask" } else { "Bring" }, number),
        is_pinned: (!every(3)).then_some(every(2)),
        owner_id: draft.owner,
        tags: Some(Tags(["vip", "east", "new"].iter().take(number % 4).map(ToString::to_string).collect())),
        custom_fields: Some(object(&json!({ "number": number, "nested": { "deep": [number] } }))),
        ..NewNote::default()
    }
}

fn object(value: &Value) -> Object {
    Object(value.as_object().cloned().unwrap_or_default())
}

#[async_trait]
impl Noun for Contract {
    type Record = Note;
    type Bulk = BulkNotes;

    const ENTITY: &'static str = "note";
    const TEXT_FIELD: &'static str = "content";
    const UNIQUE_FIELD: Option<&'static str> = None;
    const PARENT_FIELD: Option<&'static str> = Some("related_to_id");

    fn on(db: Db) -> Self {
        Self { notes: PgNotes::new(db.clone()), db }
    }
    fn fields() -> &'static [Field] {
        FIELDS
    }
    fn default_sort() -> Sort {
        default_sort()
    }

    fn new(draft: Draft) -> NewNote {
        new_note(draft)
    }
    fn new_with(draft: Draft, custom_fields: Object) -> NewNote {
        NewNote { custom_fields: Some(custom_fields), ..new_note(draft) }
    }
    fn customizing(custom_fields: Object) -> NoteChanges {
        NoteChanges { custom_fields: ObjectChange::Merge(custom_fields.0.into()), ..NoteChanges::default() }
    }
    fn renaming(text: &str) -> NoteChanges {
        NoteChanges { content: Some(text.to_owned()), ..NoteChanges::default() }
    }

    async fn create(&self, context: &Context, draft: Draft) -> Result<Note> {
        self.notes.create(context, new_note(draft)).await
    }
    async fn get(&self, context: &Context, id: Uuid) -> Result<Note> {
        self.notes.get(context, NoteId(id)).await
    }
    async fn get_with_deleted(&self, context: &Context, id: Uuid) -> Result<Note> {
        self.notes.get_with_deleted(context, NoteId(id)).await
    }
    async fn get_many(&self, context: &Context, ids: &[Uuid]) -> Result<Vec<Note>> {
        let ids: Vec<_> = ids.iter().copied().map(NoteId).collect();
        self.notes.get_many(context, &ids).await
    }
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<Note>> {
        self.notes.list(context, query).await
    }
    async fn rename(&self, context: &Context, id: Uuid, expected: &Expected, text: &str) -> Result<Note> {
        self.notes.update(context, NoteId(id), expected, &Self::renaming(text)).await
    }
    async fn replace(&self, context: &Context, id: Uuid, expected: &Expected, draft: Draft) -> Result<Note> {
        self.notes.replace(context, NoteId(id), expected, new_note(draft)).await
    }
    async fn delete(&self, context: &Context, id: Uuid, expected: &Expected) -> Result<()> {
        self.notes.delete(context, NoteId(id), expected).await
    }
    async fn restore(&self, context: &Context, id: Uuid) -> Result<Note> {
        self.notes.restore(context, NoteId(id)).await
    }

    async fn attach(&self, context: &Context, id: Uuid, company: Uuid) -> Result<Note> {
        self.notes.update(context, NoteId(id), &Expected::Any, &about(RelatedType::Company, company)).await
    }

    /// Every third note is about a company, every fourth about a contact and nobody's; some mention who asks.
    async fn dress(&self, context: &Context, number: usize, note: Note, _: &[Note]) -> Result<Note> {
        let every = |interval: usize| number.is_multiple_of(interval);
        let related = if every(3) {
            about(RelatedType::Company, parents::company(&self.db, context).await?)
        } else if every(4) {
            about(RelatedType::Contact, parents::contact(&self.db, context).await?)
        } else {
            NoteChanges::default()
        };
        let mentions = every(5).then(|| Tags(vec![context.user_id.to_string()]));
        let changes = NoteChanges { owner_id: every(4).then_some(None), mentions, ..related };
        self.notes.update(context, note.id, &Expected::Any, &changes).await
    }
}

fn about(kind: RelatedType, id: Uuid) -> NoteChanges {
    NoteChanges { related_to_type: Some(Some(kind)), related_to_id: Some(Some(id)), ..NoteChanges::default() }
}

crm_testkit::crud_contract!(Contract);
