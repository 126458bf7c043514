//! A task is about a living record of its own organisation, of one of the kinds there are, or about nothing.

mod parents;

use crm_kernel::Expected;
use crm_tasks::{NewTask, PgTasks, RelatedType, TaskChanges, Tasks};
use crm_testkit::{TestDatabase, refusals};
use uuid::Uuid;

fn about(kind: RelatedType, id: Uuid) -> NewTask {
    NewTask { title: "Ask".into(), related_to_type: Some(kind), related_to_id: Some(id), ..NewTask::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_record_of_every_kind_is_refused_exactly_like_an_unknown_one() {
    let database = TestDatabase::create().await;
    let (acme, umbrella) = (database.tenant("Acme").await, database.tenant("Umbrella").await);
    let (db, tasks) = (database.db(), PgTasks::new(database.db()));
    for (kind, table) in [
        (RelatedType::Company, "crm_companies"),
        (RelatedType::Contact, "crm_contacts"),
        (RelatedType::Deal, "crm_deals"),
        (RelatedType::Project, "crm_projects"),
        (RelatedType::Campaign, "crm_campaigns"),
    ] {
        let made = async |context| match kind {
            RelatedType::Company => parents::company(&db, context).await,
            RelatedType::Contact => parents::contact(&db, context).await,
            RelatedType::Deal => parents::deal(&db, context).await,
            RelatedType::Project => parents::project(&db, context).await,
            RelatedType::Campaign => parents::campaign(&db, context).await,
        };
        let (own, foreign) = (made(&acme.member).await.expect("made"), made(&umbrella.member).await.expect("made"));
        let task = tasks.create(&acme.member, about(kind, own)).await.expect("it lives");
        assert_eq!((task.related_to_type, task.related_to_id), (Some(kind), Some(own)));

        let mut answers = Vec::new();
        for id in [Uuid::now_v7(), foreign] {
            let refused = tasks.create(&acme.member, about(kind, id)).await;
            answers.push(format!("{:?}", refusals::invalid(refused, "/related_to_id", "reference", "it is not there")));
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "what exists elsewhere must not show: {answers:?}");
        // An id of one kind is none of another.
        let other = if kind == RelatedType::Deal { RelatedType::Contact } else { RelatedType::Deal };
        refusals::invalid(tasks.create(&acme.member, about(other, own)).await, "/related_to_id", "reference", "another kind");

        database.execute(&format!("UPDATE {table} SET deleted_at = now() WHERE id = '{own}'")).await;
        let late = tasks.create(&acme.member, about(kind, own)).await;
        refusals::invalid(late, "/related_to_id", "parent_deleted", "a deleted record takes nothing");
        let renamed = TaskChanges { title: Some("Still".into()), ..TaskChanges::default() };
        tasks.update(&acme.member, task.id, &Expected::Any, &renamed).await.expect("an old link is no new one");
    }
    // Whoever writes behind the program: the keys are real.
    let raw = format!(
        "SET session_replication_role = origin; ALTER TABLE crm_tasks DISABLE TRIGGER guard_20_task;
         INSERT INTO crm_tasks (organization_id, title, related_to_type, related_to_id)
         VALUES ('{}', 'Forged', 'company', app.uuid7())",
        acme.organization_id
    );
    let refused = diesel_async::SimpleAsyncConnection::batch_execute(&mut database.admin().await, &raw).await;
    let refused = refused.expect_err("a foreign key holds it").to_string();
    assert!(refused.contains("crm_tasks_rel_company_id_fkey"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_of_a_link_is_none_and_a_link_can_be_taken_away() {
    let database = TestDatabase::create().await;
    let acme = database.tenant("Acme").await;
    let tasks = PgTasks::new(database.db());
    let company = database.company(&acme.member, "Ours").await;
    let kind_alone = NewTask { related_to_id: None, ..about(RelatedType::Company, company) };
    refusals::invalid(tasks.create(&acme.member, kind_alone).await, "/related_to_id", "pair", "which one?");
    let id_alone = NewTask { related_to_type: None, ..about(RelatedType::Company, company) };
    refusals::invalid(tasks.create(&acme.member, id_alone).await, "/related_to_type", "pair", "of which kind?");

    let task = tasks.create(&acme.member, about(RelatedType::Company, company)).await.expect("it lives");
    let half = TaskChanges { related_to_id: Some(None), ..TaskChanges::default() };
    let refused = tasks.update(&acme.member, task.id, &Expected::Any, &half).await;
    refusals::invalid(refused, "/related_to_id", "pair", "half of it stays");
    let nothing = TaskChanges { related_to_type: Some(None), ..half };
    let free = tasks.update(&acme.member, task.id, &Expected::Any, &nothing).await.expect("about nothing");
    assert_eq!((free.related_to_type, free.related_to_id), (None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_to_a_task_shows_on_its_record() {
    let database = TestDatabase::create().await;
    let acme = database.tenant("Acme").await;
    let tasks = PgTasks::new(database.db());
    let company = database.company(&acme.member, "Ours").await;
    let task = tasks.create(&acme.member, about(RelatedType::Company, company)).await.expect("it lives");
    tasks.complete(&acme.member, task.id, &Expected::Any).await.expect("it is the member's");
    let shown = format!(
        "SELECT activity_type FROM crm_activities WHERE subject_type = 'company' AND subject_id = '{company}' AND entity_type = 'task'
          ORDER BY seq"
    );
    assert_eq!(database.texts(&shown).await, ["created", "status_changed"]);
}
