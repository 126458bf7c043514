//! A contact works at a living company of its own organisation, or at none.

use crm_contacts::{ContactChanges, Contacts, NewContact, PgContacts};
use crm_kernel::{CompanyId, Expected};
use crm_testkit::{TestDatabase, refusals};
use uuid::Uuid;

fn at(company: Uuid) -> NewContact {
    NewContact {
        first_name: "Ada".into(),
        last_name: "Lovelace".into(),
        company_id: Some(CompanyId(company)),
        ..NewContact::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_company_is_refused_exactly_like_an_unknown_one() {
    let database = TestDatabase::create().await;
    let (acme, umbrella) = (database.tenant("Acme").await, database.tenant("Umbrella").await);
    let contacts = PgContacts::new(database.db());
    let foreign = database.company(&umbrella.member, "Theirs").await;
    let foreign_deleted = database.company(&umbrella.member, "Theirs, deleted").await;
    database.delete_company(foreign_deleted).await;

    let mut answers = Vec::new();
    for company in [Uuid::now_v7(), foreign, foreign_deleted] {
        let refused = contacts.create(&acme.member, at(company)).await;
        answers.push(format!("{:?}", refusals::invalid(refused, "/company_id", "reference", "it is not there")));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "what exists elsewhere must not show: {answers:?}");
    assert_eq!(database.number("SELECT count(*) FROM crm_contacts").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_new_comes_to_a_deleted_company_and_who_was_there_stays() {
    let database = TestDatabase::create().await;
    let acme = database.tenant("Acme").await;
    let contacts = PgContacts::new(database.db());
    let company = database.company(&acme.member, "Ours").await;
    let ada = contacts.create(&acme.member, at(company)).await.expect("it lives");
    database.delete_company(company).await;

    let late = contacts.create(&acme.member, at(company)).await;
    refusals::invalid(late, "/company_id", "parent_deleted", "a deleted company takes nobody");
    let same = NewContact { title: Some("Countess".into()), ..at(company) };
    let kept = contacts.replace(&acme.member, ada.id, &Expected::Any, same).await.expect("an old link is no new one");
    assert_eq!(kept.company_id, Some(CompanyId(company)));

    let away = ContactChanges { company_id: Some(None), ..ContactChanges::default() };
    contacts.update(&acme.member, ada.id, &Expected::Any, &away).await.expect("one may leave");
    let back = ContactChanges { company_id: Some(Some(CompanyId(company))), ..ContactChanges::default() };
    let back = contacts.update(&acme.member, ada.id, &Expected::Any, &back).await;
    refusals::invalid(back, "/company_id", "parent_deleted", "but not come back");
}
