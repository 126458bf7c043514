//! The note as it is stored, as it comes in, and as it is changed. Validation of single values sits on the two inputs; rules that
//! need more than one value are in `rules.rs`.

use crm_kernel::{
    NoteId, Object, ObjectChange, Tags, Timestamp, UserId, validation,
    values::{nullable, present},
};
use diesel::{AsChangeset, Insertable, Queryable, Selectable};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    rules,
    schema::{crm_notes, q_notes},
};

crm_kernel::text_enum!(
    /// What a note can be about.
    RelatedType {
        /// A company.
        Company = "company",
        /// A contact.
        Contact = "contact",
        /// A deal.
        Deal = "deal",
        /// A project.
        Project = "project",
        /// A task.
        Task = "task",
        /// A campaign.
        Campaign = "campaign",
    }
);

/// A note: what somebody wrote about a record.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = q_notes, check_for_backend(diesel::pg::Pg))]
pub struct Note {
    /// Its id.
    pub id: NoteId,
    /// What was written, in Markdown, to the letter.
    pub content: String,
    /// What kind of record it is about; null together with `related_to_id`.
    pub related_to_type: Option<RelatedType>,
    /// The record it is about.
    pub related_to_id: Option<Uuid>,
    /// Whether it comes before those that are not.
    pub is_pinned: bool,
    /// The ids of the members whom it is for.
    pub mentions: Tags,
    /// The member whose it is.
    pub owner_id: Option<UserId>,
    /// The member who created it.
    pub created_by_id: Option<UserId>,
    /// Words attached to it.
    pub tags: Tags,
    /// The organisation's own fields.
    pub custom_fields: Object,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When somebody last did something to it or to what hangs on it; what the CRM does by itself does not count.
    pub last_activity_at: Timestamp,
    /// When it was deleted; null while it lives.
    pub deleted_at: Option<Timestamp>,
    /// Counts its changes, from 1; see If-Match.
    pub version: i32,
}

/// A note to be created, or to take another's place.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Insertable)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = crm_notes)]
#[serde(deny_unknown_fields)]
pub struct NewNote {
    /// An id chosen by the client: UUID version 7. Ignored when replacing.
    #[serde(default)]
    pub id: Option<NoteId>,
    /// What is written, in Markdown.
    #[serde(default)]
    pub content: String,
    /// What kind of record it is about, together with `related_to_id`.
    #[serde(default)]
    pub related_to_type: Option<RelatedType>,
    /// The record it is about.
    #[serde(default)]
    pub related_to_id: Option<Uuid>,
    /// Whether it comes before those that are not; not when absent.
    #[serde(default)]
    pub is_pinned: Option<bool>,
    /// The ids of the members whom it is for.
    #[serde(default)]
    pub mentions: Option<Tags>,
    /// The member whose it is; the caller when absent on creation.
    #[serde(default)]
    pub owner_id: Option<UserId>,
    /// Words attached to it.
    #[serde(default)]
    pub tags: Option<Tags>,
    /// The organisation's own fields.
    #[serde(default)]
    pub custom_fields: Option<Object>,
}

/// A change to a note: what is absent stays. The rules for every value sit here, for new notes too.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, AsChangeset, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = crm_notes)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct NoteChanges {
    /// What is written, in Markdown.
    #[serde(deserialize_with = "present")]
    #[garde(length(chars, max = 20_000), inner(custom(validation::readable)))]
    pub content: Option<String>,
    /// What kind of record it is about; null together with `related_to_id`.
    #[serde(deserialize_with = "nullable")]
    pub related_to_type: Option<Option<RelatedType>>,
    /// The record it is about.
    #[serde(deserialize_with = "nullable")]
    pub related_to_id: Option<Option<Uuid>>,
    /// Whether it comes before those that are not.
    #[serde(deserialize_with = "present")]
    pub is_pinned: Option<bool>,
    /// The ids of the members whom it is for, all of them.
    #[serde(deserialize_with = "present")]
    #[garde(inner(custom(rules::mentions)))]
    pub mentions: Option<Tags>,
    /// The member whose it is.
    #[serde(deserialize_with = "nullable")]
    pub owner_id: Option<Option<UserId>>,
    /// Words attached to it, all of them.
    #[serde(deserialize_with = "present")]
    #[garde(inner(custom(validation::tags)))]
    pub tags: Option<Tags>,
    /// The organisation's own fields; merged key by key.
    #[diesel(skip_update)]
    #[garde(custom(validation::object_change))]
    pub custom_fields: ObjectChange,
}

impl From<NewNote> for NoteChanges {
    /// Every editable field: what the new note does not say becomes empty or its default.
    fn from(new: NewNote) -> Self {
        Self {
            content: Some(new.content),
            related_to_type: Some(new.related_to_type),
            related_to_id: Some(new.related_to_id),
            is_pinned: Some(new.is_pinned.unwrap_or_default()),
            mentions: Some(new.mentions.unwrap_or_default()),
            owner_id: Some(new.owner_id),
            tags: Some(new.tags.unwrap_or_default()),
            custom_fields: ObjectChange::Replace(Some(new.custom_fields.unwrap_or_default())),
        }
    }
}
