//! What goes into external identities and what comes out.

use crm_kernel::{ExternalIdentityId, Timestamp};
use serde::{Deserialize, Serialize};

/// A token of an external provider, to be exchanged for a session.
#[derive(Clone, Deserialize, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
pub struct ExchangeRequest {
    /// The JWT: of OpenID providers the ID token, of GoTrue the access token; 16 KiB at most. One that is not right is answered alike
    /// whatever is wrong with it, its length too.
    #[garde(skip)]
    pub token: String,
    /// Slug of the organisation to enter; the first one joined when absent.
    #[serde(default)]
    #[garde(length(chars, max = 100))]
    pub organization: Option<String>,
    /// A code of the second factor, or a recovery code; asked of who has one, unless the provider's word for one counts here.
    #[serde(default)]
    #[garde(length(chars, max = 100))]
    pub code: Option<String>,
}

/// A token of an external provider, whose identity is to be the caller's.
#[derive(Clone, Deserialize, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
pub struct LinkRequest {
    /// The JWT: of OpenID providers the ID token, of GoTrue the access token; 16 KiB at most. One that is not right is answered alike
    /// whatever is wrong with it, its length too.
    #[garde(skip)]
    pub token: String,
    /// The current password; required of who has one. None is asked of who has none, as those who come in with another identity provider.
    #[serde(default)]
    #[garde(length(bytes, max = 1024))]
    pub password: Option<String>,
}

/// What removing a linked identity takes.
#[derive(Clone, Default, Deserialize, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
pub struct UnlinkRequest {
    /// The current password; required of who has one. None is asked of who has none, as those who come in with another identity provider.
    #[serde(default)]
    #[garde(length(bytes, max = 1024))]
    pub password: Option<String>,
}

impl std::fmt::Debug for UnlinkRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("UnlinkRequest(secret)")
    }
}

impl std::fmt::Debug for ExchangeRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ExchangeRequest").field("organization", &self.organization).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for LinkRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("LinkRequest").finish_non_exhaustive()
    }
}

/// An identity at an external provider with which the person may come in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct ExternalIdentity {
    /// Its id, for removing it.
    pub id: ExternalIdentityId,
    /// The provider's name here.
    pub provider: String,
    /// Who says who somebody is.
    pub issuer: String,
    /// The issuer's name for the person.
    pub subject: String,
    /// When it was linked.
    pub created_at: Timestamp,
    /// When the person last came in with it.
    pub last_used_at: Option<Timestamp>,
}
