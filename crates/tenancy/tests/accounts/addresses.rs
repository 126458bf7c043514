//! A new address for a person.

use crm_kernel::{Context, Error};
use crm_tenancy::identity::accounts::{AccountOptions, Accounts, Delivery, EmailChange, LinkToken, SignUp};
use crm_testkit::refusals::{conflict, forbidden, invalid, unauthenticated};

use super::{Desk, PASSWORD, origin};

const NEW: &str = "new@example.com";

impl Desk {
    async fn ask(&self, context: &Context, email: &str, password: &str) -> crm_kernel::Result<String> {
        let change = EmailChange { email: email.into(), current_password: password.into() };
        self.accounts.change_email(context, &change).await.map(|accepted| accepted.message)
    }

    async fn confirm_address(&self, context: &Context, token: &str) -> crm_kernel::Result<()> {
        self.accounts.confirm_email(context, &LinkToken { token: token.into() }).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_counts_once_its_letter_was_answered() {
    let desk = Desk::new(AccountOptions::default()).await;
    let old = desk.database.tenant("Acme").await.email("member");
    let tokens = desk.login(&old, PASSWORD).await.unwrap();
    let context = desk.context(&tokens);
    desk.ask(&context, &NEW.to_uppercase(), PASSWORD).await.unwrap();
    desk.login(&old, PASSWORD).await.expect("the old one counts until then");
    let token = desk.token("confirm_email", NEW).await;
    desk.confirm_address(&context, &token).await.unwrap();
    desk.login(NEW, PASSWORD).await.expect("the new one counts");
    unauthenticated(desk.login(&old, PASSWORD).await, "the old one does not");
    desk.is_alive(&tokens).await;
    assert_eq!(desk.letters(&old).await, ["email_changed"]);
    assert_eq!(desk.letters(NEW).await, ["confirm_email"]);
    assert_eq!(desk.events("email_changed").await, 1);
    let unusable = invalid(desk.confirm_address(&context, &token).await, "/token", "unusable", "a link works once");
    let unknown = invalid(desk.confirm_address(&context, "nonsense").await, "/token", "unusable", "an unknown one never");
    assert_eq!(format!("{unusable:?}"), format!("{unknown:?}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_follows_the_link_of_somebody_elses_letter_gives_nothing_away() {
    let desk = Desk::new(AccountOptions::default()).await;
    let (tenant, attacker) = (desk.database.tenant("Acme").await, desk.database.tenant("Umbrella").await);
    let context = desk.context(&desk.login(&attacker.email("owner"), PASSWORD).await.unwrap());
    desk.ask(&context, "victim@example.com", PASSWORD).await.unwrap();
    let token = desk.token("confirm_email", "victim@example.com").await;
    let other = desk.context(&desk.login(&tenant.email("owner"), PASSWORD).await.unwrap());
    let refused = invalid(desk.confirm_address(&other, &token).await, "/token", "unusable", "a click alone is no consent");
    let unknown = invalid(desk.confirm_address(&other, "nonsense").await, "/token", "unusable", "an unknown one never");
    assert_eq!(format!("{refused:?}"), format!("{unknown:?}"));
    unauthenticated(desk.login("victim@example.com", PASSWORD).await, "the attacker's password opens nothing there");
    desk.confirm_address(&context, &token).await.expect("who asked and reads the letter is one person");
}

#[tokio::test(flavor = "multi_thread")]
async fn links_to_the_old_address_open_nothing_any_more() {
    let desk = Desk::new(AccountOptions::default()).await;
    let old = desk.database.tenant("Acme").await.email("member");
    let context = desk.context(&desk.login(&old, PASSWORD).await.unwrap());
    let forgotten = crm_tenancy::identity::accounts::ForgottenPassword { email: old.clone() };
    desk.accounts.forget_password(&forgotten, &origin()).await.unwrap();
    let reset = desk.token("reset_password", &old).await;
    desk.ask(&context, NEW, PASSWORD).await.unwrap();
    desk.confirm_address(&context, &desk.token("confirm_email", NEW).await).await.unwrap();
    let reset = crm_tenancy::identity::accounts::PasswordReset { token: reset, password: "a password of my own".into() };
    invalid(desk.accounts.reset_password(&reset, &origin()).await, "/token", "unusable", "the mailbox may be another's by now");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_somebody_else_is_answered_alike_and_told_to_its_holder() {
    let desk = Desk::new(AccountOptions::default()).await;
    let tenant = desk.database.tenant("Acme").await;
    let theirs = desk.database.tenant("Umbrella").await.email("owner");
    let context = desk.context(&desk.login(&tenant.email("member"), PASSWORD).await.unwrap());
    assert_eq!(desk.ask(&context, &theirs, PASSWORD).await.unwrap(), desk.ask(&context, NEW, PASSWORD).await.unwrap());
    assert_eq!(desk.letters(&theirs).await, ["email_in_use"]);
    assert_eq!(desk.letters(NEW).await, ["confirm_email"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_was_taken_meanwhile_is_a_conflict_for_its_holder_alone() {
    let desk = Desk::new(AccountOptions::default()).await;
    let tenant = desk.database.tenant("Acme").await;
    let context = desk.context(&desk.login(&tenant.email("member"), PASSWORD).await.unwrap());
    desk.ask(&context, NEW, PASSWORD).await.unwrap();
    let token = desk.token("confirm_email", NEW).await;
    desk.database.add_member(tenant.organization_id, NEW, crm_kernel::Role::Viewer).await;
    conflict(desk.confirm_address(&context, &token).await, "/email", "somebody has it");
    desk.login(&tenant.email("member"), PASSWORD).await.expect("the old address counts on");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_confirm_one_address_at_once_one_wins() {
    let desk = Desk::new(AccountOptions::default()).await;
    let tenant = desk.database.tenant("Acme").await;
    let mut tokens = Vec::new();
    for who in ["member", "colleague"] {
        let context = desk.context(&desk.login(&tenant.email(who), PASSWORD).await.unwrap());
        desk.ask(&context, NEW, PASSWORD).await.unwrap();
        tokens.push((context, desk.token("confirm_email", NEW).await));
    }
    let [(one, first), (two, second)] = &tokens[..] else { panic!("there are two") };
    let (one, two) = tokio::join!(desk.confirm_address(one, first), desk.confirm_address(two, second));
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    let lost = if one.is_ok() { two } else { one };
    conflict(lost, "/email", "the other has it now");
    assert_eq!(desk.events("email_changed").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_needs_the_password_a_session_and_a_new_address() {
    let desk = Desk::new(AccountOptions::default()).await;
    let tenant = desk.database.tenant("Acme").await;
    let email = tenant.email("member");
    let context = desk.context(&desk.login(&email, PASSWORD).await.unwrap());
    let both = invalid(desk.ask(&context, "nowhere", "wrong").await, "/current_password", "wrong", "both are named");
    assert!(matches!(both, Error::Invalid(fields) if fields.len() == 2));
    invalid(desk.ask(&context, &email, PASSWORD).await, "/email", "unchanged", "a change changes something");
    forbidden(desk.ask(&tenant.member, NEW, PASSWORD).await, "an embedding program changes no addresses");
    for _ in 0..3 {
        desk.ask(&context, NEW, PASSWORD).await.unwrap();
    }
    desk.ask(&context, "further@example.com", PASSWORD).await.expect("the answer is the same");
    assert!(desk.letters("further@example.com").await.is_empty(), "three letters an hour for one person");
    let token = desk.token("confirm_email", NEW).await;
    desk.database.execute("UPDATE identity.links SET expires_at = now()").await;
    invalid(desk.confirm_address(&context, &token).await, "/token", "unusable", "a link expires");
    let silent = Desk::new(AccountOptions { sign_up: SignUp::Confirm, delivery: Delivery::Off }).await;
    let refused = silent.ask(&context, NEW, PASSWORD).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
}
