//! Several changes in one transaction: all of them, or none.

use crm_companies::{Companies, CompanyChanges, NewCompany, PgCompanies, within};
use crm_kernel::{Error, Expected};
use crm_testkit::TestDatabase;

fn named(name: &str) -> NewCompany {
    NewCompany { name: name.into(), ..NewCompany::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_changes_are_kept_together() {
    let database = TestDatabase::create().await;
    let context = database.tenant("Acme").await.member;
    let mut tx = database.db().begin(&context).await.expect("a transaction");
    let parent = within::create(&mut tx, named("Umbrella")).await.expect("a company");
    let child = within::create(&mut tx, named("Umbrella")).await.expect("another of the same name");
    let changes = CompanyChanges { parent_id: Some(Some(parent.id)), ..CompanyChanges::default() };
    within::update(&mut tx, child.id, &Expected::OneOf(vec![1]), &changes).await.expect("a change");
    tx.commit().await.expect("all of it is kept");

    let companies = PgCompanies::new(database.db());
    assert_eq!(companies.get(&context, child.id).await.expect("it is there").parent_id, Some(parent.id));
    assert_ne!(child.slug, parent.slug, "who names no slug gets a free one");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_changes_are_undone_together() {
    let database = TestDatabase::create().await;
    let context = database.tenant("Acme").await.member;
    let mut tx = database.db().begin(&context).await.expect("a transaction");
    within::create(&mut tx, NewCompany { slug: Some("umbrella".into()), ..named("Umbrella") }).await.expect("a company");
    let again = within::create(&mut tx, NewCompany { slug: Some("umbrella".into()), ..named("Umbrella") }).await;
    assert!(matches!(again, Err(Error::Conflict(_))), "a slug that the client chose is taken: {again:?}");
    tx.commit().await.expect_err("the refusal ended the transaction");
    assert_eq!(database.number("SELECT count(*) FROM crm_companies").await, 0, "nothing is kept");
}
