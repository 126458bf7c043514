//! What comes in for a project that is made of a won deal.

use crm_kernel::{Date, DealId, Money, Object, ProjectId, Tags, UserId};
use serde::Deserialize;

use crate::{model::NewProject, words::Priority};

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
    /// The new project, under this name unless it has one of its own. Its company comes with the deal: the database puts it in.
    #[must_use]
    pub fn into_new(self, deal_id: DealId, name: String) -> NewProject {
        NewProject {
            id: self.id,
            name: self.name.unwrap_or(name),
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
