//! The use cases that write, within a transaction that the caller has begun and commits: for programs that make several changes at
//! once or not at all.
//!
//! Must stay true: after an error the transaction can only be dropped, unless the call was inside [`Tx::attempt`].

use crm_kernel::{Expected, FieldError, NoteId, Result, Role};
use crm_tenancy::{
    Tx,
    custom_fields::{RecordKind, judged_change, judged_new},
};

use crate::{
    model::{NewNote, Note, NoteChanges},
    rules, store,
};

/// See [`Notes::create`](crate::Notes::create).
///
/// # Errors
/// As there.
pub async fn create(tx: &mut Tx, new: NewNote) -> Result<Note> {
    tx.require(Role::may_write, "create notes")?;
    let new = judged(tx, new).await?;
    store::insert(tx, &new).await
}

/// Creates all of them with one statement, in this order, or none.
///
/// # Errors
/// As [`create`], without saying which of them is at fault.
pub async fn create_all(tx: &mut Tx, all: Vec<NewNote>) -> Result<Vec<Note>> {
    tx.require(Role::may_write, "create notes")?;
    let mut every = Vec::with_capacity(all.len());
    for new in all {
        let mut new = judged(tx, new).await?;
        new.id.get_or_insert_with(NoteId::generate);
        every.push(new);
    }
    store::insert_all(tx, &every).await
}

/// With its custom fields as they are kept, if nothing is wrong with it.
async fn judged(tx: &mut Tx, mut new: NewNote) -> Result<NewNote> {
    let (custom_fields, faults): (_, Vec<FieldError>) = judged_new(tx, RecordKind::Note, new.custom_fields.take()).await?;
    new.custom_fields = custom_fields;
    rules::judge_new(&new, faults)?;
    Ok(new)
}

/// See [`Notes::replace`](crate::Notes::replace).
///
/// # Errors
/// As there.
pub async fn replace(tx: &mut Tx, id: NoteId, expected: &Expected, new: NewNote) -> Result<Note> {
    update(tx, id, expected, &NoteChanges::from(new)).await
}

/// See [`Notes::update`](crate::Notes::update).
///
/// # Errors
/// As there.
pub async fn update(tx: &mut Tx, id: NoteId, expected: &Expected, changes: &NoteChanges) -> Result<Note> {
    // Definitions are held before the note is: whoever changes them takes both in this order.
    let (custom_fields, faults) = judged_change(tx, RecordKind::Note, id.uuid(), &changes.custom_fields).await?;
    let held = store::hold(tx, id, expected).await?;
    let changes = NoteChanges { custom_fields, ..changes.clone() };
    rules::judge_change(&held, &changes, faults)?;
    store::update(tx, id, &changes).await
}

/// See [`Notes::delete`](crate::Notes::delete).
///
/// # Errors
/// As there.
pub async fn delete(tx: &mut Tx, id: NoteId, expected: &Expected) -> Result<()> {
    store::delete(tx, id, expected).await
}

/// See [`Notes::restore`](crate::Notes::restore).
///
/// # Errors
/// As there.
pub async fn restore(tx: &mut Tx, id: NoteId) -> Result<Note> {
    store::restore(tx, id).await
}
