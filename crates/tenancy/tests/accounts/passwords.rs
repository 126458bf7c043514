//! Passwords: forgotten, set anew, changed.

use crm_kernel::{Context, Error};
use crm_tenancy::{
    Identity,
    identity::{
        Tokens,
        accounts::{AccountOptions, Accounts, Delivery, ForgottenPassword, PasswordChange, PasswordReset, SignUp},
        second_factor::{CodeRequest, FirstCodeRequest, PgSecondFactors, SecondFactors},
    },
};
use crm_testkit::{
    refusals::{forbidden, invalid, unauthenticated},
    to,
};

use super::{Desk, OTHER, PASSWORD, entrance::Authenticator, origin};

impl Desk {
    async fn forget(&self, email: &str) -> String {
        let answer = self.accounts.forget_password(&ForgottenPassword { email: email.into() }, &origin()).await.unwrap();
        answer.message
    }

    /// Whether the device is known afterwards.
    async fn reset(&self, token: &str, password: &str) -> crm_kernel::Result<bool> {
        let reset = PasswordReset { token: token.into(), password: password.into() };
        self.accounts.reset_password(&reset, &origin()).await.map(|set| set.device_token.is_some())
    }

    async fn change(&self, context: &Context, current: &str, new: &str) -> crm_kernel::Result<Tokens> {
        let change = PasswordChange { current_password: current.into(), new_password: new.into() };
        self.accounts.change_password(context, &change, &origin()).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_sets_the_password_and_ends_every_session() {
    let desk = Desk::new(AccountOptions::default()).await;
    let (tenant, second) = (desk.database.tenant("Acme").await, desk.database.tenant("Second").await);
    let email = tenant.email("member");
    desk.database.add_member(second.organization_id, &email, crm_kernel::Role::Viewer).await;
    let (first, other) = (desk.login(&email, PASSWORD).await.unwrap(), desk.login(&email, PASSWORD).await.unwrap());
    let other = desk.identity.switch(&desk.context(&other), &to(&other, second.organization_id), &origin()).await.unwrap();
    let colleague = desk.login(&tenant.email("colleague"), PASSWORD).await.unwrap();
    desk.forget(&email.to_uppercase()).await;
    desk.is_alive(&first).await;
    let token = desk.token("reset_password", &email).await;
    assert!(desk.reset(&token, OTHER).await.unwrap(), "the letter shows who sits there");
    desk.is_over(&first).await;
    desk.is_over(&other).await;
    desk.is_alive(&colleague).await;
    unauthenticated(desk.login(&email, PASSWORD).await, "the old password is none any more");
    desk.login(&email, OTHER).await.expect("the new one is");
    assert_eq!(desk.letters(&email).await, ["reset_password", "password_changed"]);
    assert_eq!(desk.events("password_reset").await, 2, "each organisation of the person is told");
    let told = "SELECT count(*) FROM crm_activities JOIN crm_activity_details ON activity_id = crm_activities.id
                 WHERE activity_type = 'password_reset' AND entity_type = 'credential' AND ip = '192.0.2.7' AND request_id = 'the-request'
                   AND changes IS NULL";
    assert_eq!(desk.database.number(told).await, 2);
    assert_eq!(desk.database.number("SELECT count(*) FROM identity.sessions WHERE ended_reason = 'password_reset'").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_link_works_once_within_its_hour() {
    let desk = Desk::new(AccountOptions::default()).await;
    let email = desk.database.tenant("Acme").await.email("member");
    desk.forget(&email).await;
    let older = desk.token("reset_password", &email).await;
    desk.forget(&email).await;
    let token = desk.token("reset_password", &email).await;
    assert_ne!(older, token);
    let unusable =
        async |token: &str, rule: &str| format!("{:?}", invalid(desk.reset(token, OTHER).await, "/token", "unusable", rule));
    let unknown = unusable("nonsense", "an unknown link opens nothing").await;
    let id = token.split('.').next().unwrap().parse().unwrap();
    let for_another = crm_tenancy::identity::link_token(&desk.keys, "confirm_registration", id).unwrap();
    assert_eq!(unusable(&for_another, "a link of another purpose opens nothing").await, unknown);
    desk.database.execute("UPDATE identity.links SET expires_at = now()").await;
    assert_eq!(unusable(&token, "an expired link opens nothing").await, unknown);
    desk.database.execute("UPDATE identity.links SET expires_at = now() + interval '1 hour'").await;
    invalid(desk.reset(&token, "short").await, "/password", "length", "the rules of sign-up hold");
    invalid(desk.reset(&token, &email).await, "/password", "personal", "for whose password it is, too");
    desk.reset(&token, OTHER).await.expect("a refused password leaves the link open");
    assert_eq!(unusable(&token, "a used link opens nothing").await, unknown);
    assert_eq!(unusable(&older, "an older link was closed with it").await, unknown);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_resets_at_once_one_wins() {
    let desk = Desk::new(AccountOptions::default()).await;
    let email = desk.database.tenant("Acme").await.email("member");
    desk.forget(&email).await;
    let token = desk.token("reset_password", &email).await;
    let (one, two) = tokio::join!(desk.reset(&token, OTHER), desk.reset(&token, "the password of a thief"));
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    assert_eq!(desk.events("password_reset").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_account_is_told_by_letter_alone() {
    let desk = Desk::new(AccountOptions::default()).await;
    let email = desk.database.tenant("Acme").await.email("member");
    assert_eq!(desk.forget("nobody@example.com").await, desk.forget(&email).await);
    assert_eq!(desk.letters("nobody@example.com").await, ["no_account"]);
    assert_eq!(desk.database.number("SELECT count(*) FROM identity.links WHERE used_at IS NULL").await, 1, "one link is open");
    for _ in 0..4 {
        assert_eq!(desk.forget("nobody@example.com").await, desk.forget(&email).await);
    }
    assert_eq!((desk.letters("nobody@example.com").await.len(), desk.letters(&email).await.len()), (3, 3), "three an hour");
    let nowhere = ForgottenPassword { email: "nowhere".into() };
    invalid(desk.accounts.forget_password(&nowhere, &origin()).await, "/email", "email", "mail must be able to go there");
    let silent = Desk::new(AccountOptions { sign_up: SignUp::Confirm, delivery: Delivery::Off }).await;
    let refused = silent.accounts.forget_password(&ForgottenPassword { email: "a@example.com".into() }, &origin()).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_had_a_password_may_set_one() {
    let desk = Desk::new(AccountOptions::default()).await;
    let tenant = desk.database.tenant("Acme").await;
    let email = tenant.email("member");
    desk.database.execute(&format!("DELETE FROM identity.credentials WHERE user_id = '{}'", tenant.member.user_id)).await;
    unauthenticated(desk.login(&email, PASSWORD).await, "there is none");
    desk.forget(&email).await;
    desk.reset(&desk.token("reset_password", &email).await, OTHER).await.unwrap();
    desk.login(&email, OTHER).await.expect("now there is one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_ends_every_session_and_gives_a_new_one() {
    let desk = Desk::new(AccountOptions::default()).await;
    let email = desk.database.tenant("Acme").await.email("member");
    let (tokens, other) = (desk.login(&email, PASSWORD).await.unwrap(), desk.login(&email, PASSWORD).await.unwrap());
    desk.forget(&email).await;
    let link = desk.token("reset_password", &email).await;
    desk.database.execute("UPDATE identity.sessions SET second_factor_at = now()").await;
    let context = desk.context(&tokens);
    let fresh = desk.change(&context, PASSWORD, OTHER).await.unwrap();
    desk.is_over(&tokens).await;
    desk.is_over(&other).await;
    desk.is_alive(&fresh).await;
    assert_eq!((fresh.user_id, fresh.organization_id), (tokens.user_id, tokens.organization_id));
    let open = "SELECT count(*) FROM identity.sessions WHERE ended_at IS NULL AND second_factor_at IS NOT NULL";
    assert_eq!(desk.database.number(open).await, 1, "a second factor that was given counts on");
    unauthenticated(desk.login(&email, PASSWORD).await, "the old password is none any more");
    desk.login(&email, OTHER).await.expect("the new one is");
    assert_eq!(desk.letters(&email).await, ["reset_password", "password_changed"]);
    assert_eq!(desk.events("password_changed").await, 1);
    invalid(desk.reset(&link, "yet another password").await, "/token", "unusable", "a link from before opens nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_needs_the_current_password_and_a_session() {
    let desk = Desk::new(AccountOptions::default()).await;
    let tenant = desk.database.tenant("Acme").await;
    let email = tenant.email("member");
    let context = desk.context(&desk.login(&email, PASSWORD).await.unwrap());
    invalid(desk.change(&context, "wrong", OTHER).await, "/current_password", "wrong", "whoever sits at the desk must know it");
    let both = invalid(desk.change(&context, "wrong", "short").await, "/new_password", "length", "both are named");
    assert!(matches!(both, Error::Invalid(fields) if fields.len() == 2));
    invalid(desk.change(&context, PASSWORD, PASSWORD).await, "/new_password", "unchanged", "a change changes something");
    invalid(desk.change(&context, PASSWORD, &email).await, "/new_password", "personal", "the rules of sign-up hold");
    forbidden(desk.change(&tenant.member, PASSWORD, OTHER).await, "an embedding program changes no passwords");
    desk.database.execute(&format!("DELETE FROM identity.credentials WHERE user_id = '{}'", tenant.member.user_id)).await;
    invalid(desk.change(&context, "", OTHER).await, "/current_password", "wrong", "who has none sets one by a letter");
    desk.identity.logout(&context).await.unwrap();
    unauthenticated(desk.change(&context, PASSWORD, OTHER).await, "an ended session changes nothing");
    assert_eq!(desk.events("password_changed").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_changes_at_once_one_wins() {
    let desk = Desk::new(AccountOptions::default()).await;
    let email = desk.database.tenant("Acme").await.email("member");
    let (one, two) = (desk.login(&email, PASSWORD).await.unwrap(), desk.login(&email, PASSWORD).await.unwrap());
    let (one, two) = (desk.context(&one), desk.context(&two));
    let (one, two) = tokio::join!(desk.change(&one, PASSWORD, OTHER), desk.change(&two, PASSWORD, "the password of a thief"));
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    assert_eq!(desk.events("password_changed").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_a_change_nor_a_reset_makes_a_second_factor_or_loses_one() {
    let desk = Desk::new(AccountOptions::default()).await;
    let (email, second) = (desk.database.tenant("Acme").await.email("member"), desk.database.tenant("Second").await);
    desk.database.add_member(second.organization_id, &email, crm_kernel::Role::Viewer).await;
    let (early, enabling) = (desk.login(&email, PASSWORD).await.unwrap(), desk.login(&email, PASSWORD).await.unwrap());
    let factors = PgSecondFactors::new(desk.db.clone(), desk.keys.clone(), std::sync::Arc::default());
    let context = desk.context(&enabling);
    let authenticator =
        Authenticator::new(&factors.enroll(&context, &crate::entrance::with_password(PASSWORD)).await.unwrap().seed);
    factors.confirm(&context, &FirstCodeRequest { code: authenticator.code(0) }).await.unwrap();
    let given = async |tokens: &Tokens| factors.status(&desk.context(tokens)).await.unwrap().given;
    desk.is_over(&early).await;
    let again = "UPDATE identity.sessions SET ended_at = NULL, ended_reason = NULL WHERE ended_reason = 'second_factor_enabled'";
    desk.database.execute(again).await;
    assert!(given(&enabling).await && !given(&early).await);

    // Of a session that has not given the second factor, however it came to be, nothing grows that has one.
    let refreshed = desk.identity.refresh(&early.refresh_token).await.unwrap();
    assert!(!given(&refreshed).await);
    let switched =
        desk.identity.switch(&desk.context(&refreshed), &to(&refreshed, second.organization_id), &origin()).await.unwrap();
    assert!(!given(&switched).await);
    let changed = desk.change(&desk.context(&switched), PASSWORD, OTHER).await.unwrap();
    assert!(!given(&changed).await, "a right password is one factor");
    let missing = desk.login(&email, OTHER).await;
    assert!(matches!(missing, Err(Error::SecondFactorMissing)), "{missing:?}");

    let code = CodeRequest { code: authenticator.code(1) };
    factors.verify(&desk.context(&changed), &code).await.unwrap();
    let again = desk.change(&desk.context(&changed), OTHER, PASSWORD).await.unwrap();
    assert!(given(&again).await, "what was given is not asked for again");
    desk.forget(&email).await;
    let known = "SELECT count(*) FROM identity.known_devices";
    let before = desk.database.number(known).await;
    assert!(!desk.reset(&desk.token("reset_password", &email).await, OTHER).await.unwrap(), "a letter is no code");
    assert_eq!(desk.database.number(known).await, before, "and is not worth another five guesses of one");
    desk.is_over(&again).await;
    let missing = desk.login(&email, OTHER).await;
    assert!(matches!(missing, Err(Error::SecondFactorMissing)), "the letter is no second factor: {missing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_with_the_old_password_does_not_outlive_the_change() {
    let desk = Desk::new(AccountOptions::default()).await;
    let tenant = desk.database.tenant("Acme").await;
    let email = tenant.email("member");
    let hash = crm_tenancy::passwords::hash(OTHER.into()).await.unwrap();
    let sessions = "SELECT count(*) FROM identity.sessions WHERE ended_at IS NULL";
    let change = format!(
        "SELECT identity.replace_password(id, '{hash}', 'password_changed', NULL, NULL, NULL) FROM users WHERE email = '{email}'"
    );
    let held = desk.database.hold(&change).await;
    let (raced, ()) = tokio::join!(desk.login(&email, PASSWORD), held.commit_under_a_waiter());
    let wrong = desk.login(&email, "wrong").await;
    assert_eq!(format!("{:?}", raced.as_ref().err()), format!("{:?}", wrong.as_ref().err()), "as a wrong password");
    unauthenticated(raced, "the password is no longer the one that was compared");
    assert_eq!(desk.database.number(sessions).await, 0, "and nothing of it stays");
    desk.login(&email, OTHER).await.expect("the new one counts");
    // A person whose password was taken away meanwhile has none to be right about.
    let gone = format!("DELETE FROM identity.credentials USING users WHERE users.id = user_id AND email = '{email}'");
    let held = desk.database.hold(&gone).await;
    let (raced, ()) = tokio::join!(desk.login(&email, OTHER), held.commit_under_a_waiter());
    unauthenticated(raced, "there is no password any more");
}
