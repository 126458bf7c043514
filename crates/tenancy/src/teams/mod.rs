//! Teams, such as regional offices: members are in one, and somebody leads it.
//!
//! Does not live here: who is in which team, which is the member's (members).
//! Must stay true: no two living teams have one name; a team that is deleted loses its members in the same transaction, by the
//! database (app.guard_team).

mod fields;
mod model;
mod service;
mod store;

pub use fields::{FIELDS, default_sort};
pub use model::{NewTeam, Team, TeamChanges};
pub use service::{PgTeams, Teams};
