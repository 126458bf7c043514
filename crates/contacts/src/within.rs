//! The use cases that write, within a transaction that the caller has begun and commits: for programs that make several changes at
//! once or not at all.
//!
//! Must stay true: after an error the transaction can only be dropped, unless the call was inside [`Tx::attempt`].

use crm_kernel::{CompanyId, ContactId, Error, Expected, FieldError, Result, Role, validation};
use crm_tenancy::{
    Tx,
    custom_fields::{RecordKind, judged_change, judged_new},
};

use crate::{
    contact_companies::{self, ContactCompaniesRequest, ContactCompanyList},
    contact_points::{self, ContactPointList, ContactPointsRequest},
    lists_store,
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

/// See [`Contacts::points`](crate::Contacts::points).
///
/// # Errors
/// As there.
pub async fn points(tx: &mut Tx, id: ContactId) -> Result<ContactPointList> {
    let version = store::get(tx, id).await?.version;
    Ok(ContactPointList { contact_id: id, version, data: lists_store::points_of(tx, id).await? })
}

/// See [`Contacts::replace_points`](crate::Contacts::replace_points).
///
/// # Errors
/// As there.
pub async fn replace_points(
    tx: &mut Tx,
    id: ContactId,
    expected: &Expected,
    wanted: &ContactPointsRequest,
) -> Result<ContactPointList> {
    lists_store::hold(tx, id, expected).await?;
    validation::check(wanted)?;
    let country = if contact_points::needs_country(&wanted.data) { store::country(tx).await? } else { None };
    let kept = contact_points::settled(&wanted.data, country.as_deref()).map_err(Error::Invalid)?;
    let current = lists_store::points_of(tx, id).await?;
    if kept != current {
        let primary = kept.iter().position(|point| point.kind == contact_points::ContactPointKind::Email && point.is_primary);
        lists_store::write_points(tx, id, &current, &kept).await.map_err(|error| taken(error, primary))?;
    }
    points(tx, id).await
}

/// Where in the list the address stands that another contact has already.
fn taken(error: Error, primary: Option<usize>) -> Error {
    match (error, primary) {
        (Error::Conflict(faults), Some(index)) => {
            let pointer = format!("/data/{index}/value");
            let moved = |fault: FieldError| {
                if fault.pointer == "/email" { FieldError { pointer: pointer.clone(), ..fault } } else { fault }
            };
            Error::Conflict(faults.into_iter().map(moved).collect())
        }
        (other, _) => other,
    }
}

/// See [`Contacts::companies`](crate::Contacts::companies).
///
/// # Errors
/// As there.
pub async fn companies(tx: &mut Tx, id: ContactId) -> Result<ContactCompanyList> {
    let version = store::get(tx, id).await?.version;
    Ok(ContactCompanyList { contact_id: id, version, data: lists_store::companies_of(tx, id).await? })
}

/// See [`Contacts::replace_companies`](crate::Contacts::replace_companies).
///
/// # Errors
/// As there.
pub async fn replace_companies(
    tx: &mut Tx,
    id: ContactId,
    expected: &Expected,
    wanted: &ContactCompaniesRequest,
) -> Result<ContactCompanyList> {
    lists_store::hold(tx, id, expected).await?;
    validation::check(wanted)?;
    let current = lists_store::companies_of(tx, id).await?;
    let ids: Vec<CompanyId> = wanted.data.iter().map(|company| company.company_id).collect();
    let living = lists_store::living_companies(tx, &ids).await?;
    let kept = contact_companies::settled(&current, &wanted.data, &living).map_err(Error::Invalid)?;
    let said = |all: &[contact_companies::ContactCompany]| -> Vec<_> {
        all.iter().map(|company| (company.company_id, company.role.clone(), company.is_primary)).collect()
    };
    if said(&kept) != said(&current) {
        lists_store::write_companies(tx, id, &kept).await?;
    }
    companies(tx, id).await
}
