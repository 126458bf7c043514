//! Invitations: how a person is asked into an organisation, and comes in.
//!
//! Does not live here: the letter's text, and members once they are in.
//! Must stay true: inviting never tells whether an address has an account elsewhere; the link's secret works once, is stored as a
//! hash, and lets nobody in who has an account and does not prove to be its owner; what is unknown, expired, revoked or used has one
//! answer.

mod model;
mod service;
mod store;

pub use model::{
    AcceptRequest, FIELDS, Invitation, InvitationPreview, InvitationStatus, InvitationTokenRequest, JoinRequest, NewInvitation,
    default_sort,
};
pub use service::{Invitations, PgInvitations};
