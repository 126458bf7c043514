//! Members: who belongs to the organisation, as what, and how they go.
//!
//! Lives here: the directory, changes of role, status and place, removing and leaving, and the handing over of what somebody had.
//! Does not live here: how people come in (invitations, registration), nor the organisation itself.
//! Must stay true: people are read through q_members alone, so a person of another organisation does not exist here; who may change
//! whom, and that an owner remains, the database decides (app.guard_member).

mod fields;
mod handover;
mod model;
mod service;
mod store;

pub use fields::{FIELDS, VIEW, default_sort};
pub use model::{
    Handover, Led, Member, MemberChanges, MemberKind, MemberStatus, OwnedCollection, OwnedRecords, ReassignedCollection,
    SettableStatus,
};
pub use service::{Members, PgMembers};
