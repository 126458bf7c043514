//! Notes in calls that change many at once: the use cases of `within.rs` under the names that all nouns share.

use async_trait::async_trait;
use crm_kernel::{Expected, NoteId, Result};
use crm_tenancy::{Entity, Tx, bulk, custom_fields::RecordKind};
use uuid::Uuid;

use crate::{
    model::{NewNote, Note, NoteChanges},
    store, within,
};

/// Notes, as a noun of bulk calls. They have no natural key.
#[derive(Debug)]
pub struct BulkNotes;

#[async_trait]
impl bulk::Noun for BulkNotes {
    type Record = Note;
    type New = NewNote;
    type Changes = NoteChanges;

    const ENTITY: Entity = store::NOTE;
    const KIND: RecordKind = RecordKind::Note;
    const NATURAL_KEY: Option<&'static str> = None;

    fn id(record: &Note) -> Uuid {
        record.id.uuid()
    }
    fn give_id(new: &mut NewNote, id: Uuid) -> Option<Uuid> {
        new.id.replace(NoteId(id)).map(NoteId::uuid)
    }

    async fn create(tx: &mut Tx, new: NewNote) -> Result<Note> {
        within::create(tx, new).await
    }
    async fn create_all(tx: &mut Tx, new: Vec<NewNote>) -> Result<Vec<Note>> {
        within::create_all(tx, new).await
    }
    async fn update(tx: &mut Tx, id: Uuid, expected: &Expected, changes: &NoteChanges) -> Result<Note> {
        within::update(tx, NoteId(id), expected, changes).await
    }
    async fn delete(tx: &mut Tx, id: Uuid, expected: &Expected) -> Result<()> {
        within::delete(tx, NoteId(id), expected).await
    }
    async fn living(tx: &mut Tx, ids: &[Uuid]) -> Result<Vec<Note>> {
        let ids: Vec<NoteId> = ids.iter().copied().map(NoteId).collect();
        Ok(store::get_many(tx, &ids).await?.into_iter().filter(|note| note.deleted_at.is_none()).collect())
    }
    async fn with_natural_key(_: &mut Tx, _: &str) -> Result<Vec<Uuid>> {
        Ok(Vec::new())
    }
}
