//! The project as it is stored, as it comes in, and as it is changed. Validation of single values sits on the two inputs; rules that
//! need more than one value are in `rules.rs`.

use crm_kernel::{
    CompanyId, Date, DealId, Money, Object, ObjectChange, ProjectId, Tags, Timestamp, UserId, validation,
    values::{nullable, present},
};
use diesel::{AsChangeset, Insertable, Queryable, Selectable};
use serde::{Deserialize, Serialize};

use crate::{
    overdue::is_overdue,
    schema::{crm_projects, q_projects},
};

crm_kernel::text_enum!(
    /// How far a project is.
    ProjectStatus {
        /// Not begun.
        Planning = "planning",
        /// Under way.
        InProgress = "in_progress",
        /// Stopped for a while.
        OnHold = "on_hold",
        /// Done.
        Completed = "completed",
        /// Given up.
        Cancelled = "cancelled",
    }
);

crm_kernel::text_enum!(
    /// How much it matters that a project is done.
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

crm_kernel::text_enum!(
    /// How a project came to be.
    ProjectOrigin {
        /// Somebody made it.
        Direct = "direct",
        /// It was made of a won deal.
        WonDeal = "won_deal",
    }
);

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
    /// Whether it should have been done before today, in the organisation's time zone, and is not.
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

/// What a project that is made of a won deal has beside the deal's company and, unless it is said, its name.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields, default)]
pub struct ProjectOfDeal {
    /// An id chosen by the client: UUID version 7.
    pub id: Option<ProjectId>,
    /// What it is called; as the deal when absent.
    pub name: Option<String>,
    /// What is to be done.
    pub description: Option<String>,
    /// How much it matters that it is done; `medium` when absent.
    pub priority: Option<Priority>,
    /// When it begins.
    pub start_date: Option<Date>,
    /// When it should be done.
    pub due_date: Option<Date>,
    /// How many hours it should take: 0 to 1,000,000.
    pub estimated_hours: Option<Money>,
    /// The member who looks after it; the caller when absent.
    pub owner_id: Option<UserId>,
    /// The member who runs it.
    pub project_manager_id: Option<UserId>,
    /// Words attached to it.
    pub tags: Option<Tags>,
    /// The organisation's own fields.
    pub custom_fields: Option<Object>,
}

impl ProjectOfDeal {
    /// The new project, for this company and under this name unless it has one of its own.
    #[must_use]
    pub fn into_new(self, deal_id: DealId, company_id: Option<CompanyId>, name: String) -> NewProject {
        NewProject {
            id: self.id,
            name: self.name.unwrap_or(name),
            company_id,
            deal_id: Some(deal_id),
            description: self.description,
            priority: self.priority,
            start_date: self.start_date,
            due_date: self.due_date,
            estimated_hours: self.estimated_hours,
            owner_id: self.owner_id,
            project_manager_id: self.project_manager_id,
            tags: self.tags,
            custom_fields: self.custom_fields,
            ..NewProject::default()
        }
    }
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
    /// When it was completed, not in the future; only with the status `completed`, where today is meant when absent.
    #[serde(deserialize_with = "nullable")]
    pub completion_date: Option<Option<Date>>,
    /// How many hours it should take: 0 to 1,000,000.
    #[serde(deserialize_with = "nullable")]
    #[garde(inner(inner(custom(validation::not_negative))))]
    pub estimated_hours: Option<Option<Money>>,
    /// How many hours it has taken: 0 to 1,000,000.
    #[serde(deserialize_with = "nullable")]
    #[garde(inner(inner(custom(validation::not_negative))))]
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
            completion_date: Some(new.completion_date),
            estimated_hours: Some(new.estimated_hours),
            actual_hours: Some(new.actual_hours),
            owner_id: Some(new.owner_id),
            project_manager_id: Some(new.project_manager_id),
            tags: Some(new.tags.unwrap_or_default()),
            custom_fields: ObjectChange::Replace(Some(new.custom_fields.unwrap_or_default())),
        }
    }
}
