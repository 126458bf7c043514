//! The nouns that can be imported: their fields, what they refer to, and the rules of their own crates.

use crm_companies::{CompanyChanges, NewCompany};
use crm_contacts::{ContactChanges, NewContact};
use crm_deals::{DealChanges, NewDeal};
use crm_kernel::{Error, Field, FieldError, validation};
use crm_tenancy::import::Importable;
use serde::de::DeserializeOwned;
use serde_json::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Noun {
    Companies,
    Contacts,
    Deals,
}

/// What the import knows about a noun.
pub struct Definition {
    pub importable: Importable,
    pub plural: &'static str,
    pub fields: &'static [Field],
    /// Without these there is no record.
    pub required: &'static [&'static str],
    /// Columns that name another record by what people call it, and the field they fill.
    pub by_name: &'static [(&'static str, &'static str)],
    /// Values that no two records share.
    pub unique: &'static [Unique],
    /// The rules of the API for the values of one record.
    pub check: fn(Value) -> Vec<FieldError>,
}

pub struct Unique {
    pub field: &'static str,
    /// Selects those of the values $2 (in lower case) that are taken in the organisation $1.
    pub taken: &'static str,
}

impl Noun {
    pub fn definition(self) -> Definition {
        match self {
            Self::Companies => companies(),
            Self::Contacts => contacts(),
            Self::Deals => deals(),
        }
    }
}

fn companies() -> Definition {
    Definition {
        importable: Importable::Company,
        plural: "companies",
        fields: crm_companies::FIELDS,
        required: &["name"],
        by_name: &[("owner", "owner_id"), ("parent", "parent_id")],
        unique: &[
            Unique {
                field: "id",
                taken: "SELECT id::text FROM crm_companies
                         WHERE organization_id = $1::text::uuid AND id = ANY ($2::text[]::uuid[])",
            },
            Unique {
                field: "slug",
                taken: "SELECT slug FROM crm_companies
                         WHERE organization_id = $1::text::uuid AND deleted_at IS NULL AND slug = ANY ($2::text[])",
            },
        ],
        check: checked::<NewCompany, CompanyChanges>,
    }
}

fn contacts() -> Definition {
    Definition {
        importable: Importable::Contact,
        plural: "contacts",
        fields: crm_contacts::FIELDS,
        required: &["first_name", "last_name"],
        by_name: &[("owner", "owner_id"), ("company", "company_id")],
        unique: &[
            Unique {
                field: "id",
                taken: "SELECT id::text FROM crm_contacts
                         WHERE organization_id = $1::text::uuid AND id = ANY ($2::text[]::uuid[])",
            },
            Unique {
                field: "email",
                taken: "SELECT email_key FROM crm_contacts
                         WHERE organization_id = $1::text::uuid AND deleted_at IS NULL AND email_key = ANY ($2::text[])",
            },
        ],
        check: checked::<NewContact, ContactChanges>,
    }
}

fn deals() -> Definition {
    Definition {
        importable: Importable::Deal,
        plural: "deals",
        fields: crm_deals::FIELDS,
        required: &["name"],
        by_name: &[("owner", "owner_id"), ("company", "company_id"), ("contact", "primary_contact_id")],
        unique: &[Unique {
            field: "id",
            taken: "SELECT id::text FROM crm_deals
                     WHERE organization_id = $1::text::uuid AND id = ANY ($2::text[]::uuid[])",
        }],
        check: checked::<NewDeal, DealChanges>,
    }
}

/// What a service says about a new record: its type first, then the rules that sit on the changes.
fn checked<New, Changes>(values: Value) -> Vec<FieldError>
where
    New: DeserializeOwned,
    Changes: From<New> + garde::Validate<Context = ()>,
{
    let new: New = match serde_json::from_value(values) {
        Ok(new) => new,
        Err(error) => return vec![FieldError::new("", "type", error.to_string())],
    };
    match validation::check(&Changes::from(new)) {
        Ok(()) => Vec::new(),
        Err(Error::Invalid(problems)) => problems,
        Err(error) => vec![FieldError::new("", "invalid", error.to_string())],
    }
}
