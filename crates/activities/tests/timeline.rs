//! The timeline of a record: one order, sentences for people, nothing twice, nothing of others.
#![allow(clippy::indexing_slicing, reason = "tests fail by panicking")]

mod companies;
mod tables;

use crm_activities::{
    Activities, PgActivities,
    timeline::{self, KIND, Names, Subject, TimelineEntry, TimelineQuestion},
};
use crm_kernel::{CompanyId, Context};
use crm_tenancy::Db;
use crm_testkit::TestDatabase;
use diesel::{ExpressionMethods, QueryDsl};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::{
    companies::{create, rename},
    tables::{crm_campaign_contacts, crm_campaigns, crm_contacts, crm_deals, crm_notes, crm_tasks},
};

fn of(company: CompanyId) -> TimelineQuestion {
    let (subject, id) = (Subject::Company, company.uuid());
    TimelineQuestion { subject, id, entities: subject.shows().to_vec(), names: Names::Shown, query: timeline::question(id) }
}

async fn note(db: &Db, context: &Context, company: CompanyId, content: &str) -> Uuid {
    let mut tx = db.begin(context).await.expect("a transaction");
    let about = (crm_notes::related_to_type.eq("company"), crm_notes::related_to_id.eq(company.uuid()));
    let inserted = diesel::insert_into(crm_notes::table).values((crm_notes::content.eq(content), about.0, about.1));
    let id: Uuid = inserted.returning(crm_notes::id).get_result(&mut tx).await.expect("a note");
    tx.commit().await.expect("a commit");
    id
}

async fn task(db: &Db, context: &Context, company: CompanyId, title: &str) -> Uuid {
    let mut tx = db.begin(context).await.expect("a transaction");
    let about = (crm_tasks::related_to_type.eq("company"), crm_tasks::related_to_id.eq(company.uuid()));
    let inserted = diesel::insert_into(crm_tasks::table).values((crm_tasks::title.eq(title), about.0, about.1));
    let id: Uuid = inserted.returning(crm_tasks::id).get_result(&mut tx).await.expect("a task");
    tx.commit().await.expect("a commit");
    id
}

async fn entries(activities: &PgActivities, context: &Context, question: &TimelineQuestion) -> Vec<TimelineEntry> {
    activities.timeline(context, question).await.expect("a timeline").data
}

fn sentences(entries: &[TimelineEntry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.sentence.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_stands_in_one_order_in_sentences() {
    let database = TestDatabase::create().await;
    let acme = database.tenant("Acme").await;
    let (db, activities) = (database.db(), PgActivities::new(database.db()));
    let company = create(&db, &acme.member, "Hooli").await;
    let written = note(&db, &acme.owner, company, "They decide **next week**,\nsays Gavin").await;
    let done = task(&db, &acme.member, company, "Send the offer").await;
    rename(&db, &acme.admin, company, "Hooli XYZ").await;
    let mut tx = db.begin(&acme.member).await.expect("a transaction");
    let completed = diesel::update(crm_tasks::table.find(done)).set(crm_tasks::status.eq("completed"));
    assert_eq!(completed.execute(&mut tx).await.expect("an update"), 1);
    tx.commit().await.expect("a commit");

    let all = entries(&activities, &acme.viewer, &of(company)).await;
    let name = |context: &Context| {
        let line = all.iter().find(|line| line.user_id == Some(context.user_id)).expect("a line of theirs");
        line.user_name.clone().expect("a name")
    };
    let (owner, admin, member) = (name(&acme.owner), name(&acme.admin), name(&acme.member));
    assert_eq!(
        sentences(&all),
        [
            format!("{member} completed the task \u{201c}Send the offer\u{201d}"),
            format!("{admin} changed the name of Hooli XYZ from Hooli to Hooli XYZ"),
            format!("{member} added the task \u{201c}Send the offer\u{201d}"),
            format!("{owner} wrote: \u{201c}They decide **next week**, says Gavin\u{201d}"),
            format!("{member} created Hooli"),
        ]
    );
    let kinds: Vec<&str> = all.iter().map(|line| line.kind.as_str()).collect();
    assert_eq!(kinds, ["task", "activity", "task", "note", "activity"]);
    assert!(all.windows(2).all(|pair| pair[0].occurred_at >= pair[1].occurred_at));

    // Who may not read members is told of members; who may not read notes sees none.
    let hidden = TimelineQuestion { names: Names::Hidden, entities: vec!["company"], ..of(company) };
    let seen = entries(&activities, &acme.member, &hidden).await;
    assert_eq!(sentences(&seen), ["A member changed the name of Hooli XYZ from Hooli to Hooli XYZ", "A member created Hooli"]);
    assert!(seen.iter().all(|line| line.user_name.is_none()));

    // What lies in the bin is not quoted any more.
    let mut tx = db.begin(&acme.owner).await.expect("a transaction");
    let binned = diesel::update(crm_notes::table.find(written)).set(crm_notes::deleted_at.eq(diesel::dsl::now));
    assert_eq!(binned.execute(&mut tx).await.expect("an update"), 1);
    tx.commit().await.expect("a commit");
    let notes = entries(&activities, &acme.member, &TimelineQuestion { entities: vec!["note"], ..of(company) }).await;
    assert_eq!(sentences(&notes), [format!("{owner} moved a note to the bin"), format!("{owner} wrote a note")]);
    assert!(notes.iter().all(|line| line.is_deleted));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_go_on_where_the_last_ended_whatever_comes_meanwhile() {
    let database = TestDatabase::create().await;
    let (acme, umbrella) = (database.tenant("Acme").await, database.tenant("Umbrella").await);
    let (db, activities) = (database.db(), PgActivities::new(database.db()));
    let company = create(&db, &acme.member, "Hooli").await;
    for number in 0..7 {
        note(&db, &acme.member, company, &format!("Note {number}")).await;
        task(&db, &acme.member, company, &format!("Task {number}")).await;
    }
    let whole: Vec<Uuid> = entries(&activities, &acme.member, &of(company)).await.iter().map(|line| line.id).collect();
    assert_eq!(whole.len(), 15);

    let mut question = of(company);
    question.query.limit = 4;
    let (mut seen, mut pages) = (Vec::new(), 0);
    loop {
        let page = activities.timeline(&acme.member, &question).await.expect("a page");
        seen.extend(page.data.iter().map(|line| line.id));
        note(&db, &acme.member, company, "Meanwhile").await;
        pages += 1;
        let Some(cursor) = page.page.next_cursor else { break };
        question.query = timeline::question(company.uuid()).continue_after(&cursor).expect("our cursor");
        question.query.limit = 4;
    }
    assert_eq!((pages, seen), (4, whole));

    let page = activities.timeline(&acme.member, &question).await.expect("a page");
    assert!(page.page.next_cursor.is_none());
    let first = activities.timeline(&acme.member, &of(company)).await.expect("a page");
    let mut short = of(company);
    short.query.limit = 1;
    let cursor = activities.timeline(&acme.member, &short).await.expect("a page").page.next_cursor.expect("more");
    assert!(first.data.len() > 1);
    // A cursor is of one record and of the kinds that were asked for.
    let other = create(&db, &acme.member, "Pied Piper").await;
    assert!(timeline::question(other.uuid()).continue_after(&cursor).is_err());
    let mut narrowed = timeline::question(company.uuid());
    narrowed.filter.add(&acme.member, &KIND, "note").expect("a kind");
    assert!(narrowed.continue_after(&cursor).is_err());
    // Another organisation sees nothing of it.
    assert_eq!(entries(&activities, &umbrella.owner, &of(company)).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_has_joined_campaigns_and_a_deal_has_gone_through_stages_that_have_names() {
    let database = TestDatabase::create().await;
    let acme = database.tenant("Acme").await;
    let (db, activities) = (database.db(), PgActivities::new(database.db()));
    let mut tx = db.begin(&acme.member).await.expect("a transaction");
    let names = (crm_contacts::first_name.eq("Monica"), crm_contacts::last_name.eq("Hall"));
    let inserted = diesel::insert_into(crm_contacts::table).values(names).returning(crm_contacts::id);
    let contact: Uuid = inserted.get_result(&mut tx).await.expect("a contact");
    let inserted = diesel::insert_into(crm_campaigns::table).values(crm_campaigns::name.eq("Spring fair"));
    let campaign: Uuid = inserted.returning(crm_campaigns::id).get_result(&mut tx).await.expect("a campaign");
    tx.commit().await.expect("a commit");
    // Another transaction is another moment.
    let mut tx = db.begin(&acme.member).await.expect("a transaction");
    let both = (crm_campaign_contacts::campaign_id.eq(campaign), crm_campaign_contacts::contact_id.eq(contact));
    assert_eq!(diesel::insert_into(crm_campaign_contacts::table).values(both).execute(&mut tx).await.expect("a member"), 1);
    let inserted = diesel::insert_into(crm_deals::table).values(crm_deals::name.eq("Big Deal")).returning(crm_deals::id);
    let deal: Uuid = inserted.get_result(&mut tx).await.expect("a deal");
    let moved = diesel::update(crm_deals::table.find(deal)).set(crm_deals::stage.eq("proposal"));
    assert_eq!(moved.execute(&mut tx).await.expect("an update"), 1);
    tx.commit().await.expect("a commit");

    let asked = |subject: Subject, id: Uuid| TimelineQuestion {
        subject,
        id,
        entities: subject.shows().to_vec(),
        names: Names::Hidden,
        query: timeline::question(id),
    };
    let of_contact = entries(&activities, &acme.viewer, &asked(Subject::Contact, contact)).await;
    assert_eq!(sentences(&of_contact), ["Joined the campaign \u{201c}Spring fair\u{201d}", "A member created Monica Hall"]);
    // The page goes on behind the campaign, which is no line of the log.
    let mut paged = asked(Subject::Contact, contact);
    paged.query.limit = 1;
    let page = activities.timeline(&acme.viewer, &paged).await.expect("a page");
    let cursor = page.page.next_cursor.expect("a second page");
    paged.query = timeline::question(contact).continue_after(&cursor).expect("our cursor");
    assert_eq!(sentences(&entries(&activities, &acme.viewer, &paged).await), ["A member created Monica Hall"]);

    let of_campaign = entries(&activities, &acme.viewer, &asked(Subject::Campaign, campaign)).await;
    assert_eq!(sentences(&of_campaign), ["A member added a contact to the campaign", "A member created Spring fair"]);
    let of_deal = entries(&activities, &acme.viewer, &asked(Subject::Deal, deal)).await;
    assert_eq!(sentences(&of_deal), ["A member moved Big Deal from Prospecting to Proposal", "A member created Big Deal"]);
}

/// A task about a company and one about nothing: what happens to the first shows on the company's page, and on its own all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_has_what_happened_to_it_and_the_notes_about_it() {
    let database = TestDatabase::create().await;
    let (acme, umbrella) = (database.tenant("Acme").await, database.tenant("Umbrella").await);
    let (db, activities) = (database.db(), PgActivities::new(database.db()));
    let company = create(&db, &acme.member, "Hooli").await;
    note(&db, &acme.member, company, "About the company").await;
    task(&db, &acme.member, company, "Another one").await;
    let call = task(&db, &acme.member, company, "Call Gavin").await;
    let mut tx = db.begin(&acme.member).await.expect("a transaction");
    let inserted = diesel::insert_into(crm_tasks::table).values(crm_tasks::title.eq("Tidy up")).returning(crm_tasks::id);
    let alone: Uuid = inserted.get_result(&mut tx).await.expect("a task");
    tx.commit().await.expect("a commit");
    for of_task in [call, alone] {
        let mut tx = db.begin(&acme.member).await.expect("a transaction");
        let about = (crm_notes::related_to_type.eq("task"), crm_notes::related_to_id.eq(of_task));
        let written = diesel::insert_into(crm_notes::table).values((crm_notes::content.eq("He is away"), about.0, about.1));
        assert_eq!(written.execute(&mut tx).await.expect("a note"), 1);
        tx.commit().await.expect("a commit");
        let mut tx = db.begin(&acme.member).await.expect("a transaction");
        let done = diesel::update(crm_tasks::table.find(of_task)).set(crm_tasks::status.eq("completed"));
        assert_eq!(done.execute(&mut tx).await.expect("an update"), 1);
        tx.commit().await.expect("a commit");
    }

    let asked = |id: Uuid| {
        let (subject, query) = (Subject::Task, timeline::question(id));
        TimelineQuestion { subject, id, entities: subject.shows().to_vec(), names: Names::Hidden, query }
    };
    for (id, title) in [(call, "Call Gavin"), (alone, "Tidy up")] {
        let lines = entries(&activities, &acme.viewer, &asked(id)).await;
        let said: Vec<String> = lines.iter().map(|line| format!("{}: {}", line.kind.as_str(), line.sentence)).collect();
        let wanted = [
            format!("activity: A member completed the task \u{201c}{title}\u{201d}"),
            "note: A member wrote: \u{201c}He is away\u{201d}".to_owned(),
            format!("activity: A member added the task \u{201c}{title}\u{201d}"),
        ];
        assert_eq!(said, wanted);
        assert_eq!(entries(&activities, &umbrella.owner, &asked(id)).await, [], "strangers see nothing");

        // One line a page, each where the last one ended.
        let (mut walked, mut question) = (Vec::new(), asked(id));
        loop {
            question.query.limit = 1;
            let page = activities.timeline(&acme.viewer, &question).await.expect("a page");
            walked.extend(page.data.iter().map(|line| line.id));
            let Some(cursor) = page.page.next_cursor else { break };
            question.query = timeline::question(id).continue_after(&cursor).expect("our cursor");
        }
        assert_eq!(walked, lines.iter().map(|line| line.id).collect::<Vec<_>>());

        let mut notes = asked(id);
        notes.entities = vec!["note"];
        assert_eq!(sentences(&entries(&activities, &acme.viewer, &notes).await), ["A member wrote: \u{201c}He is away\u{201d}"]);
    }
}
