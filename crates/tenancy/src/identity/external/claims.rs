//! What a token says, and whether that is right for its provider now.
//!
//! Must stay true: a claim that is needed and missing, or of another type, is a refusal; time is compared with the provider's skew
//! on both sides, and `exp` itself is already too late.

use std::time::SystemTime;

use serde::Deserialize;
use serde_json::Value;

use super::providers::{Provider, SecondFactor, Trust};

/// Seconds ahead at which a token that is good for one use may expire: so long it is remembered.
const LONGEST_ONCE: f64 = 24.0 * 60.0 * 60.0;
/// Seconds since 1970 that a provider can mean: the year 9999, the last that dates have room for. More is no moment but a mistake.
const LAST_MOMENT: f64 = 253_402_300_799.0;
/// Characters of a subject, as OpenID Connect has them.
const LONGEST_SUBJECT: usize = 255;

/// The claims that matter here.
#[derive(Deserialize)]
pub(super) struct Claims {
    pub iss: String,
    pub sub: String,
    aud: Audience,
    exp: f64,
    nbf: Option<f64>,
    iat: Option<f64>,
    azp: Option<String>,
    pub jti: Option<String>,
    amr: Option<Value>,
    aal: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Claims {
    /// Whether they are right for this provider at this moment.
    pub fn are_right(&self, provider: &Provider, now: SystemTime) -> bool {
        let skew = Skew { now: seconds(now), skew: seconds_of(provider.clock_skew_seconds) };
        let subject = self.sub.chars().count();
        self.iss == provider.issuer
            && (1..=LONGEST_SUBJECT).contains(&subject)
            && !self.sub.contains('\0')
            && self.is_for(provider)
            && skew.is_not_past(self.exp)
            && self.exp <= LAST_MOMENT
            && self.nbf.is_none_or(|from| skew.has_come(from))
            && self.iat.is_none_or(|issued| skew.has_come(issued))
            && (!provider.one_time || self.can_be_spent(skew.now))
    }

    /// We are meant, and among several we are the one that asked for it.
    fn is_for(&self, provider: &Provider) -> bool {
        let (meant, several) = match &self.aud {
            Audience::One(audience) => (*audience == provider.audience, false),
            Audience::Many(audiences) => (audiences.contains(&provider.audience), audiences.len() > 1),
        };
        let asked = match &self.azp {
            Some(party) => *party == provider.authorized_party,
            None => !several,
        };
        meant && asked
    }

    fn can_be_spent(&self, now: f64) -> bool {
        let named = self.jti.as_ref().is_some_and(|id| (1..=256).contains(&id.len()));
        named && self.exp <= now + LONGEST_ONCE
    }

    /// Until when it could be shown, in seconds since 1970.
    pub fn ends(&self, provider: &Provider) -> i64 {
        #[allow(clippy::cast_possible_truncation, reason = "bounded by the longest life of a token that is remembered")]
        let end = self.exp.ceil() as i64;
        end.saturating_add(provider.clock_skew_seconds)
    }

    /// Whether a second factor was given and the provider's word for it counts.
    pub fn proves_second_factor(&self, provider: &Provider) -> bool {
        let methods = self.amr.as_ref().and_then(Value::as_array).into_iter().flatten();
        let said = methods.into_iter().any(|method| method == "mfa")
            || (matches!(provider.trust, Trust::Secret(_)) && self.aal.as_deref() == Some("aal2"));
        provider.second_factor == SecondFactor::TrustedWhenAmrMfa && said
    }
}

/// A moment, and how far the other side's clock may be from it.
struct Skew {
    now: f64,
    skew: f64,
}

impl Skew {
    fn is_not_past(&self, moment: f64) -> bool {
        moment.is_finite() && self.now < moment + self.skew
    }

    fn has_come(&self, moment: f64) -> bool {
        moment.is_finite() && moment <= self.now + self.skew
    }
}

fn seconds(moment: SystemTime) -> f64 {
    moment.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

fn seconds_of(skew: i64) -> f64 {
    i32::try_from(skew).map_or(0.0, f64::from)
}
