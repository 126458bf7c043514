//! Tasks pass the contract of every noun.

mod parents;

use async_trait::async_trait;
use crm_kernel::{Context, Expected, Field, ListQuery, Object, ObjectChange, Page, Result, Sort, Tags, TaskId};
use crm_tasks::{
    BulkTasks, FIELDS, NewTask, PgTasks, Priority, RelatedType, Task, TaskChanges, TaskStatus, TaskType, Tasks, default_sort,
};
use crm_tenancy::Db;
use crm_testkit::contract::{Draft, Noun};
use serde_json::{Value, json};
use uuid::Uuid;

struct Contract {
    tasks: PgTasks,
    db: Db,
}

/// Values repeat at different intervals, so that every list has ties, and some are missing, so that it has nulls.
fn new_task(draft: Draft) -> NewTask {
    let number = draft.number;
    let every = |interval: usize| number.is_multiple_of(interval);
    let time = |text: String| text.parse().expect("a time");
    NewTask {
        id: draft.id.map(TaskId),
        title: format!("{} order {}", if every(2) { "ask" } else { "Bring" }, number / 2),
        description: every(3).then(|| "Before the fair".to_owned()),
        task_type: every(2).then_some(TaskType::Call),
        status: match number % 5 {
            0 => None,
            1 => Some(TaskStatus::InProgress),
            2 => Some(TaskStatus::Completed),
            _ => Some(TaskStatus::Cancelled),
        },
        priority: every(3).then_some(Priority::High),
        due_date: (!every(3)).then(|| time(format!("202{}-0{}-15T00:00:00Z", 5 + number % 3 * 2, number % 4 + 1))),
        is_all_day: (!every(3)).then_some(every(2)),
        remind_at: every(4).then(|| time("2026-01-01T09:30:00.000001Z".to_owned())),
        recurrence: (!every(3) && every(4)).then(|| "FREQ=WEEKLY".to_owned()),
        assigned_to_id: draft.owner,
        tags: Some(Tags(["vip", "east", "new"].iter().take(number % 4).map(ToString::to_string).collect())),
        custom_fields: Some(object(&json!({ "number": number, "nested": { "deep": [number] } }))),
        ..NewTask::default()
    }
}

fn object(value: &Value) -> Object {
    Object(value.as_object().cloned().unwrap_or_default())
}

#[async_trait]
impl Noun for Contract {
    type Record = Task;
    type Bulk = BulkTasks;

    const ENTITY: &'static str = "task";
    const TEXT_FIELD: &'static str = "title";
    const UNIQUE_FIELD: Option<&'static str> = None;
    const PARENT_FIELD: Option<&'static str> = Some("related_to_id");

    fn on(db: Db) -> Self {
        Self { tasks: PgTasks::new(db.clone()), db }
    }
    fn fields() -> &'static [Field] {
        FIELDS
    }
    fn default_sort() -> Sort {
        default_sort()
    }

    fn new(draft: Draft) -> NewTask {
        new_task(draft)
    }
    fn new_with(draft: Draft, custom_fields: Object) -> NewTask {
        NewTask { custom_fields: Some(custom_fields), ..new_task(draft) }
    }
    fn customizing(custom_fields: Object) -> TaskChanges {
        TaskChanges { custom_fields: ObjectChange::Merge(custom_fields.0.into()), ..TaskChanges::default() }
    }
    fn renaming(text: &str) -> TaskChanges {
        TaskChanges { title: Some(text.to_owned()), ..TaskChanges::default() }
    }

    async fn create(&self, context: &Context, draft: Draft) -> Result<Task> {
        self.tasks.create(context, new_task(draft)).await
    }
    async fn get(&self, context: &Context, id: Uuid) -> Result<Task> {
        self.tasks.get(context, TaskId(id)).await
    }
    async fn get_with_deleted(&self, context: &Context, id: Uuid) -> Result<Task> {
        self.tasks.get_with_deleted(context, TaskId(id)).await
    }
    async fn get_many(&self, context: &Context, ids: &[Uuid]) -> Result<Vec<Task>> {
        let ids: Vec<_> = ids.iter().copied().map(TaskId).collect();
        self.tasks.get_many(context, &ids).await
    }
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<Task>> {
        self.tasks.list(context, query).await
    }
    async fn rename(&self, context: &Context, id: Uuid, expected: &Expected, text: &str) -> Result<Task> {
        self.tasks.update(context, TaskId(id), expected, &Self::renaming(text)).await
    }
    async fn replace(&self, context: &Context, id: Uuid, expected: &Expected, draft: Draft) -> Result<Task> {
        self.tasks.replace(context, TaskId(id), expected, new_task(draft)).await
    }
    async fn delete(&self, context: &Context, id: Uuid, expected: &Expected) -> Result<()> {
        self.tasks.delete(context, TaskId(id), expected).await
    }
    async fn restore(&self, context: &Context, id: Uuid) -> Result<Task> {
        self.tasks.restore(context, TaskId(id)).await
    }

    async fn attach(&self, context: &Context, id: Uuid, company: Uuid) -> Result<Task> {
        self.tasks.update(context, TaskId(id), &Expected::Any, &about(RelatedType::Company, company)).await
    }

    /// Every third task is about a company, every fourth about a contact and nobody's.
    async fn dress(&self, context: &Context, number: usize, task: Task, _: &[Task]) -> Result<Task> {
        let every = |interval: usize| number.is_multiple_of(interval);
        let related = if every(3) {
            about(RelatedType::Company, parents::company(&self.db, context).await?)
        } else if every(4) {
            about(RelatedType::Contact, parents::contact(&self.db, context).await?)
        } else {
            TaskChanges::default()
        };
        let changes = TaskChanges { assigned_to_id: every(4).then_some(None), ..related };
        self.tasks.update(context, task.id, &Expected::Any, &changes).await
    }
}

fn about(kind: RelatedType, id: Uuid) -> TaskChanges {
    TaskChanges { related_to_type: Some(Some(kind)), related_to_id: Some(Some(id)), ..TaskChanges::default() }
}

crm_testkit::crud_contract!(Contract);
