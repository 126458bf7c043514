//! Conditions through a parent are one question to it, however many are joined; texts that are searched through cost what they take.

use crm_campaigns::{Campaigns, PgCampaigns};
use crm_companies::{Companies, PgCompanies};
use crm_contacts::{Contacts, PgContacts};
use crm_deals::{Deals, PgDeals};
use crm_kernel::{Condition, Context, Count, Error, Filter, ListQuery, Moment, Timestamp};
use crm_notes::{Notes, PgNotes};
use crm_projects::{PgProjects, Projects};
use crm_tasks::{PgTasks, Tasks};
use crm_testkit::TestDatabase;

use super::plans::fill;

#[derive(Clone, Copy)]
enum Noun {
    Companies,
    Contacts,
    Deals,
    Projects,
    Tasks,
    Notes,
    Campaigns,
}

/// Twice as many records as the demo organisation has.
async fn large() -> (TestDatabase, Context) {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    fill(&database, &tenant.owner).await;
    (database, tenant.owner)
}

/// The list with its count, as it is asked for by a page that shows both.
async fn listed(database: &TestDatabase, context: &Context, noun: Noun, text: &str) -> crm_kernel::Result<usize> {
    let vocabulary = match noun {
        Noun::Companies => crm_companies::VOCABULARY,
        Noun::Contacts => crm_contacts::VOCABULARY,
        Noun::Deals => crm_deals::VOCABULARY,
        Noun::Projects => crm_projects::VOCABULARY,
        Noun::Tasks => crm_tasks::VOCABULARY,
        Noun::Notes => crm_notes::VOCABULARY,
        Noun::Campaigns => crm_campaigns::VOCABULARY,
    };
    let condition = Condition::parse(text, &vocabulary).unwrap_or_else(|error| panic!("{text}: {error:?}"));
    let filter = Filter::default().and(condition, &Moment::utc(context.user_id, Timestamp::now())).unwrap();
    let query = |sort| ListQuery { filter, count: Count::Bounded, ..ListQuery::all(sort) };
    let db = database.db();
    Ok(match noun {
        Noun::Companies => PgCompanies::new(db).list(context, &query(crm_companies::default_sort())).await?.data.len(),
        Noun::Contacts => PgContacts::new(db).list(context, &query(crm_contacts::default_sort())).await?.data.len(),
        Noun::Deals => PgDeals::new(db).list(context, &query(crm_deals::default_sort())).await?.data.len(),
        Noun::Projects => PgProjects::new(db).list(context, &query(crm_projects::default_sort())).await?.data.len(),
        Noun::Tasks => PgTasks::new(db).list(context, &query(crm_tasks::default_sort())).await?.data.len(),
        Noun::Notes => PgNotes::new(db).list(context, &query(crm_notes::default_sort())).await?.data.len(),
        Noun::Campaigns => PgCampaigns::new(db).list(context, &query(crm_campaigns::default_sort())).await?.data.len(),
    })
}

fn joined(count: usize, of: impl Fn(usize) -> String) -> String {
    (0..count).map(of).collect::<Vec<_>>().join(" OR ")
}

#[tokio::test(flavor = "multi_thread")]
async fn any_number_of_questions_through_a_parent_is_affordable() {
    let (database, context) = large().await;
    let hops: [(Noun, &[&str], &str); 7] = [
        (Noun::Companies, &["parent.industry", "owner.full_name", "created_by.full_name"], "website"),
        (Noun::Contacts, &["company.industry", "owner.full_name", "created_by.full_name"], "title"),
        (Noun::Deals, &["company.industry", "primary_contact.title", "owner.full_name", "created_by.full_name"], "deal_source"),
        (
            Noun::Projects,
            &["company.industry", "deal.deal_source", "owner.full_name", "project_manager.full_name", "created_by.full_name"],
            "description",
        ),
        (Noun::Tasks, &["assigned_to.full_name", "created_by.full_name"], "description"),
        (Noun::Notes, &["owner.full_name", "created_by.full_name"], "content"),
        (Noun::Campaigns, &["owner.full_name", "created_by.full_name"], "description"),
    ];
    for (noun, hops, own) in hops {
        for count in [1, 3, 10, 30] {
            for hop in hops {
                let of_one = joined(count, |number| format!("{hop} = \"industry {number}\""));
                let denied = joined(count, |number| format!("{hop} != \"industry {number}\""));
                let missing = joined(count, |number| format!("NOT {hop} ~ \"industry {number}\""));
                for text in [of_one.clone(), format!("{of_one} OR {own} = \"source 7\""), denied, missing] {
                    let answer = listed(&database, &context, noun, &text).await;
                    assert!(answer.is_ok(), "{text}: {answer:?}");
                }
            }
            let of_all = joined(count, |number| format!("{} = \"industry {number}\"", hops[number % hops.len()]));
            let answer = listed(&database, &context, noun, &of_all).await;
            assert!(answer.is_ok(), "{of_all}: {answer:?}");
        }
    }
    let found = joined(30, |number| format!("company.industry = \"industry {number}\""));
    assert_eq!(listed(&database, &context, Noun::Deals, &found).await.unwrap(), 50, "a full page of them");
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_cost_what_it_takes_to_search_them() {
    let (database, context) = large().await;
    for field in ["name", "custom_fields.product"] {
        for count in [1, 3, 10] {
            let text = joined(count, |number| format!("{field} ~ \"qq{number}\""));
            assert_eq!(listed(&database, &context, Noun::Deals, &text).await.unwrap(), 0, "{text}");
        }
        let text = joined(100, |number| format!("{field} ~ \"qq{number}\""));
        let refused = listed(&database, &context, Noun::Deals, &text).await;
        let Err(Error::TooCostly(parts)) = refused else { panic!("{field}: {refused:?}") };
        let said: Vec<&str> = parts.iter().map(|part| part.message.as_str()).collect();
        assert_eq!(said.len(), 2, "one for all that are alike, and what to narrow by: {said:?}");
        assert_eq!(said[0], format!("`{field} ~ \"qq0\"` is answered by no index, and 99 more like it"));
    }
}
