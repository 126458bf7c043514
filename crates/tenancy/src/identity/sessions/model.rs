//! A session, as its person sees it.

use std::str::FromStr;

use crm_kernel::{Error, OrganizationId, Result, SessionId, Timestamp};
use serde::Serialize;

crm_kernel::text_enum!(
    /// How a session began.
    SessionMethod {
        /// With a password.
        Password = "password",
        /// With the token of another identity provider.
        External = "external",
        /// From a session in another organisation.
        Switch = "switch",
        /// With the confirmation of a registration.
        Registration = "registration",
        /// With an invitation.
        Invitation = "invitation",
    }
);

/// A session that lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct Session {
    /// Its id, for `DELETE /auth/sessions/{id}`.
    pub id: SessionId,
    /// Where it is.
    pub organization_id: OrganizationId,
    /// The organisation's name.
    pub organization_name: String,
    /// The organisation's name in addresses.
    pub organization_slug: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last refreshed.
    pub last_used_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// The address it began from.
    pub ip: Option<String>,
    /// What the client said of itself.
    pub user_agent: Option<String>,
    /// How it began.
    pub method: SessionMethod,
    /// When a second factor was given in it; null when none was.
    pub second_factor_at: Option<Timestamp>,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// One's living sessions, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct SessionList {
    /// The newest two hundred.
    pub data: Vec<Session>,
}

impl SessionMethod {
    pub(super) fn read(text: &str) -> Result<Self> {
        Self::from_str(text).map_err(|error: String| Error::internal(error))
    }
}
