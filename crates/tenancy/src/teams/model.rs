//! Teams as they are read, made and changed.

use crm_kernel::{
    TeamId, Timestamp, UserId, validation,
    values::{nullable, present},
};
use diesel::{AsChangeset, Insertable, Queryable, Selectable};
use serde::{Deserialize, Serialize};

use crate::schema::{q_teams, teams};

/// A team of the organisation.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = q_teams, check_for_backend(diesel::pg::Pg))]
pub struct Team {
    /// Its id.
    pub id: TeamId,
    /// Name; unique among the living teams of the organisation, whatever its case.
    pub name: String,
    /// The member who leads it.
    pub manager_id: Option<UserId>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Counts its changes, from 1; see If-Match.
    pub version: i32,
}

/// A team to be created, or to take another's place.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Insertable)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = teams)]
#[serde(deny_unknown_fields)]
pub struct NewTeam {
    /// Name; unique among the living teams of the organisation, whatever its case.
    pub name: String,
    /// The member who leads it.
    #[serde(default)]
    pub manager_id: Option<UserId>,
}

/// A change to a team: what is absent stays. The rules for every value sit here, for new teams too.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, AsChangeset, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = teams)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct TeamChanges {
    /// Name; unique among the living teams of the organisation, whatever its case.
    #[serde(deserialize_with = "present")]
    #[garde(length(chars, max = 255), inner(custom(validation::readable)))]
    pub name: Option<String>,
    /// The member who leads it.
    #[serde(deserialize_with = "nullable")]
    pub manager_id: Option<Option<UserId>>,
}

impl From<NewTeam> for TeamChanges {
    /// Every editable field.
    fn from(new: NewTeam) -> Self {
        Self { name: Some(new.name), manager_id: Some(new.manager_id) }
    }
}
