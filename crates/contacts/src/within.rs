//! The use cases that write, within a transaction that the caller has begun and commits: for programs that make several changes at
//! once or not at all.
//!
//! Must stay true: after an error the transaction can only be dropped, unless the call was inside [`Tx::attempt`].

use crm_kernel::{ContactId, Error, Expected, FieldError, Result, Role};
use crm_tenancy::{
    Tx,
    custom_fields::{RecordKind, judged_change, judged_new},
};

use crate::{
    model::{Contact, ContactChanges, NewContact},
    rules, store,
};

/// See [`Contacts::create`](crate::Contacts::create).
///
/// # Errors
/// As there.
pub async fn create(tx: &mut Tx, new: NewContact) -> Result<Contact> {
    tx.require(Role::may_write, "create contacts")?;
    let judged = judged(tx, new).await?;
    let completed = rules::completed(tx, vec![judged]).await?;
    let new = completed.first().ok_or_else(|| Error::internal("one contact came in and none came out"))?;
    store::insert(tx, new).await
}

/// Creates all of them with one statement, in this order, or none.
///
/// # Errors
/// As [`create`], without saying which of them is at fault.
pub async fn create_all(tx: &mut Tx, all: Vec<NewContact>) -> Result<Vec<Contact>> {
    tx.require(Role::may_write, "create contacts")?;
    let mut every = Vec::with_capacity(all.len());
    for new in all {
        every.push(judged(tx, new).await?);
    }
    let mut all = rules::completed(tx, every).await?;
    for new in &mut all {
        new.id.get_or_insert_with(ContactId::generate);
    }
    store::insert_all(tx, &all).await
}

/// With its custom fields as they are kept, and what is wrong with them.
async fn judged(tx: &mut Tx, mut new: NewContact) -> Result<(NewContact, Vec<FieldError>)> {
    let (custom_fields, faults) = judged_new(tx, RecordKind::Contact, new.custom_fields.take()).await?;
    new.custom_fields = custom_fields;
    Ok((new, faults))
}

/// See [`Contacts::replace`](crate::Contacts::replace).
///
/// # Errors
/// As there.
pub async fn replace(tx: &mut Tx, id: ContactId, expected: &Expected, new: NewContact) -> Result<Contact> {
    update(tx, id, expected, &ContactChanges::from(new)).await
}

/// See [`Contacts::update`](crate::Contacts::update).
///
/// # Errors
/// As there.
pub async fn update(tx: &mut Tx, id: ContactId, expected: &Expected, changes: &ContactChanges) -> Result<Contact> {
    let (custom_fields, faults) = judged_change(tx, RecordKind::Contact, id.uuid(), &changes.custom_fields).await?;
    let changes = match rules::settled(tx, ContactChanges { custom_fields, ..changes.clone() }, faults).await {
        Err(invalid @ Error::Invalid(_)) => return Err(store::refusal(tx, id, expected).await?.unwrap_or(invalid)),
        settled => settled?,
    };
    store::update(tx, id, expected, &changes).await
}

/// See [`Contacts::delete`](crate::Contacts::delete).
///
/// # Errors
/// As there.
pub async fn delete(tx: &mut Tx, id: ContactId, expected: &Expected) -> Result<()> {
    store::delete(tx, id, expected).await
}

/// See [`Contacts::restore`](crate::Contacts::restore).
///
/// # Errors
/// As there.
pub async fn restore(tx: &mut Tx, id: ContactId) -> Result<Contact> {
    store::restore(tx, id).await
}
