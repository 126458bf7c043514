//! What a contact must keep when it is made or changed, where a value's meaning depends on the organisation: a telephone number
//! without a country is one of the organisation's. All faults at once.

use crm_kernel::{Error, FieldError, Result, phone, validation};
use crm_tenancy::Tx;

use crate::{
    model::{ContactChanges, NewContact},
    store,
};

/// The new contact as it is kept.
pub(crate) async fn completed(tx: &mut Tx, new: NewContact) -> Result<NewContact> {
    let settled = settled(tx, &ContactChanges::from(new.clone())).await?;
    Ok(NewContact { phone: settled.phone.flatten(), mobile: settled.mobile.flatten(), ..new })
}

/// The changes as they are kept.
pub(crate) async fn settled(tx: &mut Tx, changes: &ContactChanges) -> Result<ContactChanges> {
    let mut faults = match validation::check(changes) {
        Err(Error::Invalid(faults)) => faults,
        other => other.map(|()| Vec::new())?,
    };
    let mut settled = changes.clone();
    let needs_country =
        [&changes.phone, &changes.mobile].into_iter().flatten().flatten().any(|number| !phone::names_its_country(number));
    let country = if needs_country { store::country(tx).await? } else { None };
    for (pointer, number) in [("/phone", &mut settled.phone), ("/mobile", &mut settled.mobile)] {
        let Some(Some(written)) = number else { continue };
        if faults.iter().any(|fault| fault.pointer == pointer) {
            continue;
        }
        match phone::normalised(written, country.as_deref()) {
            Ok(kept) => *written = kept,
            Err(reason) => faults.push(FieldError::new(pointer, "phone", reason)),
        }
    }
    if faults.is_empty() { Ok(settled) } else { Err(Error::Invalid(faults)) }
}
