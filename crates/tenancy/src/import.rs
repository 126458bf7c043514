//! Imports: records that come in with their own ids, times, owners and authors, thousands at once.
//!
//! Must stay true: this is the only way to set the time of a record. The database lets owners and admins alone do it (it asks
//! memberships, not the context), runs every guard and trigger, and refuses a time in the future. It checks shapes and
//! references, and custom fields by their definitions; that other values are sensible is for the caller to check with the rules of the
//! noun.

use crm_kernel::{Error, Result};
use diesel::sql_types::{Jsonb, Text};
use diesel_async::RunQueryDsl;
use serde_json::Value;

use crate::{
    Entity, Expect, Tx,
    custom_fields::{RecordKind, judge_imported},
};

/// Rows of one call of the database function: far below its bound of 5,000, so that a call ends long before the
/// statement timeout of the application's role.
const BATCH: usize = 2_000;

crm_kernel::text_enum!(
    /// What can be imported.
    Importable {
        /// Companies.
        Company = "company",
        /// Contacts.
        Contact = "contact",
        /// Deals.
        Deal = "deal",
    }
);

impl Importable {
    /// The noun, for errors.
    #[must_use]
    pub fn entity(self) -> Entity {
        let table = match self {
            Self::Company => "crm_companies",
            Self::Contact => "crm_contacts",
            Self::Deal => "crm_deals",
        };
        Entity { name: self.as_str(), table }
    }

    /// What its custom fields are defined for.
    fn kind(self) -> RecordKind {
        match self {
            Self::Company => RecordKind::Company,
            Self::Contact => RecordKind::Contact,
            Self::Deal => RecordKind::Deal,
        }
    }
}

diesel::define_sql_function! {
    /// Inserts the objects of a JSON array, whose keys are column names; returns how many.
    #[sql_name = "app.import_records"]
    fn import_records(entity: Text, rows: Jsonb) -> Integer;
}

/// Brings in these rows, in this order: JSON objects whose keys are columns (`id`, `created_at`, `updated_at`,
/// `created_by_id` and `owner_id` included). A key that is absent takes the column's default. Returns how many.
///
/// # Errors
/// `Forbidden` when the caller is neither owner nor admin; `Invalid` or `Conflict` with the column at fault, but not the row.
/// Nothing of the transaction can be kept then.
pub async fn records(tx: &mut Tx, noun: Importable, rows: &[Value]) -> Result<usize> {
    let mut imported = 0;
    for batch in rows.chunks(BATCH) {
        let mut batch = batch.to_vec();
        let faults = judge_imported(tx, noun.kind(), &mut batch).await?;
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        let call = diesel::select(import_records(noun.as_str(), Value::Array(batch)));
        let count: i32 = call.get_result(tx).await.expect_any(noun.entity())?;
        imported += usize::try_from(count).unwrap_or_default();
    }
    Ok(imported)
}
