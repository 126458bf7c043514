//! Contacts in calls that change many at once: the use cases of `within.rs` under the names that all nouns share.

use async_trait::async_trait;
use crm_kernel::{ContactId, Expected, Result};
use crm_tenancy::{Entity, Tx, bulk, custom_fields::RecordKind};
use uuid::Uuid;

use crate::{
    model::{Contact, ContactChanges, NewContact},
    store, within,
};

/// Contacts, as a noun of bulk calls. Its natural key is any of its e-mail addresses, whatever its case.
#[derive(Debug)]
pub struct BulkContacts;

#[async_trait]
impl bulk::Noun for BulkContacts {
    type Record = Contact;
    type New = NewContact;
    type Changes = ContactChanges;

    const ENTITY: Entity = store::CONTACT;
    const KIND: RecordKind = RecordKind::Contact;
    const NATURAL_KEY: Option<&'static str> = Some("email");

    fn id(record: &Contact) -> Uuid {
        record.id.uuid()
    }
    fn give_id(new: &mut NewContact, id: Uuid) -> Option<Uuid> {
        new.id.replace(ContactId(id)).map(ContactId::uuid)
    }
    fn natural_key(new: &mut NewContact) -> Option<&mut Option<String>> {
        Some(&mut new.email)
    }

    async fn create(tx: &mut Tx, new: NewContact) -> Result<Contact> {
        within::create(tx, new).await
    }
    async fn create_all(tx: &mut Tx, new: Vec<NewContact>) -> Result<Vec<Contact>> {
        within::create_all(tx, new).await
    }
    async fn update(tx: &mut Tx, id: Uuid, expected: &Expected, changes: &ContactChanges) -> Result<Contact> {
        within::update(tx, ContactId(id), expected, changes).await
    }
    async fn delete(tx: &mut Tx, id: Uuid, expected: &Expected) -> Result<()> {
        within::delete(tx, ContactId(id), expected).await
    }
    async fn living(tx: &mut Tx, ids: &[Uuid]) -> Result<Vec<Contact>> {
        let ids: Vec<ContactId> = ids.iter().copied().map(ContactId).collect();
        Ok(store::get_many(tx, &ids).await?.into_iter().filter(|contact| contact.deleted_at.is_none()).collect())
    }
    async fn with_natural_key(tx: &mut Tx, email: &str) -> Result<Vec<Uuid>> {
        store::with_email(tx, email).await
    }
}
