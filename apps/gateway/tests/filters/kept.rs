//! A list that everybody asks for is planned once on each connection, and the plan that is kept for it reads no more than it shows.

use crm_activities::{Activities, PgActivities};
use crm_campaigns::{Campaigns, PgCampaigns};
use crm_companies::{Companies, PgCompanies};
use crm_contacts::{Contacts, PgContacts};
use crm_deals::{Deals, PgDeals};
use crm_kernel::{Context, Direction, Field, Filter, ListQuery, Result, Sort, Vocabulary};
use crm_notes::{Notes, PgNotes};
use crm_projects::{PgProjects, Projects};
use crm_tasks::{PgTasks, Tasks};
use crm_tenancy::Db;
use crm_testkit::{KeptPlans, Prepared, TestDatabase};

use super::plans::fill;

/// PostgreSQL plans a statement for its values five times before it compares that with a plan for any values.
const ASKED: usize = 7;
const NOUNS: [(&str, Vocabulary); 8] = [
    ("crm_activities", crm_activities::VOCABULARY),
    ("crm_campaigns", crm_campaigns::VOCABULARY),
    ("crm_companies", crm_companies::VOCABULARY),
    ("crm_contacts", crm_contacts::VOCABULARY),
    ("crm_deals", crm_deals::VOCABULARY),
    ("crm_notes", crm_notes::VOCABULARY),
    ("crm_projects", crm_projects::VOCABULARY),
    ("crm_tasks", crm_tasks::VOCABULARY),
];

fn field(name: &str) -> &'static Field {
    crm_kernel::fields::find(crm_contacts::FIELDS, name).unwrap()
}

/// The cursor of the next page, where there is one.
async fn list(db: &Db, context: &Context, table: &str, query: &ListQuery) -> Result<Option<String>> {
    let db = db.clone();
    Ok(match table {
        "crm_activities" => PgActivities::new(db).list(context, query).await?.page.next_cursor,
        "crm_campaigns" => PgCampaigns::new(db).list(context, query).await?.page.next_cursor,
        "crm_companies" => PgCompanies::new(db).list(context, query).await?.page.next_cursor,
        "crm_contacts" => PgContacts::new(db).list(context, query).await?.page.next_cursor,
        "crm_deals" => PgDeals::new(db).list(context, query).await?.page.next_cursor,
        "crm_notes" => PgNotes::new(db).list(context, query).await?.page.next_cursor,
        "crm_projects" => PgProjects::new(db).list(context, query).await?.page.next_cursor,
        _ => PgTasks::new(db).list(context, query).await?.page.next_cursor,
    })
}

async fn of_lists(kept: &KeptPlans) -> Vec<Prepared> {
    kept.prepared().await.into_iter().filter(|one| one.statement.ends_with("LIMIT 51")).collect()
}

/// The first page, which most readers leave it at; of a place in an order the planner knows more than without it, and is asked each time.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_in_an_order_of_its_own_is_planned_once_and_reads_what_it_shows() {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    fill(&database, &tenant.owner).await;
    let (mut looked_at, mut faults) = (0, Vec::new());
    for (table, vocabulary) in NOUNS {
        for field in vocabulary.fields.iter().filter(|field| field.sortable) {
            for direction in [Direction::Ascending, Direction::Descending] {
                // A connection of its own, so that what it has prepared is this.
                let kept = KeptPlans::of(&database, &tenant.owner).await;
                let first = ListQuery::all(Sort { field, direction });
                let order = format!("{table} by {} {direction:?}", field.name);
                let mut cursor = None;
                for _ in 0..ASKED {
                    cursor = list(&kept.db(), &tenant.owner, table, &first).await.unwrap();
                }
                let each_time = of_lists(&kept).await.into_iter().filter(|statement| statement.generic_plans == 0);
                faults.extend(each_time.map(|statement| format!("{order} is planned each time: {}", statement.statement)));
                if let Some(cursor) = cursor {
                    let second = first.continue_after(&cursor).unwrap();
                    list(&kept.db(), &tenant.owner, table, &second).await.unwrap();
                }
                for statement in of_lists(&kept).await {
                    let dear = kept.faults(&statement, &[table, "crm_record_times"]).await;
                    faults.extend(dear.iter().map(|fault| format!("{order}: {fault}")));
                    looked_at += 1;
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(looked_at > 80, "only {looked_at} statements");
}

/// Values that many have and values that few have are found by the plan of the same statement.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_narrowed_by_one_value_is_not_planned_for_the_wrong_one() {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    fill(&database, &tenant.owner).await;
    let kept = KeptPlans::of(&database, &tenant.owner).await;
    for (sort, order) in
        [(crm_contacts::default_sort(), "id"), (Sort { field: field("last_name"), direction: Direction::Ascending }, "name_key")]
    {
        for value in ["active", "active", "active", "active", "active", "active", "active", "bounced", "inactive"] {
            let mut filter = Filter::default();
            filter.add(&tenant.owner, field("contact_status"), value).unwrap();
            list(&kept.db(), &tenant.owner, "crm_contacts", &ListQuery { filter, ..ListQuery::all(sort) }).await.unwrap();
        }
        let of_order = kept.prepared().await;
        let of_order = of_order
            .iter()
            .find(|one| one.statement.contains("contact_status") && one.statement.contains(&format!("\"{order}\" ")));
        let faults = kept.faults(of_order.expect("it is kept"), &["crm_contacts"]).await;
        assert!(faults.is_empty(), "{order}: {}", faults.join("\n"));
    }
}
