//! Guessing links, and the second factor at every way in that is no login.

use std::{sync::Arc, time::Duration};

use crm_kernel::{Context, Error, Result, Role};
use crm_tenancy::{
    Identity,
    identity::{
        Origin, Tokens,
        external::{ExchangeRequest, ExternalIdentities, LinkRequest, UnlinkRequest},
        invitations::{AcceptRequest, Invitations},
        link_token,
        second_factor::{CodeRequest, FirstCodeRequest, PgSecondFactors, SecondFactors},
    },
};
use crm_testkit::{
    PASSWORD,
    refusals::{invalid, unauthenticated},
};
use uuid::Uuid;

use crate::{
    Stage, accepts, asks,
    coming_in::{external, external_at},
    entrance::{Authenticator, from, with_password},
    set_up,
};

fn is_limited<T>(answer: &Result<T>) -> bool {
    matches!(answer, Err(Error::Limited { retry_after_seconds }) if *retry_after_seconds > 0)
}

/// The identity of this subject, to be linked by who has the password of everybody.
fn links(subject: &str) -> LinkRequest {
    LinkRequest { token: external(subject), password: Some(PASSWORD.into()) }
}

fn is_missing<T: std::fmt::Debug>(answer: Result<T>, why: &str) {
    match answer {
        Err(Error::SecondFactorMissing) => {}
        other => panic!("{why}: {other:?}"),
    }
}

impl Stage {
    async fn enable(&self, context: &Context) -> (Authenticator, Vec<String>) {
        let factors = PgSecondFactors::new(self.database.db(), self.keys.clone(), Arc::default());
        let authenticator = Authenticator::new(&factors.enroll(context, &with_password(PASSWORD)).await.unwrap().seed);
        let confirmed = factors.confirm(context, &FirstCodeRequest { code: authenticator.first() }).await.unwrap();
        (authenticator, confirmed.recovery_codes)
    }

    async fn given(&self, tokens: &Tokens) -> bool {
        let factors = PgSecondFactors::new(self.database.db(), self.keys.clone(), Arc::default());
        factors.status(&self.context(tokens).await).await.unwrap().given
    }

    async fn exchange(&self, token: String, code: Option<String>) -> Result<Tokens> {
        self.external.exchange(&ExchangeRequest { token, organization: None, code }, &Origin::default()).await
    }

    async fn was_announced(&self) -> bool {
        tokio::time::timeout(Duration::from_millis(20), self.letters_queued.notified()).await.is_ok()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_are_not_guessed() {
    let stage = set_up().await;
    let (_, token) = stage.invite("new@example.com", Role::Member).await;
    let here = from("192.0.2.9");
    for _ in 0..3 {
        stage.invitations.look(&asks(&token), &here).await.expect("a right one does not count");
    }
    for number in 0..60 {
        stage.database.forget_no_tries().await;
        let guess = link_token(&stage.keys, "invitation", Uuid::now_v7()).unwrap();
        let answer = match number % 2 {
            0 => stage.invitations.look(&asks(&guess), &here).await.map(drop),
            _ => stage.invitations.accept(&crate::newcomer(&guess), &here).await.map(drop),
        };
        assert!(matches!(answer, Err(Error::NotFound(_))), "{number}: {answer:?}");
    }
    stage.database.forget_no_tries().await;
    assert!(is_limited(&stage.invitations.look(&asks(&token), &here).await));
    assert!(is_limited(&stage.invitations.accept(&crate::newcomer(&token), &here).await));
    stage.invitations.accept(&crate::newcomer(&token), &from("192.0.2.10")).await.expect("from elsewhere it opens");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_and_a_password_are_no_second_factor() {
    let stage = set_up().await;
    let elsewhere = stage.database.tenant("Umbrella").await;
    let (authenticator, recovery) = stage.enable(&stage.session(&elsewhere.email("member")).await).await;
    let (made, token) = stage.invite(&elsewhere.email("member"), Role::Admin).await;
    let with = |code: Option<String>| AcceptRequest { password: Some(PASSWORD.into()), code, ..accepts(&token) };
    let sessions = "SELECT count(*) FROM identity.sessions WHERE ended_at IS NULL";
    let before = stage.count(sessions).await;
    is_missing(stage.accept(&with(None)).await, "without a code");
    is_missing(stage.accept(&with(Some(authenticator.wrong()))).await, "a wrong one");
    is_missing(stage.accept(&with(Some(authenticator.first()))).await, "one that was used");
    is_missing(stage.accept(&with(Some("AAAA-AAAA-AAAA-AAAA".into()))).await, "nobody's recovery code");
    let wrong = AcceptRequest { password: Some("wrong".into()), code: Some(authenticator.code(1)), ..accepts(&token) };
    unauthenticated(stage.accept(&wrong).await, "the password comes first");
    let members = format!("SELECT count(*) FROM memberships WHERE user_id = '{}'", elsewhere.member.user_id);
    assert_eq!((stage.count(&members).await, stage.count(sessions).await), (1, before), "nothing has happened");
    assert_eq!(stage.status(made.id).await, "pending");

    while stage.was_announced().await {}
    let tokens = stage.accept(&with(Some(recovery[0].clone()))).await.expect("a recovery code proves it");
    assert!(stage.given(&tokens).await && stage.was_announced().await);
    assert_eq!((tokens.organization_id, tokens.role), (stage.tenant.organization_id, Role::Admin));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_codes_are_counted_at_every_door_together() {
    let stage = set_up().await;
    let elsewhere = stage.database.tenant("Umbrella").await;
    let session = stage.session(&elsewhere.email("member")).await;
    stage.external.link(&session, &links("mine")).await.unwrap();
    let (authenticator, _) = stage.enable(&session).await;
    let (_, token) = stage.invite(&elsewhere.email("member"), Role::Viewer).await;
    let accept = async |code: String| {
        stage.accept(&AcceptRequest { external_token: Some(external("mine")), code: Some(code), ..accepts(&token) }).await
    };
    for number in 0..5 {
        let answer = match number % 2 {
            0 => accept(authenticator.wrong()).await,
            _ => stage.exchange(external("mine"), Some(authenticator.wrong())).await,
        };
        is_missing(answer, "a wrong code");
    }
    assert!(is_limited(&accept(authenticator.code(1)).await), "the right one is not judged any more");
    assert!(is_limited(&stage.exchange(external("mine"), Some(authenticator.code(1))).await));
    let factors = PgSecondFactors::new(stage.database.db(), stage.keys.clone(), Arc::default());
    factors.verify(&session, &CodeRequest { code: authenticator.code(1) }).await.expect("whoever is in is counted elsewhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_a_second_factor_only_where_it_is_trusted_and_linked() {
    let stage = set_up().await;
    let elsewhere = stage.database.tenant("Umbrella").await;
    let session = stage.session(&elsewhere.email("member")).await;
    stage.external.link(&session, &links("mine")).await.unwrap();
    let (authenticator, _) = stage.enable(&session).await;

    is_missing(stage.exchange(external("mine"), None).await, "the provider says nothing of a second factor");
    let tokens = stage.exchange(external("mine"), Some(authenticator.code(1))).await.expect("the code proves it");
    assert!(stage.given(&tokens).await);
    let tokens = stage.exchange(external_at("aal2", "mine"), None).await.expect("the provider's word counts");
    assert!(stage.given(&tokens).await);

    // A session that has not given the second factor, however it came to be, must not make a way in that goes round it.
    let early = stage.context(&tokens).await;
    let ungiven = format!("UPDATE identity.sessions SET second_factor_at = NULL WHERE id = '{}'", early.session_id.unwrap());
    stage.database.execute(&ungiven).await;
    let theirs = LinkRequest { token: external_at("aal2", "of a thief"), ..links("of a thief") };
    let refused = stage.external.link(&early, &theirs).await;
    assert!(matches!(refused, Err(Error::SecondFactorRequired)), "{refused:?}");
    while stage.was_announced().await {}
    let linked = stage.external.link(&session, &links("another")).await.expect("this one has given it");
    assert!(stage.was_announced().await, "linking is told");
    let unlink = async |password: Option<&str>| {
        let request = UnlinkRequest { password: password.map(Into::into) };
        stage.external.unlink(&session, linked.id, &request).await
    };
    invalid(unlink(None).await, "/password", "required", "whoever has a password says it");
    invalid(unlink(Some("wrong")).await, "/password", "wrong", "and the right one");
    assert!(!stage.was_announced().await, "nothing has happened");
    unlink(Some(PASSWORD)).await.unwrap();
    assert!(stage.was_announced().await, "and unlinking");

    let (_, token) = stage.invite(&elsewhere.email("member"), Role::Viewer).await;
    let with = |token: &str, level: &str, subject: &str| AcceptRequest {
        external_token: Some(external_at(level, subject)),
        ..accepts(token)
    };
    is_missing(stage.accept(&with(&token, "aal1", "mine")).await, "accepting is no way round either");
    let tokens = stage.accept(&with(&token, "aal2", "mine")).await.unwrap();
    assert!(stage.given(&tokens).await);

    // Whose password and identities are gone opens with the letter alone, but for the second factor.
    stage.database.execute("DELETE FROM identity.credentials; DELETE FROM identity.external_identities").await;
    stage.database.execute("UPDATE identity.second_factors SET last_step = 0").await;
    let initech = stage.database.tenant("Initech").await;
    let wanted = crate::invitation(&elsewhere.email("member"), Role::Viewer);
    let made = stage.invitations.create(&initech.owner, &wanted).await.unwrap();
    let token = stage.token(made.id).await;
    is_missing(stage.accept(&with(&token, "aal2", "new")).await, "a provider that nobody linked vouches for nothing");
    let coded = AcceptRequest { code: Some(authenticator.code(0)), ..with(&token, "aal1", "new") };
    assert!(stage.given(&stage.accept(&coded).await.unwrap()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn external_tokens_are_not_guessed() {
    let stage = set_up().await;
    let session = stage.session(&stage.tenant.email("member")).await;
    let request = |token: String| ExchangeRequest { token, organization: None, code: None };
    let here = from("192.0.2.9");
    for _ in 0..60 {
        stage.database.forget_no_tries().await;
        unauthenticated(stage.external.exchange(&request(external("s") + "x"), &here).await, "forged");
    }
    stage.database.forget_no_tries().await;
    assert!(is_limited(&stage.external.exchange(&request(external("mine")), &here).await));
    for _ in 0..10 {
        let forged = LinkRequest { token: external("s") + "x", ..links("s") };
        unauthenticated(stage.external.link(&session, &forged).await, "forged");
    }
    let right = links("mine");
    assert!(is_limited(&stage.external.link(&session, &right).await), "of this person");
    let other = stage.session(&stage.tenant.email("viewer")).await;
    stage.external.link(&other, &right).await.expect("not of another");
    for _ in 0..70 {
        stage.external.exchange(&request(external("mine")), &from("192.0.2.10")).await.expect("who is right is not counted");
    }
    stage.session(&stage.tenant.email("member")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_is_linked_with_the_password_of_who_has_one() {
    let stage = set_up().await;
    let session = stage.session(&stage.tenant.email("member")).await;
    let stolen = async |password: Option<&str>| {
        let request = LinkRequest { password: password.map(Into::into), ..links("of a thief") };
        stage.external.link(&session, &request).await
    };
    let code = |answer: Result<_>| match answer {
        Err(Error::Invalid(fields)) => (fields[0].pointer.clone(), fields[0].code.clone()),
        other => panic!("{:?}", other.map(drop)),
    };
    for _ in 0..11 {
        assert_eq!(code(stolen(None).await), ("/password".into(), "required".into()), "saying none is no try");
    }
    for _ in 0..10 {
        assert_eq!(code(stolen(Some("wrong")).await), ("/password".into(), "wrong".into()));
    }
    assert!(is_limited(&stolen(Some(PASSWORD)).await), "tries are counted");
    assert_eq!(stage.count("SELECT count(*) FROM identity.external_identities").await, 0, "nothing was linked");
    stage.database.execute("DELETE FROM identity.throttles").await;
    for subject in ["of a thief", "mine"] {
        stage.external.link(&session, &links(subject)).await.expect("who is right is not counted, and links");
    }

    stage.database.execute("DELETE FROM identity.credentials").await;
    let request = LinkRequest { password: None, ..links("another") };
    stage.external.link(&session, &request).await.expect("who has no password is asked for none");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_that_is_unlinked_takes_the_sessions_with_it_that_it_opened() {
    let stage = set_up().await;
    let (email, member) = (stage.tenant.email("member"), stage.tenant.member.user_id);
    let session = stage.session(&email).await;
    let thief = stage.external.link(&session, &links("of a thief")).await.unwrap();
    let mine = stage.external.link(&session, &links("mine")).await.unwrap();
    let elsewhere = stage.database.tenant("Umbrella").await.organization_id;
    stage.database.add_member(elsewhere, &email, Role::Viewer).await;

    let stolen = stage.exchange(external("of a thief"), None).await.unwrap();
    let stolen_session = stage.context(&stolen).await;
    let moving = stage.exchange(external("of a thief"), None).await.unwrap();
    let moving_session = stage.context(&moving).await;
    let moved = stage.identity.switch(&moving_session, &crm_testkit::to(&moving, elsewhere), &Origin::default()).await.unwrap();
    let moved_session = stage.context(&moved).await;
    let kept = stage.exchange(external("mine"), None).await.unwrap();
    let kept_session = stage.context(&kept).await;
    // By an invitation as well.
    let (_, token) = {
        let initech = stage.database.tenant("Initech").await;
        let made = stage.invitations.create(&initech.owner, &crate::invitation(&email, Role::Viewer)).await.unwrap();
        (made.id, stage.token(made.id).await)
    };
    let accepted = AcceptRequest { external_token: Some(external("of a thief")), ..accepts(&token) };
    let invited = stage.accept(&accepted).await.unwrap();
    let invited_session = stage.context(&invited).await;

    let request = UnlinkRequest { password: Some(PASSWORD.into()) };
    stage.external.unlink(&session, thief.id, &request).await.unwrap();
    let db = stage.database.db();
    for (context, tokens) in [(&stolen_session, &stolen), (&moved_session, &moved), (&invited_session, &invited)] {
        unauthenticated(db.begin(context).await, "what it has opened has ended");
        unauthenticated(stage.identity.refresh(&tokens.refresh_token).await, "and is not refreshed");
    }
    db.begin(&session).await.expect("the session that asked goes on");
    db.begin(&kept_session).await.expect("and what another identity has opened");
    let told = "SELECT count(*) FROM identity.sessions WHERE ended_reason = 'external_identity_removed'";
    assert_eq!(stage.count(told).await, 3);

    // Whoever unlinks what they came in with goes on; of sessions of an earlier time nobody knows what opened them.
    stage.database.execute("UPDATE identity.sessions SET external_identity_id = NULL").await;
    let early = stage.exchange(external("mine"), None).await.unwrap();
    let asking = stage.context(&early).await;
    stage.external.unlink(&asking, mine.id, &request).await.unwrap();
    db.begin(&asking).await.expect("its own session");
    unauthenticated(db.begin(&kept_session).await, "all of them go");
    assert_eq!(asking.user_id, member);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_at_these_doors_is_in_the_log() {
    let stage = set_up().await;
    let elsewhere = stage.database.tenant("Umbrella").await;
    let session = stage.session(&elsewhere.email("member")).await;
    stage.external.link(&session, &links("mine")).await.unwrap();
    let (authenticator, _) = stage.enable(&session).await;
    let (_, token) = stage.invite(&elsewhere.email("member"), Role::Viewer).await;
    is_missing(stage.exchange(external("mine"), Some(authenticator.wrong())).await, "a wrong code");
    is_missing(stage.exchange(external("mine"), Some(authenticator.first())).await, "a used one");
    let with =
        |password: &str, code: String| AcceptRequest { password: Some(password.into()), code: Some(code), ..accepts(&token) };
    is_missing(stage.accept(&with(PASSWORD, authenticator.wrong())).await, "a wrong code");
    is_missing(stage.accept(&with(PASSWORD, authenticator.first())).await, "a used one");
    unauthenticated(stage.accept(&with("wrong", authenticator.code(1))).await, "a wrong password");
    let query = "SELECT count(*) || ' ' || entity_type FROM crm_activities WHERE activity_type = 'login_refused' GROUP BY entity_type ORDER BY entity_type";
    let told = async || stage.database.texts(query).await == ["1 credential", "4 second_factor"];
    crm_testkit::waiting::until("what was refused is in the log", told).await;
}
