//! What is asked of invitations, and what they show.

use crm_kernel::{Field, InvitationId, Kind, Role, Sort, TeamId, Timestamp, UserId, query::Direction, validation};
use diesel::{Queryable, Selectable};
use serde::{Deserialize, Serialize};

use crate::{identity::accounts::mail_address, schema::q_invitations};

crm_kernel::text_enum!(
    /// What became of an invitation.
    InvitationStatus {
        /// It can be accepted.
        Pending = "pending",
        /// Its person is a member.
        Accepted = "accepted",
        /// It was taken back.
        Revoked = "revoked",
        /// Its time is over, or whoever sent it may no longer invite.
        Expired = "expired",
    }
);

/// An invitation of a person to this organisation.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = q_invitations, check_for_backend(diesel::pg::Pg))]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// The address that is invited.
    pub email: String,
    /// As what.
    pub role: Role,
    /// Job title that the member will have.
    pub title: Option<String>,
    /// The team that the member will join.
    pub team_id: Option<TeamId>,
    /// The member that the new one will report to.
    pub manager_id: Option<UserId>,
    /// What became of it.
    pub status: InvitationStatus,
    /// Who sent the latest letter; without the right to invite, theirs is no longer valid.
    pub invited_by_id: UserId,
    /// Who came in by it.
    pub accepted_by_id: Option<UserId>,
    /// When the latest letter was written.
    pub sent_at: Timestamp,
    /// Until when it can be accepted.
    pub expires_at: Timestamp,
    /// When it was accepted, revoked or found to have expired.
    pub closed_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Counts the changes.
    pub version: i32,
}

const CREATED_AT: Field = Field::shown("created_at", Kind::Timestamp).sortable();

/// What lists of invitations can be filtered and sorted by.
pub static FIELDS: &[Field] = &[
    Field::shown("id", Kind::Id),
    Field::shown("email", Kind::Caseless).key("email").filterable(),
    Field::shown("role", Kind::Choice(Role::WORDS)),
    Field::shown("title", Kind::Text).nullable(),
    Field::shown("team_id", Kind::Id).nullable(),
    Field::shown("manager_id", Kind::Member).nullable(),
    Field::shown("status", Kind::Choice(InvitationStatus::WORDS)).filterable(),
    Field::shown("invited_by_id", Kind::Member),
    Field::shown("accepted_by_id", Kind::Member).nullable(),
    Field::shown("sent_at", Kind::Timestamp),
    Field::shown("expires_at", Kind::Timestamp),
    Field::shown("closed_at", Kind::Timestamp).nullable(),
    CREATED_AT,
    Field::shown("updated_at", Kind::Timestamp),
    Field::shown("version", Kind::Integer),
];

/// The order of lists when none is asked for: newest first.
#[must_use]
pub fn default_sort() -> Sort {
    Sort { field: &CREATED_AT, direction: Direction::Descending }
}

/// Who is to be invited, and as what.
#[derive(Clone, Deserialize, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct NewInvitation {
    /// The address; case does not matter. Nothing tells whether it has an account in another organisation.
    #[garde(length(chars, max = 255), custom(mail_address))]
    pub email: String,
    /// As what. Admins invite everybody but owners.
    pub role: Role,
    /// Job title that the member will have.
    #[serde(default)]
    #[garde(length(chars, max = 100), inner(custom(validation::readable)))]
    pub title: Option<String>,
    /// The team that the member will join.
    #[serde(default)]
    pub team_id: Option<TeamId>,
    /// The member that the new one will report to.
    #[serde(default)]
    pub manager_id: Option<UserId>,
    /// The current password of who invites an owner or an admin and has one: those stay when the session is over.
    #[serde(default)]
    #[garde(length(bytes, max = 1024))]
    pub password: Option<String>,
}

impl std::fmt::Debug for NewInvitation {
    /// Without the password.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("NewInvitation").field("email", &self.email).field("role", &self.role).finish_non_exhaustive()
    }
}

/// The token of a link.
#[derive(Clone, Deserialize, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
pub struct InvitationTokenRequest {
    /// What stands behind the `#` of the letter's link.
    #[garde(skip)]
    pub token: String,
}

/// The token of a link, from somebody who is logged in.
#[derive(Clone, Deserialize, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct JoinRequest {
    /// What stands behind the `#` of the letter's link.
    #[garde(skip)]
    pub token: String,
    /// That of the session that joins, not used yet. It is spent, and that session ends: see `POST /auth/switch`.
    pub refresh_token: String,
}

/// The token of a link, and what proves or makes the person.
#[derive(Clone, Deserialize, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
pub struct AcceptRequest {
    /// What stands behind the `#` of the letter's link.
    #[garde(skip)]
    pub token: String,
    /// The name of a person who has no account yet.
    #[serde(default)]
    #[garde(length(chars, max = 255), inner(custom(validation::readable)))]
    pub full_name: Option<String>,
    /// The password of the account, or the one that a new account shall have.
    #[serde(default)]
    #[garde(length(bytes, min = 1, max = 1024))]
    pub password: Option<String>,
    /// Instead of a password: a token of an external provider, whose identity is the account's, or shall be the new one's.
    #[serde(default)]
    #[garde(skip)]
    pub external_token: Option<String>,
    /// A code of the account's second factor, or a recovery code; asked of who has one, unless the provider's word for one counts here.
    #[serde(default)]
    #[garde(length(chars, max = 100))]
    pub code: Option<String>,
}

/// Tells nothing that opens anything.
macro_rules! secret {
    ($name:ident) => {
        impl std::fmt::Debug for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    };
}
secret!(InvitationTokenRequest);
secret!(JoinRequest);
secret!(AcceptRequest);

/// What the holder of a link learns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct InvitationPreview {
    /// The organisation that invites.
    pub organization_name: String,
    /// The address that is invited.
    pub email: String,
    /// As what.
    pub role: Role,
    /// Who invites.
    pub invited_by: String,
    /// Whether the address has an account already: then nobody chooses a name.
    pub has_account: bool,
    /// Whether accepting chooses a password, or links an external identity; otherwise it asks for the one that there is.
    pub chooses_password: bool,
}
