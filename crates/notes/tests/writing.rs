//! What is written is kept to the letter and shown safely; whom it mentions are there; pinned notes come first.

use crm_kernel::{Expected, ListQuery, Tags};
use crm_notes::{NewNote, NoteChanges, Notes, PgNotes, default_sort};
use crm_testkit::{TestDatabase, refusals};
use uuid::Uuid;

fn written(content: &str) -> NewNote {
    NewNote { content: content.into(), ..NewNote::default() }
}

fn mentioning(ids: &[String]) -> NewNote {
    NewNote { mentions: Some(Tags(ids.to_vec())), ..written("For you") }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_kept_to_the_letter_and_its_html_is_safe() {
    let database = TestDatabase::create().await;
    let (acme, umbrella) = (database.tenant("Acme").await, database.tenant("Umbrella").await);
    let notes = PgNotes::new(database.db());
    let text = "  # Hi\r\n\r\n<script>alert(1)</script>\r\n\r\n[x](javascript:alert(1)) \u{202e} *e\u{301}*\t\n\n";
    let note = notes.create(&acme.member, written(text)).await.expect("a member creates");
    let read = notes.get(&acme.viewer, note.id).await.expect("a viewer reads");
    assert_eq!((note.content.as_str(), read.content.as_str()), (text, text));
    let html = notes.html(&acme.viewer, note.id).await.expect("a viewer reads");
    assert_eq!((html.note_id, html.version), (note.id, 1));
    assert!(html.html.contains("<em>e\u{301}</em>"), "{}", html.html);
    assert!(!html.html.contains("<script") && !html.html.contains("href"), "{}", html.html);
    refusals::not_found(notes.html(&umbrella.owner, note.id).await, "another tenant's");

    let long = notes.create(&acme.member, written(&"ä".repeat(20_000))).await.expect("as long as may be");
    assert_eq!(long.content.chars().count(), 20_000);
    refusals::invalid(notes.create(&acme.member, written(&"ä".repeat(20_001))).await, "/content", "length", "too long");
    refusals::invalid(notes.create(&acme.member, written(" \n ")).await, "/content", "required", "nothing is written");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_active_members_are_mentioned_each_once_and_so_many() {
    let database = TestDatabase::create().await;
    let (acme, umbrella) = (database.tenant("Acme").await, database.tenant("Umbrella").await);
    let notes = PgNotes::new(database.db());
    let (admin, colleague) = (acme.admin.user_id.to_string(), acme.colleague.user_id.to_string());
    let both = notes.create(&acme.member, mentioning(&[admin.clone(), colleague.clone()])).await.expect("both are there");
    assert_eq!(both.mentions.0, [admin.clone(), colleague.clone()]);
    for (ids, code) in [
        (vec![umbrella.member.user_id.to_string()], "reference"),
        (vec![admin.clone(), Uuid::now_v7().to_string()], "reference"),
        (vec![admin.clone(), admin.clone()], "duplicate"),
        (vec!["me".to_owned()], "id"),
        (vec![admin.to_uppercase()], "id"),
        ((0..51).map(|_| Uuid::now_v7().to_string()).collect(), "too_many"),
    ] {
        refusals::invalid(notes.create(&acme.member, mentioning(&ids)).await, "/mentions", code, &format!("{ids:?}"));
    }
    // Whoever left stays where they were mentioned, and is mentioned nowhere else.
    let left = format!("UPDATE memberships SET status = 'suspended' WHERE user_id = '{colleague}'");
    database.execute(&left).await;
    let fewer = NoteChanges { mentions: Some(Tags(vec![colleague.clone()])), ..NoteChanges::default() };
    let fewer = notes.update(&acme.member, both.id, &Expected::Any, &fewer).await.expect("it was mentioned before");
    assert_eq!(fewer.mentions.0, [colleague.as_str()]);
    refusals::invalid(notes.create(&acme.member, mentioning(&[colleague])).await, "/mentions", "reference", "suspended");
}

#[tokio::test(flavor = "multi_thread")]
async fn pinned_notes_come_first_and_the_newest_first_among_equals() {
    let database = TestDatabase::create().await;
    let acme = database.tenant("Acme").await;
    let notes = PgNotes::new(database.db());
    for (content, is_pinned) in [("1", true), ("2", false), ("3", true), ("4", false)] {
        let new = NewNote { is_pinned: Some(is_pinned), ..written(content) };
        notes.create(&acme.member, new).await.expect("a member creates");
    }
    let mut query = ListQuery { limit: 3, ..ListQuery::all(default_sort()) };
    let mut seen = Vec::new();
    loop {
        let page = notes.list(&acme.viewer, &query).await.expect("a page");
        seen.extend(page.data.iter().map(|note| note.content.clone()));
        let Some(cursor) = page.page.next_cursor else { break };
        query = query.continue_after(&cursor.to_string()).expect("its own cursor");
    }
    assert_eq!(seen, ["3", "1", "4", "2"]);
}

/// Mentions have no foreign key: what they name stays because nobody can take it away.
#[tokio::test(flavor = "multi_thread")]
async fn a_membership_that_was_mentioned_can_end_and_not_go() {
    let database = TestDatabase::create().await;
    let roles = "SELECT rolname FROM pg_roles
                  WHERE has_table_privilege(rolname, 'memberships', 'DELETE') AND NOT rolsuper AND rolname LIKE 'crm%' ORDER BY 1";
    assert_eq!(database.texts(roles).await, ["crm_owner"], "who owns the tables, and none that reads or writes them");
    let able = "SELECT rolname FROM pg_roles WHERE rolname = 'crm_owner' AND rolcanlogin";
    assert_eq!(database.texts(able).await, Vec::<String>::new(), "nobody logs in as the owner");
}
