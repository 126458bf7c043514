//! The activity as it is read. Nothing comes in here: the database writes the log.

use crm_kernel::{ActivityId, Actor, Object, OperationId, Timestamp, UserId};
use diesel::{Queryable, Selectable};
use serde::Serialize;
use uuid::Uuid;

use crate::schema::q_activities;

diesel::define_sql_function! {
    /// The address without its mask, as text: Diesel's own type for it would need one more package.
    fn host(address: diesel::sql_types::Nullable<diesel::sql_types::Inet>) -> diesel::sql_types::Nullable<diesel::sql_types::Text>;
}

/// One row of the log: one change of one record.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = q_activities, check_for_backend(diesel::pg::Pg))]
pub struct Activity {
    /// Its id; a later one is larger.
    pub id: ActivityId,
    /// What happened: created, updated, status_changed, stage_changed, deleted, restored or purged.
    pub activity_type: String,
    /// The kind of record it happened to: company, contact, deal, member and so on.
    pub entity_type: String,
    /// The record it happened to.
    pub entity_id: Uuid,
    /// The kind of record on whose page it shows; the record itself unless it is a part of another.
    pub subject_type: String,
    /// The record on whose page it shows.
    pub subject_id: Uuid,
    /// Who did it; null when the CRM itself did.
    pub user_id: Option<UserId>,
    /// Whether a person, a service or the CRM itself did it.
    pub actor_kind: Actor,
    /// What the record is called, for people; null once it was purged or erased.
    pub description: Option<String>,
    /// Names of the fields that changed.
    pub fields: Vec<String>,
    /// Their values, `{"field": [before, after]}`; null once they were purged or erased.
    pub changes: Option<Object>,
    /// The record's version after the change.
    pub record_version: Option<i32>,
    /// The bulk call or import that it was part of.
    pub operation_id: Option<OperationId>,
    /// The request that caused it.
    pub request_id: Option<String>,
    /// When it happened; for imported history earlier than when it was recorded.
    pub occurred_at: Timestamp,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// Address of the client; shown to owner and admin alone.
    #[diesel(select_expression = host(q_activities::ip))]
    pub ip: Option<String>,
    /// The client's own description; shown to owner and admin alone.
    pub user_agent: Option<String>,
}
