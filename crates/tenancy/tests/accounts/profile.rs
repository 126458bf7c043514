//! What people say of themselves.

use crm_kernel::Error;
use crm_tenancy::{
    Identity,
    identity::accounts::{AccountOptions, Accounts, ProfileChanges},
};

use super::{Desk, PASSWORD};

#[tokio::test(flavor = "multi_thread")]
async fn name_zone_and_language_are_the_persons_to_change() {
    let desk = Desk::new(AccountOptions::default()).await;
    let email = desk.database.tenant("Acme").await.email("viewer");
    let context = desk.context(&desk.login(&email, PASSWORD).await.unwrap());
    let changes = ProfileChanges {
        full_name: Some("  Zoë 🚀 O'Hara ".into()),
        time_zone: Some("America/Argentina/Buenos_Aires".into()),
        locale: Some("es-419".into()),
    };
    desk.accounts.update_profile(&context, &changes).await.unwrap();
    let me = desk.identity.me(&context).await.unwrap().user;
    assert_eq!(
        (me.full_name.as_str(), me.time_zone.as_str(), me.locale.as_str()),
        ("Zoë 🚀 O'Hara", "America/Argentina/Buenos_Aires", "es-419")
    );
    let name = ProfileChanges { full_name: Some("Zoë".into()), ..ProfileChanges::default() };
    desk.accounts.update_profile(&context, &name).await.unwrap();
    desk.accounts.update_profile(&context, &name).await.unwrap();
    desk.accounts.update_profile(&context, &ProfileChanges::default()).await.unwrap();
    let me = desk.identity.me(&context).await.unwrap().user;
    assert_eq!((me.full_name.as_str(), me.locale.as_str()), ("Zoë", "es-419"), "what is absent stays");
    let logged = "SELECT count(*) FROM crm_activities WHERE entity_type = 'user' AND activity_type = 'updated'";
    assert_eq!(desk.database.number(logged).await, 2, "a change that changes nothing is none");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_value_is_named_at_once() {
    let desk = Desk::new(AccountOptions::default()).await;
    let email = desk.database.tenant("Acme").await.email("viewer");
    let context = desk.context(&desk.login(&email, PASSWORD).await.unwrap());
    let changes =
        ProfileChanges { full_name: Some("\u{200b} \0".into()), time_zone: Some("Mars/Base".into()), locale: Some("e".into()) };
    let Err(Error::Invalid(fields)) = desk.accounts.update_profile(&context, &changes).await else { panic!("it was accepted") };
    let mut named: Vec<&str> = fields.iter().map(|field| field.pointer.as_str()).collect();
    named.sort_unstable();
    assert_eq!(named, ["/full_name", "/locale", "/time_zone"]);
}
