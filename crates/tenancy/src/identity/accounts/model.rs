//! What goes into accounts and what comes out.

use crm_kernel::{Error, FieldError, Result, validation};
use garde::Validate;
use serde::{Deserialize, Serialize};

use crate::identity::{Tokens, password_rules::judge_password};

/// Whether strangers may sign up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SignUp {
    /// Yes, and at once, without proof that the address is theirs: for development.
    Open,
    /// Yes, with a letter that confirms the address.
    #[default]
    Confirm,
    /// No.
    Closed,
}

/// Whether letters leave this process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Delivery {
    /// They are sent.
    #[default]
    On,
    /// They are not, so what needs one is refused.
    Off,
}

/// How accounts are handled here.
#[derive(Debug, Clone, Copy, Default)]
pub struct AccountOptions {
    /// Whether strangers may sign up.
    pub sign_up: SignUp,
    /// Whether letters leave this process.
    pub delivery: Delivery,
}

/// A person who wants an account and an organisation of their own.
#[derive(Clone, Deserialize, Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct Registration {
    /// Address that the person will log in with; case does not matter.
    #[garde(length(chars, max = 255), custom(mail_address))]
    pub email: String,
    /// At least 10 characters, at most 1024 bytes; none of the commonest, and not the person's name or address.
    pub password: String,
    /// Name as shown.
    #[garde(length(chars, max = 255), custom(validation::readable))]
    pub full_name: String,
    /// Name of the organisation.
    #[garde(length(chars, max = 255), custom(validation::readable))]
    pub organization_name: String,
    /// The organisation's name in addresses; made from its name when absent.
    #[serde(default)]
    #[garde(length(chars, max = 100), inner(custom(validation::slug)))]
    pub slug: Option<String>,
    /// IANA time zone of person and organisation; `UTC` when absent.
    #[serde(default)]
    #[garde(inner(custom(validation::time_zone)))]
    pub time_zone: Option<String>,
    /// ISO 3166-1 alpha-2.
    #[serde(default)]
    #[garde(inner(custom(validation::country)))]
    pub country: Option<String>,
    /// ISO 4217; `USD` when absent.
    #[serde(default)]
    #[garde(inner(custom(validation::currency)))]
    pub default_currency: Option<String>,
    /// BCP 47 language tag; `en` when absent.
    #[serde(default)]
    #[garde(inner(custom(language_tag)))]
    pub locale: Option<String>,
}

/// The token of a letter that confirms a sign-up, and the password that was chosen: whoever reads the mail of an address must not make
/// an account that a stranger's password opens.
#[derive(Clone, Deserialize, Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct RegistrationConfirmation {
    /// From the link in the letter.
    pub token: String,
    /// The password that was chosen at sign-up.
    #[garde(length(bytes, min = 1, max = 1024))]
    pub password: String,
    /// Another name of the organisation in addresses, when the one that was asked for is taken by now.
    #[serde(default)]
    #[garde(length(chars, max = 100), inner(custom(validation::slug)))]
    pub slug: Option<String>,
}

/// An address whose password was forgotten.
#[derive(Clone, Deserialize, Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
pub struct ForgottenPassword {
    /// Where the letter goes.
    #[garde(length(chars, max = 255), custom(mail_address))]
    pub email: String,
}

/// A new password, by the link of a letter.
#[derive(Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
pub struct PasswordReset {
    /// From the link in the letter.
    pub token: String,
    /// The new password, by the rules of sign-up.
    pub password: String,
}

/// That a password was set by the link of a letter.
#[derive(Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct PasswordSet {
    /// Keep it on this device and send it with the login: whoever sends it is not turned away because others tried too often. Null for a
    /// person with a second factor: a device is known there when a code was given on it.
    pub device_token: Option<String>,
}

impl std::fmt::Debug for PasswordSet {
    /// Without the token: a value that is printed by accident must not tell it.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("PasswordSet").finish_non_exhaustive()
    }
}

/// A new password, by whoever knows the old one.
#[derive(Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The one that counts until now.
    pub current_password: String,
    /// The new password, by the rules of sign-up.
    pub new_password: String,
}

/// Another address for a person.
#[derive(Clone, Deserialize, Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct EmailChange {
    /// The new address, which the letter goes to.
    #[garde(length(chars, max = 255), custom(mail_address))]
    pub email: String,
    /// The person's password.
    pub current_password: String,
}

/// The token of a letter.
#[derive(Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
pub struct LinkToken {
    /// From the link in the letter.
    pub token: String,
}

/// A change of what a person says of themselves: what is absent stays.
#[derive(Debug, Clone, Default, Deserialize, Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct ProfileChanges {
    /// Name as shown.
    #[serde(deserialize_with = "crm_kernel::values::present")]
    #[garde(length(chars, max = 255), inner(custom(validation::readable)))]
    pub full_name: Option<String>,
    /// IANA time zone.
    #[serde(deserialize_with = "crm_kernel::values::present")]
    #[garde(inner(custom(validation::time_zone)))]
    pub time_zone: Option<String>,
    /// BCP 47 language tag.
    #[serde(deserialize_with = "crm_kernel::values::present")]
    #[garde(inner(custom(language_tag)))]
    pub locale: Option<String>,
}

/// What is answered whether or not there is such an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct Accepted {
    /// For people.
    pub message: String,
}

impl Default for Accepted {
    fn default() -> Self {
        Self { message: "a letter is on its way to this address, if it can be".into() }
    }
}

/// What a sign-up gives.
#[derive(Debug, Clone)]
pub enum Registered {
    /// A letter will say how to go on.
    Pending(Accepted),
    /// The person is in.
    Entered(Tokens),
}

/// What must not be printed by accident stays out of `Debug`.
macro_rules! secret_debug {
    ($($name:ident { $($shown:ident),* }),+ $(,)?) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.debug_struct(stringify!($name))$(.field(stringify!($shown), &self.$shown))*.finish_non_exhaustive()
            }
        }
    )+};
}
secret_debug!(
    Registration { email },
    RegistrationConfirmation { slug },
    ForgottenPassword { email },
    PasswordReset {},
    PasswordChange {},
    EmailChange { email },
    LinkToken {},
);

impl Registration {
    /// Every value that breaks a rule of its own.
    ///
    /// # Errors
    /// `Invalid` with all of them.
    pub fn check(&self) -> Result<()> {
        let faults = faults(self).into_iter().chain(judge_password("/password", &self.password, &[&self.email, &self.full_name]));
        invalid_unless_empty(faults.collect())
    }
}

/// What garde finds.
pub(super) fn faults<T: Validate<Context = ()>>(input: &T) -> Vec<FieldError> {
    input.validate().err().map_or_else(Vec::new, |report| validation::field_errors(&report))
}

pub(super) fn invalid_unless_empty(faults: Vec<FieldError>) -> Result<()> {
    if faults.is_empty() { Ok(()) } else { Err(Error::Invalid(faults)) }
}

/// An address that a letter of ours can go to: no quoted words, which few servers take, and a whole domain.
pub(in crate::identity) fn mail_address(text: &str, context: &()) -> garde::Result {
    validation::email(text, context)?;
    let is_whole = text.rsplit_once('@').is_some_and(|(local, domain)| !local.starts_with('"') && domain.contains('.'));
    if is_whole { Ok(()) } else { Err(garde::Error::new("email: not an e-mail address that letters can be sent to")) }
}

/// A language tag as BCP 47 writes them: a language, then subtags.
fn language_tag(text: &str, _: &()) -> garde::Result {
    let mut parts = text.split('-');
    let is_language = |part: &str| (2..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphabetic());
    let is_subtag = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    // A single character announces an extension, which must follow.
    let is_whole = text.rsplit('-').next().is_some_and(|last| last.len() > 1);
    if text.len() <= 35 && is_whole && parts.next().is_some_and(is_language) && parts.all(is_subtag) {
        return Ok(());
    }
    Err(garde::Error::new("locale: not a language tag such as `en` or `pt-BR`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_judged_by_what_mail_can_reach() {
        for good in ["a@b.co", "first.last+tag@example.com", "o'hara@sub.example.co.uk", "имя@пример.рф", "x_y@123.example"]
        {
            assert!(mail_address(good, &()).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a",
            "a@",
            "@b.co",
            "a@b",
            "a b@c.de",
            "a@b..co",
            ".a@b.co",
            "a.@b.co",
            "a@-b.co",
            "a@b.co\r\nBcc: x@y.z",
            "a@b.co ",
            "\"a\"@b.co",
            "a@[127.0.0.1]",
            "<a@b.co>",
            "a\0@b.co",
            "a,b@c.de",
        ] {
            assert!(mail_address(bad, &()).is_err(), "{bad:?}");
        }
        assert!(mail_address(&format!("{}@b.co", "a".repeat(65)), &()).is_err());
    }

    #[test]
    fn locales_are_language_tags() {
        for good in ["en", "de-AT", "zh-Hans-CN", "sr-Latn-RS", "es-419", "de-CH-1996", "en-u-ca-gregory"] {
            assert!(language_tag(good, &()).is_ok(), "{good}");
        }
        for bad in ["", "e", "en_US", "en-", "-en", "en--US", "123", "en-x", "english!", "en-ü", "abcdefghi"] {
            assert!(language_tag(bad, &()).is_err(), "{bad:?}");
        }
        assert!(language_tag(&format!("en{}", "-abcdefgh".repeat(4)), &()).is_err());
    }
}
