//! Who takes part in a deal: people with a role, as they are shown and sent, and the rules of what is sent. No SQL here.
//!
//! Must stay true: a person takes part once. `primary_contact_id` of the deal is another matter: whom it is talked over with.

use std::collections::HashSet;

use crm_kernel::{ContactId, DealId, FieldError, validation};
use serde::{Deserialize, Serialize};

/// People of a deal at most.
const MOST_CONTACTS: usize = 200;

/// The people of a deal, in the order in which they came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct DealContactList {
    /// The deal.
    pub deal_id: DealId,
    /// The version of the deal, which counts changes of its people too; see If-Match.
    pub version: i32,
    /// The people, at most 200.
    pub data: Vec<DealContact>,
}

impl DealContactList {
    /// Takes out what people are called, for whoever may not know.
    pub fn hide_names(&mut self) {
        for contact in &mut self.data {
            contact.name = None;
        }
    }
}

/// One person of a deal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct DealContact {
    /// The contact.
    pub contact_id: ContactId,
    /// What they are to the deal, in the organisation's own words: decides, uses it, advises.
    pub role: Option<String>,
    /// The contact's name.
    pub name: Option<String>,
    /// Whether the contact is in the bin.
    pub is_deleted: bool,
}

/// All people of a deal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct DealContactsRequest {
    /// The people, at most 200. Those who are there and are missing here take part no more.
    #[garde(custom(bounded), dive)]
    pub data: Vec<NewDealContact>,
}

/// A person as they are sent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct NewDealContact {
    /// The contact.
    pub contact_id: ContactId,
    /// What they are to the deal, in the organisation's own words.
    #[serde(default)]
    #[garde(length(chars, max = 100), inner(custom(validation::readable)))]
    pub role: Option<String>,
}

/// What becomes of the people.
#[derive(Debug, Default)]
pub(crate) struct ContactPlan {
    /// New ones and those with another role.
    pub(crate) written: Vec<NewDealContact>,
    /// Those who go.
    pub(crate) removed: Vec<ContactId>,
}

impl ContactPlan {
    pub(crate) fn is_empty(&self) -> bool {
        self.written.is_empty() && self.removed.is_empty()
    }
}

fn bounded(contacts: &[NewDealContact], (): &()) -> garde::Result {
    let fits = contacts.len() <= MOST_CONTACTS;
    if fits { Ok(()) } else { Err(garde::Error::new(format!("too_many: at most {MOST_CONTACTS} people"))) }
}

/// What is to be done so that these take part. `living` are those of them who are there and not in the bin.
pub(crate) fn plan(
    current: &[DealContact],
    wanted: &[NewDealContact],
    living: &HashSet<ContactId>,
) -> Result<ContactPlan, Vec<FieldError>> {
    let (mut plan, mut faults, mut seen) = (ContactPlan::default(), Vec::new(), HashSet::new());
    for (index, sent) in wanted.iter().enumerate() {
        let pointer = format!("/data/{index}/contact_id");
        let there = current.iter().find(|contact| contact.contact_id == sent.contact_id);
        if !seen.insert(sent.contact_id) {
            faults.push(FieldError::new(pointer, "duplicate", "takes part already"));
        } else if there.is_none() && !living.contains(&sent.contact_id) {
            faults.push(FieldError::new(pointer, "reference", "no such record"));
        } else if there.is_none_or(|contact| contact.role != sent.role) {
            plan.written.push(sent.clone());
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    plan.removed = current.iter().map(|contact| contact.contact_id).filter(|id| !seen.contains(id)).collect();
    Ok(plan)
}
