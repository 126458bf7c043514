//! The project as it is stored, as it comes in, and as it is changed. Validation of single values sits on the two inputs; rules that
//! need more than one value are in `rules.rs`, what comes in for a won deal in `of_deal.rs`, the words in `words.rs`.

use crm_kernel::{
    CompanyId, Date, DealId, Money, Object, ObjectChange, ProjectId, Tags, Timestamp, UserId, validation,
    values::{nullable, present},
};
use diesel::{AsChangeset, Insertable, Queryable, Selectable};
use serde::{Deserialize, Serialize};

use crate::{
    overdue::is_overdue,
    schema::{crm_projects, q_projects},
    words::{Priority, ProjectOrigin, ProjectStatus},
};

/// More hours than a project has: 500 people for a year.
const MOST_HOURS: i64 = 1_000_000;

/// A project: work for a company, and perhaps for the deal that sold it.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = q_projects, check_for_backend(diesel::pg::Pg))]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// What it is called.
    pub name: String,
    /// The company it is for.
    pub company_id: Option<CompanyId>,
    /// The deal that sold it.
    pub deal_id: Option<DealId>,
    /// What is to be done.
    pub description: Option<String>,
    /// How far it is.
    pub project_status: ProjectStatus,
    /// How much it matters that it is done.
    pub priority: Priority,
    /// When it begins.
    pub start_date: Option<Date>,
    /// When it should be done.
    pub due_date: Option<Date>,
    /// When it was completed; null unless it is.
    pub completion_date: Option<Date>,
    /// `due_date` while the project is neither completed nor cancelled, null then: what is before today is overdue.
    pub open_due_date: Option<Date>,
    /// Whether it should have been done before today, in the time zone of who asks, and is not.
    #[diesel(select_expression = is_overdue(), select_expression_type = is_overdue)]
    pub is_overdue: bool,
    /// How many hours it should take.
    pub estimated_hours: Option<Money>,
    /// How many hours it has taken.
    pub actual_hours: Option<Money>,
    /// The member who looks after it.
    pub owner_id: Option<UserId>,
    /// The member who runs it, and may change it too.
    pub project_manager_id: Option<UserId>,
    /// The member who created it.
    pub created_by_id: Option<UserId>,
    /// How it came to be.
    pub origin: ProjectOrigin,
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

/// A project to be created, or to take another's place.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Insertable)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = crm_projects)]
#[serde(deny_unknown_fields)]
pub struct NewProject {
    /// An id chosen by the client: UUID version 7. Ignored when replacing.
    #[serde(default)]
    pub id: Option<ProjectId>,
    /// What it is called.
    #[serde(default)]
    pub name: String,
    /// The company it is for.
    #[serde(default)]
    pub company_id: Option<CompanyId>,
    /// The deal that sold it; one that came from a won deal keeps it.
    #[serde(default)]
    pub deal_id: Option<DealId>,
    /// What is to be done.
    #[serde(default)]
    pub description: Option<String>,
    /// How far it is; `planning` when absent.
    #[serde(default)]
    pub project_status: Option<ProjectStatus>,
    /// How much it matters that it is done; `medium` when absent.
    #[serde(default)]
    pub priority: Option<Priority>,
    /// When it begins.
    #[serde(default)]
    pub start_date: Option<Date>,
    /// When it should be done.
    #[serde(default)]
    pub due_date: Option<Date>,
    /// When it was completed; today when absent and the status is `completed`.
    #[serde(default)]
    pub completion_date: Option<Date>,
    /// How many hours it should take: 0 to 1,000,000.
    #[serde(default)]
    pub estimated_hours: Option<Money>,
    /// How many hours it has taken: 0 to 1,000,000.
    #[serde(default)]
    pub actual_hours: Option<Money>,
    /// The member who looks after it; the caller when absent on creation.
    #[serde(default)]
    pub owner_id: Option<UserId>,
    /// The member who runs it.
    #[serde(default)]
    pub project_manager_id: Option<UserId>,
    /// Words attached to it.
    #[serde(default)]
    pub tags: Option<Tags>,
    /// The organisation's own fields.
    #[serde(default)]
    pub custom_fields: Option<Object>,
}

/// A change to a project: what is absent stays. The rules for every value sit here, for new projects too.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, AsChangeset, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = crm_projects)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct ProjectChanges {
    /// What it is called.
    #[serde(deserialize_with = "present")]
    #[garde(length(chars, max = 255), inner(custom(validation::readable)))]
    pub name: Option<String>,
    /// The company it is for.
    #[serde(deserialize_with = "nullable")]
    pub company_id: Option<Option<CompanyId>>,
    /// The deal that sold it; one that came from a won deal keeps it.
    #[serde(deserialize_with = "nullable")]
    pub deal_id: Option<Option<DealId>>,
    /// What is to be done.
    #[serde(deserialize_with = "nullable")]
    #[garde(length(chars, max = 10_000), inner(inner(custom(validation::storable))))]
    pub description: Option<Option<String>>,
    /// How far it is. Completing sets `completion_date`, and whatever else takes it away.
    #[serde(deserialize_with = "present")]
    pub project_status: Option<ProjectStatus>,
    /// How much it matters that it is done.
    #[serde(deserialize_with = "present")]
    pub priority: Option<Priority>,
    /// When it begins.
    #[serde(deserialize_with = "nullable")]
    pub start_date: Option<Option<Date>>,
    /// When it should be done; not before it begins.
    #[serde(deserialize_with = "nullable")]
    pub due_date: Option<Option<Date>>,
    /// When it was completed, not in the future; only with the status `completed`: today when absent, and kept while it stays so.
    #[serde(deserialize_with = "nullable")]
    pub completion_date: Option<Option<Date>>,
    /// How many hours it should take: 0 to 1,000,000.
    #[serde(deserialize_with = "nullable")]
    #[garde(inner(inner(custom(hours))))]
    pub estimated_hours: Option<Option<Money>>,
    /// How many hours it has taken: 0 to 1,000,000.
    #[serde(deserialize_with = "nullable")]
    #[garde(inner(inner(custom(hours))))]
    pub actual_hours: Option<Option<Money>>,
    /// The member who looks after it.
    #[serde(deserialize_with = "nullable")]
    pub owner_id: Option<Option<UserId>>,
    /// The member who runs it.
    #[serde(deserialize_with = "nullable")]
    pub project_manager_id: Option<Option<UserId>>,
    /// Words attached to it, all of them.
    #[serde(deserialize_with = "present")]
    #[garde(inner(custom(validation::tags)))]
    pub tags: Option<Tags>,
    /// The organisation's own fields; merged key by key.
    #[diesel(skip_update)]
    #[garde(custom(validation::object_change))]
    pub custom_fields: ObjectChange,
}

impl From<NewProject> for ProjectChanges {
    /// Every editable field: what the new project does not say becomes empty or its default.
    fn from(new: NewProject) -> Self {
        Self {
            name: Some(new.name),
            company_id: Some(new.company_id),
            deal_id: Some(new.deal_id),
            description: Some(new.description),
            project_status: Some(new.project_status.unwrap_or(ProjectStatus::Planning)),
            priority: Some(new.priority.unwrap_or(Priority::Medium)),
            start_date: Some(new.start_date),
            due_date: Some(new.due_date),
            // Absent, or null, leaves it to the status: a completed project keeps its day.
            completion_date: new.completion_date.map(Some),
            estimated_hours: Some(new.estimated_hours),
            actual_hours: Some(new.actual_hours),
            owner_id: Some(new.owner_id),
            project_manager_id: Some(new.project_manager_id),
            tags: Some(new.tags.unwrap_or_default()),
            custom_fields: ObjectChange::Replace(Some(new.custom_fields.unwrap_or_default())),
        }
    }
}

/// Not below zero, and no more than a project has.
fn hours(hours: &Money, (): &()) -> garde::Result {
    let too_many = hours.thousandths() > MOST_HOURS * 1_000;
    if too_many { Err(garde::Error::new("range: at most 1,000,000 hours")) } else { validation::not_negative(hours, &()) }
}
