//! The organisation: its settings, its security settings, its end.
//!
//! Does not live here: who belongs to it (members), nor how one is made (identity).
//! Must stay true: a transaction knows its own organisation alone; security and the end of it are the owner's, which the database
//! decides (app.guard_organization).

mod model;
mod service;
mod store;

pub use model::{Organization, OrganizationChanges, SecuritySettings, SecuritySettingsChanges};
pub use service::{Organizations, PgOrganizations};
