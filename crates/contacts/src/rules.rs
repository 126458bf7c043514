//! What a contact must keep when it is made or changed, where a value's meaning depends on the organisation: a telephone number
//! without a country is one of the organisation's. All faults at once.

use crm_kernel::{Error, FieldError, Result, phone, validation};
use crm_tenancy::Tx;

use crate::{
    model::{ContactChanges, NewContact},
    store,
};

/// The new contacts as they are kept; the country is looked up once for all of them, and only when one asks for it.
/// With each come the faults of its custom fields.
pub(crate) async fn completed(tx: &mut Tx, all: Vec<(NewContact, Vec<FieldError>)>) -> Result<Vec<NewContact>> {
    let needs_country = |new: &NewContact| [&new.phone, &new.mobile].into_iter().flatten().any(|number| is_local(number));
    let country = if all.iter().any(|(new, _)| needs_country(new)) { store::country(tx).await? } else { None };
    let complete = |(new, faults): (NewContact, Vec<FieldError>)| {
        let settled = settle(ContactChanges::from(new.clone()), country.as_deref(), faults)?;
        Ok(NewContact { phone: settled.phone.flatten(), mobile: settled.mobile.flatten(), ..new })
    };
    all.into_iter().map(complete).collect()
}

/// The changes as they are kept; `faults` are those of custom fields.
pub(crate) async fn settled(tx: &mut Tx, changes: ContactChanges, faults: Vec<FieldError>) -> Result<ContactChanges> {
    let needs_country = [&changes.phone, &changes.mobile].into_iter().flatten().flatten().any(|number| is_local(number));
    let country = if needs_country { store::country(tx).await? } else { None };
    settle(changes, country.as_deref(), faults)
}

fn is_local(number: &str) -> bool {
    !phone::names_its_country(number)
}

fn settle(mut changes: ContactChanges, country: Option<&str>, faults: Vec<FieldError>) -> Result<ContactChanges> {
    let mut faults = match validation::check_with(&changes, faults) {
        Err(Error::Invalid(faults)) => faults,
        other => other.map(|()| Vec::new())?,
    };
    for (pointer, number) in [("/phone", &mut changes.phone), ("/mobile", &mut changes.mobile)] {
        let Some(Some(written)) = number else { continue };
        if faults.iter().any(|fault| fault.pointer == pointer) {
            continue;
        }
        match phone::normalised(written, country) {
            Ok(kept) => *written = kept,
            Err(reason) => faults.push(FieldError::new(pointer, "phone", reason)),
        }
    }
    if faults.is_empty() { Ok(changes) } else { Err(Error::Invalid(faults)) }
}
