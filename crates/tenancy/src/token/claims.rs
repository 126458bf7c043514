//! What a token says about its holder, and what it keeps its holder from.
//!
//! Must stay true: the expiry is the first check of the authority block, so that an expired token is told from one that may not;
//! every other limit is a check too, so that a verifier of another make enforces it without knowing about it.

use std::{collections::BTreeSet, time::SystemTime};

use biscuit_auth::{
    Biscuit,
    builder::{BiscuitBuilder, Term, fact},
    macros::{biscuit, check},
};
use crm_kernel::{Actor, Error, OrganizationId, Result, Role, SessionId, TokenId, UserId};
use sha2::{Digest, Sha256};

use super::keys::Environment;

/// What a token says about its holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Who.
    pub user_id: UserId,
    /// Where.
    pub organization_id: OrganizationId,
    /// As what, when the token was issued.
    pub role: Role,
    /// A person or a program.
    pub actor: Actor,
    /// On whose word.
    pub proof: Proof,
}

/// What stands behind a token, and ends it when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// A login.
    Session(SessionId),
    /// An entry in the list of API tokens.
    ApiToken(TokenId),
}

/// What an API token is kept from, beside what its role is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Only these operations; every one when empty.
    pub operations: Vec<String>,
    /// Only these kinds of records; every one when empty.
    pub entities: Vec<String>,
    /// Only reading.
    pub read_only: bool,
}

/// A token that was just signed.
pub struct IssuedToken {
    /// The token: shown to its holder once, and kept nowhere.
    pub token: String,
    /// SHA-256 of its first signature, by which the database knows it again.
    pub hash: [u8; 32],
}

impl std::fmt::Debug for IssuedToken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("IssuedToken(secret)")
    }
}

impl IssuedToken {
    pub(super) fn new(token: &Biscuit) -> Result<Self> {
        Ok(Self { token: token.to_base64().map_err(Error::internal)?, hash: hash(token)? })
    }
}

/// SHA-256 of the signature of the authority block: the same however often the token is narrowed.
pub(super) fn hash(token: &Biscuit) -> Result<[u8; 32]> {
    let signature = token.revocation_identifiers().into_iter().next();
    let signature = signature.ok_or_else(|| Error::internal("a token has a first block"))?;
    Ok(Sha256::digest(signature).into())
}

impl Claims {
    /// The authority block that says so.
    pub(super) fn block(&self, limits: &Limits, environment: &Environment, expiry: SystemTime) -> Result<BiscuitBuilder> {
        let (user, organization) = (self.user_id.to_string(), self.organization_id.to_string());
        let (role, actor, environment) = (self.role.as_str(), self.actor.as_str(), environment.name());
        let mut builder = biscuit!(
            "user({user}); organization({organization}); role({role}); actor({actor}); environment({environment});
             check if time($time), $time < {expiry};"
        );
        let (kind, id) = match self.proof {
            Proof::Session(session) => ("session", session.to_string()),
            Proof::ApiToken(token) => ("api_token", token.to_string()),
        };
        builder = builder.fact(fact(kind, &[Term::Str(id)])).map_err(Error::internal)?;
        let set = |words: &[String]| words.iter().cloned().map(Term::Str).collect::<BTreeSet<_>>();
        if !limits.operations.is_empty() {
            let operations = set(&limits.operations);
            let only = check!("check if operation($operation), {operations}.contains($operation)");
            builder = builder.check(only).map_err(Error::internal)?;
        }
        if !limits.entities.is_empty() {
            let entities = set(&limits.entities);
            builder = builder.check(check!("check if entity($entity), {entities}.contains($entity)")).map_err(Error::internal)?;
        }
        if limits.read_only {
            let only = check!(r#"check if access($access), ["own", "read"].contains($access)"#);
            builder = builder.check(only).map_err(Error::internal)?;
        }
        Ok(builder)
    }
}
