//! The organisation's own settings.

use crm_kernel::{Error, Expected};
use crm_tenancy::{
    Organizations,
    organizations::{OrganizationChanges, SecuritySettingsChanges},
};
use crm_testkit::refusals::{conflict, forbidden, invalid, stale, unauthenticated};

use crate::Scene;

fn named(name: &str) -> OrganizationChanges {
    OrganizationChanges { name: Some(name.into()), ..OrganizationChanges::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn owner_and_admin_change_the_settings_and_every_change_is_logged() {
    let scene = Scene::create().await;
    let changes = OrganizationChanges {
        name: Some("Ácme 🚀 株式会社".into()),
        slug: Some("acme-2".into()),
        country: Some(Some("JP".into())),
        default_currency: Some("JPY".into()),
        time_zone: Some("Asia/Tokyo".into()),
        bin_retention_days: Some(Some(30)),
        address_retention_days: Some(7),
    };
    let before = scene.organizations.current(&scene.tenant.owner).await.unwrap();
    let changed =
        scene.organizations.update(&scene.tenant.admin, &Expected::OneOf(vec![before.version]), &changes).await.unwrap();
    assert_eq!((changed.name.as_str(), changed.slug.as_str()), ("Ácme 🚀 株式会社", "acme-2"));
    assert_eq!((changed.default_currency.as_str(), changed.time_zone.as_str()), ("JPY", "Asia/Tokyo"));
    assert_eq!((changed.bin_retention_days, changed.address_retention_days, changed.version), (Some(30), 7, before.version + 1));
    assert_eq!(scene.organizations.current(&scene.tenant.viewer).await.unwrap(), changed, "everybody reads them");

    let log = scene.database.activities_of("organization", scene.tenant.organization_id).await;
    let last = log.last().unwrap();
    assert_eq!((last.activity_type.as_str(), last.user_id), ("updated", Some(scene.tenant.admin.user_id)));
    assert_eq!(last.change("slug").unwrap(), ("acme".into(), "acme-2".into()));

    let nothing = scene.organizations.update(&scene.tenant.admin, &Expected::Any, &OrganizationChanges::default()).await.unwrap();
    assert_eq!(nothing.version, changed.version, "a change that changes nothing keeps the version");
    let same = scene.organizations.update(&scene.tenant.owner, &Expected::Any, &named("Ácme 🚀 株式会社")).await.unwrap();
    assert_eq!(same.version, changed.version);
    let other = scene.organizations.current(&scene.stranger.owner).await.unwrap();
    assert_eq!((other.name.as_str(), other.version), ("Umbrella", 1), "another organisation is untouched");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_refused_in_order_and_by_name() {
    let scene = Scene::create().await;
    let update = async |who, expected: Expected, changes| scene.organizations.update(who, &expected, &changes).await;
    let (owner, bad) = (&scene.tenant.owner, OrganizationChanges { country: Some(Some("XX".into())), ..named(" ") });
    for who in [&scene.tenant.member, &scene.tenant.viewer] {
        forbidden(update(who, Expected::OneOf(vec![99]), bad.clone()).await, "403 comes before 412 and 422");
    }
    stale(update(owner, Expected::OneOf(vec![99]), bad.clone()).await, "412 comes before 422");
    let refused = invalid(update(owner, Expected::Any, bad).await, "/country", "country", "a country exists");
    let Error::Invalid(fields) = refused else { panic!("{refused:?}") };
    assert_eq!(fields.len(), 2, "all bad fields at once: {fields:?}");

    let with = |set: fn(&mut OrganizationChanges)| {
        let mut changes = OrganizationChanges::default();
        set(&mut changes);
        changes
    };
    let currency = with(|changes| changes.default_currency = Some("DEM".into()));
    invalid(update(owner, Expected::Any, currency).await, "/default_currency", "currency", "a currency is in use");
    let zone = with(|changes| changes.time_zone = Some("Mars/Olympus_Mons".into()));
    invalid(update(owner, Expected::Any, zone).await, "/time_zone", "time_zone_unknown", "a time zone exists");
    let bin = with(|changes| changes.bin_retention_days = Some(Some(0)));
    invalid(update(owner, Expected::Any, bin).await, "/bin_retention_days", "range", "at least a day");
    let addresses = with(|changes| changes.address_retention_days = Some(3651));
    invalid(update(owner, Expected::Any, addresses).await, "/address_retention_days", "range", "ten years at most");
    let slug = with(|changes| changes.slug = Some("Not a slug".into()));
    invalid(update(owner, Expected::Any, slug).await, "/slug", "slug", "a slug is plain");
    let taken = with(|changes| changes.slug = Some("umbrella".into()));
    conflict(update(owner, Expected::Any, taken.clone()).await, "/slug", "a slug belongs to one organisation");
    let away = with(|changes| changes.slug = Some("elsewhere".into()));
    update(&scene.stranger.owner, Expected::Any, away).await.unwrap();
    update(owner, Expected::Any, taken).await.expect("the old slug is free");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_currency_stays_once_a_deal_has_an_amount_also_when_both_come_at_once() {
    let scene = Scene::create().await;
    let euro = OrganizationChanges { default_currency: Some("EUR".into()), ..OrganizationChanges::default() };
    let dollar = OrganizationChanges { default_currency: Some("USD".into()), ..OrganizationChanges::default() };
    let deal = |amount: &str| format!("INSERT INTO crm_deals (name, amount, currency) VALUES ('Deal', {amount}, 'USD')");
    assert_eq!(scene.raw(&scene.tenant.member, &deal("NULL")).await, "done");
    scene.organizations.update(&scene.tenant.owner, &Expected::Any, &euro).await.expect("no deal has an amount");
    scene.organizations.update(&scene.tenant.owner, &Expected::Any, &dollar).await.unwrap();

    // Twenty times a deal and a change of the currency meet: whichever is first, what is summed is in the currency that is.
    for turn in 0..20 {
        scene.database.execute("DELETE FROM crm_deal_stage_history; DELETE FROM crm_deals").await;
        scene.organizations.update(&scene.tenant.owner, &Expected::Any, &dollar).await.unwrap();
        let sql = deal("100");
        let (changed, made) = tokio::join!(
            async {
                // Waits for nothing: each turn begins at another moment of the insert.
                tokio::time::sleep(std::time::Duration::from_millis(turn)).await;
                scene.organizations.update(&scene.tenant.owner, &Expected::Any, &euro).await
            },
            scene.raw(&scene.tenant.member, &sql)
        );
        assert_eq!(made, "done");
        let based = scene.number("SELECT count(*) FROM crm_deals WHERE base_amount IS NOT NULL").await;
        match changed {
            Ok(_) => assert_eq!(based, 0, "made after the change: dollars are not euros"),
            Err(error) => {
                invalid(Err::<(), _>(error), "/default_currency", "currency_in_use", "deals are summed in it");
                assert_eq!(based, 1);
            }
        }
    }
    let raw = scene.raw(&scene.tenant.owner, "UPDATE organizations SET default_currency = 'CHF' WHERE id = app.org_id()").await;
    assert_eq!(raw, "currency_in_use", "the database itself says so");
}

#[tokio::test(flavor = "multi_thread")]
async fn security_is_the_owners_and_nobody_locks_himself_out() {
    let scene = Scene::create().await;
    let require = SecuritySettingsChanges { require_second_factor: Some(true), ..SecuritySettingsChanges::default() };
    forbidden(scene.organizations.update_security(&scene.tenant.admin, &Expected::Any, &require).await, "owners alone");
    forbidden(scene.organizations.security(&scene.tenant.member).await, "a member does not see them");
    assert!(!scene.organizations.security(&scene.tenant.admin).await.unwrap().require_second_factor);

    let owner = scene.login(&scene.tenant.email("owner")).await;
    invalid(
        scene.organizations.update_security(&owner, &Expected::Any, &require).await,
        "/require_second_factor",
        "second_factor_missing",
        "whoever requires a second factor has given one",
    );
    stale(scene.organizations.update_security(&owner, &Expected::OneOf(vec![99]), &require).await, "412 comes before 422");
    let given = format!("UPDATE identity.sessions SET second_factor_at = now() WHERE id = '{}'", owner.session_id.unwrap());
    scene.database.execute(&given).await;
    let member = scene.login(&scene.tenant.email("member")).await;
    assert!(scene.organizations.update_security(&owner, &Expected::Any, &require).await.unwrap().require_second_factor);
    scene.organizations.current(&owner).await.expect("the owner goes on");
    assert!(scene.organizations.current(&member).await.is_err(), "whoever has given none is out with the next request");

    for column in
        ["require_second_factor = NOT require_second_factor", "session_days = 1", "api_token_days = 1", "deleted_at = now()"]
    {
        let sql = format!("UPDATE organizations SET {column} WHERE id = app.org_id()");
        assert_eq!(scene.raw(&scene.tenant.admin, &sql).await, "owner_only", "{column} is the owner's alone");
        for who in [&scene.tenant.member, &scene.tenant.viewer] {
            scene.raw(who, &sql).await;
        }
    }
    let touched = "SELECT count(*) FROM organizations WHERE session_days IS NOT NULL OR api_token_days IS NOT NULL OR deleted_at IS NOT NULL";
    assert_eq!(scene.number(touched).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_as_early_as_its_organisation_wants() {
    let scene = Scene::create().await;
    let open = scene.login(&scene.tenant.email("member")).await;
    let elsewhere = scene.login(&scene.stranger.email("member")).await;
    let two_days = SecuritySettingsChanges { session_days: Some(Some(2)), ..SecuritySettingsChanges::default() };
    scene.organizations.update_security(&scene.tenant.owner, &Expected::Any, &two_days).await.unwrap();
    let later = scene.login(&scene.tenant.email("viewer")).await;
    let longest = "SELECT extract(epoch FROM max(expires_at - login_at)) FROM identity.sessions WHERE organization_id =";
    let of = async |tenant: &crm_testkit::Tenant| scene.number(&format!("{longest} '{}'", tenant.organization_id)).await;
    assert_eq!(of(&scene.tenant).await, 2 * 86_400, "open ones and new ones");
    assert!(of(&scene.stranger).await > 80 * 86_400, "others' are as the program says");
    scene.database.execute("UPDATE identity.sessions SET login_at = login_at - interval '36 hours', expires_at = expires_at - interval '36 hours'").await;
    scene.organizations.current(&open).await.expect("still within two days");
    let one_day = SecuritySettingsChanges { session_days: Some(Some(1)), ..SecuritySettingsChanges::default() };
    scene.organizations.update_security(&scene.tenant.owner, &Expected::Any, &one_day).await.unwrap();
    for session in [&open, &later] {
        unauthenticated(scene.organizations.current(session).await, "too old, with the next request");
    }
    scene.organizations.current(&elsewhere).await.expect("another organisation's session goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_token_lives_no_longer_than_its_organisation_wants() {
    let scene = Scene::create().await;
    let token = scene.api_token(&scene.tenant.member, 300).await;
    scene.organizations.current(&token).await.expect("the token works");
    let days = SecuritySettingsChanges { api_token_days: Some(Some(30)), ..SecuritySettingsChanges::default() };
    scene.organizations.update_security(&scene.tenant.owner, &Expected::Any, &days).await.unwrap();
    let beyond = "SELECT count(*) FROM identity.api_tokens WHERE expires_at > now() + interval '30 days'";
    assert_eq!(scene.number(beyond).await, 0, "what was issued for longer ends earlier now");
    scene.organizations.current(&token).await.expect("but not at once");
    let insert = |days: u32| {
        format!(
            "INSERT INTO identity.api_tokens (organization_id, id, user_id, name, token_hash, created_by_id, expires_at)
             SELECT '{}', gen_random_uuid(), '{1}', 'X', sha256('x'), '{1}', now() + interval '{days} days'",
            scene.tenant.organization_id, scene.tenant.member.user_id
        )
    };
    scene.database.execute(&insert(30)).await;
    let admin = &mut scene.database.admin().await;
    let refused = diesel_async::SimpleAsyncConnection::batch_execute(admin, &insert(31)).await.unwrap_err();
    assert!(refused.to_string().contains("end sooner"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_organisation_is_entered_by_nobody_until_an_operator_brings_it_back() {
    let scene = Scene::create().await;
    let session = scene.login(&scene.tenant.email("member")).await;
    let token = scene.api_token(&scene.tenant.member, 30).await;
    let wrong = Expected::OneOf(vec![99]);
    let delete = async |who, expected, slug| scene.organizations.delete(who, expected, slug).await;
    for who in [&scene.tenant.admin, &scene.tenant.member, &scene.tenant.viewer] {
        forbidden(delete(who, &Expected::Any, "acme").await, "an owner deletes, nobody else");
    }
    stale(delete(&scene.tenant.owner, &wrong, "wrong").await, "412 comes before 422");
    invalid(delete(&scene.tenant.owner, &Expected::Any, "umbrella").await, "/confirm", "confirm", "the slug must be said");
    delete(&scene.tenant.owner, &Expected::Any, "acme").await.unwrap();
    for who in [&scene.tenant.owner, &session, &token] {
        unauthenticated(scene.organizations.current(who).await, "every token is refused with the next request");
    }
    scene.organizations.current(&scene.stranger.owner).await.expect("another organisation goes on");
    let taken = OrganizationChanges { slug: Some("acme".into()), ..OrganizationChanges::default() };
    let reserved = scene.organizations.update(&scene.stranger.owner, &Expected::Any, &taken).await;
    conflict(reserved, "/slug", "the slug stays reserved");
    assert_eq!(scene.number("SELECT count(*) FROM users WHERE deleted_at IS NULL").await, 10, "people stay");

    assert_eq!(
        scene.raw(&scene.stranger.owner, "SELECT app.restore_organization('acme')").await,
        "permission denied for function restore_organization"
    );
    scene.database.execute("SELECT app.restore_organization('acme')").await;
    for who in [&scene.tenant.owner, &session, &token] {
        scene.organizations.current(who).await.expect("all is as it was");
    }
    let log = scene.database.activities_of("organization", scene.tenant.organization_id).await;
    let kinds: Vec<&str> = log.iter().map(|row| row.activity_type.as_str()).collect();
    assert_eq!(kinds, ["created", "deleted", "restored"]);
}
