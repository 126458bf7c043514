//! What a field of the organisation's own refers to, while two people change the same project.

mod parents;

use crm_kernel::{Expected, ObjectChange};
use crm_projects::{NewProject, PgProjects, ProjectChanges, Projects};
use crm_tenancy::{CustomFieldDefinitions, PgCustomFieldDefinitions, custom_fields::NewCustomField};
use crm_testkit::{TestDatabase, refusals};
use serde_json::json;

/// What is gone may be written back where it stands; where somebody has put another in its place meanwhile, it would be a new reference to nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_is_not_put_back_over_what_another_has_written() {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    let (db, member) = (database.db(), tenant.member.clone());
    let partner = json!({ "entity": "project", "key": "partner", "label": "Partner", "field_type": "company" });
    let partner: NewCustomField = serde_json::from_value(partner).expect("a field");
    PgCustomFieldDefinitions::new(db.clone()).create(&tenant.owner, partner).await.expect("it is defined");
    let company = parents::company(&db, &member).await.expect("a company");
    let projects = PgProjects::new(db);
    let values = json!({ "partner": company });
    let new: NewProject = serde_json::from_value(json!({ "name": "Rollout", "custom_fields": values })).expect("a project");
    let project = projects.create(&member, new).await.expect("the partner is there");
    database.execute(&format!("UPDATE crm_companies SET deleted_at = now() WHERE id = '{company}'")).await;
    let back = ProjectChanges { custom_fields: ObjectChange::Merge(values.clone()), ..ProjectChanges::default() };
    let same = projects.update(&member, project.id, &Expected::Any, &back).await.expect("as it was read");
    assert_eq!(same.version, project.version);

    let held = database.hold(&format!("UPDATE crm_projects SET custom_fields = '{{}}' WHERE id = '{}'", project.id)).await;
    let (second, context, id) = (projects.clone(), member.clone(), project.id);
    let asked = tokio::spawn(async move { second.update(&context, id, &Expected::Any, &back).await });
    held.commit_under_a_waiter().await;
    refusals::invalid(asked.await.expect("it ends"), "/custom_fields/partner", "reference", "it was replaced first");
    assert!(projects.get(&member, project.id).await.expect("it is there").custom_fields.0.is_empty());
}
