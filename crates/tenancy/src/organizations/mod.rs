//! The organisation: its settings, its security settings, its end.
//!
//! Does not live here: who belongs to it (members), nor how one is made (identity).
//! Must stay true: a transaction knows its own organisation alone; security and the end of it are the owner's, which the database
//! decides (app.guard_organization).

mod model;
mod service;
mod store;

use crm_kernel::{Date, Result};

use crate::Tx;

pub use model::{Organization, OrganizationChanges, SecuritySettings, SecuritySettingsChanges};
pub use service::{Organizations, PgOrganizations};

/// The day it is where the organisation is: what is kept as having happened today happened on it, whoever did it and wherever they are.
///
/// # Errors
/// When the database cannot be asked.
pub async fn today(tx: &mut Tx) -> Result<Date> {
    store::today(tx).await
}
