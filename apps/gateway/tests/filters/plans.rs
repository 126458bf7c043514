//! What a filter costs in a tenant of 20,000 records of each noun: every field that lists take as a parameter is answered by
//! an index, and so is every order. `cargo xtask plans` asks the same of a large tenant.

use crm_companies::{Companies, PgCompanies};
use crm_deals::{Deals, PgDeals};
use crm_kernel::{
    Condition, Context, Count, Direction, Filter, Kind, ListQuery, Moment, Position, Sort, Timestamp, Vocabulary, filter::Known,
};
use crm_tenancy::{
    CustomFieldDefinitions, PgCustomFieldDefinitions, cost,
    custom_fields::{NewCustomField, Phase, RecordKind, work},
    seek,
};
use crm_testkit::{Plan, TestDatabase};
use serde_json::json;

const NOUNS: [(&str, &str, Vocabulary); 7] = [
    ("companies", "q_companies", crm_companies::VOCABULARY),
    ("contacts", "q_contacts", crm_contacts::VOCABULARY),
    ("deals", "q_deals", crm_deals::VOCABULARY),
    ("projects", "q_projects", crm_projects::VOCABULARY),
    ("tasks", "q_tasks", crm_tasks::VOCABULARY),
    ("notes", "q_notes", crm_notes::VOCABULARY),
    ("campaigns", "q_campaigns", crm_campaigns::VOCABULARY),
];

/// A list may read so many rows for nothing.
const MOST_WASTED: f64 = 5_000.0;

/// Companies, contacts, deals, projects and campaigns of the context's organisation. Triggers sleep: what is measured is reading.
pub(super) async fn fill(database: &TestDatabase, context: &Context) {
    let (organization, user) = (context.organization_id, context.user_id);
    let own = format!("'{organization}', '{user}', '{user}'");
    let person = "CASE WHEN n % 50 = 0 THEN NULL ELSE ids.owner END";
    let sql = format!(
        "SET session_replication_role = replica;
         CREATE TEMPORARY TABLE ids AS
         SELECT n, app.uuid7_at(now() - n * interval '1 minute') AS company, app.uuid7_at(now() - n * interval '1 minute') AS contact,
                CASE WHEN n % 3 = 0 THEN '{user}'::uuid END AS owner
           FROM generate_series(1, 20000) AS n;
         INSERT INTO crm_companies (organization_id, owner_id, created_by_id, id, name, slug, industry, company_size, company_status,
                annual_revenue, employee_count, tags, parent_id)
         SELECT '{organization}', {person}, '{user}', company, 'Company ' || n, 'company-' || n, 'industry ' || n % 300,
                (ARRAY['startup', 'small', 'medium', 'enterprise'])[n % 5],
                CASE WHEN n % 1000 = 0 THEN 'churned' WHEN n % 3 = 0 THEN 'customer' ELSE 'lead' END,
                n, n, jsonb_build_array('tag ' || n % 400), CASE WHEN n % 7 = 0 THEN (SELECT company FROM ids AS above WHERE above.n = 1) END
           FROM ids;
         INSERT INTO crm_contacts (organization_id, owner_id, created_by_id, id, first_name, last_name, email, company_id, contact_status,
                lead_source, lead_score, tags)
         SELECT '{organization}', {person}, '{user}', contact, 'First ' || n, 'Last ' || n, 'p' || n || '@example.com', company,
                CASE WHEN n % 1000 = 0 THEN 'bounced' ELSE 'active' END, 'source ' || n % 200, n % 101, jsonb_build_array('tag ' || n % 400)
           FROM ids;
         INSERT INTO crm_deals (organization_id, owner_id, created_by_id, name, pipeline_id, stage, probability, amount, base_amount, currency,
                company_id, primary_contact_id, expected_close_date, deal_source, tags)
         SELECT {own}, 'Deal ' || n, pipeline.id, CASE WHEN n % 1000 = 0 THEN 'negotiation' ELSE 'prospecting' END, 10, n, n,
                CASE WHEN n % 500 = 0 THEN 'EUR' ELSE 'USD' END, company, contact, '2026-01-01'::date + n % 300, 'source ' || n % 200,
                jsonb_build_array('tag ' || n % 400)
           FROM ids, crm_pipelines AS pipeline WHERE pipeline.organization_id = '{organization}';
         INSERT INTO crm_projects (organization_id, owner_id, created_by_id, name, project_status, priority, company_id, due_date,
                completion_date, project_manager_id, deal_id, tags)
         SELECT {own}, 'Project ' || n,
                CASE WHEN n % 1000 = 0 THEN 'on_hold' WHEN n % 50 = 0 THEN 'planning' ELSE 'completed' END,
                CASE WHEN n % 1000 = 0 THEN 'urgent' ELSE 'medium' END, company, '2026-01-01'::date + n % 300,
                CASE WHEN n % 50 <> 0 THEN '2026-01-01'::date + n % 300 END, {person},
                (SELECT id FROM crm_deals WHERE organization_id = '{organization}' AND name = 'Deal 1'), jsonb_build_array('tag ' || n % 400)
           FROM ids;
         INSERT INTO crm_tasks (organization_id, assigned_to_id, created_by_id, title, status, priority, task_type, related_to_type,
                related_to_id, due_date, completed_at, tags)
         SELECT '{organization}', {person}, '{user}', 'Task ' || n,
                CASE WHEN n % 1000 = 0 THEN 'in_progress' WHEN n % 50 = 0 THEN 'pending' ELSE 'completed' END,
                CASE WHEN n % 1000 = 0 THEN 'urgent' ELSE 'medium' END, CASE WHEN n % 1000 = 0 THEN 'demo' ELSE 'call' END,
                CASE WHEN n % 1000 = 0 THEN 'contact' ELSE 'company' END, CASE WHEN n % 1000 = 0 THEN contact ELSE company END,
                CASE WHEN n % 7 <> 0 THEN '2026-01-01Z'::timestamptz + n % 300 * interval '1 day' END,
                CASE WHEN n % 50 <> 0 THEN now() END, jsonb_build_array('tag ' || n % 400)
           FROM ids;
         INSERT INTO crm_notes (organization_id, owner_id, created_by_id, content, is_pinned, related_to_type, related_to_id, mentions, tags)
         SELECT '{organization}', {person}, '{user}', 'Note ' || n, n % 1000 = 0,
                CASE WHEN n % 1000 = 0 THEN 'contact' ELSE 'company' END, CASE WHEN n % 1000 = 0 THEN contact ELSE company END,
                CASE WHEN n % 400 = 0 THEN jsonb_build_array('{user}') ELSE '[]' END, jsonb_build_array('tag ' || n % 400)
           FROM ids;
         INSERT INTO crm_campaigns (organization_id, owner_id, created_by_id, name, campaign_type, status, started_at, completed_at,
                start_date, end_date, budget, tags)
         SELECT {own}, 'Campaign ' || n, CASE WHEN n % 1000 = 0 THEN 'webinar' ELSE 'email' END,
                CASE WHEN n % 1000 = 0 THEN 'active' ELSE 'completed' END, now(), CASE WHEN n % 1000 <> 0 THEN now() END,
                '2026-01-01'::date + n % 300, '2027-01-01'::date + n % 300, n, jsonb_build_array('tag ' || n % 400)
           FROM ids;
         UPDATE crm_deals SET campaign_id = (
                SELECT id FROM crm_campaigns WHERE organization_id = '{organization}' AND name = 'Campaign 1')
          WHERE organization_id = '{organization}' AND stage = 'negotiation';"
    );
    database.execute(&sql).await;
    for (table, entity) in [
        ("crm_companies", "company"),
        ("crm_contacts", "contact"),
        ("crm_deals", "deal"),
        ("crm_projects", "project"),
        ("crm_tasks", "task"),
        ("crm_notes", "note"),
        ("crm_campaigns", "campaign"),
    ] {
        let times = format!(
            "INSERT INTO crm_record_times (organization_id, entity, record_id, in_bin, updated_at, last_activity_at)
             SELECT organization_id, '{entity}', id, false, updated_at - random() * interval '1000 days', updated_at - random() * interval '1000 days'
               FROM {table} WHERE organization_id = '{organization}'"
        );
        database.execute(&times).await;
    }
    // As the server does by itself when so much has come in.
    for table in [
        "crm_companies",
        "crm_contacts",
        "crm_deals",
        "crm_projects",
        "crm_tasks",
        "crm_notes",
        "crm_campaigns",
        "crm_record_times",
    ] {
        database.execute(&format!("VACUUM (ANALYZE) {table}")).await;
    }
}

/// Values to ask a field for: one that many have, one that few have, one that nobody has, if there is such a value.
fn values(noun: &str, field: &str, database: &[(String, String)]) -> Vec<String> {
    let fixed: &[&str] = match (noun, field) {
        (_, "industry") => &["industry 7", "nobody's"],
        (_, "company_size") => &["startup", "null"],
        (_, "company_status") => &["customer", "churned", "prospect"],
        (_, "contact_status") => &["active", "bounced", "inactive"],
        (_, "lead_source" | "deal_source") => &["source 7", "nobody's"],
        (_, "tags") => &["tag 7", "nobody's"],
        (_, "slug") => &["company-77", "nobody's"],
        (_, "email") => &["P77@example.com", "nobody@example.com"],
        (_, "stage") => &["prospecting", "negotiation", "closed_won"],
        (_, "currency") => &["USD", "EUR", "JPY"],
        (_, "expected_close_date" | "actual_close_date") => &["2026-03-01", "2001-01-01", "null"],
        ("tasks", "due_date") => &["2026-03-01T00:00:00Z", "2001-01-01T00:00:00Z", "null"],
        ("tasks", "title") => &["TASK 77", "nobody's"],
        ("tasks", "status") => &["completed", "in_progress", "cancelled"],
        ("tasks", "task_type") => &["call", "demo", "email"],
        (_, "is_pinned") => &["true", "false"],
        (_, "mentions") => &["anybody", "nobody"],
        (_, "related_to_type") => &["company", "contact", "deal", "null"],
        (_, "due_date" | "open_due_date" | "completion_date") => &["2026-03-01", "2001-01-01", "null"],
        (_, "project_status") => &["completed", "on_hold", "cancelled"],
        (_, "priority") => &["medium", "urgent", "low"],
        (_, "last_activity_at") => &["2026-01-01T00:00:00Z", "2001-01-01T00:00:00Z"],
        ("companies", "name") => &["COMPANY 77", "nobody's"],
        ("deals", "name") => &["DEAL 77", "nobody's"],
        ("projects", "name") => &["PROJECT 77", "nobody's"],
        ("campaigns", "name") => &["CAMPAIGN 77", "nobody's"],
        ("campaigns", "status") => &["completed", "active", "paused"],
        (_, "campaign_type") => &["email", "webinar", "other"],
        (_, "start_date" | "end_date") => &["2026-03-01", "2001-01-01", "null"],
        (_, "owner_id" | "project_manager_id" | "assigned_to_id") => &["me", "null"],
        _ => &[],
    };
    let ids = database.iter().filter(|(name, _)| name == field).map(|(_, id)| id.clone());
    fixed.iter().map(|value| (*value).to_owned()).chain(ids).collect()
}

/// Of each field that holds ids, one that is there and one that is not.
async fn known_ids(database: &TestDatabase, context: &Context) -> Vec<(String, String)> {
    let organization = context.organization_id;
    let mut ids = Vec::new();
    for (field, table) in [
        ("company_id", "crm_companies"),
        ("parent_id", "crm_companies"),
        ("primary_contact_id", "crm_contacts"),
        ("pipeline_id", "crm_pipelines"),
        ("deal_id", "crm_deals"),
        ("related_to_id", "crm_companies"),
        ("campaign_id", "crm_campaigns"),
        ("id", "crm_companies"),
    ] {
        let query = format!("SELECT id FROM {table} WHERE organization_id = '{organization}' ORDER BY id DESC LIMIT 1");
        ids.push((field.to_owned(), database.texts(&query).await.remove(0)));
        ids.push((field.to_owned(), uuid::Uuid::now_v7().to_string()));
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn every_filter_of_a_single_field_is_answered_by_an_index() {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    fill(&database, &tenant.owner).await;
    let ids = known_ids(&database, &tenant.owner).await;
    let (mut asked, mut dear) = (0, Vec::new());
    for (noun, view, vocabulary) in NOUNS {
        for field in vocabulary.fields.iter().filter(|field| field.filterable) {
            let values = values(noun, field.name, &ids);
            assert!(values.len() > 1, "say in this test what {noun} may be asked for in {}", field.name);
            let alone = values.iter().map(|value| vec![value.clone()]);
            for question in alone.chain([values.clone()]) {
                let mut filter = Filter::default();
                for value in &question {
                    filter.add(&tenant.owner, field, value).unwrap();
                }
                let condition = filter.condition();
                let query = ListQuery { filter, ..ListQuery::all(crm_companies::default_sort()) };
                let plan = match cost::is_doubtful(&query) {
                    true => Plan::judged(&database.db(), &tenant.owner, view, vocabulary.fields, &condition).await,
                    false => Plan::of(&database.db(), &tenant.owner, view, &condition).await,
                };
                if plan.wasted() > MOST_WASTED {
                    dear.push(format!("{noun}: {condition} reads {} rows for nothing: {}", plan.wasted(), plan.text()));
                }
                asked += 1;
            }
        }
    }
    assert!(dear.is_empty(), "{}", dear.join("\n"));
    assert!(asked > 80, "only {asked} filters");
}

/// Places in the middle of a list, and the orders that have records without a value: in the default order the index of a declared filter
/// goes on where the page did, in every other one a walk may meet nothing that is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn every_filter_is_gone_about_well_on_every_page_and_in_every_order() {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    fill(&database, &tenant.owner).await;
    let ids = known_ids(&database, &tenant.owner).await;
    let young = "SELECT id FROM crm_companies ORDER BY id DESC OFFSET 2000 LIMIT 1";
    let young: uuid::Uuid = database.texts(young).await.remove(0).parse().unwrap();
    let (mut asked, mut dear) = (0, Vec::new());
    for (noun, view, vocabulary) in NOUNS {
        let pages = pages(&vocabulary, young);
        for field in vocabulary.fields.iter().filter(|field| field.filterable) {
            for value in values(noun, field.name, &ids) {
                let mut filter = Filter::default();
                filter.add(&tenant.owner, field, &value).unwrap();
                for (sort, after, phase) in &pages {
                    let query = ListQuery { filter: filter.clone(), after: after.clone(), ..ListQuery::all(*sort) };
                    let plan = Plan::page(&database.db(), &tenant.owner, view, vocabulary.fields, &query, *phase).await;
                    if let Some(plan) = plan.filter(|plan| plan.wasted() > MOST_WASTED) {
                        let place = format!("{} {:?} {phase:?} {after:?}", sort.field.name, sort.direction);
                        dear.push(format!("{noun}: {} by {place} reads {}: {}", filter.condition(), plan.wasted(), plan.text()));
                    }
                    asked += 1;
                }
            }
        }
    }
    assert!(dear.is_empty(), "{} of {asked}: {}", dear.len(), dear.join("\n"));
    assert!(asked > 800, "only {asked} pages");
}

/// The second page of the newest, and both phases of each order that has two, and what was touched last.
fn pages(vocabulary: &Vocabulary, young: uuid::Uuid) -> Vec<(Sort, Option<Position>, seek::Phase)> {
    let mut pages = Vec::new();
    for field in vocabulary.fields.iter().filter(|field| field.sortable) {
        let sort = |direction| Sort { field, direction };
        let behind = |key: serde_json::Value| Some(Position::new(key, uuid::Uuid::max()));
        match (field.name, field.kind) {
            ("created_at", _) => pages.push((
                sort(Direction::Descending),
                Some(Position::new(serde_json::Value::Null, young)),
                seek::Phase::Valued,
            )),
            ("last_activity_at", _) => pages.push((sort(Direction::Descending), None, seek::Phase::Valued)),
            (_, kind) if field.nullable => {
                let early = match kind {
                    Kind::Date => json!("2026-01-15"),
                    Kind::Timestamp => json!("2026-01-15T00:00:00Z"),
                    _ => json!(100_000),
                };
                pages.push((sort(Direction::Descending), None, seek::Phase::Valued));
                pages.push((sort(Direction::Descending), None, seek::Phase::Empty));
                pages.push((sort(Direction::Ascending), behind(early), seek::Phase::Valued));
            }
            _ => {}
        }
    }
    pages
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_of_an_indexed_custom_field_is_answered_by_an_index() {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    fill(&database, &tenant.owner).await;
    let values = "jsonb_build_object('size', employee_count, 'budget', (employee_count || '.00'), 'code', 'code ' || employee_count % 400)";
    database.execute(&format!("SET session_replication_role = replica; UPDATE crm_companies SET custom_fields = {values}")).await;
    let fields = PgCustomFieldDefinitions::new(database.db());
    for (key, field_type) in [("size", "integer"), ("budget", "money"), ("code", "text")] {
        let new = json!({ "entity": "company", "key": key, "label": key, "field_type": field_type, "indexed": true });
        let new: NewCustomField = serde_json::from_value(new).unwrap();
        let made = fields.create(&tenant.owner, new).await.unwrap();
        assert!(!made.is_sortable(), "20,000 records are not put in order at once");
    }
    while work::step(&database.db()).await.unwrap() {}
    for table in ["crm_companies", "crm_custom_values"] {
        database.execute(&format!("VACUUM (ANALYZE) {table}")).await;
    }
    let known = fields.known(&tenant.owner, &[RecordKind::Company]).await.unwrap();
    assert!(known.of("company").all(|field| field.ordered.is_some()));
    let known = Known { vocabulary: &crm_companies::VOCABULARY, entity: "company", custom: &known };
    let mut dear = Vec::new();
    for filter in [
        "custom_fields.size < 50",
        "custom_fields.size >= 19990",
        "custom_fields.size > 100",
        "custom_fields.size > 30000",
        "custom_fields.size >= 500 AND custom_fields.size < 520",
        "custom_fields.budget <= 12.50",
        "custom_fields.size = 77",
        "custom_fields.budget = 77",
        "custom_fields.code = \"code 7\"",
        "custom_fields.code IN (\"code 7\", \"code 8\")",
    ] {
        let condition = Condition::parse_with(filter, &known).unwrap();
        let plan = Plan::of(&database.db(), &tenant.owner, "q_companies", &condition).await;
        if plan.wasted() > MOST_WASTED {
            dear.push(format!("{filter} reads {} rows for nothing: {}", plan.wasted(), plan.text()));
        }
    }
    // The first page, and one from the middle, are found where the order is kept; nothing is sorted.
    for (key, middle) in [("size", json!(10_000)), ("budget", json!(10_000_000)), ("code", json!("code 200"))] {
        let field = known.custom.find("company", key).unwrap();
        for direction in [Direction::Ascending, Direction::Descending] {
            for after in [None, Some(Position::new(middle.clone(), uuid::Uuid::nil()))] {
                let mut query =
                    ListQuery { custom_sort: Some(field.clone()), after, ..ListQuery::all(crm_companies::default_sort()) };
                query.sort.direction = direction;
                let plan = Plan::ranked(&database.db(), &tenant.owner, "q_companies", &query, Phase::Valued).await;
                if plan.wasted() > MOST_WASTED
                    || plan.text().contains("\"Sort Key\"")
                    || plan.rows_of("crm_custom_values") > MOST_WASTED
                {
                    dear.push(format!("by {key}, {direction:?}: {}", plan.text()));
                }
            }
        }
    }
    assert!(dear.is_empty(), "{}", dear.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_order_is_that_of_an_index() {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    fill(&database, &tenant.owner).await;
    let (mut asked, mut dear) = (0, Vec::new());
    for (noun, view, vocabulary) in NOUNS {
        for field in vocabulary.fields.iter().filter(|field| field.sortable) {
            let column = match field.name {
                "created_at" => "id",
                "last_name" => "name_key",
                name => field.key.unwrap_or(name),
            };
            for direction in [Direction::Ascending, Direction::Descending] {
                let everything = Condition::default();
                let plan = Plan::sorted(&database.db(), &tenant.owner, view, &everything, (column, direction)).await;
                // A page is read in its order, or everything would be: that is not waste, but it grows with the tenant.
                if plan.wasted() > MOST_WASTED || plan.text().contains("\"Sort Key\"") {
                    dear.push(format!("{noun} by {}: {}", field.name, plan.text()));
                }
                asked += 1;
            }
        }
    }
    assert!(dear.is_empty(), "{}", dear.join("\n"));
    assert!(asked >= 30, "only {asked} orders");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_twenty_questions_are_affordable() {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    fill(&database, &tenant.owner).await;
    let document = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/QUERY.md");
    let document = std::fs::read_to_string(document).unwrap();
    let rows = document.lines().filter_map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [number, _, list, filter] = cells.as_slice() else { return None };
        Some((number.parse::<usize>().ok()?, (*list).to_owned(), filter.trim_matches('`').to_owned()))
    });
    let moment = Moment::utc(tenant.owner.user_id, Timestamp::now()).with_team(vec![tenant.owner.user_id]);
    let mut asked = 0;
    for (number, list, filter) in rows {
        let deals = list == "deals";
        let vocabulary = if deals { crm_deals::VOCABULARY } else { crm_companies::VOCABULARY };
        let condition = Condition::parse(&filter, &vocabulary).unwrap();
        let sort = if deals { crm_deals::default_sort() } else { crm_companies::default_sort() };
        let filter = Filter::default().and(condition, &moment).unwrap();
        let query = ListQuery { filter, count: Count::Bounded, ..ListQuery::all(sort) };
        let refused = match deals {
            true => PgDeals::new(database.db()).list(&tenant.owner, &query).await.err(),
            false => PgCompanies::new(database.db()).list(&tenant.owner, &query).await.err(),
        };
        assert!(refused.is_none(), "question {number}: {refused:?}");
        asked += 1;
    }
    assert_eq!(asked, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_without_statistics_is_read_once() {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    let (organization, user) = (tenant.owner.organization_id, tenant.owner.user_id);
    database
        .execute(&format!(
            "INSERT INTO crm_contacts (organization_id, owner_id, created_by_id, first_name, last_name)
             SELECT '{organization}', '{user}', '{user}', 'First', 'Last ' || n FROM generate_series(1, 3000) AS n;
             INSERT INTO crm_deals (organization_id, owner_id, created_by_id, pipeline_id, name, amount)
             SELECT '{organization}', '{user}', '{user}', (SELECT id FROM crm_pipelines WHERE organization_id = '{organization}'),
                    'GTX Pro ' || n, 4821 FROM generate_series(1, 3000) AS n"
        ))
        .await;
    for view in ["q_contacts", "q_deals"] {
        let plan = Plan::counted(&database.db(), &tenant.owner, view, &Condition::default()).await;
        assert!(plan.wasted() <= MOST_WASTED, "{view}: {} rows for nothing: {}", plan.wasted(), plan.text());
    }
    for filter in ["last_activity_at >= \"2001-01-01T00:00:00Z\"", "updated_at < \"2001-01-01T00:00:00Z\""] {
        let condition = Condition::parse(filter, &crm_contacts::VOCABULARY).unwrap();
        let plan = Plan::judged(&database.db(), &tenant.owner, "q_contacts", crm_contacts::FIELDS, &condition).await;
        assert!(plan.wasted() <= MOST_WASTED, "{filter} compares {} rows for nothing: {}", plan.wasted(), plan.text());
    }
}
