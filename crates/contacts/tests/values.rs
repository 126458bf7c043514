//! What a contact's values may be, and that they come back as they were sent.

use crm_contacts::{ContactChanges, Contacts, NewContact, PgContacts};
use crm_kernel::{Error, Expected, Object, ObjectChange};
use crm_testkit::{TestDatabase, refusals};
use serde_json::json;

fn named(first_name: &str, last_name: &str) -> NewContact {
    NewContact { first_name: first_name.into(), last_name: last_name.into(), ..NewContact::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_the_whole_world_come_back_as_sent() {
    let database = TestDatabase::create().await;
    let acme = database.tenant("Acme").await;
    let contacts = PgContacts::new(database.db());
    let most = "🦀".repeat(100);
    for (first, last) in [
        ("🦄", "👩‍👩‍👧‍👦"),
        ("e\u{301}", "é"),
        ("محمد", "الفارسي"),
        ("Robert'); DROP TABLE", "\"O'Neil\\\""),
        (" Ada ", " L "),
        (&most, &most),
    ] {
        let created = contacts.create(&acme.member, named(first, last)).await.expect("a name is a name");
        let read = contacts.get(&acme.viewer, created.id).await.expect("it is there");
        assert_eq!((read.first_name.as_str(), read.last_name.as_str()), (first, last));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_value_is_named_at_once() {
    let database = TestDatabase::create().await;
    let acme = database.tenant("Acme").await;
    let contacts = PgContacts::new(database.db());
    let bad = NewContact {
        email: Some("not an address".into()),
        phone: Some("1".repeat(51)),
        mobile: Some("\0".into()),
        title: Some("x".repeat(101)),
        lead_score: Some(101),
        preferences: Some(Object(json!({ "a": "\0" }).as_object().cloned().unwrap_or_default())),
        ..named("   ", &"é".repeat(101))
    };
    let Err(Error::Invalid(errors)) = contacts.create(&acme.member, bad).await else { panic!("it must be refused") };
    let mut found: Vec<String> = errors.iter().map(|error| format!("{} {}", error.pointer, error.code)).collect();
    found.sort();
    let all = [
        "/email email",
        "/first_name required",
        "/last_name length",
        "/lead_score range",
        "/mobile character",
        "/phone length",
        "/preferences/a character",
        "/title length",
    ];
    assert_eq!(found, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_the_form_of_one() {
    let database = TestDatabase::create().await;
    let acme = database.tenant("Acme").await;
    let contacts = PgContacts::new(database.db());
    let long =
        format!("{}@{}.example", "a".repeat(64), ["b".repeat(60), "c".repeat(60), "d".repeat(60), "e".repeat(60)].join("."));
    for bad in [
        "",
        " ",
        "ada",
        "ada@",
        "@example.com",
        "a b@example.com",
        "ada@exa mple.com",
        "ada@example.com\n",
        "ada\0@example.com",
        &long,
    ] {
        let new = NewContact { email: Some(bad.into()), ..named("Ada", "Lovelace") };
        let refused = contacts.create(&acme.member, new).await;
        assert!(
            matches!(&refused, Err(Error::Invalid(errors)) if errors.iter().all(|error| error.pointer == "/email")),
            "{bad:?}: {refused:?}"
        );
    }
    for good in ["ada.lovelace+crm@mail.example.co.uk", "x@y.zz", "o'neil@example.com"] {
        let new = NewContact { email: Some(good.into()), ..named("Ada", "Lovelace") };
        contacts.create(&acme.member, new).await.unwrap_or_else(|error| panic!("{good:?} is an address: {error}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_merged_key_by_key_and_replaced_by_put() {
    let database = TestDatabase::create().await;
    let acme = database.tenant("Acme").await;
    let contacts = PgContacts::new(database.db());
    let profiles = Object(json!({ "mastodon": "@ada", "other": { "a": 1, "b": 2 } }).as_object().cloned().unwrap_or_default());
    let new = NewContact { social_profiles: Some(profiles), lead_score: Some(0), ..named("Ada", "Lovelace") };
    let ada = contacts.create(&acme.member, new).await.expect("it can be created");

    let merge = ObjectChange::Merge(json!({ "mastodon": null, "other": { "b": 3 } }));
    let changes = ContactChanges { social_profiles: merge, ..ContactChanges::default() };
    let merged = contacts.update(&acme.member, ada.id, &Expected::Any, &changes).await.expect("it can be changed");
    assert_eq!(serde_json::to_value(&merged.social_profiles).ok(), Some(json!({ "other": { "a": 1, "b": 3 } })));

    let replaced =
        contacts.replace(&acme.member, ada.id, &Expected::Any, named("Ada", "King")).await.expect("it can be replaced");
    assert_eq!((replaced.social_profiles, replaced.lead_score, replaced.owner_id), (None, None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_changes_cannot_heap_up_more_keys_than_one() {
    let database = TestDatabase::create().await;
    let acme = database.tenant("Acme").await;
    let contacts = PgContacts::new(database.db());
    let ada = contacts.create(&acme.member, named("Ada", "Lovelace")).await.expect("it can be created");
    let add = async |from: usize| {
        let keys = (from..from + 150).map(|number| (format!("key {number}"), json!(1))).collect();
        let merge = ObjectChange::Merge(serde_json::Value::Object(keys));
        let changes = ContactChanges { custom_fields: merge, ..ContactChanges::default() };
        contacts.update(&acme.member, ada.id, &Expected::Any, &changes).await
    };
    add(0).await.expect("150 keys are few enough");
    refusals::invalid(add(150).await, "/custom_fields", "object", "300 keys are too many, however they came");
    add(50).await.expect("200 are not");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_is_an_active_member() {
    let database = TestDatabase::create().await;
    let (acme, umbrella) = (database.tenant("Acme").await, database.tenant("Umbrella").await);
    let contacts = PgContacts::new(database.db());
    let foreign = NewContact { owner_id: Some(umbrella.member.user_id), ..named("Ada", "Lovelace") };
    refusals::invalid(contacts.create(&acme.member, foreign).await, "/owner_id", "reference", "a stranger owns nothing here");
    let handed = NewContact { owner_id: Some(acme.colleague.user_id), ..named("Ada", "Lovelace") };
    let handed = contacts.create(&acme.member, handed).await.expect("a colleague may own it");
    assert_eq!((handed.owner_id, handed.created_by_id), (Some(acme.colleague.user_id), Some(acme.member.user_id)));
}
