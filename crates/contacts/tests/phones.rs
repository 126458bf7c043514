//! Telephone numbers are kept as E.164; one without a country is the organisation's.

use crm_contacts::{ContactChanges, Contacts, NewContact, PgContacts};
use crm_kernel::{Error, Expected};
use crm_testkit::{TestDatabase, refusals::invalid};

fn reached_by(phone: &str, mobile: &str) -> NewContact {
    NewContact {
        first_name: "Ada".into(),
        last_name: "Lovelace".into(),
        phone: Some(phone.into()),
        mobile: Some(mobile.into()),
        ..NewContact::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_read_where_the_organisation_is_and_kept_in_one_form() {
    let database = TestDatabase::create().await;
    let acme = database.tenant("Acme").await;
    let contacts = PgContacts::new(database.db());
    let homeless = contacts.create(&acme.member, reached_by("044 668 18 00", "+41 79 123 45 67")).await;
    invalid(homeless, "/phone", "phone", "without a country of the organisation a number must say its own");

    database.execute(&format!("UPDATE organizations SET country = 'CH' WHERE id = '{}'", acme.organization_id)).await;
    let ada =
        contacts.create(&acme.member, reached_by("044 668 18 00 ext. 12", "+1 (415) 555-2671")).await.expect("both are numbers");
    assert_eq!(ada.phone.as_deref(), Some("+41446681800;ext=12"));
    assert_eq!(ada.mobile.as_deref(), Some("+14155552671"));

    let back = NewContact { phone: ada.phone.clone(), mobile: ada.mobile.clone(), ..reached_by("", "") };
    let same = contacts.replace(&acme.member, ada.id, &Expected::Any, NewContact { owner_id: ada.owner_id, ..back }).await;
    let same = same.expect("what is shown can be sent back");
    assert_eq!((same.phone, same.mobile, same.version), (ada.phone, ada.mobile, ada.version), "and changes nothing");

    let other_spelling = ContactChanges { phone: Some(Some("+41 (0)44 668-18-00 x12".into())), ..ContactChanges::default() };
    let spelt = contacts.update(&acme.member, ada.id, &Expected::Any, &other_spelling).await.expect("the same number");
    assert_eq!(spelt.version, ada.version, "another spelling is no change");
    let none = ContactChanges { phone: Some(None), ..ContactChanges::default() };
    assert_eq!(contacts.update(&acme.member, ada.id, &Expected::Any, &none).await.expect("it can be taken away").phone, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_number_is_refused_with_all_other_faults() {
    let database = TestDatabase::create().await;
    let acme = database.tenant("Acme").await;
    let contacts = PgContacts::new(database.db());
    let bad = NewContact { lead_score: Some(101), ..reached_by("call me", "+41 44 668 18") };
    let Err(Error::Invalid(faults)) = contacts.create(&acme.member, bad).await else { panic!("it must be refused") };
    let mut found: Vec<String> = faults.iter().map(|fault| format!("{} {}", fault.pointer, fault.code)).collect();
    found.sort();
    assert_eq!(found, ["/lead_score range", "/mobile phone", "/phone phone"]);

    let ada = contacts
        .create(&acme.owner, NewContact { owner_id: Some(acme.owner.user_id), ..reached_by("+41446681800", "+41791234567") });
    let ada = ada.await.expect("both are numbers");
    let bad = ContactChanges { mobile: Some(Some("call me".into())), ..ContactChanges::default() };
    let refused = contacts.update(&acme.viewer, ada.id, &Expected::Any, &bad).await;
    assert!(matches!(refused, Err(Error::Forbidden(_))), "a role's refusal comes before a value's: {refused:?}");
    let refused = contacts.update(&acme.owner, ada.id, &Expected::OneOf(vec![7]), &bad).await;
    assert!(matches!(refused, Err(Error::Stale(_))), "and so does another version: {refused:?}");
}
