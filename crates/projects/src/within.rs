//! The use cases that write, within a transaction that the caller has begun and commits: for programs that make several changes at
//! once or not at all.
//!
//! Must stay true: after an error the transaction can only be dropped, unless the call was inside [`Tx::attempt`].

use crm_kernel::{DealId, Error, Expected, FieldError, ProjectId, Result, Role};
use crm_tenancy::{
    Tx,
    custom_fields::{RecordKind, judged_change, judged_new},
};

use crate::{
    model::{NewProject, Project, ProjectChanges},
    of_deal::ProjectOfDeal,
    rules, store,
    words::ProjectOrigin,
};

/// See [`Projects::create`](crate::Projects::create).
///
/// # Errors
/// As there.
pub async fn create(tx: &mut Tx, new: NewProject) -> Result<Project> {
    tx.require(Role::may_write, "create projects")?;
    let new = completed(tx, new).await?;
    store::insert(tx, &new, ProjectOrigin::Direct).await
}

/// See [`Projects::create_of_deal`](crate::Projects::create_of_deal).
///
/// # Errors
/// As there.
pub async fn create_of_deal(tx: &mut Tx, deal: DealId, of: ProjectOfDeal) -> Result<Project> {
    let name = store::name_of_deal(tx, deal).await?;
    tx.require(Role::may_write, "create projects")?;
    let new = completed(tx, of.into_new(deal, name)).await?;
    store::insert(tx, &new, ProjectOrigin::WonDeal).await
}

/// Creates all of them with one statement, in this order, or none.
///
/// # Errors
/// As [`create`], without saying which of them is at fault.
pub async fn create_all(tx: &mut Tx, all: Vec<NewProject>) -> Result<Vec<Project>> {
    tx.require(Role::may_write, "create projects")?;
    let mut every = Vec::with_capacity(all.len());
    for new in all {
        every.push(judged(tx, new).await?);
    }
    let mut all = rules::completed(tx, every).await?;
    for new in &mut all {
        new.id.get_or_insert_with(ProjectId::generate);
    }
    store::insert_all(tx, &all).await
}

async fn completed(tx: &mut Tx, new: NewProject) -> Result<NewProject> {
    let judged = judged(tx, new).await?;
    let mut completed = rules::completed(tx, vec![judged]).await?;
    completed.pop().ok_or_else(|| Error::internal("one project came in and none came out"))
}

/// With its custom fields as they are kept, and what is wrong with them.
async fn judged(tx: &mut Tx, mut new: NewProject) -> Result<(NewProject, Vec<FieldError>)> {
    let (custom_fields, faults) = judged_new(tx, RecordKind::Project, new.custom_fields.take()).await?;
    new.custom_fields = custom_fields;
    Ok((new, faults))
}

/// See [`Projects::replace`](crate::Projects::replace).
///
/// # Errors
/// As there.
pub async fn replace(tx: &mut Tx, id: ProjectId, expected: &Expected, new: NewProject) -> Result<Project> {
    update(tx, id, expected, &ProjectChanges::from(new)).await
}

/// See [`Projects::update`](crate::Projects::update).
///
/// # Errors
/// As there.
pub async fn update(tx: &mut Tx, id: ProjectId, expected: &Expected, changes: &ProjectChanges) -> Result<Project> {
    // Definitions are held before the project is: whoever changes them takes both in this order.
    let (custom_fields, faults) = judged_change(tx, RecordKind::Project, id.uuid(), &changes.custom_fields).await?;
    let held = store::hold(tx, id, expected).await?;
    let changes = rules::settled(tx, &held, ProjectChanges { custom_fields, ..changes.clone() }, faults).await?;
    store::update(tx, id, &changes).await
}

/// See [`Projects::delete`](crate::Projects::delete).
///
/// # Errors
/// As there.
pub async fn delete(tx: &mut Tx, id: ProjectId, expected: &Expected) -> Result<()> {
    store::delete(tx, id, expected).await
}

/// See [`Projects::restore`](crate::Projects::restore).
///
/// # Errors
/// As there.
pub async fn restore(tx: &mut Tx, id: ProjectId) -> Result<Project> {
    store::restore(tx, id).await
}
