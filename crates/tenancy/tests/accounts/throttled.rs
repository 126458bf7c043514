//! Letters that are asked for, secrets and passwords that are guessed: so many and no more, and the owner comes in all the same.

use crm_kernel::{Error, Result};
use crm_tenancy::identity::{
    Origin,
    accounts::{
        AccountOptions, Accounts, EmailChange, ForgottenPassword, LinkToken, PasswordChange, PasswordReset,
        RegistrationConfirmation,
    },
    link_token,
};
use crm_testkit::refusals::invalid;
use uuid::Uuid;

use super::{
    Desk, OTHER, PASSWORD,
    entrance::{elsewhere, from},
    registration,
};

/// Letters of an account at once.
const LETTERS: u32 = 5;
/// Sign-ups with one address, from wherever.
const SIGN_UPS: u32 = 20;
/// Wrong passwords of a person at once.
const PASSWORDS: u32 = 10;
/// Wrong secrets from an address at once.
const SECRETS: u32 = 60;

fn is_limited<T>(answer: &Result<T>) -> bool {
    matches!(answer, Err(Error::Limited { retry_after_seconds }) if *retry_after_seconds > 0)
}

/// How many calls are judged before the first one is turned away.
async fn judged<T>(call: impl AsyncFn(u32) -> Result<T>) -> u32 {
    for number in 0..200 {
        if is_limited(&call(number).await) {
            return number;
        }
    }
    panic!("two hundred were judged");
}

impl Desk {
    async fn sign_up(&self, email: &str, origin: &Origin) -> Result<()> {
        self.accounts.register(&registration(email), origin).await.map(drop)
    }

    async fn ask_for_reset(&self, email: &str, origin: &Origin) -> Result<()> {
        self.accounts.forget_password(&ForgottenPassword { email: email.into() }, origin).await.map(drop)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_limited_for_an_account_whether_or_not_it_exists_and_for_an_address() {
    let desk = Desk::new(AccountOptions::default()).await;
    let known = desk.database.tenant("Acme").await.email("member");
    for email in [known.as_str(), "nobody@example.com"] {
        assert_eq!(judged(async |_| desk.sign_up(email, &from("192.0.2.8")).await).await, LETTERS, "{email}");
        assert_eq!(judged(async |number| desk.sign_up(email, &elsewhere(number)).await).await, SIGN_UPS - LETTERS, "{email}");
        let spelled = email.to_uppercase();
        assert_eq!(judged(async |number| desk.ask_for_reset(&spelled, &elsewhere(number)).await).await, LETTERS, "{email}");
    }
    let other = async |number| desk.ask_for_reset(&format!("person{number}@example.com"), &from("192.0.2.9")).await;
    assert_eq!(judged(other).await, SECRETS, "from one address");
    desk.sign_up("person@example.com", &from("192.0.2.9")).await.expect("each purpose counts for itself");
    desk.login(&known, PASSWORD).await.expect("the owner of a flooded address logs in");
    let token = desk.token("reset_password", &known).await;
    let reset = PasswordReset { token, password: OTHER.into() };
    desk.accounts.reset_password(&reset, &from("192.0.2.10")).await.expect("and can use the letters that the attacker caused");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_not_guessed_and_a_right_one_does_not_count() {
    let desk = Desk::new(AccountOptions::default()).await;
    let email = desk.database.tenant("Acme").await.email("member");
    let guess = |purpose: &str| link_token(&desk.keys, purpose, Uuid::now_v7()).unwrap();
    let here = from("192.0.2.9");
    let reset = async |token: String| desk.accounts.reset_password(&PasswordReset { token, password: OTHER.into() }, &here).await;
    let confirm = async |token: String, slug: Option<&str>| {
        let confirmation = RegistrationConfirmation { token, password: OTHER.into(), slug: slug.map(Into::into) };
        desk.accounts.confirm_registration(&confirmation, &here).await
    };
    desk.ask_for_reset(&email, &here).await.unwrap();
    let right = desk.token("reset_password", &email).await;
    for _ in 0..3 {
        let weak = PasswordReset { token: right.clone(), password: "short".into() };
        invalid(desk.accounts.reset_password(&weak, &here).await, "/password", "length", "the secret was right");
    }
    let reset_at_once = async |_| {
        desk.database.forget_no_tries().await;
        reset(guess("reset_password")).await
    };
    assert_eq!(judged(reset_at_once).await, SECRETS);
    desk.database.forget_no_tries().await;
    assert!(is_limited(&reset(right.clone()).await), "from there nothing is judged");
    let elsewhere = PasswordReset { token: right, password: OTHER.into() };
    desk.accounts.reset_password(&elsewhere, &from("192.0.2.10")).await.expect("from elsewhere it is");

    desk.sign_up("new@example.com", &here).await.unwrap();
    let right = desk.token("confirm_registration", "new@example.com").await;
    confirm(right, Some("new")).await.unwrap();
    let confirm_at_once = async |_| {
        desk.database.forget_no_tries().await;
        confirm(guess("confirm_registration"), None).await
    };
    assert_eq!(judged(confirm_at_once).await, SECRETS);
    let inside = desk.context(&desk.login(&email, OTHER).await.unwrap());
    let address = async |_| desk.accounts.confirm_email(&inside, &LinkToken { token: guess("confirm_email") }).await;
    assert_eq!(judged(address).await, 10, "counted for the person, who is known");
    desk.login(&email, OTHER).await.expect("logins are counted elsewhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_sits_at_an_unlocked_desk_does_not_guess_the_password() {
    let desk = Desk::new(AccountOptions::default()).await;
    let email = desk.database.tenant("Acme").await.email("member");
    let (context, other) =
        (desk.context(&desk.login(&email, PASSWORD).await.unwrap()), desk.context(&desk.login(&email, PASSWORD).await.unwrap()));
    let change = async |current: &str, origin: &Origin| {
        let change = PasswordChange { current_password: current.into(), new_password: OTHER.into() };
        desk.accounts.change_password(&context, &change, origin).await
    };
    let new_address = async |current: &str| {
        let change = EmailChange { email: "new@example.com".into(), current_password: current.into() };
        desk.accounts.change_email(&other, &change).await
    };
    new_address(PASSWORD).await.unwrap();
    // Both ways, from every address and in every session, are one count.
    for number in 0..PASSWORDS / 2 {
        invalid(change("wrong", &elsewhere(number)).await, "/current_password", "wrong", "counted");
        invalid(new_address("wrong").await, "/current_password", "wrong", "counted");
    }
    assert!(is_limited(&change(PASSWORD, &from("192.0.2.1")).await) && is_limited(&new_address(PASSWORD).await));
    desk.login(&email, PASSWORD).await.expect("a login is counted elsewhere");
    desk.database.execute("UPDATE identity.throttles SET counted_at = counted_at - interval '1 hour'").await;
    change(PASSWORD, &from("192.0.2.1")).await.expect("after a while it is judged again");
}
