//! An e-mail address belongs to one living contact of an organisation, whatever its case.

use crm_contacts::{Contact, ContactChanges, Contacts, NewContact, PgContacts};
use crm_kernel::{Context, Expected, Result};
use crm_testkit::{TestDatabase, refusals};

fn with_email(email: &str) -> NewContact {
    NewContact { first_name: "Ada".into(), last_name: "Lovelace".into(), email: Some(email.into()), ..NewContact::default() }
}

async fn set_email(contacts: &PgContacts, context: &Context, contact: &Contact, email: Option<&str>) -> Result<Contact> {
    let changes = ContactChanges { email: Some(email.map(Into::into)), ..ContactChanges::default() };
    contacts.update(context, contact.id, &Expected::Any, &changes).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_unique_whatever_its_case_and_comes_back_as_sent() {
    let database = TestDatabase::create().await;
    let (acme, umbrella) = (database.tenant("Acme").await, database.tenant("Umbrella").await);
    let contacts = PgContacts::new(database.db());

    let ada = contacts.create(&acme.member, with_email("Ada@Example.COM")).await.expect("the first may have it");
    assert_eq!(ada.email.as_deref(), Some("Ada@Example.COM"));
    let again = contacts.create(&acme.colleague, with_email("ada@example.com")).await;
    refusals::conflict(again, "/email", "a second living contact must not get the address");
    contacts.create(&umbrella.member, with_email("ada@example.com")).await.expect("another tenant knows nothing of it");

    let grace = contacts.create(&acme.member, with_email("grace@example.com")).await.expect("another address is free");
    let taken = set_email(&contacts, &acme.member, &grace, Some("ADA@example.com")).await;
    refusals::conflict(taken, "/email", "a change must not take an address");
    let own =
        set_email(&contacts, &acme.member, &ada, Some("ADA@EXAMPLE.COM")).await.expect("its own address may change its case");
    assert_eq!((own.email.as_deref(), own.version), (Some("ADA@EXAMPLE.COM"), 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_contact_frees_its_address_and_cannot_come_back_into_a_taken_one() {
    let database = TestDatabase::create().await;
    let acme = database.tenant("Acme").await;
    let contacts = PgContacts::new(database.db());

    let first = contacts.create(&acme.owner, with_email("ada@example.com")).await.expect("the first may have it");
    contacts.delete(&acme.owner, first.id, &Expected::Any).await.expect("the owner may delete");
    let second = contacts.create(&acme.owner, with_email("Ada@example.com")).await.expect("the address is free again");
    refusals::conflict(contacts.restore(&acme.owner, first.id).await, "/email", "the address was taken meanwhile");
    set_email(&contacts, &acme.owner, &second, None).await.expect("an address may be given up");
    contacts.restore(&acme.owner, first.id).await.expect("the address is free again");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_contacts_may_have_no_address() {
    let database = TestDatabase::create().await;
    let acme = database.tenant("Acme").await;
    let contacts = PgContacts::new(database.db());
    for _ in 0..2 {
        let nameless = NewContact { email: None, ..with_email("") };
        contacts.create(&acme.member, nameless).await.expect("an address is not required");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn case_makes_no_difference_in_any_script() {
    let database = TestDatabase::create().await;
    let acme = database.tenant("Acme").await;
    let contacts = PgContacts::new(database.db());
    for (first, again) in [("JÖRG@Müller.example", "jörg@MÜLLER.example"), ("Иван@Пример.рф", "иван@пример.рф")]
    {
        contacts.create(&acme.member, with_email(first)).await.expect("an address in its own letters");
        assert_eq!(crm_kernel::filter::lower(first), crm_kernel::filter::lower(again), "memory says what the database says");
        refusals::conflict(contacts.create(&acme.member, with_email(again)).await, "/email", "the same address in other letters");
    }
}
