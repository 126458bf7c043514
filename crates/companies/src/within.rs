//! The use cases that write, within a transaction that the caller has begun and commits: for programs that make several changes at
//! once or not at all.
//!
//! Must stay true: after an error the transaction can only be dropped, unless the call was inside [`Tx::attempt`].

use std::collections::HashSet;

use crm_kernel::{CompanyId, Error, Expected, FieldError, Result, Role, slug::slugify, validation};
use crm_tenancy::{
    Tx,
    custom_fields::{RecordKind, judged_change, judged_new},
};

use crate::{
    model::{Company, CompanyChanges, NewCompany},
    store,
};

/// See [`Companies::create`](crate::Companies::create).
///
/// # Errors
/// As there.
pub async fn create(tx: &mut Tx, mut new: NewCompany) -> Result<Company> {
    tx.require(Role::may_write, "create companies")?;
    let (custom_fields, faults) = judged_new(tx, RecordKind::Company, new.custom_fields.clone()).await?;
    judge(&CompanyChanges::from(new.clone()), faults)?;
    new.custom_fields = custom_fields;
    if new.slug.is_some() {
        return store::insert(tx, &new).await;
    }
    let plain = slugify(&new.name, "company");
    if !store::slug_taken(tx, &plain).await? {
        new.slug = Some(plain.clone());
        match tx.attempt(async |tx| store::insert(tx, &new).await).await {
            // Somebody took the slug between the look and the insert; the client never chose it and must not hear of it.
            Err(Error::Conflict(fields)) if fields.iter().all(|field| field.pointer == "/slug") => {}
            inserted => return inserted,
        }
    }
    new.slug = Some(distinct(&plain));
    store::insert(tx, &new).await
}

/// With eight characters of chance, so that nobody makes the same at the same moment.
fn distinct(slug: &str) -> String {
    let chance = CompanyId::generate().to_string();
    let tail = chance.get(chance.len().saturating_sub(8)..).unwrap_or_default();
    format!("{slug}-{tail}")
}

/// Creates all of them with one statement, in this order, or none.
///
/// # Errors
/// As [`create`], without saying which of them is at fault.
pub async fn create_all(tx: &mut Tx, mut all: Vec<NewCompany>) -> Result<Vec<Company>> {
    tx.require(Role::may_write, "create companies")?;
    for new in &mut all {
        let (custom_fields, faults) = judged_new(tx, RecordKind::Company, new.custom_fields.take()).await?;
        new.custom_fields = custom_fields;
        judge(&CompanyChanges::from(new.clone()), faults)?;
        new.id.get_or_insert_with(CompanyId::generate);
    }
    give_slugs(tx, &mut all).await?;
    store::insert_all(tx, &all).await
}

/// Gives those without a slug one that is free, also among themselves.
async fn give_slugs(tx: &mut Tx, all: &mut [NewCompany]) -> Result<()> {
    let wanted: Vec<String> = all.iter().filter(|new| new.slug.is_none()).map(|new| slugify(&new.name, "company")).collect();
    let mut taken: HashSet<String> = store::taken_slugs(tx, &wanted).await?.into_iter().collect();
    taken.extend(all.iter().filter_map(|new| new.slug.clone()));
    for (new, plain) in all.iter_mut().filter(|new| new.slug.is_none()).zip(wanted) {
        new.slug = Some(if taken.insert(plain.clone()) { plain } else { distinct(&plain) });
    }
    Ok(())
}

/// See [`Companies::replace`](crate::Companies::replace).
///
/// # Errors
/// As there.
pub async fn replace(tx: &mut Tx, id: CompanyId, expected: &Expected, new: NewCompany) -> Result<Company> {
    update(tx, id, expected, &CompanyChanges::from(new)).await
}

/// See [`Companies::update`](crate::Companies::update).
///
/// # Errors
/// As there.
pub async fn update(tx: &mut Tx, id: CompanyId, expected: &Expected, changes: &CompanyChanges) -> Result<Company> {
    let (custom_fields, faults) = judged_change(tx, RecordKind::Company, id.uuid(), &changes.custom_fields).await?;
    if let Err(invalid) = judge(changes, faults) {
        return Err(store::refusal(tx, id, expected).await?.unwrap_or(invalid));
    }
    store::update(tx, id, expected, &CompanyChanges { custom_fields, ..changes.clone() }).await
}

/// See [`Companies::delete`](crate::Companies::delete).
///
/// # Errors
/// As there.
pub async fn delete(tx: &mut Tx, id: CompanyId, expected: &Expected) -> Result<()> {
    store::delete(tx, id, expected).await
}

/// See [`Companies::restore`](crate::Companies::restore).
///
/// # Errors
/// As there.
pub async fn restore(tx: &mut Tx, id: CompanyId) -> Result<Company> {
    store::restore(tx, id).await
}

/// Where all values that come in are judged, of new companies and of changed ones; `faults` are those of custom fields.
fn judge(changes: &CompanyChanges, faults: Vec<FieldError>) -> Result<()> {
    validation::check_with(changes, faults)
}
