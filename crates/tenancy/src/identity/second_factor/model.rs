//! What goes into the second factor and what comes out.

use crm_kernel::Timestamp;
use serde::{Deserialize, Serialize};

/// Whether there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct SecondFactorStatus {
    /// Since when; null when it is off.
    pub enabled_at: Option<Timestamp>,
    /// Recovery codes that have not been used.
    pub recovery_codes_left: i32,
    /// Whether an organisation of mine lets nobody in without one.
    pub required: bool,
    /// Whether this session has given one.
    pub given: bool,
}

/// What an authenticator is told, once.
#[derive(Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct SecondFactorSeed {
    /// The seed in base32, to type.
    pub seed: String,
    /// The same as an `otpauth:` address, to show as a QR code.
    pub uri: String,
}

impl std::fmt::Debug for SecondFactorSeed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SecondFactorSeed(secret)")
    }
}

/// Codes to keep on paper, shown once.
#[derive(Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct RecoveryCodes {
    /// Each works once, in place of a code of the authenticator.
    pub recovery_codes: Vec<String>,
}

impl std::fmt::Debug for RecoveryCodes {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "RecoveryCodes({} secret)", self.recovery_codes.len())
    }
}

/// What beginning takes.
#[derive(Clone, Default, Deserialize, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
pub struct EnrollmentRequest {
    /// The current password; required of who has one. None is asked of who has none, as those who come in with another identity provider.
    #[serde(default)]
    #[garde(length(bytes, max = 1024))]
    pub password: Option<String>,
}

impl std::fmt::Debug for EnrollmentRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("EnrollmentRequest(secret)")
    }
}

/// A code.
#[derive(Clone, Deserialize, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
pub struct CodeRequest {
    /// What the authenticator shows now, or a recovery code.
    #[garde(length(chars, min = 1, max = 100))]
    pub code: String,
}

impl std::fmt::Debug for CodeRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("CodeRequest(secret)")
    }
}

/// The first code of a new seed.
#[derive(Clone, Deserialize, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
pub struct FirstCodeRequest {
    /// What the authenticator shows now: it shows that the seed arrived.
    #[garde(length(chars, min = 1, max = 100))]
    pub code: String,
}

impl std::fmt::Debug for FirstCodeRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("FirstCodeRequest(secret)")
    }
}

/// What turning it off takes.
#[derive(Clone, Deserialize, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
pub struct TurnOffRequest {
    /// What the authenticator shows now, or a recovery code.
    #[garde(length(chars, min = 1, max = 100))]
    pub code: String,
    /// The password; of who has none, as those who come in with another identity provider, none is asked.
    #[serde(default)]
    #[garde(length(bytes, max = 1024))]
    pub password: Option<String>,
}

impl std::fmt::Debug for TurnOffRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("TurnOffRequest(secret)")
    }
}
