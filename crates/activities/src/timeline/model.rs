//! The question for a timeline and its lines.

use crm_kernel::{Actor, Direction, Field, Kind, ListQuery, Sort, Timestamp, UserId};
use serde::Serialize;
use uuid::Uuid;

crm_kernel::text_enum!(
    /// What a line of a timeline is about.
    TimelineKind {
        /// The record itself, or a part of it.
        Activity = "activity",
        /// A note about it.
        Note = "note",
        /// A task about it.
        Task = "task",
        /// Somebody taking part in a campaign.
        Membership = "membership",
    }
);

/// A line of a timeline: something that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct TimelineEntry {
    /// Its id: that of the activity, or of the membership of a campaign.
    pub id: Uuid,
    /// What it is about.
    pub kind: TimelineKind,
    /// What happened: created, updated, status_changed, stage_changed, deleted, restored or purged.
    pub activity_type: String,
    /// The kind of record that it happened to.
    pub entity_type: String,
    /// The record that it happened to.
    pub entity_id: Uuid,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// Who did it; null when nobody is known to have.
    pub user_id: Option<UserId>,
    /// What they are called; null as well where the caller may not read members.
    pub user_name: Option<String>,
    /// Whether a person, a service or the CRM itself did it.
    pub actor_kind: Actor,
    /// What happened, for people.
    pub sentence: String,
    /// Whether the note or task is in the bin by now, or gone.
    pub is_deleted: bool,
}

/// The kinds of records that have a timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A company.
    Company,
    /// A contact.
    Contact,
    /// A deal.
    Deal,
    /// A project.
    Project,
    /// A campaign.
    Campaign,
    /// A task.
    Task,
}

impl Subject {
    /// As the log calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Company => "company",
            Self::Contact => "contact",
            Self::Deal => "deal",
            Self::Project => "project",
            Self::Campaign => "campaign",
            Self::Task => "task",
        }
    }

    /// The kinds of records that show on its page, as the log calls them.
    #[must_use]
    pub fn shows(self) -> &'static [&'static str] {
        match self {
            Self::Company => &["company", "note", "task", "external_id"],
            Self::Contact => &["contact", "contact_company", "contact_point", "note", "task", "campaign_contact", "external_id"],
            Self::Deal => &["deal", "deal_contact", "deal_line_item", "note", "task", "external_id"],
            Self::Project => &["project", "note", "task", "external_id"],
            Self::Campaign => &["campaign", "campaign_contact", "note", "task", "external_id"],
            Self::Task => &["task", "note", "external_id"],
        }
    }
}

impl TimelineKind {
    /// That of a kind of record on the page of a subject.
    #[must_use]
    pub fn of(subject: Subject, entity: &str) -> Self {
        match entity {
            own if own == subject.name() => Self::Activity,
            "note" => Self::Note,
            "task" => Self::Task,
            "campaign_contact" => Self::Membership,
            _ => Self::Activity,
        }
    }
}

/// Whether sentences say what members are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// They do.
    Shown,
    /// Members are members: the caller may not read them.
    Hidden,
}

/// What is asked of a timeline.
#[derive(Debug, Clone)]
pub struct TimelineQuestion {
    /// The kind of record.
    pub subject: Subject,
    /// The record.
    pub id: Uuid,
    /// Of which kinds of records lines are shown: those of [`Subject::shows`] that were asked for and that the caller may read.
    pub entities: Vec<&'static str>,
    /// Whether members have names.
    pub names: Names,
    /// Place and size of the page, from [`question`].
    pub query: ListQuery,
}

/// What a timeline can be narrowed to.
pub const KIND: Field = Field::shown("kind", Kind::Choice(TimelineKind::WORDS)).filterable();
/// Whose timeline it is: ties a cursor to its record.
pub static SUBJECT: Field = Field::shown("subject_id", Kind::Id);
static OCCURRED_AT: Field = Field::shown("occurred_at", Kind::Timestamp).sortable();

/// The first page of a record's timeline, to be narrowed and continued.
#[must_use]
pub fn question(id: Uuid) -> ListQuery {
    let query = ListQuery::all(Sort { field: &OCCURRED_AT, direction: Direction::Descending });
    ListQuery { of: "timeline", filter: query.filter.clone().and_id(&SUBJECT, id), ..query }
}
