//! Who calls, for which organisation, from where: the first argument of everything.
//!
//! Must stay true: a context is a claim, not a right. The role in it is a hint that saves a round trip for refusals;
//! the database looks the role up in memberships at the start of every transaction and decides by that.

use std::net::IpAddr;

use uuid::Uuid;

use crate::{OperationId, OrganizationId, SessionId, TokenId, UserId};

crate::text_enum!(
    /// What a member may do in an organisation; see the table of roles in the API's description.
    Role {
        /// Everything, purge included; the last one cannot leave.
        Owner = "owner",
        /// Everything but purge and owners.
        Admin = "admin",
        /// Reads all, changes what it owns, created or is assigned.
        Member = "member",
        /// Reads all, changes nothing.
        Viewer = "viewer",
    }
);

impl Role {
    /// Whether the role sees the bin, changes others' records and settings: owner and admin.
    #[must_use]
    pub fn is_manager(self) -> bool {
        matches!(self, Self::Owner | Self::Admin)
    }

    /// Whether the role may create records at all.
    #[must_use]
    pub fn may_write(self) -> bool {
        !matches!(self, Self::Viewer)
    }
}

crate::text_enum!(
    /// What kind of actor is behind a change.
    Actor {
        /// A person.
        User = "user",
        /// An integration with its own identity.
        Service = "service",
        /// The CRM itself: scheduled work.
        System = "system",
    }
);

/// The caller of one use case.
#[derive(Debug, Clone)]
pub struct Context {
    /// The organisation on whose behalf everything happens.
    pub organization_id: OrganizationId,
    /// The person or service user.
    pub user_id: UserId,
    /// The role the token was issued with: a hint, see the module's rule.
    pub role: Role,
    /// The login session behind the token, checked for being alive at every transaction; none for embedded use.
    pub session_id: Option<SessionId>,
    /// The API token, if one was used.
    pub token_id: Option<TokenId>,
    /// SHA-256 of the API token's first signature; the database compares it at every transaction.
    pub token_hash: Option<[u8; 32]>,
    /// Person, service or system.
    pub actor: Actor,
    /// Refuse every write in the database itself, whatever the role.
    pub access: Access,
    /// Address of the client, for the log.
    pub ip: Option<IpAddr>,
    /// The client's own description, for the log; cut to 300 characters.
    pub user_agent: Option<String>,
    /// Identifies the request in answers, logs and activities.
    pub request_id: String,
    /// Groups the changes of one bulk call, import or merge.
    pub operation_id: Option<OperationId>,
}

/// Whether a context may write at all, before roles are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// What the role allows.
    ReadWrite,
    /// Nothing is written, enforced by a read-only transaction.
    ReadOnly,
}

impl Context {
    /// A context for a person, with a request id of its own and nothing known about the client.
    #[must_use]
    pub fn new(organization_id: OrganizationId, user_id: UserId, role: Role) -> Self {
        Self {
            organization_id,
            user_id,
            role,
            session_id: None,
            token_id: None,
            token_hash: None,
            actor: Actor::User,
            access: Access::ReadWrite,
            ip: None,
            user_agent: None,
            request_id: Uuid::now_v7().to_string(),
            operation_id: None,
        }
    }
}
