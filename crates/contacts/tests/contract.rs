//! Contacts pass the contract of every noun.

mod companies;

use async_trait::async_trait;
use crm_contacts::{
    BulkContacts, Contact, ContactChanges, ContactStatus, Contacts, FIELDS, NewContact, PgContacts, default_sort,
};
use crm_kernel::{CompanyId, ContactId, Context, Expected, Field, ListQuery, Object, ObjectChange, Page, Result, Sort, Tags};
use crm_tenancy::Db;
use crm_testkit::contract::{Draft, Noun};
use serde_json::{Value, json};
use uuid::Uuid;

struct Contract {
    contacts: PgContacts,
    db: Db,
}

/// Values repeat at different intervals, so that every list has ties, and some are missing, so that it has nulls.
fn new_contact(draft: Draft) -> NewContact {
    let number = draft.number;
    let every = |interval: usize| number.is_multiple_of(interval);
    NewContact {
        id: draft.id.map(ContactId),
        company_id: None,
        first_name: if every(2) { "ada" } else { "Zoë" }.to_owned(),
        last_name: format!("{} {}", if every(2) { "lovelace" } else { "Müller" }, number / 2),
        email: Some(format!("Person.{number}@Example.com")),
        phone: every(2).then(|| format!("+416100000{number:02}")),
        mobile: None,
        title: every(3).then(|| "Head of Purchasing".to_owned()),
        department: None,
        contact_status: every(2).then_some(ContactStatus::Inactive),
        lead_source: (!every(3)).then(|| if every(2) { "Trade fair" } else { "website" }.to_owned()),
        lead_score: (!every(4)).then(|| i32::try_from(number % 3 * 50).expect("a small number")),
        owner_id: draft.owner,
        social_profiles: every(2).then(|| object(&json!({ "mastodon": format!("@person{number}") }))),
        opted_out: every(5).then_some(true),
        preferences: None,
        tags: Some(Tags(["vip", "east", "new"].iter().take(number % 4).map(ToString::to_string).collect())),
        custom_fields: Some(object(&json!({ "number": number, "nested": { "deep": [number] } }))),
    }
}

fn object(value: &Value) -> Object {
    Object(value.as_object().cloned().unwrap_or_default())
}

#[async_trait]
impl Noun for Contract {
    type Record = Contact;
    type Bulk = BulkContacts;

    const ENTITY: &'static str = "contact";
    const TEXT_FIELD: &'static str = "last_name";
    const UNIQUE_FIELD: Option<&'static str> = Some("email");
    const PARENT_FIELD: Option<&'static str> = Some("company_id");

    fn on(db: Db) -> Self {
        Self { contacts: PgContacts::new(db.clone()), db }
    }
    fn fields() -> &'static [Field] {
        FIELDS
    }
    fn default_sort() -> Sort {
        default_sort()
    }

    fn new(draft: Draft) -> NewContact {
        new_contact(draft)
    }
    fn new_with(draft: Draft, custom_fields: Object) -> NewContact {
        NewContact { custom_fields: Some(custom_fields), ..new_contact(draft) }
    }
    fn customizing(custom_fields: Object) -> ContactChanges {
        ContactChanges { custom_fields: ObjectChange::Merge(custom_fields.0.into()), ..ContactChanges::default() }
    }
    fn renaming(text: &str) -> ContactChanges {
        ContactChanges { last_name: Some(text.to_owned()), ..ContactChanges::default() }
    }

    async fn create(&self, context: &Context, draft: Draft) -> Result<Contact> {
        self.contacts.create(context, new_contact(draft)).await
    }
    async fn get(&self, context: &Context, id: Uuid) -> Result<Contact> {
        self.contacts.get(context, ContactId(id)).await
    }
    async fn get_with_deleted(&self, context: &Context, id: Uuid) -> Result<Contact> {
        self.contacts.get_with_deleted(context, ContactId(id)).await
    }
    async fn get_many(&self, context: &Context, ids: &[Uuid]) -> Result<Vec<Contact>> {
        let ids: Vec<_> = ids.iter().copied().map(ContactId).collect();
        self.contacts.get_many(context, &ids).await
    }
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<Contact>> {
        self.contacts.list(context, query).await
    }
    async fn rename(&self, context: &Context, id: Uuid, expected: &Expected, text: &str) -> Result<Contact> {
        self.contacts.update(context, ContactId(id), expected, &Self::renaming(text)).await
    }
    async fn replace(&self, context: &Context, id: Uuid, expected: &Expected, draft: Draft) -> Result<Contact> {
        self.contacts.replace(context, ContactId(id), expected, new_contact(draft)).await
    }
    async fn delete(&self, context: &Context, id: Uuid, expected: &Expected) -> Result<()> {
        self.contacts.delete(context, ContactId(id), expected).await
    }
    async fn restore(&self, context: &Context, id: Uuid) -> Result<Contact> {
        self.contacts.restore(context, ContactId(id)).await
    }

    async fn attach(&self, context: &Context, id: Uuid, company: Uuid) -> Result<Contact> {
        let changes = ContactChanges { company_id: Some(Some(CompanyId(company))), ..ContactChanges::default() };
        self.contacts.update(context, ContactId(id), &Expected::Any, &changes).await
    }

    /// Every third contact works somewhere, every fourth has no owner.
    async fn dress(&self, context: &Context, number: usize, contact: Contact, _: &[Contact]) -> Result<Contact> {
        let company = if number.is_multiple_of(3) { Some(companies::create(&self.db, context).await?) } else { None };
        let owner = number.is_multiple_of(4).then_some(None);
        let changes = ContactChanges { company_id: Some(company), owner_id: owner, ..ContactChanges::default() };
        self.contacts.update(context, contact.id, &Expected::Any, &changes).await
    }

    /// By last name, then first name, whatever their case.
    fn sort_key(view: &Value, field: &Field) -> Value {
        let text = |name: &str| view[name].as_str().unwrap_or_default().to_lowercase();
        match field.name {
            "last_name" => format!("{} {}", text("last_name"), text("first_name")).into(),
            name => view[name].clone(),
        }
    }
}

crm_testkit::crud_contract!(Contract);
