//! Access tokens: biscuits that carry user, organisation, role and session and expire soon.
//!
//! Anyone may verify one with the public key; any holder may narrow one offline. The policy that decides what a token
//! may do is the gateway's; this module only knows how to make, read and ask one.
//! Must stay true: facts are read from the authority block alone, so a role forged in a later block gains nothing; a
//! limit that trips is our trouble (503), never a refusal (403).

use std::time::{Duration, SystemTime};

use biscuit_auth::{
    Algorithm, AuthorizerLimits, Biscuit, KeyPair, PrivateKey, PublicKey,
    builder::{AuthorizerBuilder, BiscuitBuilder, Term},
    error::{Logic, RunLimit, Token as TokenError},
    macros::biscuit,
};
use crm_kernel::{Error, OrganizationId, Result, Role, SessionId, UserId};

/// The key that signs access tokens.
pub struct TokenKey {
    pair: KeyPair,
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("TokenKey(secret)")
    }
}

/// The key that verifies access tokens: no secret.
#[derive(Debug, Clone, Copy)]
pub struct VerifyingKey(PublicKey);

/// What a token says about its holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Who.
    pub user_id: UserId,
    /// Where.
    pub organization_id: OrganizationId,
    /// As what, when the token was issued.
    pub role: Role,
    /// From which login.
    pub session_id: SessionId,
}

/// What a token is used for; narrowed tokens check these facts.
#[derive(Debug, Clone)]
pub struct Use<'a> {
    /// `company:update`
    pub operation: &'a str,
    /// `company`
    pub entity: &'a str,
    /// `read`, `write` or `manage`
    pub access: &'a str,
    /// The record's id, where the address names one.
    pub resource: Option<&'a str>,
}

/// A compiled policy: parsed once, cloned per request.
#[derive(Clone)]
pub struct Policy(AuthorizerBuilder);

/// The answer of a policy to a valid token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Allowed,
    /// The token is good, but not for this.
    Denied,
}

impl TokenKey {
    /// A new key.
    #[must_use]
    pub fn generate() -> Self {
        Self { pair: KeyPair::new_with_algorithm(Algorithm::Ed25519) }
    }

    /// From PKCS#8 PEM.
    ///
    /// # Errors
    /// `Internal` when the text is no such key.
    pub fn from_pem(text: &str) -> Result<Self> {
        let private = PrivateKey::from_pem(text).map_err(Error::internal)?;
        Ok(Self { pair: KeyPair::from(&private) })
    }

    /// As PKCS#8 PEM, to be kept secret.
    ///
    /// # Errors
    /// `Internal` when the key cannot be written.
    pub fn to_pem(&self) -> Result<String> {
        self.pair.to_private_key_pem().map(|pem| pem.to_string()).map_err(Error::internal)
    }

    /// The key that verifies.
    #[must_use]
    pub fn verifying(&self) -> VerifyingKey {
        VerifyingKey(self.pair.public())
    }

    /// A token with these claims that lives this long.
    ///
    /// # Errors
    /// `Internal` when it cannot be signed.
    pub fn issue(&self, claims: &Claims, lifetime: Duration) -> Result<String> {
        let expiry = SystemTime::now() + lifetime;
        let (user, organization) = (claims.user_id.to_string(), claims.organization_id.to_string());
        let (role, session) = (claims.role.as_str(), claims.session_id.to_string());
        let builder: BiscuitBuilder = biscuit!(
            "user({user}); organization({organization}); role({role}); session({session});
             check if time($time), $time < {expiry};"
        );
        builder.build(&self.pair).and_then(|token| token.to_base64()).map_err(Error::internal)
    }
}

impl Policy {
    /// Compiles a policy in biscuit's language.
    ///
    /// # Errors
    /// `Internal` when the text does not parse.
    pub fn new(code: &str) -> Result<Self> {
        let limits = AuthorizerLimits { max_facts: 1_000, max_iterations: 100, max_time: Duration::from_secs(1) };
        let builder = AuthorizerBuilder::new().code(code).map_err(Error::internal)?;
        Ok(Self(builder.set_limits(limits)))
    }

    /// Verifies the token and asks the policy whether it may be used so.
    ///
    /// # Errors
    /// `Unauthenticated` when it is not ours, damaged or expired; `Unavailable` when a limit tripped.
    pub fn decide(&self, token: &str, key: &VerifyingKey, wanted: &Use<'_>) -> Result<(Claims, Verdict)> {
        let token = Biscuit::from_base64(token, key.0).map_err(|_| Error::unauthenticated("the token is not valid"))?;
        bounded(&token)?;
        // Whoever holds a token may have narrowed it with a further block. What that block says is in its own checks; that it is
        // there is a fact for the policy, because a narrowed token must not be traded for a whole one.
        let whole = if token.block_count() == 1 { "whole" } else { "narrowed" };
        let state = biscuit_auth::builder::fact("token", &[Term::Str(whole.to_owned())]);
        let facts = self.with_facts(wanted)?.fact(state).map_err(Error::internal)?;
        let mut authorizer = facts.time().build(&token).map_err(not_valid)?;
        let verdict = match authorizer.authorize() {
            Ok(_) => Verdict::Allowed,
            Err(error) if expired(&error) => return Err(Error::unauthenticated("the token has expired")),
            Err(TokenError::FailedLogic(_)) => Verdict::Denied,
            Err(error) => return Err(not_valid(error)),
        };
        let facts: Vec<(String, String, String, String)> = authorizer
            .query("claims($user, $organization, $role, $session) <- user($user), organization($organization), role($role), session($session)")
            .map_err(not_valid)?;
        Ok((claims(facts)?, verdict))
    }

    fn with_facts(&self, wanted: &Use<'_>) -> Result<AuthorizerBuilder> {
        let mut builder = self.0.clone();
        let named = [
            ("operation", Some(wanted.operation)),
            ("entity", Some(wanted.entity)),
            ("access", Some(wanted.access)),
            ("resource", wanted.resource),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                builder =
                    builder.fact(biscuit_auth::builder::fact(name, &[Term::Str(value.to_owned())])).map_err(Error::internal)?;
            }
        }
        Ok(builder)
    }
}

impl std::fmt::Debug for Policy {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Policy")
    }
}

/// Blocks that may follow the first, and the characters each may have when written out.
const MOST_BLOCKS: usize = 4;
const LONGEST_BLOCK: usize = 1024;

/// A holder may add checks, and nothing that takes time to evaluate. The limits of a run are looked at only between its rounds,
/// so one rule that joins its own facts, or nested closures, would keep a thread busy for minutes on one small request.
fn bounded(token: &Biscuit) -> Result<()> {
    let too_much = || Error::unauthenticated("a token may be narrowed by a few plain checks only");
    if token.block_count() > 1 + MOST_BLOCKS || token.external_public_keys().iter().any(Option::is_some) {
        return Err(too_much());
    }
    for block in 1..token.block_count() {
        let source = token.print_block_source(block).map_err(not_valid)?;
        let statements = source.lines().map(str::trim).filter(|line| !line.is_empty());
        let plain = |line: &str| {
            (line.starts_with("check if ") || line.starts_with("reject if ")) && !line.contains("<-") && !line.contains("->")
        };
        if source.len() > LONGEST_BLOCK || !statements.into_iter().all(plain) {
            return Err(too_much());
        }
    }
    Ok(())
}

fn claims(facts: Vec<(String, String, String, String)>) -> Result<Claims> {
    let invalid = || Error::unauthenticated("the token is not valid");
    let [(user, organization, role, session)] = <[_; 1]>::try_from(facts).map_err(|_| invalid())?;
    Ok(Claims {
        user_id: user.parse().map_err(|_| invalid())?,
        organization_id: organization.parse().map_err(|_| invalid())?,
        role: role.parse().map_err(|_| invalid())?,
        session_id: session.parse().map_err(|_| invalid())?,
    })
}

/// The one check of the authority block is its expiry.
fn expired(error: &TokenError) -> bool {
    let TokenError::FailedLogic(Logic::Unauthorized { checks, .. } | Logic::NoMatchingPolicy { checks }) = error else {
        return false;
    };
    checks.iter().any(|check| matches!(check, biscuit_auth::error::FailedCheck::Block(block) if block.block_id == 0))
}

fn not_valid(error: TokenError) -> Error {
    match error {
        TokenError::RunLimit(RunLimit::Timeout | RunLimit::TooManyFacts | RunLimit::TooManyIterations) => {
            Error::unavailable(error)
        }
        _ => Error::unauthenticated("the token is not valid"),
    }
}
