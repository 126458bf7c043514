//! The use cases that write, within a transaction that the caller has begun and commits: for programs that make several changes at
//! once or not at all.
//!
//! Must stay true: after an error the transaction can only be dropped, unless the call was inside [`Tx::attempt`].

use crm_kernel::{ContactId, DealId, Error, Expected, ObjectChange, ProductId, Result, Role, validation};
use crm_tenancy::{
    Tx,
    custom_fields::{RecordKind, judged_change, judged_new},
};

use crate::{
    board,
    deal_contacts::{self, DealContactList, DealContactsRequest},
    line_items::{self, LineItemList, LineItemsRequest},
    model::{Deal, DealChanges, NewDeal},
    parts_store, rules,
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
    rules::judge(tx, id, &held, &changes, faults).await?;
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
    rules::judge(tx, id, &held, &changes, faults).await?;
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
    let movement = rules::movement(tx, id, &held, step).await?;
    let position = match step.below_id {
        Some(below) => board::position_below(tx, id, (movement.pipeline_id, &movement.stage), below).await?,
        None => None,
    };
    store::move_to(tx, id, &movement, position.as_deref()).await
}

/// See [`Deals::line_items`](crate::Deals::line_items).
///
/// # Errors
/// As there.
pub async fn line_items(tx: &mut Tx, id: DealId) -> Result<LineItemList> {
    let deal = store::get(tx, id).await?;
    let data: Vec<_> = parts_store::lines_of(tx, id).await?.into_iter().map(|(_, line)| line.shown(&deal.currency)).collect();
    let total = parts_store::total_of(tx, id).await?.map(|total| total.in_currency(&deal.currency));
    Ok(LineItemList { deal_id: id, version: deal.version, currency: deal.currency, total, data })
}

/// See [`Deals::replace_line_items`](crate::Deals::replace_line_items).
///
/// # Errors
/// As there.
pub async fn replace_line_items(tx: &mut Tx, id: DealId, expected: &Expected, wanted: &LineItemsRequest) -> Result<LineItemList> {
    let held = store::hold(tx, id, expected).await?;
    validation::check(wanted)?;
    let current = parts_store::lines_of(tx, id).await?;
    let products: Vec<ProductId> = wanted.data.iter().filter_map(|line| line.product_id).collect();
    let products = parts_store::offered(tx, &products).await?;
    let plan = line_items::plan(&current, &wanted.data, &products, &held.currency).map_err(Error::Invalid)?;
    if !plan.is_empty() {
        parts_store::write_lines(tx, id, &plan).await?;
    }
    line_items(tx, id).await
}

/// See [`Deals::contacts`](crate::Deals::contacts).
///
/// # Errors
/// As there.
pub async fn contacts(tx: &mut Tx, id: DealId) -> Result<DealContactList> {
    let version = store::get(tx, id).await?.version;
    Ok(DealContactList { deal_id: id, version, data: parts_store::people_of(tx, id).await? })
}

/// See [`Deals::replace_contacts`](crate::Deals::replace_contacts).
///
/// # Errors
/// As there.
pub async fn replace_contacts(
    tx: &mut Tx,
    id: DealId,
    expected: &Expected,
    wanted: &DealContactsRequest,
) -> Result<DealContactList> {
    store::hold(tx, id, expected).await?;
    validation::check(wanted)?;
    let current = parts_store::people_of(tx, id).await?;
    let ids: Vec<ContactId> = wanted.data.iter().map(|contact| contact.contact_id).collect();
    let living = parts_store::living_contacts(tx, &ids).await?;
    let plan = deal_contacts::plan(&current, &wanted.data, &living).map_err(Error::Invalid)?;
    if !plan.is_empty() {
        parts_store::write_people(tx, id, &plan.written, &plan.removed).await?;
    }
    contacts(tx, id).await
}
