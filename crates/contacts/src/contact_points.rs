//! A contact's e-mail addresses and telephone numbers, as they are shown and sent, and the rules of what is sent. No SQL here.
//!
//! Must stay true: `email` and `phone` of the contact are the primary ones of this list. An address or a number stands in it once.

use std::collections::HashSet;

use crm_kernel::{ContactId, FieldError, phone, validation};
use serde::{Deserialize, Serialize};

/// Addresses and numbers of a contact at most.
const MOST_POINTS: usize = 50;

crm_kernel::text_enum!(
    /// What a contact point is.
    ContactPointKind {
        /// An e-mail address.
        Email = "email",
        /// A telephone number.
        Phone = "phone",
    }
);

/// The addresses and numbers of a contact, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct ContactPointList {
    /// The contact.
    pub contact_id: ContactId,
    /// The version of the contact, which counts changes of this list too; see If-Match.
    pub version: i32,
    /// The addresses and numbers, at most 50.
    pub data: Vec<ContactPoint>,
}

/// One address or number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct ContactPoint {
    /// What it is.
    pub kind: ContactPointKind,
    /// The address, or the number as `+41446681800;ext=12`.
    pub value: String,
    /// What it is for, in the organisation's own words: work, home, invoices.
    pub label: Option<String>,
    /// Whether it is the contact's `email` or `phone`.
    pub is_primary: bool,
}

/// All addresses and numbers of a contact.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct ContactPointsRequest {
    /// The addresses and numbers, at most 50. Those that are there and are missing here are removed.
    #[garde(custom(bounded), dive)]
    pub data: Vec<NewContactPoint>,
}

/// An address or number as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct NewContactPoint {
    /// What it is.
    pub kind: ContactPointKind,
    /// The address, or the number as people write it.
    #[garde(length(chars, max = 255), custom(validation::readable))]
    pub value: String,
    /// What it is for, in the organisation's own words.
    #[serde(default)]
    #[garde(length(chars, max = 50), inner(custom(validation::readable)))]
    pub label: Option<String>,
    /// Whether it becomes the contact's `email` or `phone`. Where no address is, the first one becomes it, and so with the numbers.
    #[serde(default)]
    pub is_primary: Option<bool>,
}

fn bounded(points: &[NewContactPoint], (): &()) -> garde::Result {
    let fits = points.len() <= MOST_POINTS;
    if fits { Ok(()) } else { Err(garde::Error::new(format!("too_many: at most {MOST_POINTS} addresses and numbers"))) }
}

/// Whether one of these numbers is one of the organisation's country.
pub(crate) fn needs_country(wanted: &[NewContactPoint]) -> bool {
    wanted.iter().any(|point| point.kind == ContactPointKind::Phone && !phone::names_its_country(&point.value))
}

/// The list as it is kept: numbers in their form, one primary address and one primary number. All faults at once.
pub(crate) fn settled(wanted: &[NewContactPoint], country: Option<&str>) -> Result<Vec<ContactPoint>, Vec<FieldError>> {
    let (mut kept, mut faults, mut seen) = (Vec::with_capacity(wanted.len()), Vec::new(), HashSet::new());
    for (index, sent) in wanted.iter().enumerate() {
        let pointer = format!("/data/{index}/value");
        match value_of(sent, country) {
            Err((code, reason)) => faults.push(FieldError::new(pointer, code, reason)),
            Ok(value) if !seen.insert((sent.kind, value.to_lowercase())) => {
                faults.push(FieldError::new(pointer, "duplicate", "stands in the list already"));
            }
            Ok(value) => {
                let is_primary = sent.is_primary == Some(true);
                kept.push(ContactPoint { kind: sent.kind, value, label: sent.label.clone(), is_primary });
            }
        }
        let is_second = |other: &NewContactPoint| other.kind == sent.kind && other.is_primary == Some(true);
        if sent.is_primary == Some(true) && wanted.iter().take(index).any(is_second) {
            faults.push(FieldError::new(
                format!("/data/{index}/is_primary"),
                "duplicate",
                "another one is the primary one already",
            ));
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    for kind in [ContactPointKind::Email, ContactPointKind::Phone] {
        let is_there = kept.iter().any(|point| point.kind == kind && point.is_primary);
        if let Some(first) = kept.iter_mut().find(|point| point.kind == kind).filter(|_| !is_there) {
            first.is_primary = true;
        }
    }
    Ok(kept)
}

fn value_of(sent: &NewContactPoint, country: Option<&str>) -> Result<String, (&'static str, String)> {
    match sent.kind {
        ContactPointKind::Email => match validation::email(&sent.value, &()) {
            Ok(()) => Ok(sent.value.clone()),
            Err(error) => Err(("email", error.message().trim_start_matches("email: ").to_owned())),
        },
        ContactPointKind::Phone => phone::normalised(&sent.value, country).map_err(|reason| ("phone", reason.to_string())),
    }
}

/// The primary one of this kind.
pub(crate) fn primary(kept: &[ContactPoint], kind: ContactPointKind) -> Option<&str> {
    kept.iter().find(|point| point.kind == kind && point.is_primary).map(|point| point.value.as_str())
}
