//! Judging a token: whose it is, whether it may be used so, and how far it reaches.
//!
//! Must stay true: a block that a holder has added only ever takes away; what is judged is the whole token, with every block of
//! it, each time.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use biscuit_auth::{
    AuthorizerLimits, Biscuit,
    builder::{AuthorizerBuilder, Rule, Term, fact},
    error::{FailedCheck, Logic, RunLimit, Token as TokenError},
    macros::rule,
};
use crm_kernel::{Error, Result};

use super::{
    attenuation::{self, Records},
    claims::{Claims, Proof, hash},
    keys::KeyRing,
};

/// What a token is used for; narrowed tokens check these facts.
#[derive(Debug, Clone)]
pub struct Use<'a> {
    /// `company:update`
    pub operation: &'a str,
    /// `company`
    pub entity: &'a str,
    /// `read`, `write` or `manage`
    pub access: &'a str,
    /// The record's id, where the operation is about one.
    pub resource: Option<&'a str>,
}

/// A compiled policy: parsed once, cloned per request.
#[derive(Clone)]
pub struct Policy {
    rules: AuthorizerBuilder,
    claims: Rule,
}

/// The answer of a policy to a valid token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Allowed,
    /// The token is good, but not for this.
    Denied,
}

/// What came of a token.
#[derive(Debug)]
pub struct Decision {
    /// What it says.
    pub claims: Claims,
    /// Of an API token: SHA-256 of its first signature, for the database to compare.
    pub token_hash: Option<[u8; 32]>,
    /// Whether it may be used so.
    pub verdict: Verdict,
    /// What else it may be used for.
    pub reach: Reach,
}

/// What a token may be used for beside the operation it was shown for: for what an answer can bring along.
#[derive(Debug)]
pub enum Reach {
    /// A token as it was issued at a login: whatever its role may.
    Whole,
    /// Less, and its checks have to be asked.
    Limited(Box<Limited>),
}

/// A token that may have further checks.
pub struct Limited {
    token: Biscuit,
    records: Records,
    /// How often it was asked, for one answer.
    asked: AtomicUsize,
}

impl std::fmt::Debug for Limited {
    /// Without the token: who has it can use it.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Limited").field("records", &self.records).finish_non_exhaustive()
    }
}

/// How often a token can be asked for one answer: each time its checks are evaluated, and an answer may embed hundreds of records.
const MOST_ASKED: usize = 64;

impl Records {
    fn forbid(self, wanted: &Use<'_>) -> bool {
        self == Self::Excluded && wanted.resource.is_none()
    }
}

impl Reach {
    /// Whether records have to be asked about one by one, because the token says something about single ones.
    #[must_use]
    pub fn is_by_record(&self) -> bool {
        matches!(self, Self::Limited(limited) if limited.records != Records::Unnamed)
    }

    /// Whether it may also be used so.
    ///
    /// # Errors
    /// `Forbidden` when it has been asked too often for one answer; `Unavailable` when a limit tripped.
    pub fn allows(&self, policy: &Policy, wanted: &Use<'_>) -> Result<bool> {
        let Self::Limited(limited) = self else { return Ok(true) };
        if limited.asked.fetch_add(1, Ordering::Relaxed) >= MOST_ASKED {
            return Err(Error::forbidden(format!(
                "this token is limited, and is not asked about more than {MOST_ASKED} records at once"
            )));
        }
        if limited.records.forbid(wanted) {
            return Ok(false);
        }
        let mut authorizer = policy.with_facts(&limited.token, wanted)?.build(&limited.token).map_err(not_valid)?;
        match authorizer.authorize() {
            Ok(_) => Ok(true),
            Err(TokenError::FailedLogic(_)) => Ok(false),
            Err(error) => Err(not_valid(error)),
        }
    }
}

/// Whoever holds a token may have narrowed it with a further block. What that block says is in its own checks; that it is there is
/// a fact for the policy, because a narrowed token must not be traded for a whole one. An API token is never a whole one.
const STATES: &str = r#"
    token($blocks) <- blocks($blocks), session($id);
    token("api") <- api_token($id);
    proof("session", $id) <- session($id);
    proof("api_token", $id) <- api_token($id);
"#;

impl Policy {
    /// Compiles a policy in biscuit's language.
    ///
    /// # Errors
    /// `Internal` when the text does not parse.
    pub fn new(code: &str) -> Result<Self> {
        let limits = AuthorizerLimits { max_facts: 1_000, max_iterations: 100, max_time: Duration::from_secs(1) };
        let rules = AuthorizerBuilder::new().code(STATES).and_then(|builder| builder.code(code)).map_err(Error::internal)?;
        let claims = rule!(
            "claims($user, $organization, $role, $actor, $environment, $kind, $id) <- user($user), organization($organization),
             role($role), actor($actor), environment($environment), proof($kind, $id)"
        );
        Ok(Self { rules: rules.set_limits(limits), claims })
    }

    /// Verifies the token and asks the policy whether it may be used so.
    ///
    /// # Errors
    /// `Unauthenticated` when it is not ours, damaged or expired; `Unavailable` when a limit tripped.
    pub fn decide(&self, token: &str, keys: &KeyRing, wanted: &Use<'_>) -> Result<Decision> {
        let token = keys.read(token)?;
        let records = attenuation::judge(&token)?;
        let mut authorizer = self.with_facts(&token, wanted)?.build(&token).map_err(not_valid)?;
        let verdict = match authorizer.authorize() {
            Ok(_) if records.forbid(wanted) => Verdict::Denied,
            Ok(_) => Verdict::Allowed,
            Err(error) if expired(&error) => return Err(Error::unauthenticated("the token has expired")),
            Err(TokenError::FailedLogic(_)) => Verdict::Denied,
            Err(error) => return Err(not_valid(error)),
        };
        let said: Vec<Said> = authorizer.query(self.claims.clone()).map_err(not_valid)?;
        let claims = claims(said, keys)?;
        let (token_hash, limited) = match claims.proof {
            Proof::Session(_) => (None, token.block_count() > 1),
            Proof::ApiToken(_) => (Some(hash(&token)?), true),
        };
        let reach =
            if limited { Reach::Limited(Box::new(Limited { token, records, asked: AtomicUsize::new(0) })) } else { Reach::Whole };
        Ok(Decision { claims, token_hash, verdict, reach })
    }

    fn with_facts(&self, token: &Biscuit, wanted: &Use<'_>) -> Result<AuthorizerBuilder> {
        let mut builder = self.rules.clone();
        let named = [
            ("blocks", Some(if token.block_count() == 1 { "whole" } else { "narrowed" })),
            ("operation", Some(wanted.operation)),
            ("entity", Some(wanted.entity)),
            ("access", Some(wanted.access)),
            ("resource", wanted.resource),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                builder = builder.fact(fact(name, &[Term::Str(value.to_owned())])).map_err(Error::internal)?;
            }
        }
        Ok(builder.time())
    }
}

impl std::fmt::Debug for Policy {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Policy")
    }
}

/// User, organisation, role, actor, environment, kind of proof, its id.
type Said = (String, String, String, String, String, String, String);

fn claims(said: Vec<Said>, keys: &KeyRing) -> Result<Claims> {
    let invalid = || Error::unauthenticated("the token is not valid");
    let [(user, organization, role, actor, environment, kind, id)] = <[_; 1]>::try_from(said).map_err(|_| invalid())?;
    if environment != keys.environment().name() {
        return Err(Error::unauthenticated("the token is one of another environment"));
    }
    let proof = match kind.as_str() {
        "session" => id.parse().map(Proof::Session),
        _ => id.parse().map(Proof::ApiToken),
    };
    Ok(Claims {
        user_id: user.parse().map_err(|_| invalid())?,
        organization_id: organization.parse().map_err(|_| invalid())?,
        role: role.parse().map_err(|_| invalid())?,
        actor: actor.parse().map_err(|_| invalid())?,
        proof: proof.map_err(|_| invalid())?,
    })
}

/// The first check of the authority block is its expiry.
fn expired(error: &TokenError) -> bool {
    let TokenError::FailedLogic(Logic::Unauthorized { checks, .. } | Logic::NoMatchingPolicy { checks }) = error else {
        return false;
    };
    checks.iter().any(|check| matches!(check, FailedCheck::Block(block) if block.block_id == 0 && block.check_id == 0))
}

fn not_valid(error: TokenError) -> Error {
    match error {
        TokenError::RunLimit(RunLimit::Timeout | RunLimit::TooManyFacts | RunLimit::TooManyIterations) => {
            Error::unavailable(error)
        }
        _ => Error::unauthenticated("the token is not valid"),
    }
}
