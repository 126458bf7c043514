//! Another team's program: with its own pool and directory of people, and none of the gateway. What the README shows is what runs.

use crm_kernel::{Error, Role};
use crm_tenancy::{
    Provisioning,
    provisioning::{NewMember, NewOrganization, NewPerson},
};
use crm_testkit::TestDatabase;

#[path = "../examples/own_directory.rs"]
#[allow(dead_code, reason = "its main reads arguments, which a test has not")]
mod own_directory;

const ORGANIZATION: NewOrganization<'_> =
    NewOrganization { name: "Acme", slug: "acme", default_currency: "EUR", time_zone: "Europe/Berlin" };

fn person(email: &str) -> NewPerson<'_> {
    NewPerson { email, full_name: "Somebody", password_hash: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_with_its_own_pool_and_directory_is_held_to_the_roles() {
    let database = TestDatabase::create().await;
    let told = own_directory::run(&database.admin_url(), &database.url()).await.expect("the example runs");
    assert_eq!(
        told,
        [
            "the clerk reads Acme",
            "in the other organisation there is no such company",
            "the clerk adds nothing: your role may not do this",
            "as a member the clerk adds Umbrella",
            "the clerk, suspended, is nobody: no longer an active member of this organisation",
        ]
    );
}

#[test]
fn the_readme_shows_the_example_that_runs() {
    let (readme, example) = (include_str!("../README.md"), include_str!("../examples/own_directory.rs"));
    assert!(readme.contains(&format!("```rust,no_run\n{example}```\n")), "copy examples/own_directory.rs into the README");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_committed_was_never_provisioned() {
    let database = TestDatabase::create().await;
    let mut provisioning = Provisioning::begin(&database.admin_url()).await.expect("begins");
    provisioning.found(&ORGANIZATION, &person("a@example.com")).await.expect("is made");
    drop(provisioning);
    let mut provisioning = Provisioning::begin(&database.admin_url()).await.expect("begins");
    provisioning.found(&ORGANIZATION, &person("a@example.com")).await.expect("the slug is free");
    let taken = provisioning.found(&ORGANIZATION, &person("b@example.com")).await;
    assert!(matches!(taken, Err(Error::Conflict(_))), "{taken:?}");
    assert!(provisioning.commit().await.is_err(), "a refusal cannot be committed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_with_its_name() {
    let database = TestDatabase::create().await;
    let (here, there) = (database.tenant("Acme").await, database.tenant("Umbrella").await);
    let begin = async || Provisioning::begin(&database.admin_url()).await.expect("begins");
    let team = begin().await.add_team(there.organization_id, "Theirs", Some(here.owner.user_id)).await;
    assert!(matches!(team, Err(Error::Invalid(_))), "a manager of another organisation: {team:?}");
    let mut new = NewMember::new(person("new@example.com"), Role::Member);
    new.manager_id = Some(there.owner.user_id);
    let member = begin().await.add_member(here.organization_id, &new).await;
    assert!(matches!(member, Err(Error::Invalid(_))), "a manager of another organisation: {member:?}");
    let twice = begin().await.add_member(here.organization_id, &NewMember::new(person(&here.email("viewer")), Role::Owner)).await;
    assert!(matches!(twice, Err(Error::Conflict(_))), "a member already: {twice:?}");
    let nobody = begin().await.change_role(here.organization_id, there.owner.user_id, Role::Viewer).await;
    assert!(matches!(nobody, Err(Error::NotFound("member"))), "not a member: {nobody:?}");
}
