//! The second factor: that it is asked for, that every code works once, and that nobody reads the seed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod entrance;

use crm_kernel::{Context, Error, Result, SessionId};
use crm_tenancy::{
    Identity, Members, PgMembers,
    identity::{
        Credentials, Tokens,
        second_factor::{CodeRequest, EnrollmentRequest, FirstCodeRequest, PgSecondFactors, SecondFactors, TurnOffRequest},
    },
    sealing::SealingKeys,
};
use crm_testkit::{
    PASSWORD,
    refusals::{not_found, unauthenticated},
    to,
};
use entrance::{Authenticator, Entrance, elsewhere, with_password};
use futures_util::future::join_all;

fn code(text: impl Into<String>) -> CodeRequest {
    CodeRequest { code: text.into() }
}

fn first_code(text: impl Into<String>) -> FirstCodeRequest {
    FirstCodeRequest { code: text.into() }
}

impl Entrance {
    async fn with_code(&self, who: &str, code: impl Into<String>) -> Result<Tokens> {
        let credentials = Credentials { code: Some(code.into()), ..self.credentials(who) };
        self.identity.login(&credentials, &elsewhere(7)).await
    }
}

#[track_caller]
fn missing<T: std::fmt::Debug>(answer: Result<T>, what: &str) {
    match answer {
        Err(Error::SecondFactorMissing) => {}
        other => panic!("{what}: {other:?}"),
    }
}

#[track_caller]
fn names<T: std::fmt::Debug>(answer: Result<T>, pointers: &[&str]) {
    let Err(Error::Invalid(fields)) = answer else { panic!("expected {pointers:?}: {answer:?}") };
    assert_eq!(fields.iter().map(|field| field.pointer.as_str()).collect::<Vec<_>>(), pointers);
}

#[track_caller]
fn conflict<T: std::fmt::Debug>(answer: Result<T>, rule: &str) {
    let Err(Error::Conflict(fields)) = answer else { panic!("expected {rule}: {answer:?}") };
    assert_eq!(fields[0].code, rule);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_one_comes_in_with_a_code_and_every_code_works_once() {
    let entrance = Entrance::open().await;
    let context = entrance.enter("member").await;
    let (authenticator, recovery) = entrance.enable(&context).await;
    let status = entrance.second_factors.status(&context).await.unwrap();
    assert!(status.enabled_at.is_some() && status.given && !status.required);
    assert_eq!((status.recovery_codes_left, recovery.len()), (10, 10));

    missing(entrance.identity.login(&entrance.credentials("member"), &elsewhere(1)).await, "no code");
    missing(entrance.with_code("member", authenticator.first()).await, "the code that confirmed has been used");
    missing(entrance.with_code("member", authenticator.wrong()).await, "a wrong code");
    let wrong = Credentials { password: "wrong".into(), code: Some(authenticator.code(1)), ..entrance.credentials("member") };
    unauthenticated(entrance.identity.login(&wrong, &elsewhere(2)).await, "a right code does not make up for the password");
    let next = authenticator.code(1);
    let tokens = entrance.with_code("member", &next).await.expect("the next code opens, a wrong password did not use it up");
    missing(entrance.with_code("member", next).await, "once");
    assert!(entrance.second_factors.status(&entrance.context(&tokens)).await.unwrap().given, "the session knows");

    entrance.with_code("member", recovery[0].to_lowercase()).await.expect("a recovery code opens");
    missing(entrance.with_code("member", recovery[0].clone()).await, "once");
    assert_eq!(entrance.second_factors.status(&context).await.unwrap().recovery_codes_left, 9);
    entrance.with_code("colleague", "000000").await.expect("of others no code is asked");
    missing(entrance.with_code("member", "AAAA-BBBB-CCCC-DDDD").await, "somebody else's recovery code");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_logins_with_the_same_code_at_once_one_wins() {
    let entrance = Entrance::open().await;
    let context = entrance.enter("member").await;
    let (authenticator, recovery) = entrance.enable(&context).await;
    for code in [authenticator.code(1), recovery[0].clone(), recovery[1].clone()] {
        let answers = join_all((0..4).map(|_| entrance.with_code("member", code.clone()))).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
        entrance.database.execute("DELETE FROM identity.throttles").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_wrong_codes_are_the_end_for_a_while_and_a_known_device_has_its_own() {
    let entrance = Entrance::open().await;
    let tokens = entrance.login("member").await;
    let (authenticator, _) = entrance.enable(&entrance.context(&tokens)).await;
    for _ in 0..20 {
        missing(entrance.identity.login(&entrance.credentials("member"), &elsewhere(1)).await, "no code is not a wrong one");
    }
    let mut answers = Vec::new();
    // Three at once: more than four of one account would wait for each other at the queue of hashes.
    for _ in 0..3 {
        answers.extend(join_all((0..3).map(|_| entrance.with_code("member", authenticator.wrong()))).await);
    }
    let judged = answers.iter().filter(|answer| matches!(answer, Err(Error::SecondFactorMissing))).count();
    assert_eq!(judged, 5, "even at once: {answers:?}");
    let right = authenticator.code(1);
    let turned_away = entrance.with_code("member", right.clone()).await;
    assert!(matches!(turned_away, Err(Error::Limited { retry_after_seconds: 1..=300 })), "{turned_away:?}");
    let known = Credentials { device_token: tokens.device_token.clone(), code: Some(right), ..entrance.credentials("member") };
    entrance.identity.login(&known, &elsewhere(2)).await.expect("the owner's device is not turned away");
    assert_eq!(
        entrance.database.number("SELECT count(*) FROM identity.throttles WHERE used > 1").await,
        1,
        "the password was right each time and is not counted"
    );

    let context = entrance.context(&tokens);
    for _ in 0..5 {
        names(entrance.second_factors.verify(&context, &code(authenticator.wrong())).await, &["/code"]);
    }
    let turned_away = entrance.second_factors.verify(&context, &code(authenticator.wrong())).await;
    assert!(matches!(turned_away, Err(Error::Limited { .. })), "inside they are counted too: {turned_away:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seed_and_the_recovery_codes_cannot_be_read_from_the_database() {
    let entrance = Entrance::open().await;
    let context = entrance.enter("member").await;
    let shown = entrance.second_factors.enroll(&context, &with_password(PASSWORD)).await.unwrap();
    let seed = totp_rs::Secret::Encoded(shown.seed.clone()).to_bytes().unwrap();
    let hex: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(shown.uri.contains(&format!("secret={}", shown.seed)) && shown.uri.starts_with("otpauth://totp/"));
    let rows = "SELECT row_to_json(second_factors)::text || encode(coalesce(pending_seed, sealed_seed), 'hex') FROM identity.second_factors";
    let holds = async || {
        let text = entrance.database.texts(rows).await.join(" ").to_lowercase();
        assert!(text.len() > 100, "there is something to look into");
        text.contains(&hex) || text.contains(&shown.seed.to_lowercase())
    };
    assert!(!holds().await, "while it waits");
    let authenticator = entrance::Authenticator::new(&shown.seed);
    let codes = entrance.second_factors.confirm(&context, &first_code(authenticator.code(0))).await.unwrap().recovery_codes;
    assert!(!holds().await, "when it is on");
    let stored = entrance.database.texts("SELECT row_to_json(recovery_codes)::text FROM identity.recovery_codes").await.join(" ");
    for code in &codes {
        assert!(!stored.contains(code) && !stored.contains(&code.replace('-', "")), "{code} is stored");
    }
    let log = "SELECT coalesce(string_agg(detail::text, ''), '') || coalesce((SELECT string_agg(letters::text, '') FROM identity.letters), '')
                 FROM crm_activity_details AS detail";
    let log = entrance.database.texts(log).await.join("");
    assert!(!log.contains(&shown.seed) && codes.iter().all(|code| !log.contains(code.as_str())));

    let thief = PgSecondFactors::new(entrance.db.clone(), SealingKeys::generate().unwrap(), std::sync::Arc::default());
    let answer = thief.verify(&context, &code(authenticator.code(1))).await;
    assert!(matches!(answer, Err(Error::Internal(_))), "without the keys it cannot be opened: {answer:?}");
    // A sealed seed belongs to its person: it cannot be moved to another row.
    let colleague = entrance.enter("colleague").await;
    entrance.enable(&colleague).await;
    let moved = format!(
        "UPDATE identity.second_factors SET sealed_seed = (SELECT sealed_seed FROM identity.second_factors WHERE user_id = '{}')",
        context.user_id
    );
    entrance.database.execute(&moved).await;
    let answer = entrance.with_code("colleague", authenticator.code(1)).await;
    assert!(matches!(answer, Err(Error::Internal(_))), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_that_requires_it_lets_in_only_sessions_that_gave_one() {
    let entrance = Entrance::open().await;
    let (first, second) = (entrance.enter("member").await, entrance.enter("member").await);
    entrance.database.execute("UPDATE organizations SET require_second_factor = true").await;
    for context in [&first, &second] {
        let refused = entrance.db.begin(context).await;
        assert!(matches!(refused, Err(Error::SecondFactorRequired)), "{refused:?}");
        assert!(entrance.second_factors.status(context).await.unwrap().required);
    }
    let (authenticator, recovery) = entrance.enable(&first).await;
    entrance.db.begin(&first).await.expect("this session has given one");
    unauthenticated(entrance.db.begin(&second).await.map(drop), "the other one, which had not, has ended");
    // One that has not, however it came to be, can give a code later.
    entrance.let_time_pass().await;
    let second = entrance.context(&entrance.with_code("member", authenticator.code(0)).await.unwrap());
    let ungiven = format!("UPDATE identity.sessions SET second_factor_at = NULL WHERE id = '{}'", second.session_id.unwrap());
    entrance.database.execute(&ungiven).await;
    let refused = entrance.db.begin(&second).await;
    assert!(matches!(refused, Err(Error::SecondFactorRequired)), "{refused:?}");
    entrance.second_factors.verify(&second, &code(authenticator.code(1))).await.expect("a code can be given later");
    entrance.db.begin(&second).await.expect("and now it has");

    let turn_off = |code: &str| TurnOffRequest { code: code.to_owned(), password: Some(PASSWORD.to_owned()) };
    conflict(entrance.second_factors.disable(&first, &turn_off(&recovery[0])).await, "second_factor_needed");
    assert_eq!(entrance.second_factors.status(&first).await.unwrap().recovery_codes_left, 10, "a refusal uses no code up");
    // Another device can be enrolled all the same.
    let shown = entrance.second_factors.replace(&first, &code(&recovery[0])).await.expect("a recovery code replaces");
    entrance.let_time_pass().await;
    entrance.with_code("member", authenticator.code(0)).await.expect("the old one is good until the new one is confirmed");
    let new = entrance::Authenticator::new(&shown.seed);
    entrance.second_factors.confirm(&first, &first_code(new.code(0))).await.unwrap();
    entrance.with_code("member", new.code(1)).await.expect("the new one opens");
    entrance.let_time_pass().await;
    missing(entrance.with_code("member", authenticator.code(0)).await, "the old one no more");
    missing(entrance.with_code("member", recovery[1].clone()).await, "nor the old recovery codes");

    entrance.database.execute("UPDATE organizations SET require_second_factor = false").await;
    entrance.second_factors.disable(&first, &turn_off(&new.code(1))).await.expect("nobody requires it any more");
    entrance.login("member").await;
    entrance.database.execute("UPDATE organizations SET require_second_factor = true").await;
    let refused = entrance.db.begin(&first).await;
    assert!(matches!(refused, Err(Error::SecondFactorRequired)), "what was given before it was turned off is gone: {refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_wants_its_proof() {
    let entrance = Entrance::open().await;
    let context = entrance.enter("member").await;
    let factors = &entrance.second_factors;
    for answer in [
        factors.confirm(&context, &first_code("000000")).await.map(drop),
        factors.verify(&context, &code("000000")).await,
        factors.renew_codes(&context, &code("000000")).await.map(drop),
        factors.replace(&context, &code("000000")).await.map(drop),
        factors.disable(&context, &TurnOffRequest { code: "000000".into(), password: None }).await,
    ] {
        assert!(matches!(answer, Err(Error::NotFound(_))), "there is none yet: {answer:?}");
    }
    let shown = factors.enroll(&context, &with_password(PASSWORD)).await.unwrap();
    let again = factors.enroll(&context, &with_password(PASSWORD)).await.expect("begun again, another seed is shown");
    assert_ne!(shown.seed, again.seed);
    let (old, authenticator) = (entrance::Authenticator::new(&shown.seed), entrance::Authenticator::new(&again.seed));
    names(factors.confirm(&context, &first_code(old.code(0))).await, &["/code"]);
    entrance.login("member").await;
    let codes = factors.confirm(&context, &first_code(authenticator.first())).await.unwrap().recovery_codes;
    conflict(factors.enroll(&context, &with_password(PASSWORD)).await, "second_factor_on");

    let off = |code: &str, password: Option<&str>| TurnOffRequest { code: code.to_owned(), password: password.map(Into::into) };
    names(factors.disable(&context, &off(&authenticator.wrong(), None)).await, &["/password", "/code"]);
    names(factors.disable(&context, &off(&codes[0], Some("wrong"))).await, &["/password"]);
    names(factors.disable(&context, &off(&authenticator.first(), Some(PASSWORD))).await, &["/code"]);
    let renewed = factors.renew_codes(&context, &code(authenticator.code(1))).await.unwrap().recovery_codes;
    names(factors.disable(&context, &off(&codes[0], Some(PASSWORD))).await, &["/code"]);
    entrance.database.execute("DELETE FROM identity.throttles").await;
    factors.disable(&context, &off(&renewed[0], Some(PASSWORD))).await.expect("password and recovery code turn it off");
    assert_eq!(factors.status(&context).await.unwrap().enabled_at, None);
    entrance.login("member").await;

    let never = Context { session_id: Some(SessionId::generate()), ..context.clone() };
    unauthenticated(factors.status(&never).await, "a session that never was");
    unauthenticated(
        factors.enroll(&Context { user_id: entrance.tenant.owner.user_id, ..context.clone() }, &with_password(PASSWORD)).await,
        "another's session",
    );
    entrance.identity.logout(&context).await.unwrap();
    unauthenticated(factors.enroll(&context, &with_password(PASSWORD)).await, "an ended session");
    crm_testkit::refusals::forbidden(factors.status(&entrance.tenant.member).await, "without a session");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_to_it_is_told_to_managers_and_by_letter_to_the_person() {
    let entrance = Entrance::open().await;
    let context = Context { request_id: "the-request".into(), ..entrance.enter("member").await };
    let (authenticator, recovery) = entrance.enable(&context).await;
    entrance.with_code("member", recovery[0].clone()).await.unwrap();
    entrance.second_factors.renew_codes(&context, &code(authenticator.code(1))).await.unwrap();
    let members = PgMembers::new(entrance.db.clone());
    let seen = async |by: &Context| members.get(by, context.user_id).await.unwrap().has_second_factor;
    assert_eq!((seen(&entrance.tenant.admin).await, seen(&entrance.tenant.colleague).await), (Some(true), None));
    entrance.let_time_pass().await;
    let off = TurnOffRequest { code: authenticator.code(0), password: Some(PASSWORD.into()) };
    entrance.second_factors.disable(&context, &off).await.unwrap();
    assert_eq!(seen(&entrance.tenant.admin).await, Some(false));

    let events = ["second_factor_enabled", "recovery_code_used", "recovery_codes_replaced", "second_factor_disabled"];
    let log = format!(
        "SELECT activity_type FROM crm_activities WHERE entity_type = 'second_factor' AND user_id = '{}' ORDER BY seq",
        context.user_id
    );
    assert_eq!(entrance.database.texts(&log).await, events);
    let by_request = "SELECT count(*) FROM crm_activities WHERE entity_type = 'second_factor' AND request_id = 'the-request'";
    assert_eq!(entrance.database.number(by_request).await, 3, "all but the one at the login");
    let letters = format!(
        "SELECT details ->> 'change' FROM identity.letters WHERE kind = 'second_factor_changed' AND recipient = '{}' ORDER BY created_at, id",
        entrance.tenant.email("member")
    );
    assert_eq!(entrance.database.texts(&letters).await, events);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_sends_letters_is_told_at_once() {
    let entrance = Entrance::open().await;
    let context = entrance.enter("member").await;
    assert!(!entrance.was_announced().await, "a login sends none");
    let (authenticator, recovery) = entrance.enable(&context).await;
    assert!(entrance.was_announced().await, "turned on");
    entrance.with_code("member", recovery[0].clone()).await.unwrap();
    assert!(entrance.was_announced().await, "a recovery code was used");
    let renewed = entrance.second_factors.renew_codes(&context, &code(authenticator.code(1))).await.unwrap().recovery_codes;
    assert!(entrance.was_announced().await, "new recovery codes");
    entrance.second_factors.replace(&context, &code(renewed[0].clone())).await.unwrap();
    assert!(entrance.was_announced().await, "a recovery code began another seed");
    let off = TurnOffRequest { code: renewed[1].clone(), password: Some(PASSWORD.into()) };
    entrance.second_factors.disable(&context, &off).await.unwrap();
    assert!(entrance.was_announced().await, "turned off");
}

#[tokio::test(flavor = "multi_thread")]
async fn beginning_takes_the_password_of_who_has_one() {
    let entrance = Entrance::open().await;
    let (context, factors) = (entrance.enter("member").await, &entrance.second_factors);
    let judged = |answer: Result<_>| match answer {
        Err(Error::Invalid(fields)) => (fields[0].pointer.clone(), fields[0].code.clone()),
        other => panic!("{:?}", other.map(drop)),
    };
    for _ in 0..11 {
        let answer = factors.enroll(&context, &EnrollmentRequest::default()).await;
        assert_eq!(judged(answer), ("/password".into(), "required".into()), "saying none is no try");
    }
    for _ in 0..10 {
        let answer = factors.enroll(&context, &with_password("wrong")).await;
        assert_eq!(judged(answer), ("/password".into(), "wrong".into()));
    }
    let turned_away = factors.enroll(&context, &with_password(PASSWORD)).await;
    assert!(matches!(turned_away, Err(Error::Limited { .. })), "tries are counted: {turned_away:?}");
    assert_eq!(entrance.database.number("SELECT count(*) FROM identity.second_factors").await, 0, "nothing has begun");
    factors.enroll(&entrance.enter("colleague").await, &with_password(PASSWORD)).await.expect("and of another person apart");

    entrance.database.execute("DELETE FROM identity.throttles; DELETE FROM identity.credentials").await;
    factors.enroll(&context, &EnrollmentRequest::default()).await.expect("who has no password is asked for none");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_begun_waits_for_its_own_login_and_a_quarter_of_an_hour() {
    let entrance = Entrance::open().await;
    let (factors, tokens) = (&entrance.second_factors, entrance.login("member").await);
    let (thief, other) = (entrance.context(&tokens), entrance.enter("member").await);
    let begun =
        async |context: &Context| Authenticator::new(&factors.enroll(context, &with_password(PASSWORD)).await.unwrap().seed);
    let confirm = async |context: &Context, shown: &Authenticator| factors.confirm(context, &first_code(shown.code(0))).await;
    let begun_here = begun(&thief).await;
    let unknown = not_found(confirm(&other, &begun_here).await, "another login of the same person").to_string();
    entrance.database.execute("UPDATE identity.second_factors SET pending_at = pending_at - interval '15 minutes'").await;
    assert_eq!(not_found(confirm(&thief, &begun_here).await, "too late").to_string(), unknown);

    let begun_here = begun(&thief).await;
    entrance.identity.logout(&thief).await.unwrap();
    not_found(confirm(&other, &begun_here).await, "it ended with its login");

    let here = entrance.login("member").await;
    let shown = begun(&entrance.context(&here)).await;
    let moved =
        entrance.identity.switch(&entrance.context(&here), &to(&here, here.organization_id), &elsewhere(1)).await.unwrap();
    confirm(&entrance.context(&moved), &shown).await.expect("the same login, wherever it has moved");
}

#[tokio::test(flavor = "multi_thread")]
async fn turning_it_on_ends_the_other_sessions_of_the_person_alone() {
    let entrance = Entrance::open().await;
    let second = entrance.database.tenant("Second").await;
    entrance.database.add_member(second.organization_id, &entrance.tenant.email("member"), crm_kernel::Role::Viewer).await;
    let (stolen, other) = (entrance.login("member").await, entrance.login("member").await);
    let away =
        entrance.identity.switch(&entrance.context(&other), &to(&other, second.organization_id), &elsewhere(1)).await.unwrap();
    let (own, colleague) = (entrance.enter("member").await, entrance.enter("colleague").await);
    let (authenticator, _) = entrance.enable(&own).await;
    for tokens in [&stolen, &away] {
        unauthenticated(entrance.db.begin(&entrance.context(tokens)).await.map(drop), "from before");
        unauthenticated(entrance.identity.refresh(&tokens.refresh_token).await, "from before");
    }
    entrance.db.begin(&own).await.expect("the one that turned it on goes on");
    entrance.db.begin(&colleague).await.expect("and those of others");
    let ended = "SELECT count(*) FROM identity.sessions WHERE ended_reason = 'second_factor_enabled'";
    assert_eq!(entrance.database.number(ended).await, 2);

    let other = entrance.context(&entrance.with_code("member", authenticator.code(1)).await.unwrap());
    entrance.let_time_pass().await;
    let shown = entrance.second_factors.replace(&own, &code(authenticator.code(0))).await.unwrap();
    let new = entrance::Authenticator::new(&shown.seed);
    entrance.second_factors.confirm(&own, &first_code(new.code(0))).await.unwrap();
    entrance.db.begin(&other).await.expect("another device in its place ends none that has given a code");
}

#[tokio::test(flavor = "multi_thread")]
async fn api_tokens_have_given_none_once_it_is_off() {
    let entrance = Entrance::open().await;
    let (own, colleague) = (entrance.enter("member").await, entrance.enter("colleague").await);
    let (_, recovery) = entrance.enable(&own).await;
    for (number, person) in [&own, &colleague].iter().enumerate() {
        let made = format!(
            "INSERT INTO identity.api_tokens
                    (organization_id, id, user_id, name, token_hash, second_factor, created_by_id, expires_at)
             VALUES ('{0}', '{2}', '{1}', 'program', sha256('{number}'), true, '{1}', now() + interval '1 day')",
            person.organization_id,
            person.user_id,
            uuid::Uuid::now_v7()
        );
        entrance.database.execute(&made).await;
    }
    let off = TurnOffRequest { code: recovery[0].clone(), password: Some(PASSWORD.into()) };
    entrance.second_factors.disable(&own, &off).await.unwrap();
    let given = "SELECT user_id::text FROM identity.api_tokens WHERE second_factor";
    assert_eq!(entrance.database.texts(given).await, [colleague.user_id.to_string()], "those of others keep it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_wrong_is_in_the_log_and_what_is_turned_away_adds_nothing() {
    let entrance = Entrance::open().await;
    let viewer = entrance.enter("viewer").await.user_id;
    let nowhere = Credentials { organization: Some("nowhere".into()), ..entrance.credentials("viewer") };
    unauthenticated(entrance.identity.login(&nowhere, &elsewhere(1)).await, "a right password for no organisation of the person");
    assert_eq!(entrance.refusals(viewer, 1).await, ["login_refused credential"]);
    let context = entrance.enter("member").await;
    let (authenticator, recovery) = entrance.enable(&context).await;
    let member = context.user_id;
    missing(entrance.identity.login(&entrance.credentials("member"), &elsewhere(1)).await, "who sends none has not been wrong");
    missing(entrance.with_code("member", authenticator.wrong()).await, "a wrong code");
    assert_eq!(entrance.refusals(member, 1).await, ["login_refused second_factor"]);
    missing(entrance.with_code("member", authenticator.first()).await, "a used one");
    missing(entrance.with_code("member", "AAAA-BBBB-CCCC-DDDD-EEEE-FFFF").await, "nobody's recovery code");
    assert_eq!(entrance.refusals(member, 3).await, ["login_refused second_factor"; 3]);
    for _ in 0..5 {
        let answer = entrance.with_code("member", authenticator.wrong()).await;
        assert!(matches!(answer, Err(Error::SecondFactorMissing | Error::Limited { .. })), "{answer:?}");
    }
    assert_eq!(entrance.refusals(member, 5).await.len(), 5, "five tries, five entries, however many come");

    entrance.database.execute("TRUNCATE crm_activities, identity.throttles").await;
    names(entrance.second_factors.verify(&context, &code(authenticator.wrong())).await, &["/code"]);
    names(entrance.second_factors.replace(&context, &code("AAAA-BBBB-CCCC-DDDD-EEEE-FFFF")).await, &["/code"]);
    names(entrance.second_factors.renew_codes(&context, &code(authenticator.first())).await, &["/code"]);
    assert_eq!(entrance.refusals(member, 0).await, ["proof_refused second_factor"; 3], "before they are answered");
    let off = TurnOffRequest { code: authenticator.wrong(), password: Some("wrong".into()) };
    names(entrance.second_factors.disable(&context, &off).await, &["/password", "/code"]);
    names(entrance.second_factors.enroll(&context, &with_password("wrong")).await, &["/password"]);
    let told = entrance.refusals(member, 0).await;
    assert_eq!(told[3..], ["proof_refused credential", "proof_refused second_factor", "proof_refused credential"]);
    let whose = format!(
        "SELECT count(*) FROM crm_activities WHERE activity_type = 'proof_refused' AND user_id = '{member}' AND session_id = '{}'",
        context.session_id.unwrap()
    );
    assert_eq!(entrance.database.number(&whose).await, 6, "of this session");
    for _ in 0..15 {
        entrance.second_factors.enroll(&context, &with_password("wrong")).await.expect_err("wrong");
    }
    assert_eq!(entrance.refusals(member, 0).await.len(), 15, "ten passwords are judged, and no more are told");
    assert_eq!(entrance.second_factors.status(&context).await.unwrap().recovery_codes_left as usize, recovery.len());
    // Whoever may call it writes of nothing else.
    let about_another_thing = format!(
        "DO $$ BEGIN
             PERFORM identity.log_refused_login('{member}', 'session', NULL, NULL, NULL);
             RAISE 'it was written';
         EXCEPTION WHEN check_violation THEN NULL;
         END $$"
    );
    entrance.database.execute(&about_another_thing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_opens_while_it_is_turned_off_has_given_none() {
    let entrance = Entrance::open().await;
    let context = entrance.enter("member").await;
    let (_, recovery) = entrance.enable(&context).await;
    let opening = format!(
        "SELECT identity.start_session('{}', '{}', sha256('new'), 3600, 3600, NULL, NULL, 'password', true)",
        context.user_id, context.organization_id
    );
    let held = entrance.database.hold(&opening).await;
    let off = TurnOffRequest { code: recovery[0].clone(), password: Some(PASSWORD.into()) };
    let (disabled, ()) = tokio::join!(entrance.second_factors.disable(&context, &off), held.commit_under_a_waiter());
    disabled.unwrap();
    let living = format!("FROM identity.sessions WHERE user_id = '{}' AND ended_at IS NULL", context.user_id);
    assert_eq!(entrance.database.number(&format!("SELECT count(*) {living}")).await, 2);
    let given = format!("SELECT count(*) {living} AND second_factor_at IS NOT NULL");
    assert_eq!(entrance.database.number(&given).await, 0, "what it was given with is gone");
}
