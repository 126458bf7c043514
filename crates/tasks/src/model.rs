//! The task as it is stored, as it comes in, and as it is changed. Validation of single values sits on the two inputs; rules that
//! need more than one value are in `rules.rs`.

use crm_kernel::{
    Object, ObjectChange, Tags, TaskId, Timestamp, UserId, validation,
    values::{nullable, present},
};
use diesel::{AsChangeset, Insertable, Queryable, Selectable};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::schema::{crm_tasks, q_tasks};

crm_kernel::text_enum!(
    /// What a task can be about.
    RelatedType {
        /// A company.
        Company = "company",
        /// A contact.
        Contact = "contact",
        /// A deal.
        Deal = "deal",
        /// A project.
        Project = "project",
        /// A campaign.
        Campaign = "campaign",
    }
);

crm_kernel::text_enum!(
    /// What is to be done.
    TaskType {
        /// Telephone somebody.
        Call = "call",
        /// Write to somebody.
        Email = "email",
        /// Meet somebody.
        Meeting = "meeting",
        /// Anything.
        Todo = "todo",
        /// Ask again.
        FollowUp = "follow_up",
        /// Show something.
        Demo = "demo",
    }
);

crm_kernel::text_enum!(
    /// How far a task is.
    TaskStatus {
        /// Not begun.
        Pending = "pending",
        /// Begun.
        InProgress = "in_progress",
        /// Done.
        Completed = "completed",
        /// Not to be done any more.
        Cancelled = "cancelled",
    }
);

crm_kernel::text_enum!(
    /// How much it matters that a task is done.
    Priority {
        /// Can wait.
        Low = "low",
        /// As most.
        Medium = "medium",
        /// Before others.
        High = "high",
        /// At once.
        Urgent = "urgent",
    }
);

/// A task: what somebody is to do, by when, and about which record.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = q_tasks, check_for_backend(diesel::pg::Pg))]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// What is to be done, in a line.
    pub title: String,
    /// The same at length.
    pub description: Option<String>,
    /// What kind of record it is about; null together with `related_to_id`.
    pub related_to_type: Option<RelatedType>,
    /// The record it is about.
    pub related_to_id: Option<Uuid>,
    /// What kind of work it is.
    pub task_type: TaskType,
    /// How far it is.
    pub status: TaskStatus,
    /// How much it matters that it is done.
    pub priority: Priority,
    /// By when it is to be done; for an all-day task midnight UTC of the day.
    pub due_date: Option<Timestamp>,
    /// Whether it is due on a day, wherever its person is, rather than at a moment.
    pub is_all_day: bool,
    /// When its person is to be reminded.
    pub remind_at: Option<Timestamp>,
    /// How it comes again: a rule of RFC 5545 such as `FREQ=WEEKLY;BYDAY=MO`.
    pub recurrence: Option<String>,
    /// The task that came after it, made when it was completed.
    pub next_id: Option<TaskId>,
    /// When it was completed; null unless it is.
    pub completed_at: Option<Timestamp>,
    /// The member who is to do it.
    pub assigned_to_id: Option<UserId>,
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

/// A task to be created, or to take another's place.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Insertable)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = crm_tasks)]
#[serde(deny_unknown_fields)]
pub struct NewTask {
    /// An id chosen by the client: UUID version 7. Ignored when replacing.
    #[serde(default)]
    pub id: Option<TaskId>,
    /// What is to be done, in a line.
    #[serde(default)]
    pub title: String,
    /// The same at length.
    #[serde(default)]
    pub description: Option<String>,
    /// What kind of record it is about, together with `related_to_id`.
    #[serde(default)]
    pub related_to_type: Option<RelatedType>,
    /// The record it is about.
    #[serde(default)]
    pub related_to_id: Option<Uuid>,
    /// What kind of work it is; `todo` when absent.
    #[serde(default)]
    pub task_type: Option<TaskType>,
    /// How far it is; `pending` when absent.
    #[serde(default)]
    pub status: Option<TaskStatus>,
    /// How much it matters that it is done; `medium` when absent.
    #[serde(default)]
    pub priority: Option<Priority>,
    /// By when it is to be done; for an all-day task midnight UTC of the day.
    #[serde(default)]
    pub due_date: Option<Timestamp>,
    /// Whether it is due on a day rather than at a moment; not when absent.
    #[serde(default)]
    pub is_all_day: Option<bool>,
    /// When its person is to be reminded.
    #[serde(default)]
    pub remind_at: Option<Timestamp>,
    /// How it comes again: a rule of RFC 5545, daily or rarer. Needs a due date. `FREQ=MONTHLY` from the 31st skips shorter months;
    /// `BYMONTHDAY=-1` is the end of every month. BYHOUR, BYMINUTE and BYSECOND are refused; a bare date in UNTIL is all of that day.
    #[serde(default)]
    pub recurrence: Option<String>,
    /// The member who is to do it; the caller when absent on creation.
    #[serde(default)]
    pub assigned_to_id: Option<UserId>,
    /// Words attached to it.
    #[serde(default)]
    pub tags: Option<Tags>,
    /// The organisation's own fields.
    #[serde(default)]
    pub custom_fields: Option<Object>,
}

/// A change to a task: what is absent stays. The rules for every value sit here, for new tasks too.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, AsChangeset, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = crm_tasks)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct TaskChanges {
    /// What is to be done, in a line.
    #[serde(deserialize_with = "present")]
    #[garde(length(chars, max = 255), inner(custom(validation::readable)))]
    pub title: Option<String>,
    /// The same at length.
    #[serde(deserialize_with = "nullable")]
    #[garde(length(chars, max = 10_000), inner(inner(custom(validation::storable))))]
    pub description: Option<Option<String>>,
    /// What kind of record it is about; null together with `related_to_id`.
    #[serde(deserialize_with = "nullable")]
    pub related_to_type: Option<Option<RelatedType>>,
    /// The record it is about.
    #[serde(deserialize_with = "nullable")]
    pub related_to_id: Option<Option<Uuid>>,
    /// What kind of work it is.
    #[serde(deserialize_with = "present")]
    pub task_type: Option<TaskType>,
    /// How far it is. Completing a task that comes again makes the next one.
    #[serde(deserialize_with = "present")]
    pub status: Option<TaskStatus>,
    /// How much it matters that it is done.
    #[serde(deserialize_with = "present")]
    pub priority: Option<Priority>,
    /// By when it is to be done; for an all-day task midnight UTC of the day.
    #[serde(deserialize_with = "nullable")]
    pub due_date: Option<Option<Timestamp>>,
    /// Whether it is due on a day rather than at a moment.
    #[serde(deserialize_with = "present")]
    pub is_all_day: Option<bool>,
    /// When its person is to be reminded.
    #[serde(deserialize_with = "nullable")]
    pub remind_at: Option<Option<Timestamp>>,
    /// How it comes again: a rule of RFC 5545, daily or rarer. Needs a due date. `FREQ=MONTHLY` from the 31st skips shorter months;
    /// `BYMONTHDAY=-1` is the end of every month. BYHOUR, BYMINUTE and BYSECOND are refused; a bare date in UNTIL is all of that day.
    #[serde(deserialize_with = "nullable")]
    #[garde(length(chars, max = 500), inner(inner(custom(crate::recurrence::rule))))]
    pub recurrence: Option<Option<String>>,
    /// The member who is to do it.
    #[serde(deserialize_with = "nullable")]
    pub assigned_to_id: Option<Option<UserId>>,
    /// Words attached to it, all of them.
    #[serde(deserialize_with = "present")]
    #[garde(inner(custom(validation::tags)))]
    pub tags: Option<Tags>,
    /// The organisation's own fields; merged key by key.
    #[diesel(skip_update)]
    #[garde(custom(validation::object_change))]
    pub custom_fields: ObjectChange,
}

impl From<NewTask> for TaskChanges {
    /// Every editable field: what the new task does not say becomes empty or its default.
    fn from(new: NewTask) -> Self {
        Self {
            title: Some(new.title),
            description: Some(new.description),
            related_to_type: Some(new.related_to_type),
            related_to_id: Some(new.related_to_id),
            task_type: Some(new.task_type.unwrap_or(TaskType::Todo)),
            status: Some(new.status.unwrap_or(TaskStatus::Pending)),
            priority: Some(new.priority.unwrap_or(Priority::Medium)),
            due_date: Some(new.due_date),
            is_all_day: Some(new.is_all_day.unwrap_or_default()),
            remind_at: Some(new.remind_at),
            recurrence: Some(new.recurrence),
            assigned_to_id: Some(new.assigned_to_id),
            tags: Some(new.tags.unwrap_or_default()),
            custom_fields: ObjectChange::Replace(Some(new.custom_fields.unwrap_or_default())),
        }
    }
}
