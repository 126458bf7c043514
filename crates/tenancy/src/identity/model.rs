//! What goes into identity and what comes out.

use std::net::IpAddr;

use crm_kernel::{OrganizationId, Role, UserId};
use serde::{Deserialize, Serialize};

use crate::organizations::Organization;

/// A person at the door.
#[derive(Clone, Default, Deserialize, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// Address the person is known by; case does not matter.
    #[garde(length(chars, min = 1, max = 255))]
    pub email: String,
    /// The password.
    #[garde(length(bytes, min = 1, max = 1024))]
    pub password: String,
    /// Slug of the organisation to enter; the first one joined when absent.
    #[serde(default)]
    #[garde(length(chars, max = 100))]
    pub organization: Option<String>,
    /// A code of the second factor, or a recovery code; asked of who has one.
    #[serde(default)]
    #[garde(length(chars, max = 100))]
    pub code: Option<String>,
    /// From the last login on this device, or the password that was set here: whoever sends it is not turned away because others tried too often.
    #[serde(default)]
    #[garde(length(chars, max = 100))]
    pub device_token: Option<String>,
}

impl std::fmt::Debug for Credentials {
    /// Without the password: a value that is printed by accident must not tell it.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Credentials").field("email", &self.email).finish_non_exhaustive()
    }
}

/// Where a login comes from, for the session list.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// Address of the client.
    pub ip: Option<IpAddr>,
    /// The client's own description.
    pub user_agent: Option<String>,
    /// Identifies the request in the log.
    pub request_id: String,
}

/// Another organisation of the same person.
#[derive(Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
pub struct SwitchRequest {
    /// One of `organizations` of `GET /auth/me`.
    pub organization_id: OrganizationId,
    /// That of the session, not used yet. It is spent, and that session ends: go on with the tokens of the answer.
    pub refresh_token: String,
}

/// What a login, refresh or switch gives.
#[derive(Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct Tokens {
    /// Send as `Authorization: Bearer …`.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: String,
    /// Seconds until the access token expires.
    pub expires_in: u64,
    /// Good once: for `POST /auth/refresh`, `/auth/switch` or `/auth/invitations/join`.
    pub refresh_token: String,
    /// Seconds until the refresh token expires.
    pub refresh_expires_in: u64,
    /// Where the access token is valid.
    pub organization_id: OrganizationId,
    /// The person.
    pub user_id: UserId,
    /// As what.
    pub role: Role,
    /// After a login: keep it on this device and send it with the next one. Null otherwise.
    pub device_token: Option<String>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tokens").field("organization_id", &self.organization_id).finish_non_exhaustive()
    }
}

/// An organisation that a person belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct OrganizationRole {
    /// Its id, for `POST /auth/switch`.
    pub organization_id: OrganizationId,
    /// Its name.
    pub name: String,
    /// Its name in addresses.
    pub slug: String,
    /// As what.
    pub role: Role,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct Person {
    /// The person's id.
    pub id: UserId,
    /// Address the person logs in with.
    pub email: String,
    /// Name as shown.
    pub full_name: String,
    /// IANA time zone.
    pub time_zone: String,
    /// BCP 47 language tag.
    pub locale: String,
}

/// Who am I?
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct Me {
    /// The caller.
    pub user: Person,
    /// The organisation the token is for.
    pub organization: Organization,
    /// The caller's role in it, as memberships has it now.
    pub role: Role,
    /// Every organisation the caller may switch to.
    pub organizations: Vec<OrganizationRole>,
}
