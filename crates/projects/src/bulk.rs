//! Projects in calls that change many at once: the use cases of `within.rs` under the names that all nouns share.

use async_trait::async_trait;
use crm_kernel::{Expected, ProjectId, Result};
use crm_tenancy::{Entity, Tx, bulk, custom_fields::RecordKind};
use uuid::Uuid;

use crate::{
    model::{NewProject, Project, ProjectChanges},
    store, within,
};

/// Projects, as a noun of bulk calls. They have no natural key.
#[derive(Debug)]
pub struct BulkProjects;

#[async_trait]
impl bulk::Noun for BulkProjects {
    type Record = Project;
    type New = NewProject;
    type Changes = ProjectChanges;

    const ENTITY: Entity = store::PROJECT;
    const KIND: RecordKind = RecordKind::Project;
    const NATURAL_KEY: Option<&'static str> = None;

    fn id(record: &Project) -> Uuid {
        record.id.uuid()
    }
    fn give_id(new: &mut NewProject, id: Uuid) -> Option<Uuid> {
        new.id.replace(ProjectId(id)).map(ProjectId::uuid)
    }

    async fn create(tx: &mut Tx, new: NewProject) -> Result<Project> {
        within::create(tx, new).await
    }
    async fn create_all(tx: &mut Tx, new: Vec<NewProject>) -> Result<Vec<Project>> {
        within::create_all(tx, new).await
    }
    async fn update(tx: &mut Tx, id: Uuid, expected: &Expected, changes: &ProjectChanges) -> Result<Project> {
        within::update(tx, ProjectId(id), expected, changes).await
    }
    async fn delete(tx: &mut Tx, id: Uuid, expected: &Expected) -> Result<()> {
        within::delete(tx, ProjectId(id), expected).await
    }
    async fn living(tx: &mut Tx, ids: &[Uuid]) -> Result<Vec<Project>> {
        let ids: Vec<ProjectId> = ids.iter().copied().map(ProjectId).collect();
        Ok(store::get_many(tx, &ids).await?.into_iter().filter(|project| project.deleted_at.is_none()).collect())
    }
    async fn with_natural_key(_: &mut Tx, _: &str) -> Result<Vec<Uuid>> {
        Ok(Vec::new())
    }
}
