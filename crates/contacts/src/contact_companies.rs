//! The companies that a contact belongs to, with what they are there, as they are shown and sent, and the rules of what is sent. No SQL here.
//!
//! Must stay true: `company_id` of the contact is the primary one of this list. A company stands in it once.

use std::collections::HashSet;

use crm_kernel::{CompanyId, ContactId, FieldError, validation};
use serde::{Deserialize, Serialize};

/// Companies of a contact at most.
const MOST_COMPANIES: usize = 50;

/// The companies of a contact, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct ContactCompanyList {
    /// The contact.
    pub contact_id: ContactId,
    /// The version of the contact, which counts changes of this list too; see If-Match.
    pub version: i32,
    /// The companies, at most 50.
    pub data: Vec<ContactCompany>,
}

impl ContactCompanyList {
    /// Takes out what companies are called, for whoever may not know.
    pub fn hide_names(&mut self) {
        for company in &mut self.data {
            company.name = None;
        }
    }
}

/// One company of a contact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct ContactCompany {
    /// The company.
    pub company_id: CompanyId,
    /// What the person is there, in the organisation's own words: managing director, adviser, former employee.
    pub role: Option<String>,
    /// Whether it is the contact's `company_id`.
    pub is_primary: bool,
    /// The company's name.
    pub name: Option<String>,
    /// Whether the company is in the bin.
    pub is_deleted: bool,
}

/// All companies of a contact.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct ContactCompaniesRequest {
    /// The companies, at most 50. Those that are there and are missing here are removed.
    #[garde(custom(bounded), dive)]
    pub data: Vec<NewContactCompany>,
}

/// A company as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct NewContactCompany {
    /// The company.
    pub company_id: CompanyId,
    /// What the person is there, in the organisation's own words.
    #[serde(default)]
    #[garde(length(chars, max = 100), inner(custom(validation::readable)))]
    pub role: Option<String>,
    /// Whether it becomes the contact's `company_id`; where none does, the first one that is not in the bin
    /// becomes it.
    #[serde(default)]
    pub is_primary: Option<bool>,
}

fn bounded(companies: &[NewContactCompany], (): &()) -> garde::Result {
    let fits = companies.len() <= MOST_COMPANIES;
    if fits { Ok(()) } else { Err(garde::Error::new(format!("too_many: at most {MOST_COMPANIES} companies"))) }
}

/// The list as it is kept, with one primary company. `current` are those that are in it, `living` those that are there and not in the bin.
pub(crate) fn settled(
    current: &[ContactCompany],
    wanted: &[NewContactCompany],
    living: &HashSet<CompanyId>,
) -> Result<Vec<ContactCompany>, Vec<FieldError>> {
    let (mut faults, mut seen) = (Vec::new(), HashSet::new());
    // Nobody comes to a company in the bin; who works there already may go on to.
    let may_be_first = |sent: &NewContactCompany| {
        let is_first = |company: &ContactCompany| company.company_id == sent.company_id && company.is_primary;
        living.contains(&sent.company_id) || current.iter().any(is_first)
    };
    for (index, sent) in wanted.iter().enumerate() {
        let pointer = format!("/data/{index}/company_id");
        if !seen.insert(sent.company_id) {
            faults.push(FieldError::new(pointer, "duplicate", "stands in the list already"));
        } else if !living.contains(&sent.company_id) && !current.iter().any(|company| company.company_id == sent.company_id) {
            faults.push(FieldError::new(pointer, "reference", "no such record"));
        } else if sent.is_primary == Some(true) && !may_be_first(sent) {
            faults.push(FieldError::new(pointer, "parent_deleted", "the record it refers to has been deleted"));
        }
        let is_second = wanted.iter().take(index).any(|other| other.is_primary == Some(true));
        if sent.is_primary == Some(true) && is_second {
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
    let primary = wanted.iter().position(|sent| sent.is_primary == Some(true)).or_else(|| wanted.iter().position(may_be_first));
    let kept = |(index, sent): (usize, &NewContactCompany)| ContactCompany {
        company_id: sent.company_id,
        role: sent.role.clone(),
        is_primary: primary == Some(index),
        name: None,
        is_deleted: false,
    };
    Ok(wanted.iter().enumerate().map(kept).collect())
}
