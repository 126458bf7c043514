//! Projects pass the contract of every noun.

mod parents;

use async_trait::async_trait;
use crm_kernel::{CompanyId, Context, Expected, Field, ListQuery, Object, ObjectChange, Page, ProjectId, Result, Sort, Tags};
use crm_projects::{
    BulkProjects, FIELDS, NewProject, PgProjects, Priority, Project, ProjectChanges, ProjectStatus, Projects, default_sort,
};
use crm_tenancy::Db;
use crm_testkit::contract::{Draft, Noun};
use serde_json::{Value, json};
use uuid::Uuid;

struct Contract {
    projects: PgProjects,
    db: Db,
}

/// Values repeat at different intervals, so that every list has ties, and some are missing, so that it has nulls.
fn new_project(draft: Draft) -> NewProject {
    let number = draft.number;
    let every = |interval: usize| number.is_multiple_of(interval);
    let date = |text: String| text.parse().expect("a date");
    NewProject {
        id: draft.id.map(ProjectId),
        name: format!("{} Rollout {}", if every(2) { "acme" } else { "Borealis" }, number / 2),
        description: every(3).then(|| "Install, train, hand over".to_owned()),
        project_status: match number % 5 {
            0 => None,
            1 => Some(ProjectStatus::InProgress),
            2 => Some(ProjectStatus::Completed),
            3 => Some(ProjectStatus::Cancelled),
            _ => Some(ProjectStatus::OnHold),
        },
        priority: every(2).then_some(Priority::Urgent),
        start_date: every(2).then(|| date("2025-01-01".to_owned())),
        due_date: (!every(3)).then(|| date(format!("202{}-0{}-15", 5 + number % 3 * 2, number % 4 + 1))),
        completion_date: (number % 5 == 2).then(|| date(format!("2025-0{}-28", number % 3 + 1))),
        estimated_hours: (!every(4)).then(|| format!("{}.5", number % 3 * 40).parse().expect("a decimal")),
        actual_hours: every(4).then(|| "12.25".parse().expect("a decimal")),
        owner_id: draft.owner,
        tags: Some(Tags(["vip", "east", "new"].iter().take(number % 4).map(ToString::to_string).collect())),
        custom_fields: Some(object(&json!({ "number": number, "nested": { "deep": [number] } }))),
        ..NewProject::default()
    }
}

fn object(value: &Value) -> Object {
    Object(value.as_object().cloned().unwrap_or_default())
}

#[async_trait]
impl Noun for Contract {
    type Record = Project;
    type Bulk = BulkProjects;

    const ENTITY: &'static str = "project";
    const TEXT_FIELD: &'static str = "name";
    const UNIQUE_FIELD: Option<&'static str> = None;
    const PARENT_FIELD: Option<&'static str> = Some("company_id");

    fn on(db: Db) -> Self {
        Self { projects: PgProjects::new(db.clone()), db }
    }
    fn fields() -> &'static [Field] {
        FIELDS
    }
    fn default_sort() -> Sort {
        default_sort()
    }

    fn new(draft: Draft) -> NewProject {
        new_project(draft)
    }
    fn new_with(draft: Draft, custom_fields: Object) -> NewProject {
        NewProject { custom_fields: Some(custom_fields), ..new_project(draft) }
    }
    fn customizing(custom_fields: Object) -> ProjectChanges {
        ProjectChanges { custom_fields: ObjectChange::Merge(custom_fields.0.into()), ..ProjectChanges::default() }
    }
    fn renaming(text: &str) -> ProjectChanges {
        ProjectChanges { name: Some(text.to_owned()), ..ProjectChanges::default() }
    }

    async fn create(&self, context: &Context, draft: Draft) -> Result<Project> {
        self.projects.create(context, new_project(draft)).await
    }
    async fn get(&self, context: &Context, id: Uuid) -> Result<Project> {
        self.projects.get(context, ProjectId(id)).await
    }
    async fn get_with_deleted(&self, context: &Context, id: Uuid) -> Result<Project> {
        self.projects.get_with_deleted(context, ProjectId(id)).await
    }
    async fn get_many(&self, context: &Context, ids: &[Uuid]) -> Result<Vec<Project>> {
        let ids: Vec<_> = ids.iter().copied().map(ProjectId).collect();
        self.projects.get_many(context, &ids).await
    }
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<Project>> {
        self.projects.list(context, query).await
    }
    async fn rename(&self, context: &Context, id: Uuid, expected: &Expected, text: &str) -> Result<Project> {
        self.projects.update(context, ProjectId(id), expected, &Self::renaming(text)).await
    }
    async fn replace(&self, context: &Context, id: Uuid, expected: &Expected, draft: Draft) -> Result<Project> {
        self.projects.replace(context, ProjectId(id), expected, new_project(draft)).await
    }
    async fn delete(&self, context: &Context, id: Uuid, expected: &Expected) -> Result<()> {
        self.projects.delete(context, ProjectId(id), expected).await
    }
    async fn restore(&self, context: &Context, id: Uuid) -> Result<Project> {
        self.projects.restore(context, ProjectId(id)).await
    }

    async fn attach(&self, context: &Context, id: Uuid, company: Uuid) -> Result<Project> {
        let changes = ProjectChanges { company_id: Some(Some(CompanyId(company))), ..ProjectChanges::default() };
        self.projects.update(context, ProjectId(id), &Expected::Any, &changes).await
    }

    /// Every third project is for a company, every fourth has a deal and no owner, every other one a manager.
    async fn dress(&self, context: &Context, number: usize, project: Project, _: &[Project]) -> Result<Project> {
        let every = |interval: usize| number.is_multiple_of(interval);
        let company = if every(3) { Some(Some(parents::company(&self.db, context).await?)) } else { None };
        let deal = if every(4) { Some(Some(parents::deal(&self.db, context, "proposal", None).await?)) } else { None };
        let changes = ProjectChanges {
            company_id: company,
            deal_id: deal,
            owner_id: every(4).then_some(None),
            project_manager_id: every(2).then_some(Some(context.user_id)),
            ..ProjectChanges::default()
        };
        self.projects.update(context, project.id, &Expected::Any, &changes).await
    }
}

crm_testkit::crud_contract!(Contract);
