//! How far a project is, by its hours and by its tasks.

use bigdecimal::{BigDecimal, RoundingMode, ToPrimitive};
use crm_kernel::{Date, Money, ProjectId};
use serde::Serialize;

use crate::{model::Project, words::ProjectStatus};

/// How far a project is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct ProjectProgress {
    /// The project.
    pub project_id: ProjectId,
    /// How far it is, in a word.
    pub project_status: ProjectStatus,
    /// How many hours it should take.
    pub estimated_hours: Option<Money>,
    /// How many hours it has taken.
    pub actual_hours: Option<Money>,
    /// Hours taken of those estimated, in whole percent, rounded down; more than 100 when it took longer. Null without an estimate.
    pub hours_percent: Option<i64>,
    /// How many tasks it has; those that were cancelled are not counted, nor those in the bin.
    pub tasks: i64,
    /// How many of them are completed.
    pub tasks_completed: i64,
    /// Tasks completed of those there are, in whole percent, rounded down. Null without tasks.
    pub tasks_percent: Option<i64>,
    /// When it should be done.
    pub due_date: Option<Date>,
    /// Whether that was before today, in the time zone of who asks, and it is not done.
    pub is_overdue: bool,
}

/// Living tasks of a project that were not cancelled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TaskCounts {
    pub(crate) all: i64,
    pub(crate) completed: i64,
}

impl ProjectProgress {
    pub(crate) fn of(project: Project, tasks: TaskCounts) -> Self {
        Self {
            project_id: project.id,
            project_status: project.project_status,
            hours_percent: percent(project.actual_hours.as_ref(), project.estimated_hours.as_ref()),
            estimated_hours: project.estimated_hours,
            actual_hours: project.actual_hours,
            tasks: tasks.all,
            tasks_completed: tasks.completed,
            tasks_percent: (tasks.completed * 100).checked_div(tasks.all),
            due_date: project.due_date,
            is_overdue: project.is_overdue,
        }
    }
}

fn percent(part: Option<&Money>, whole: Option<&Money>) -> Option<i64> {
    let whole = whole.filter(|whole| **whole > Money::zero())?;
    let part = part.map(|part| part.decimal().clone()).unwrap_or_default();
    (part * BigDecimal::from(100) / whole.decimal()).with_scale_round(0, RoundingMode::Floor).to_i64()
}
