//! Members as they are read and changed, and what becomes of the records of those who go.

use crm_kernel::{
    OperationId, Role, TeamId, Timestamp, UserId, validation,
    values::{nullable, present},
};
use diesel::{AsChangeset, Queryable, Selectable};
use serde::{Deserialize, Serialize};

use crate::schema::{memberships, q_members};

crm_kernel::text_enum!(
    /// Whether a member may enter.
    MemberStatus {
        /// Yes.
        Active = "active",
        /// Not for now.
        Suspended = "suspended",
        /// No longer; the row stays, because records name it.
        Removed = "removed",
    }
);

crm_kernel::text_enum!(
    /// Whom a member is.
    MemberKind {
        /// Somebody who logs in.
        Person = "person",
        /// An integration with an identity of its own: it has API tokens and cannot log in.
        Service = "service",
    }
);

/// A member of the organisation.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = q_members, check_for_backend(diesel::pg::Pg))]
pub struct Member {
    /// The person; records name it as `owner_id`.
    pub user_id: UserId,
    /// Address the person logs in with; none for a service user.
    pub email: Option<String>,
    /// Name as shown.
    pub full_name: String,
    /// What the person may do here.
    pub role: Role,
    /// Whether the person may enter.
    pub status: MemberStatus,
    /// Job title.
    pub title: Option<String>,
    /// The member this one reports to.
    pub manager_id: Option<UserId>,
    /// The team, such as a regional office.
    pub team_id: Option<TeamId>,
    /// The team's name.
    pub team_name: Option<String>,
    /// IANA time zone of the person.
    pub time_zone: String,
    /// BCP 47 language tag of the person.
    pub locale: String,
    /// Since when.
    pub created_at: Timestamp,
    /// A person or a program.
    pub kind: MemberKind,
    /// When the membership was last changed.
    pub updated_at: Timestamp,
    /// Counts the changes of the membership.
    pub version: i32,
    /// Whether the person has a second factor; shown to owners and admins, null to everybody else.
    pub has_second_factor: Option<bool>,
}

crm_kernel::text_enum!(
    /// What the status of a member can be set to; removing is an operation of its own.
    SettableStatus {
        /// May enter.
        Active = "active",
        /// May not enter for now; every session and API token there ends at once.
        Suspended = "suspended",
    }
);

/// A change to a member: what is absent stays.
#[derive(Clone, Default, PartialEq, Deserialize, AsChangeset, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = memberships)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct MemberChanges {
    /// What the member may do here. Only owners make owners or change them; the last active owner stays one.
    #[serde(deserialize_with = "present")]
    pub role: Option<Role>,
    /// Whether the member may enter.
    #[serde(deserialize_with = "present")]
    pub status: Option<SettableStatus>,
    /// Job title.
    #[serde(deserialize_with = "nullable")]
    #[garde(length(chars, max = 100), inner(inner(custom(validation::storable))))]
    pub title: Option<Option<String>>,
    /// The member this one reports to; nobody may come to stand above themselves.
    #[serde(deserialize_with = "nullable")]
    pub manager_id: Option<Option<UserId>>,
    /// The team.
    #[serde(deserialize_with = "nullable")]
    pub team_id: Option<Option<TeamId>>,
    /// The current password of who makes somebody an owner or an admin and has one: those stay when the session is over.
    #[diesel(skip_update)]
    #[garde(length(bytes, max = 1024))]
    pub password: Option<String>,
}

impl std::fmt::Debug for MemberChanges {
    /// Without the password.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("MemberChanges").field("role", &self.role).field("status", &self.status).finish_non_exhaustive()
    }
}

/// Records that name a member, of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct OwnedCollection {
    /// The kind, as its address calls it: `companies`.
    pub collection: String,
    /// The field that names the member: `owner_id`.
    pub field: String,
    /// How many live.
    pub living: i64,
    /// How many lie in the bin; these keep whom they had.
    pub in_bin: i64,
}

/// What a member leads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct Led {
    /// Teams whose manager it is.
    pub teams: i64,
    /// Members who report to it.
    pub members: i64,
}

/// What a member has that can be handed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct OwnedRecords {
    /// Whose.
    pub user_id: UserId,
    /// Records of every kind that has an owner.
    pub records: Vec<OwnedCollection>,
    /// Teams and people.
    pub led: Led,
}

/// What was handed over of one kind of record, and what was not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct ReassignedCollection {
    /// The kind, as its address calls it: `companies`.
    pub collection: String,
    /// The field that names the member: `owner_id`.
    pub field: String,
    /// How many have the new one now.
    pub moved: i64,
    /// How many living ones still have the old one.
    pub remaining: i64,
    /// How many lie in the bin; these keep whom they had.
    pub in_bin: i64,
}

/// What became of the records of a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct Handover {
    /// Whose they were.
    pub user_id: UserId,
    /// Whose they are; null when nothing was handed over.
    pub reassigned_to: Option<UserId>,
    /// Under which all of its changes stand in the log.
    pub operation_id: OperationId,
    /// Records of every kind that has an owner.
    pub records: Vec<ReassignedCollection>,
    /// Teams and people handed over; those of an active member stay.
    pub led_moved: Led,
    /// Teams and people that still name the old one.
    pub led_remaining: Led,
}
