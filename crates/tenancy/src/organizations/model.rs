//! The organisation as it is read and changed.

use crm_kernel::{
    OrganizationId, Timestamp, validation,
    values::{nullable, present},
};
use diesel::{AsChangeset, Queryable, Selectable};
use serde::{Deserialize, Serialize};

use crate::schema::organizations;

/// An organisation.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = organizations, check_for_backend(diesel::pg::Pg))]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// Name as shown.
    pub name: String,
    /// Name in addresses.
    pub slug: String,
    /// ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// ISO 4217; sums are in this currency.
    pub default_currency: String,
    /// IANA time zone.
    pub time_zone: String,
    /// Days after which deleted records are purged; null keeps them for ever.
    pub bin_retention_days: Option<i32>,
    /// Days after which addresses and client descriptions are taken out of the log and of ended sessions.
    pub address_retention_days: i32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Counts its changes, those of its security settings included; see If-Match.
    pub version: i32,
}

/// A change to an organisation: what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, AsChangeset, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = organizations)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct OrganizationChanges {
    /// Name as shown.
    #[serde(deserialize_with = "present")]
    #[garde(length(chars, max = 255), inner(custom(validation::readable)))]
    pub name: Option<String>,
    /// Name in addresses; unique among all organisations. The old one is free again.
    #[serde(deserialize_with = "present")]
    #[garde(length(chars, max = 100), inner(custom(validation::slug)))]
    pub slug: Option<String>,
    /// ISO 3166-1 alpha-2.
    #[serde(deserialize_with = "nullable")]
    #[garde(inner(inner(custom(validation::country))))]
    pub country: Option<Option<String>>,
    /// ISO 4217; stays as it is as soon as a deal has an amount.
    #[serde(deserialize_with = "present")]
    #[garde(inner(custom(validation::currency)))]
    pub default_currency: Option<String>,
    /// IANA time zone.
    #[serde(deserialize_with = "present")]
    #[garde(inner(custom(validation::time_zone)))]
    pub time_zone: Option<String>,
    /// Days after which deleted records are purged, 1 to 3650; null keeps them for ever.
    #[serde(deserialize_with = "nullable")]
    #[garde(range(min = 1, max = 3650))]
    pub bin_retention_days: Option<Option<i32>>,
    /// Days after which addresses and client descriptions are emptied, 1 to 3650.
    #[serde(deserialize_with = "present")]
    #[garde(range(min = 1, max = 3650))]
    pub address_retention_days: Option<i32>,
}

/// How an organisation wants to be entered.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = organizations, check_for_backend(diesel::pg::Pg))]
pub struct SecuritySettings {
    /// The organisation.
    pub id: OrganizationId,
    /// Whether every session must have been opened with a second factor.
    pub require_second_factor: bool,
    /// Days after which a session ends, however often it is refreshed; null leaves it to the program.
    pub session_days: Option<i32>,
    /// Days for which an API token can be issued at most; null sets no limit.
    pub api_token_days: Option<i32>,
    /// When the organisation was last changed.
    pub updated_at: Timestamp,
    /// The organisation's version; see If-Match.
    pub version: i32,
}

/// A change to the security settings: what is absent stays. Limits that are drawn tighter hold for open sessions and tokens too.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, AsChangeset, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = organizations)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct SecuritySettingsChanges {
    /// Whether every session must have been opened with a second factor. Whoever says so has given one in this very session.
    #[serde(deserialize_with = "present")]
    pub require_second_factor: Option<bool>,
    /// Days after which a session ends, 1 to 3650; null leaves it to the program.
    #[serde(deserialize_with = "nullable")]
    #[garde(range(min = 1, max = 3650))]
    pub session_days: Option<Option<i32>>,
    /// Days for which an API token can be issued at most, 1 to 3650; null sets no limit.
    #[serde(deserialize_with = "nullable")]
    #[garde(range(min = 1, max = 3650))]
    pub api_token_days: Option<Option<i32>>,
}
