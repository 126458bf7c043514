//! Who sees what of the log.

mod companies;

use crm_activities::{Activities, Activity, FIELDS, PgActivities, default_sort};
use crm_kernel::{
    Access, ActivityId, Actor, CompanyId, Context, Count, Direction, Filter, ListQuery, OperationId, Sort, Total, fields,
};
use crm_testkit::{TestDatabase, refusals};
use serde_json::json;

use crate::companies::{create, rename};

/// The question with these filters, as a client spells them.
fn where_(context: &Context, filters: &[(&str, &str)]) -> ListQuery {
    let mut filter = Filter::default();
    for (name, value) in filters {
        filter.add(context, fields::find(FIELDS, name).expect("a field"), value).expect("a value");
    }
    ListQuery { filter, ..ListQuery::all(default_sort()) }
}

async fn of_record(activities: &PgActivities, context: &Context, id: CompanyId) -> Vec<Activity> {
    activities.list(context, &where_(context, &[("entity_id", &id.to_string())])).await.expect("a page").data
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_shows_who_when_what_and_from_what_to_what() {
    let database = TestDatabase::create().await;
    let acme = database.tenant("Acme").await;
    let (db, activities) = (database.db(), PgActivities::new(database.db()));
    let operation = OperationId::generate();
    let caller = Context { operation_id: Some(operation), request_id: "request-1".into(), ..acme.member.clone() };
    let company = create(&db, &caller, "Old name").await;
    rename(&db, &caller, company, "New name").await;

    let [update, creation] =
        <[Activity; 2]>::try_from(of_record(&activities, &acme.viewer, company).await).expect("two activities");
    assert_eq!((update.activity_type.as_str(), creation.activity_type.as_str()), ("updated", "created"));
    assert_eq!((update.record_version, creation.record_version), (Some(2), Some(1)));
    assert_eq!((update.entity_type.as_str(), update.entity_id), ("company", company.uuid()));
    assert_eq!((update.subject_type.as_str(), update.subject_id), ("company", company.uuid()));
    assert_eq!((update.user_id, update.actor_kind), (Some(acme.member.user_id), Actor::User));
    assert_eq!(update.description.as_deref(), Some("New name"));
    assert_eq!(update.fields, ["name"]);
    assert_eq!(serde_json::to_value(&update.changes).ok(), Some(json!({ "name": ["Old name", "New name"] })));
    assert_eq!((update.operation_id, update.request_id.as_deref()), (Some(operation), Some("request-1")));
    assert!(update.id > creation.id && update.created_at > creation.created_at && update.occurred_at == update.created_at);
    let changes = creation.changes.clone().expect("the values of a new record");
    assert_eq!(changes.0.get("name"), Some(&json!([null, "Old name"])));
    assert_eq!(activities.get(&acme.viewer, creation.id).await.ok(), Some(creation));
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_are_shown_to_owner_and_admin_alone() {
    let database = TestDatabase::create().await;
    let acme = database.tenant("Acme").await;
    let (db, activities) = (database.db(), PgActivities::new(database.db()));
    let caller = Context { ip: "2001:db8::7".parse().ok(), user_agent: Some("agent/1".into()), ..acme.member.clone() };
    let company = create(&db, &caller, "Acme").await;
    for (context, ip, agent) in [
        (&acme.owner, Some("2001:db8::7"), Some("agent/1")),
        (&acme.admin, Some("2001:db8::7"), Some("agent/1")),
        (&acme.member, None, None),
        (&acme.viewer, None, None),
    ] {
        let listed = of_record(&activities, context, company).await.pop().expect("one activity");
        assert_eq!((listed.ip.as_deref(), listed.user_agent.as_deref()), (ip, agent), "as {}", context.role);
        assert_eq!(activities.get(context, listed.id).await.ok(), Some(listed));
    }
    // The role in a context is a claim: the database looks it up.
    let forged = Context { role: crm_kernel::Role::Owner, ..acme.viewer.clone() };
    let seen = of_record(&activities, &forged, company).await.pop().expect("one activity");
    assert_eq!((seen.ip, seen.user_agent), (None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_activity_is_not_there() {
    let database = TestDatabase::create().await;
    let (acme, umbrella) = (database.tenant("Acme").await, database.tenant("Umbrella").await);
    let (db, activities) = (database.db(), PgActivities::new(database.db()));
    let company = create(&db, &acme.member, "Acme").await;
    let theirs = of_record(&activities, &acme.member, company).await.pop().expect("one activity");

    let foreign = refusals::not_found(activities.get(&umbrella.owner, theirs.id).await, "it belongs to another tenant");
    let unknown = refusals::not_found(activities.get(&umbrella.owner, ActivityId::generate()).await, "it never was");
    assert_eq!(foreign.to_string(), unknown.to_string());
    assert_eq!(of_record(&activities, &umbrella.owner, company).await, []);
    let everything =
        activities.list(&umbrella.owner, &ListQuery { limit: 200, ..ListQuery::all(default_sort()) }).await.expect("a page");
    assert!(everything.data.iter().all(|activity| activity.id != theirs.id));
    let strange = Context { user_id: umbrella.owner.user_id, ..acme.owner.clone() };
    refusals::unauthenticated(activities.get(&strange, theirs.id).await, "a stranger is nobody here");
}

#[tokio::test(flavor = "multi_thread")]
async fn paging_visits_every_activity_once_in_both_directions() {
    let database = TestDatabase::create().await;
    let acme = database.tenant("Acme").await;
    let (db, activities) = (database.db(), PgActivities::new(database.db()));
    let company = create(&db, &acme.member, "Version 1").await;
    for version in 2..=23 {
        rename(&db, &acme.member, company, &format!("Version {version}")).await;
    }
    let newest_first: Vec<i32> = (1..=23).rev().collect();
    for (direction, expected) in
        [(Direction::Descending, newest_first.clone()), (Direction::Ascending, newest_first.into_iter().rev().collect())]
    {
        let sort = Sort { direction, ..default_sort() };
        let all =
            ListQuery { limit: 5, sort, count: Count::Bounded, ..where_(&acme.viewer, &[("entity_id", &company.to_string())]) };
        let (mut query, mut versions) = (all.clone(), Vec::new());
        loop {
            let page = activities.list(&acme.viewer, &query).await.expect("a page");
            assert_eq!(page.page.total, Some(Total { count: 23, exact: true }));
            versions.extend(page.data.iter().filter_map(|activity| activity.record_version));
            let Some(cursor) = page.page.next_cursor else { break };
            let other = where_(&acme.viewer, &[("entity_type", "company")]);
            refusals::malformed(other.continue_after(&cursor), "cursor", "a cursor belongs to its question");
            query = all.clone().continue_after(&cursor).expect("its own cursor");
        }
        assert_eq!(versions, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_narrow_exactly_and_join() {
    let database = TestDatabase::create().await;
    let acme = database.tenant("Acme").await;
    let (db, activities) = (database.db(), PgActivities::new(database.db()));
    let operation = OperationId::generate();
    let in_bulk = Context { operation_id: Some(operation), ..acme.member.clone() };
    let first = create(&db, &in_bulk, "First").await;
    let second = create(&db, &acme.colleague, "Second").await;
    rename(&db, &acme.owner, first, "First, renamed").await;
    let (first, second, operation) = (first.to_string(), second.to_string(), operation.to_string());

    for (filters, expected) in [
        (vec![("entity_type", "company")], 3),
        (vec![("entity_type", "company"), ("activity_type", "created")], 2),
        (vec![("entity_type", "company"), ("activity_type", "created"), ("activity_type", "updated")], 3),
        (vec![("entity_id", first.as_str())], 2),
        (vec![("entity_id", first.as_str()), ("entity_id", second.as_str())], 3),
        (vec![("subject_id", second.as_str())], 1),
        (vec![("entity_type", "company"), ("user_id", "me")], 1),
        (vec![("entity_id", second.as_str()), ("user_id", "me")], 0),
        (vec![("operation_id", operation.as_str())], 1),
        (vec![("entity_id", first.as_str()), ("operation_id", "null")], 1),
        (vec![("entity_type", "company"), ("user_id", "null")], 0),
        (vec![("entity_type", "'; DROP TABLE crm_activities; --")], 0),
    ] {
        let query = ListQuery { count: Count::Bounded, ..where_(&acme.member, &filters) };
        let page = activities.list(&acme.member, &query).await.expect("a page");
        assert_eq!(page.data.len(), expected, "{filters:?}");
        assert_eq!(page.page.total.map(|total| total.count), i64::try_from(expected).ok(), "{filters:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_activity_stays_without_its_values() {
    let database = TestDatabase::create().await;
    let acme = database.tenant("Acme").await;
    let (db, activities) = (database.db(), PgActivities::new(database.db()));
    let company = create(&db, &acme.member, "A person's name").await;
    database.execute("DELETE FROM crm_activity_details").await;

    let reader = Context { access: Access::ReadOnly, ..acme.owner.clone() };
    let erased = of_record(&activities, &reader, company).await.pop().expect("one activity");
    assert_eq!((erased.description, erased.changes, erased.ip, erased.user_agent), (None, None, None, None));
    assert!(erased.fields.contains(&"name".to_owned()), "which fields changed stays known");
}
