//! A note is about a living record of its own organisation, of one of the kinds there are, or about nothing.

mod parents;

use crm_kernel::Expected;
use crm_notes::{NewNote, NoteChanges, Notes, PgNotes, RelatedType};
use crm_testkit::{TestDatabase, refusals};
use uuid::Uuid;

fn about(kind: RelatedType, id: Uuid) -> NewNote {
    NewNote { content: "Ask".into(), related_to_type: Some(kind), related_to_id: Some(id), ..NewNote::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_record_of_every_kind_is_refused_exactly_like_an_unknown_one() {
    let database = TestDatabase::create().await;
    let (acme, umbrella) = (database.tenant("Acme").await, database.tenant("Umbrella").await);
    let (db, notes) = (database.db(), PgNotes::new(database.db()));
    for (kind, table) in [
        (RelatedType::Company, "crm_companies"),
        (RelatedType::Contact, "crm_contacts"),
        (RelatedType::Deal, "crm_deals"),
        (RelatedType::Project, "crm_projects"),
        (RelatedType::Campaign, "crm_campaigns"),
        (RelatedType::Task, "crm_tasks"),
    ] {
        let made = async |context| match kind {
            RelatedType::Company => parents::company(&db, context).await,
            RelatedType::Contact => parents::contact(&db, context).await,
            RelatedType::Deal => parents::deal(&db, context).await,
            RelatedType::Project => parents::project(&db, context).await,
            RelatedType::Campaign => parents::campaign(&db, context).await,
            RelatedType::Task => parents::task(&db, context).await,
        };
        let (own, foreign) = (made(&acme.member).await.expect("made"), made(&umbrella.member).await.expect("made"));
        let note = notes.create(&acme.member, about(kind, own)).await.expect("it lives");
        assert_eq!((note.related_to_type, note.related_to_id), (Some(kind), Some(own)));

        let mut answers = Vec::new();
        for id in [Uuid::now_v7(), foreign] {
            let refused = notes.create(&acme.member, about(kind, id)).await;
            answers.push(format!("{:?}", refusals::invalid(refused, "/related_to_id", "reference", "it is not there")));
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "what exists elsewhere must not show: {answers:?}");
        // An id of one kind is none of another.
        let other = if kind == RelatedType::Deal { RelatedType::Contact } else { RelatedType::Deal };
        refusals::invalid(notes.create(&acme.member, about(other, own)).await, "/related_to_id", "reference", "another kind");

        database.execute(&format!("UPDATE {table} SET deleted_at = now() WHERE id = '{own}'")).await;
        let late = notes.create(&acme.member, about(kind, own)).await;
        refusals::invalid(late, "/related_to_id", "parent_deleted", "a deleted record takes nothing");
        let renamed = NoteChanges { content: Some("Still".into()), ..NoteChanges::default() };
        notes.update(&acme.member, note.id, &Expected::Any, &renamed).await.expect("an old link is no new one");
    }
    // Whoever writes behind the program: the keys are real.
    let raw = format!(
        "SET session_replication_role = origin; ALTER TABLE crm_notes DISABLE TRIGGER guard_20_note;
         INSERT INTO crm_notes (organization_id, content, related_to_type, related_to_id)
         VALUES ('{}', 'Forged', 'company', app.uuid7())",
        acme.organization_id
    );
    let refused = diesel_async::SimpleAsyncConnection::batch_execute(&mut database.admin().await, &raw).await;
    let refused = refused.expect_err("a foreign key holds it").to_string();
    assert!(refused.contains("crm_notes_rel_company_id_fkey"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_of_a_link_is_none_and_a_link_can_be_taken_away() {
    let database = TestDatabase::create().await;
    let acme = database.tenant("Acme").await;
    let notes = PgNotes::new(database.db());
    let company = database.company(&acme.member, "Ours").await;
    let kind_alone = NewNote { related_to_id: None, ..about(RelatedType::Company, company) };
    refusals::invalid(notes.create(&acme.member, kind_alone).await, "/related_to_id", "pair", "which one?");
    let id_alone = NewNote { related_to_type: None, ..about(RelatedType::Company, company) };
    refusals::invalid(notes.create(&acme.member, id_alone).await, "/related_to_type", "pair", "of which kind?");

    let note = notes.create(&acme.member, about(RelatedType::Company, company)).await.expect("it lives");
    let half = NoteChanges { related_to_id: Some(None), ..NoteChanges::default() };
    let refused = notes.update(&acme.member, note.id, &Expected::Any, &half).await;
    refusals::invalid(refused, "/related_to_id", "pair", "half of it stays");
    let nothing = NoteChanges { related_to_type: Some(None), ..half };
    let free = notes.update(&acme.member, note.id, &Expected::Any, &nothing).await.expect("about nothing");
    assert_eq!((free.related_to_type, free.related_to_id), (None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_to_a_note_shows_on_its_record() {
    let database = TestDatabase::create().await;
    let acme = database.tenant("Acme").await;
    let notes = PgNotes::new(database.db());
    let company = database.company(&acme.member, "Ours").await;
    let note = notes.create(&acme.member, about(RelatedType::Company, company)).await.expect("it lives");
    let pinned = NoteChanges { is_pinned: Some(true), ..NoteChanges::default() };
    notes.update(&acme.member, note.id, &Expected::Any, &pinned).await.expect("it is the member's");
    let shown = format!(
        "SELECT activity_type FROM crm_activities WHERE subject_type = 'company' AND subject_id = '{company}' AND entity_type = 'note'
          ORDER BY seq"
    );
    assert_eq!(database.texts(&shown).await, ["created", "updated"]);
}
