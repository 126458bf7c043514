//! Signing up.

use crm_kernel::{Error, Role};
use crm_tenancy::{
    Identity,
    identity::{
        Tokens,
        accounts::{
            AccountOptions, Accounts, Delivery, ForgottenPassword, Registered, Registration, RegistrationConfirmation, SignUp,
        },
    },
};
use crm_testkit::refusals::{conflict, forbidden, invalid, unauthenticated};

use super::{Desk, OTHER, PASSWORD, entrance::elsewhere, origin, registration};

const EMAIL: &str = "zoe@example.com";

impl Desk {
    async fn register(&self, registration: &Registration) {
        let registered = self.accounts.register(registration, &origin()).await.unwrap();
        assert!(matches!(registered, Registered::Pending(_)), "{registered:?}");
    }

    async fn confirm(&self, token: &str, slug: Option<&str>) -> crm_kernel::Result<Tokens> {
        let confirmation = RegistrationConfirmation { token: token.into(), password: OTHER.into(), slug: slug.map(Into::into) };
        self.accounts.confirm_registration(&confirmation, &origin()).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_sign_up_makes_person_and_organisation() {
    let desk = Desk::new(AccountOptions::default()).await;
    desk.register(&Registration { email: "ZOE@Example.com".into(), ..registration(EMAIL) }).await;
    unauthenticated(desk.login(EMAIL, OTHER).await, "nobody is there before the link was used");
    assert_eq!(desk.database.number("SELECT count(*) FROM users").await, 0);
    let token = desk.token("confirm_registration", EMAIL).await;
    let tokens = desk.confirm(&token, None).await.unwrap();
    assert_eq!(tokens.role, Role::Owner);
    let me = desk.identity.me(&desk.context(&tokens)).await.unwrap();
    assert_eq!((me.user.email.as_str(), me.user.full_name.as_str()), (EMAIL, "Zoë 🚀 Müller"));
    assert_eq!((me.user.time_zone.as_str(), me.user.locale.as_str()), ("Europe/Vienna", "de-AT"));
    assert_eq!(
        (me.organization.name.as_str(), me.organization.slug.as_str()),
        ("Größe & Söhne 株式会社", "grosse-sohne-zhu-shi-hui-she")
    );
    assert_eq!((me.organization.time_zone.as_str(), me.organization.default_currency.as_str()), ("Europe/Vienna", "EUR"));
    assert_eq!(me.organization.country.as_deref(), Some("AT"));
    desk.login(EMAIL, OTHER).await.expect("the password counts");
    assert_eq!(desk.database.number("SELECT count(*) FROM crm_pipelines").await, 1, "with what every organisation begins with");
    let sessions = "SELECT count(*) FROM identity.sessions WHERE method = 'registration' AND ip = '192.0.2.7'";
    assert_eq!(desk.database.number(sessions).await, 1);
    let own = format!(
        "SELECT count(*) FROM crm_activities WHERE entity_type = 'organization' AND activity_type = 'created' AND user_id = '{}'",
        tokens.user_id
    );
    assert_eq!(desk.database.number(&own).await, 1, "the log says whose doing it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_opens_nothing_is_one_answer() {
    let desk = Desk::new(AccountOptions::default()).await;
    desk.register(&registration(EMAIL)).await;
    desk.register(&registration("other@example.com")).await;
    let token = desk.token("confirm_registration", EMAIL).await;
    let (id, secret) = token.split_once('.').unwrap();
    let (other, _) =
        desk.token("confirm_registration", "other@example.com").await.split_once('.').map(|(id, _)| (id.to_owned(), ())).unwrap();
    let reset = crm_tenancy::identity::link_token(&desk.keys, "reset_password", id.parse().unwrap()).unwrap();
    let mut refusals = Vec::new();
    for wrong in [String::new(), "x".repeat(5000), format!("{id}."), format!("{other}.{secret}"), reset] {
        refusals.push(invalid(desk.confirm(&wrong, None).await, "/token", "unusable", "an unknown token opens nothing"));
    }
    desk.database.execute("UPDATE identity.registrations SET expires_at = now()").await;
    refusals.push(invalid(desk.confirm(&token, None).await, "/token", "unusable", "an expired one opens nothing"));
    desk.database.execute("UPDATE identity.registrations SET expires_at = now() + interval '1 hour'").await;
    desk.confirm(&token, None).await.unwrap();
    refusals.push(invalid(desk.confirm(&token, None).await, "/token", "unusable", "a used one opens nothing"));
    assert!(refusals.iter().all(|refusal| format!("{refusal:?}") == format!("{:?}", refusals[0])), "{refusals:?}");
    assert_eq!(desk.database.number("SELECT count(*) FROM organizations").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_who_signs_up_with_an_address_gets_no_account_when_its_holder_follows_the_link() {
    let desk = Desk::new(AccountOptions::default()).await;
    let strange = "the password of a stranger";
    desk.register(&Registration { password: strange.into(), ..registration(EMAIL) }).await;
    let token = desk.token("confirm_registration", EMAIL).await;
    for _ in 0..3 {
        invalid(desk.confirm(&token, None).await, "/password", "wrong", "the holder did not choose the stranger's password");
    }
    unauthenticated(desk.login(EMAIL, strange).await, "the click has made no account");
    assert_eq!(desk.database.number("SELECT count(*) FROM users").await, 0);
    // The holder's own sign-up is another link, which nothing has spoiled.
    desk.register(&registration(EMAIL)).await;
    let own = desk.token("confirm_registration", EMAIL).await;
    assert_ne!(own, token);
    desk.confirm(&own, None).await.unwrap();
    let theirs = RegistrationConfirmation { token, password: strange.into(), slug: None };
    invalid(desk.accounts.confirm_registration(&theirs, &origin()).await, "/token", "unusable", "it ended with the other");
    unauthenticated(desk.login(EMAIL, strange).await, "the account is its holder's");
    desk.login(EMAIL, OTHER).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_stays_usable_after_wrong_passwords_of_which_there_are_ten() {
    let desk = Desk::new(AccountOptions::default()).await;
    desk.register(&registration(EMAIL)).await;
    let token = desk.token("confirm_registration", EMAIL).await;
    let confirm = async |password: &str, number: u32| {
        let confirmation = RegistrationConfirmation { token: token.clone(), password: password.into(), slug: None };
        desk.accounts.confirm_registration(&confirmation, &elsewhere(number)).await
    };
    for password in [String::new(), "x".repeat(1025)] {
        invalid(confirm(&password, 0).await, "/password", "length", "no password is like this");
    }
    for number in 0..10 {
        invalid(confirm("wrong", number).await, "/password", "wrong", "counted, from wherever it comes");
        desk.database.execute("UPDATE identity.throttles SET counted_at = now() + interval '1 day'").await;
    }
    let turned_away = confirm(OTHER, 10).await;
    assert!(matches!(turned_away, Err(Error::Limited { .. })), "{turned_away:?}");
    desk.database.execute("UPDATE identity.throttles SET counted_at = now() - interval '1 hour'").await;
    confirm(OTHER, 11).await.expect("after a while the right one is judged");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_with_an_account_gets_another_letter_and_nothing_else() {
    let desk = Desk::new(AccountOptions::default()).await;
    let tenant = desk.database.tenant("Acme").await;
    let email = tenant.email("member");
    desk.register(&registration(&email)).await;
    assert_eq!(desk.letters(&email).await, ["already_registered"]);
    let told = "SELECT details::text FROM identity.letters";
    assert_eq!(desk.database.texts(told).await, ["{}"], "nothing that a stranger typed");
    assert_eq!(desk.database.number("SELECT count(*) FROM identity.registrations WHERE used_at IS NULL").await, 0);
    desk.login(&email, PASSWORD).await.expect("the account is as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_gets_three_letters_an_hour_and_the_first_confirmed_ends_the_others() {
    let desk = Desk::new(AccountOptions::default()).await;
    let mut tokens = Vec::new();
    for _ in 0..5 {
        desk.register(&registration(EMAIL)).await;
        tokens.push(desk.token("confirm_registration", EMAIL).await);
    }
    tokens.dedup();
    assert_eq!((tokens.len(), desk.letters(EMAIL).await.len()), (3, 3));
    desk.confirm(&tokens[1], None).await.unwrap();
    for token in [&tokens[0], &tokens[2]] {
        invalid(desk.confirm(token, None).await, "/token", "unusable", "the others opened the same account");
    }
    let an_hour_later = "UPDATE identity.registrations SET created_at = created_at - interval '61 minutes';
                         UPDATE identity.throttles SET counted_at = counted_at - interval '61 minutes'";
    desk.database.execute(an_hour_later).await;
    desk.register(&registration(EMAIL)).await;
    assert_eq!(desk.letters(EMAIL).await.last().unwrap(), "already_registered", "an hour later there is one more");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_signs_up_with_the_address_of_somebody_else_leaves_them_their_letters() {
    let desk = Desk::new(AccountOptions::default()).await;
    let known = desk.database.tenant("Acme").await.email("member");
    let sign_up = async |email: &str, number: u32| {
        desk.accounts.register(&registration(email), &elsewhere(number)).await.unwrap();
    };
    for email in [EMAIL, known.as_str()] {
        for _ in 0..5 {
            sign_up(email, 1).await;
        }
        assert_eq!(desk.letters(email).await.len(), 3, "of one source");
        sign_up(email, 2).await;
        assert_eq!(desk.letters(email).await.len(), 4, "its holder gets one, too");
    }
    let token = desk.token("confirm_registration", EMAIL).await;
    desk.confirm(&token, None).await.expect("which opens the account");
    for _ in 0..3 {
        desk.accounts.forget_password(&ForgottenPassword { email: known.clone() }, &elsewhere(2)).await.unwrap();
    }
    let letters = desk.letters(&known).await;
    assert_eq!(letters.iter().filter(|kind| *kind == "reset_password").count(), 3, "new passwords are counted for themselves");
    for number in 3..10 {
        sign_up("target@example.com", number).await;
        sign_up("target@example.com", number).await;
    }
    assert_eq!(desk.letters("target@example.com").await.len(), 12, "a mailbox is flooded by nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_confirm_at_once_one_wins() {
    let desk = Desk::new(AccountOptions::default()).await;
    for round in 0..5 {
        let email = format!("person{round}@example.com");
        desk.register(&registration(&email)).await;
        desk.register(&registration(&email)).await;
        let same = desk.token("confirm_registration", &email).await;
        let first = format!("SELECT id FROM identity.registrations WHERE email = '{email}' ORDER BY id LIMIT 1");
        let first = desk.database.texts(&first).await.remove(0).parse().unwrap();
        let first = crm_tenancy::identity::link_token(&desk.keys, "confirm_registration", first).unwrap();
        let (one, two, three) = tokio::join!(desk.confirm(&same, None), desk.confirm(&same, None), desk.confirm(&first, None));
        let won = [&one, &two, &three].iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(won, 1, "{one:?} {two:?} {three:?}");
        for lost in [one, two, three].into_iter().filter(Result::is_err) {
            invalid(lost, "/token", "unusable", "the others find a used link");
        }
    }
    assert_eq!(desk.database.number("SELECT count(*) FROM users").await, 5);
    assert_eq!(desk.database.number("SELECT count(*) FROM organizations").await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_came_in_otherwise_meanwhile_keeps_their_password() {
    let desk = Desk::new(AccountOptions::default()).await;
    desk.register(&registration(EMAIL)).await;
    let token = desk.token("confirm_registration", EMAIL).await;
    let tenant = desk.database.tenant("Acme").await;
    desk.database.add_member(tenant.organization_id, EMAIL, Role::Member).await;
    invalid(desk.confirm(&token, None).await, "/token", "unusable", "the address has an account by now");
    desk.login(EMAIL, PASSWORD).await.expect("the password is the one they had");
    unauthenticated(desk.login(EMAIL, OTHER).await, "and no other");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_in_addresses_that_is_taken_stops_nobody() {
    let desk = Desk::new(AccountOptions::default()).await;
    for (number, slug) in [(1, "acme"), (2, "acme-2"), (3, "acme-3")] {
        let email = format!("person{number}@example.com");
        desk.register(&Registration { organization_name: "Acme".into(), ..registration(&email) }).await;
        let token = desk.token("confirm_registration", &email).await;
        let tokens = desk.confirm(&token, None).await.unwrap();
        assert_eq!(desk.identity.me(&desk.context(&tokens)).await.unwrap().organization.slug, slug);
    }
    let chosen = Registration { slug: Some("acme".into()), ..registration(EMAIL) };
    desk.register(&chosen).await;
    let token = desk.token("confirm_registration", EMAIL).await;
    conflict(desk.confirm(&token, None).await, "/slug", "a chosen name is not changed behind anyone's back");
    conflict(desk.confirm(&token, Some("acme-2")).await, "/slug", "neither is a second choice");
    invalid(desk.confirm(&token, Some("No Slug")).await, "/slug", "slug", "nor is it taken as it comes");
    assert_eq!(desk.database.number("SELECT count(*) FROM users WHERE email = 'zoe@example.com'").await, 0, "nothing half made");
    let tokens = desk.confirm(&token, Some("acme-free")).await.expect("the link works until it has made something");
    assert_eq!(desk.identity.me(&desk.context(&tokens)).await.unwrap().organization.slug, "acme-free");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_value_is_named_at_once_whoever_has_the_address() {
    let desk = Desk::new(AccountOptions::default()).await;
    let tenant = desk.database.tenant("Acme").await;
    let bad = |email: &str| Registration {
        email: email.into(),
        password: "password123".into(),
        full_name: " ".into(),
        organization_name: "a\0b".into(),
        slug: Some("No Slug".into()),
        time_zone: Some("Europe/Atlantis\0".into()),
        country: Some("at".into()),
        default_currency: Some("XXQ".into()),
        locale: Some("en_US".into()),
    };
    let named = async |email: &str| match desk.accounts.register(&bad(email), &origin()).await {
        Err(Error::Invalid(fields)) => fields.into_iter().map(|field| format!("{} {}", field.pointer, field.code)).collect(),
        other => vec![format!("{other:?}")],
    };
    let expected = [
        "/full_name required",
        "/organization_name character",
        "/slug slug",
        "/country country",
        "/default_currency currency",
        "/locale locale",
        "/password common",
        "/time_zone time_zone_unknown",
    ];
    let sorted = |mut list: Vec<String>| {
        list.sort();
        list
    };
    let expected = sorted(expected.map(ToOwned::to_owned).to_vec());
    assert_eq!(sorted(named("nobody@example.com").await), expected);
    assert_eq!(sorted(named(&tenant.email("owner")).await), expected);
    assert_eq!(desk.database.number("SELECT count(*) FROM identity.letters").await, 0);
    let personal = Registration { password: "zoe@example.com".into(), ..registration(EMAIL) };
    invalid(desk.accounts.register(&personal, &origin()).await, "/password", "personal", "a password is not the address");
    let nowhere = Registration { email: "zoe".into(), ..registration(EMAIL) };
    invalid(desk.accounts.register(&nowhere, &origin()).await, "/email", "email", "mail must be able to go there");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_may_sign_up_nobody_does() {
    let closed = Desk::new(AccountOptions { sign_up: SignUp::Closed, delivery: Delivery::On }).await;
    forbidden(closed.accounts.register(&registration("bad"), &origin()).await, "it is closed, whatever is wrong else");
    let silent = Desk::new(AccountOptions { sign_up: SignUp::Confirm, delivery: Delivery::Off }).await;
    let refused = silent.accounts.register(&registration(EMAIL), &origin()).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "a letter that is promised must be sent: {refused:?}");
    for desk in [closed, silent] {
        assert_eq!(desk.database.number("SELECT count(*) FROM identity.registrations").await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_server_lets_people_in_at_once() {
    let desk = Desk::new(AccountOptions { sign_up: SignUp::Open, delivery: Delivery::Off }).await;
    let entered = desk.accounts.register(&registration(EMAIL), &origin()).await.unwrap();
    let Registered::Entered(tokens) = entered else { panic!("{entered:?}") };
    desk.is_alive(&tokens).await;
    assert!(desk.letters(EMAIL).await.is_empty());
    desk.register(&registration(EMAIL)).await;
    assert_eq!(desk.database.number("SELECT count(*) FROM users").await, 1, "an account is made once");
}
