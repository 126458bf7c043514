//! Tasks in calls that change many at once: the use cases of `within.rs` under the names that all nouns share.

use async_trait::async_trait;
use crm_kernel::{Expected, Result, TaskId};
use crm_tenancy::{Entity, Tx, bulk, custom_fields::RecordKind};
use uuid::Uuid;

use crate::{
    model::{NewTask, Task, TaskChanges},
    store, within,
};

/// Tasks, as a noun of bulk calls. They have no natural key.
#[derive(Debug)]
pub struct BulkTasks;

#[async_trait]
impl bulk::Noun for BulkTasks {
    type Record = Task;
    type New = NewTask;
    type Changes = TaskChanges;

    const ENTITY: Entity = store::TASK;
    const KIND: RecordKind = RecordKind::Task;
    const NATURAL_KEY: Option<&'static str> = None;

    fn id(record: &Task) -> Uuid {
        record.id.uuid()
    }
    fn give_id(new: &mut NewTask, id: Uuid) -> Option<Uuid> {
        new.id.replace(TaskId(id)).map(TaskId::uuid)
    }

    async fn create(tx: &mut Tx, new: NewTask) -> Result<Task> {
        within::create(tx, new).await
    }
    async fn create_all(tx: &mut Tx, new: Vec<NewTask>) -> Result<Vec<Task>> {
        within::create_all(tx, new).await
    }
    async fn update(tx: &mut Tx, id: Uuid, expected: &Expected, changes: &TaskChanges) -> Result<Task> {
        within::update(tx, TaskId(id), expected, changes).await
    }
    async fn delete(tx: &mut Tx, id: Uuid, expected: &Expected) -> Result<()> {
        within::delete(tx, TaskId(id), expected).await
    }
    async fn living(tx: &mut Tx, ids: &[Uuid]) -> Result<Vec<Task>> {
        let ids: Vec<TaskId> = ids.iter().copied().map(TaskId).collect();
        Ok(store::get_many(tx, &ids).await?.into_iter().filter(|task| task.deleted_at.is_none()).collect())
    }
    async fn with_natural_key(_: &mut Tx, _: &str) -> Result<Vec<Uuid>> {
        Ok(Vec::new())
    }
}
