//! An address book in a program of one's own: its own pool, its own runtime, no server beside it but PostgreSQL.

use crm_contacts::{ContactChanges, Contacts, NewContact, PgContacts, default_sort};
use crm_kernel::{Context, Error, Expected, ListQuery, OrganizationId, Role, UserId};
use crm_tenancy::{ConnectOptions, Db};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a program tells what it did")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, organization, user] = arguments.as_slice() else {
        return Err("usage: address_book postgres://crm_app:...@host/database ORGANIZATION_ID USER_ID".into());
    };
    for line in run(url, organization.parse()?, user.parse()?).await? {
        println!("{line}");
    }
    Ok(())
}

/// Gives what it has to tell, line by line.
pub async fn run(url: &str, organization: OrganizationId, user: UserId) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let mut told = Vec::new();
    // The role of the application, never an administrator: the seal binds nobody who owns the tables.
    let db = Db::connect(url, ConnectOptions::default())?;
    let faults = crm_tenancy::seal::check(&db).await?;
    assert!(faults.is_empty(), "{faults:?}");

    let context = Context::new(organization, user, Role::Member);
    let contacts = PgContacts::new(db);

    let new = NewContact {
        first_name: "Ada".into(),
        last_name: "Lovelace".into(),
        email: Some("ada@example.com".into()),
        ..NewContact::default()
    };
    let ada = match contacts.create(&context, new).await {
        Ok(contact) => contact,
        // A living contact has this address, or values are bad: each field is named.
        Err(Error::Conflict(fields) | Error::Invalid(fields)) => return Err(format!("{fields:?}").into()),
        Err(error) => return Err(error.into()),
    };

    // Only if nobody changed her since; otherwise `Error::Stale`.
    let expected = Expected::OneOf(vec![ada.version]);
    let changes = ContactChanges { lead_score: Some(Some(80)), title: Some(None), ..ContactChanges::default() };
    let ada = contacts.update(&context, ada.id, &expected, &changes).await?;
    told.push(format!("{} {} is at version {}", ada.first_name, ada.last_name, ada.version));

    let mut query = ListQuery::all(default_sort());
    loop {
        let page = contacts.list(&context, &query).await?;
        for contact in &page.data {
            told.push(format!("{}, {}", contact.last_name, contact.email.as_deref().unwrap_or("no address")));
        }
        let Some(cursor) = page.page.next_cursor else { break };
        query = ListQuery::all(default_sort()).continue_after(&cursor)?;
    }

    contacts.delete(&context, ada.id, &Expected::Any).await?;
    contacts.restore(&context, ada.id).await?;
    Ok(told)
}
