//! The use cases that write, within a transaction that the caller has begun and commits: for programs that make several changes at
//! once or not at all.
//!
//! Must stay true: after an error the transaction can only be dropped, unless the call was inside [`Tx::attempt`].

use crm_kernel::{DealId, Expected, ObjectChange, Result, Role};
use crm_tenancy::{
    Tx,
    custom_fields::{RecordKind, judged_change, judged_new},
};

use crate::{
    model::{Deal, DealChanges, NewDeal},
    rules,
    stage::StageStep,
    store,
};

/// See [`Deals::create`](crate::Deals::create).
///
/// # Errors
/// As there.
pub async fn create(tx: &mut Tx, mut new: NewDeal) -> Result<Deal> {
    tx.require(Role::may_write, "create deals")?;
    let (custom_fields, faults) = judged_new(tx, RecordKind::Deal, new.custom_fields.take()).await?;
    new.custom_fields = custom_fields;
    let new = rules::completed(tx, new, faults).await?;
    store::insert(tx, &new).await
}

/// Creates all of them with one statement, in this order, or none.
///
/// # Errors
/// As [`create`], without saying which of them is at fault.
pub async fn create_all(tx: &mut Tx, mut all: Vec<NewDeal>) -> Result<Vec<Deal>> {
    tx.require(Role::may_write, "create deals")?;
    let mut every = Vec::with_capacity(all.len());
    for new in &mut all {
        let (custom_fields, faults) = judged_new(tx, RecordKind::Deal, new.custom_fields.take()).await?;
        new.custom_fields = custom_fields;
        every.push(faults);
    }
    let mut all = rules::all_completed(tx, all, every).await?;
    for new in &mut all {
        new.id.get_or_insert_with(DealId::generate);
    }
    store::insert_all(tx, &all).await
}

/// See [`Deals::replace`](crate::Deals::replace).
///
/// # Errors
/// As there.
pub async fn replace(tx: &mut Tx, id: DealId, expected: &Expected, new: NewDeal) -> Result<Deal> {
    let change = ObjectChange::Replace(Some(new.custom_fields.clone().unwrap_or_default()));
    let (custom_fields, mut faults) = judged_change(tx, RecordKind::Deal, id.uuid(), &change).await?;
    let held = store::hold(tx, id, expected).await?;
    let (changes, moves) = rules::replacement(tx, &held, new).await?;
    faults.extend(moves);
    let changes = DealChanges { custom_fields, ..changes };
    rules::judge(tx, &held, &changes, faults).await?;
    store::update(tx, id, &changes).await
}

/// See [`Deals::update`](crate::Deals::update).
///
/// # Errors
/// As there.
pub async fn update(tx: &mut Tx, id: DealId, expected: &Expected, changes: &DealChanges) -> Result<Deal> {
    // Definitions are held before the deal is: whoever changes them takes both in this order.
    let (custom_fields, faults) = judged_change(tx, RecordKind::Deal, id.uuid(), &changes.custom_fields).await?;
    let held = store::hold(tx, id, expected).await?;
    let changes = DealChanges { custom_fields, ..changes.clone() };
    rules::judge(tx, &held, &changes, faults).await?;
    store::update(tx, id, &changes).await
}

/// See [`Deals::delete`](crate::Deals::delete).
///
/// # Errors
/// As there.
pub async fn delete(tx: &mut Tx, id: DealId, expected: &Expected) -> Result<()> {
    store::delete(tx, id, expected).await
}

/// See [`Deals::restore`](crate::Deals::restore).
///
/// # Errors
/// As there.
pub async fn restore(tx: &mut Tx, id: DealId) -> Result<Deal> {
    store::restore(tx, id).await
}

/// See [`Deals::move_to`](crate::Deals::move_to).
///
/// # Errors
/// As there.
pub async fn move_to(tx: &mut Tx, id: DealId, expected: &Expected, step: &StageStep) -> Result<Deal> {
    let held = store::hold(tx, id, expected).await?;
    let movement = rules::movement(tx, &held, step).await?;
    store::move_to(tx, id, &movement).await
}
