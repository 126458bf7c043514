//! Where somebody is logged in, and that it ends at once when it is ended.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod entrance;

use crm_kernel::{Context, Error, OrganizationId, Result, Role, SessionId};
use crm_tenancy::{
    Identity,
    identity::{
        Origin, SwitchRequest, Tokens,
        api_tokens::{ApiTokens, NewApiToken, PgApiTokens},
        sessions::{SessionMethod, Sessions},
    },
    token::TokenKey,
};
use crm_testkit::{
    PASSWORD,
    refusals::{forbidden, not_found, unauthenticated},
    to,
};
use entrance::{Entrance, from};

impl Entrance {
    /// Another organisation, to which the member belongs, too.
    async fn second_of_the_member(&self) -> OrganizationId {
        let second = self.database.tenant("Second").await.organization_id;
        self.database.add_member(second, &self.tenant.email("member"), Role::Viewer).await;
        second
    }

    async fn open_from(&self, tokens: &Tokens, organization: OrganizationId) -> Result<Tokens> {
        self.identity.switch(&self.context(tokens), &to(tokens, organization), &Origin::default()).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_shows_ones_own_living_sessions_in_all_organisations_newest_first() {
    let entrance = Entrance::open().await;
    let second = entrance.database.tenant("Second").await;
    entrance.database.add_member(second.organization_id, &entrance.tenant.email("member"), Role::Viewer).await;
    let ended = entrance.enter("member").await;
    entrance.identity.logout(&ended).await.unwrap();
    let expired = entrance.enter("member").await;
    let set = format!("UPDATE identity.sessions SET expires_at = now() WHERE id = '{}'", expired.session_id.unwrap());
    entrance.database.execute(&set).await;
    let first = entrance.identity.login(&entrance.credentials("member"), &from("2001:db8::7")).await.unwrap();
    let context = entrance.context(&first);
    let other = entrance.login("member").await;
    let moved =
        entrance.identity.switch(&entrance.context(&other), &to(&other, second.organization_id), &Origin::default()).await;
    let switched = moved.unwrap();
    entrance.enter("colleague").await;

    let list = entrance.sessions.list(&context).await.unwrap().data;
    let seen: Vec<_> = list.iter().map(|session| (session.organization_slug.as_str(), session.method, session.current)).collect();
    assert_eq!(
        seen,
        [(second.slug.as_str(), SessionMethod::Switch, false), (entrance.tenant.slug.as_str(), SessionMethod::Password, true)]
    );
    let own = &list[1];
    assert_eq!((Some(own.id), own.ip.as_deref()), (context.session_id, Some("2001:db8::7")));
    assert_eq!((own.user_agent.as_deref(), own.second_factor_at), (Some("test"), None));
    let there = entrance.context(&switched);
    assert!(entrance.sessions.list(&there).await.unwrap().data[0].current, "the same list from the other session");
    entrance.database.execute("UPDATE memberships SET status = 'suspended' WHERE role = 'viewer'").await;
    assert_eq!(entrance.sessions.list(&context).await.unwrap().data.len(), 1, "where one is not let in there is no session");
    unauthenticated(entrance.sessions.list(&there).await, "who is suspended there is not told from there");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_bounded() {
    let entrance = Entrance::open().await;
    let context = entrance.enter("member").await;
    let many = format!(
        "INSERT INTO identity.sessions (user_id, organization_id, expires_at)
         SELECT '{}', '{}', now() + interval '1 day' FROM generate_series(1, 300)",
        context.user_id, context.organization_id
    );
    entrance.database.execute(&many).await;
    assert_eq!(entrance.sessions.list(&context).await.unwrap().data.len(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_ends_ones_own_sessions_and_nobody_elses() {
    let entrance = Entrance::open().await;
    let (here, there) = (entrance.enter("member").await, entrance.enter("member").await);
    let stranger = entrance.enter("owner").await;
    let tries = [stranger.session_id.unwrap(), SessionId::generate()];
    for id in tries {
        let refused = not_found(entrance.sessions.end(&here, id).await, "another's session and none are one answer");
        assert_eq!(format!("{refused:?}"), "NotFound(\"session\")");
    }
    entrance.db.begin(&stranger).await.expect("the other person's session lives");

    let there_id = there.session_id.unwrap();
    let from_here = Context { ip: Some("192.0.2.9".parse().unwrap()), request_id: "the-request".into(), ..here.clone() };
    entrance.sessions.end(&from_here, there_id).await.expect("one's own can be ended");
    unauthenticated(entrance.db.begin(&there).await, "it has ended with the next request");
    not_found(entrance.sessions.end(&here, there_id).await, "what has ended is not there");
    unauthenticated(entrance.sessions.end(&there, here.session_id.unwrap()).await, "an ended session ends nothing");
    let logged = format!(
        "SELECT count(*) FROM q_log WHERE activity_type = 'session_ended' AND entity_id = '{there_id}' AND user_id = '{}'
            AND ip = '192.0.2.9' AND request_id = 'the-request'",
        here.user_id
    );
    assert_eq!(count(&entrance, &logged).await, 1, "the log says who and whence");
    entrance.sessions.end(&here, here.session_id.unwrap()).await.expect("one's own, the one that calls included");
    unauthenticated(entrance.db.begin(&here).await, "it has ended");
}

/// A number, where `q_log` stands for the whole log with its details.
async fn count(entrance: &Entrance, query: &str) -> i64 {
    let log = "(SELECT * FROM crm_activities JOIN crm_activity_details AS detail
                  ON detail.activity_id = crm_activities.id) AS q_log";
    entrance.database.number(&query.replace("q_log", log)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn all_others_end_everywhere_and_this_one_goes_on() {
    let entrance = Entrance::open().await;
    let second = entrance.database.tenant("Second").await;
    entrance.database.add_member(second.organization_id, &entrance.tenant.email("member"), Role::Viewer).await;
    let (first, other, colleague) =
        (entrance.login("member").await, entrance.enter("member").await, entrance.enter("colleague").await);
    let away = entrance.identity.switch(&entrance.context(&first), &to(&first, second.organization_id), &Origin::default()).await;
    let (here, away) = (entrance.enter("member").await, away.unwrap());
    entrance.sessions.end_others(&here).await.unwrap();
    entrance.db.begin(&here).await.expect("this one goes on");
    entrance.db.begin(&colleague).await.expect("other people are not meant");
    for ended in [&other, &entrance.context(&away)] {
        unauthenticated(entrance.db.begin(ended).await, "all others have ended");
    }
    unauthenticated(entrance.identity.refresh(&away.refresh_token).await, "and cannot be refreshed");
    assert_eq!(
        count(&entrance, "SELECT count(*) FROM q_log WHERE activity_type = 'session_ended' AND description = 'revoked'").await,
        2
    );
    forbidden(entrance.sessions.end_others(&entrance.tenant.member).await, "without a session there is no this one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_one_session_that_moves_and_an_access_token_alone_moves_nothing() {
    let entrance = Entrance::open().await;
    let second = entrance.second_of_the_member().await;
    let first = entrance.login("member").await;
    let here = entrance.context(&first);
    let others = [entrance.login("member").await.refresh_token, entrance.login("owner").await.refresh_token];
    for wrong in [String::new(), "guess".into()].into_iter().chain(others) {
        let request = SwitchRequest { organization_id: second, refresh_token: wrong };
        unauthenticated(entrance.identity.switch(&here, &request, &Origin::default()).await, "not of this session");
    }
    not_found(entrance.open_from(&first, OrganizationId::generate()).await, "no such organisation");
    // The limits of the login hold for what it becomes.
    let aged = "UPDATE identity.sessions SET login_at = login_at - interval '10 days', expires_at = now() + interval '1 minute'";
    entrance.database.execute(&format!("{aged} WHERE id = '{}'", here.session_id.unwrap())).await;
    let away = entrance.open_from(&first, second).await.expect("what was refused has spent nothing");
    let same = entrance.open_from(&away, second).await.expect("where one is already");
    let back = entrance.open_from(&same, entrance.tenant.organization_id).await.expect("and back again");
    for moved in [&first, &away, &same] {
        unauthenticated(entrance.db.begin(&entrance.context(moved)).await, "it went on elsewhere");
    }
    entrance.db.begin(&entrance.context(&back)).await.expect("the one session of the login");
    let alive =
        format!("SELECT count(*) FROM identity.sessions WHERE login_id = '{}' AND ended_at IS NULL", here.session_id.unwrap());
    assert_eq!(entrance.database.number(&alive).await, 1);
    let longest = "SELECT max(extract(epoch FROM expires_at - now())::bigint) FROM identity.sessions WHERE method = 'switch'";
    assert!(entrance.database.number(longest).await <= 60, "nothing outlives the login");
    let longest = "SELECT max(extract(epoch FROM token.expires_at - now())::bigint)
                     FROM identity.refresh_tokens AS token JOIN identity.sessions AS session ON session.id = token.session_id
                    WHERE session.method = 'switch'";
    assert!(entrance.database.number(longest).await <= 60, "no token of it either");
    let told = "SELECT count(*) FROM q_log WHERE activity_type = 'session_ended' AND description = 'switched'";
    assert_eq!(count(&entrance, told).await, 3, "the log says what became of each");

    entrance.identity.logout(&entrance.context(&back)).await.unwrap();
    unauthenticated(entrance.db.begin(&entrance.context(&back)).await, "it ended with the login");
    unauthenticated(entrance.identity.refresh(&back.refresh_token).await, "and is not refreshed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_good_once_wherever_it_is_shown() {
    let entrance = Entrance::open().await;
    let (second, own) = (entrance.second_of_the_member().await, entrance.tenant.organization_id);
    // Who switched, then who refreshed; and what the other holder of the token does next, also where it is no good at all.
    for (spent_at, shown_at) in
        [(second, None), (own, None), (second, Some(second)), (own, Some(own)), (own, Some(OrganizationId::generate()))]
    {
        let stolen = entrance.login("member").await;
        let moved = entrance.open_from(&stolen, spent_at).await.unwrap();
        let again = match shown_at {
            None => entrance.identity.refresh(&stolen.refresh_token).await,
            Some(organization) => entrance.open_from(&stolen, organization).await,
        };
        unauthenticated(again, "one of two is a thief");
        unauthenticated(entrance.db.begin(&entrance.context(&moved)).await, "whoever it was");
        unauthenticated(entrance.identity.refresh(&moved.refresh_token).await, "nothing of the login goes on");
    }
    let stolen = entrance.login("member").await;
    let refreshed = entrance.identity.refresh(&stolen.refresh_token).await.unwrap();
    unauthenticated(entrance.open_from(&stolen, second).await, "it was spent for a refresh");
    unauthenticated(entrance.identity.refresh(&refreshed.refresh_token).await, "and that ended the login");
    // In anybody's hands.
    let stolen = entrance.login("member").await;
    let refreshed = entrance.identity.refresh(&stolen.refresh_token).await.unwrap();
    let thief = entrance.enter("colleague").await;
    unauthenticated(entrance.identity.switch(&thief, &to(&stolen, own), &Origin::default()).await, "another person's");
    unauthenticated(entrance.db.begin(&entrance.context(&refreshed)).await, "it is noticed all the same");
    entrance.db.begin(&thief).await.expect("and ends that login alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_refresh_and_a_switch_at_once_one_wins_at_most() {
    let entrance = Entrance::open().await;
    let second = entrance.second_of_the_member().await;
    for _ in 0..10 {
        let tokens = entrance.login("member").await;
        let (refreshed, switched) =
            tokio::join!(entrance.identity.refresh(&tokens.refresh_token), entrance.open_from(&tokens, second));
        assert!(refreshed.is_err() || switched.is_err(), "one token, two chains");
        for won in [refreshed, switched].into_iter().flatten() {
            unauthenticated(entrance.db.begin(&entrance.context(&won)).await, "the second use has ended it");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_ended_while_it_moves_moves_nowhere() {
    let entrance = Entrance::open().await;
    let second = entrance.second_of_the_member().await;
    let tokens = entrance.login("member").await;
    let context = entrance.context(&tokens);
    let log_out = format!("SELECT identity.log_out('{}', '{}')", context.session_id.unwrap(), context.user_id);
    let held = entrance.database.hold(&log_out).await;
    let (switched, ()) = tokio::join!(entrance.open_from(&tokens, second), held.commit_under_a_waiter());
    unauthenticated(switched, "it has ended");
    // And the other way round: what has moved when the log-out is let through ends with its login.
    let tokens = entrance.login("member").await;
    let context = entrance.context(&tokens);
    let switch = format!(
        "SELECT identity.switch_session('{}', '{}', sha256('{}'), '{second}', sha256('new'), 3600, 3600, NULL, NULL)",
        context.session_id.unwrap(),
        context.user_id,
        tokens.refresh_token
    );
    let held = entrance.database.hold(&switch).await;
    let (left, ()) = tokio::join!(entrance.identity.logout(&context), held.commit_under_a_waiter());
    left.unwrap();
    let alive = format!("SELECT count(*) FROM identity.sessions WHERE user_id = '{}' AND ended_at IS NULL", context.user_id);
    assert_eq!(entrance.database.number(&alive).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_has_moved_since_it_was_seen_is_ended_by_what_was_seen() {
    let entrance = Entrance::open().await;
    let second = entrance.second_of_the_member().await;
    let (here, stolen) = (entrance.enter("member").await, entrance.login("member").await);
    let seen = entrance.context(&stolen).session_id.unwrap();
    let moved = entrance.open_from(&stolen, second).await.unwrap();
    entrance.sessions.end(&here, seen).await.expect("one login, one fate");
    unauthenticated(entrance.db.begin(&entrance.context(&moved)).await, "it has ended where it is");
    not_found(entrance.sessions.end(&here, seen).await, "nothing of it is left");
    entrance.db.begin(&here).await.expect("another login goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_elsewhere_while_a_manager_ends_the_sessions_does_not_come_back() {
    let entrance = Entrance::open().await;
    let (owner, second) = (entrance.enter("owner").await, entrance.second_of_the_member().await);
    let stolen = entrance.login("member").await;
    let away = entrance.open_from(&stolen, second).await.unwrap();
    let member = entrance.context(&away).user_id;
    entrance.sessions.end_of_member(&owner, member).await.expect("none lives here at this moment");
    unauthenticated(entrance.open_from(&away, entrance.tenant.organization_id).await, "and none comes back");
    let fresh = entrance.login("member").await;
    let away = entrance.open_from(&fresh, second).await.unwrap();
    entrance.open_from(&away, entrance.tenant.organization_id).await.expect("a later login does");
}

/// Both hold the person first: neither has what the other waits for.
#[tokio::test(flavor = "multi_thread")]
async fn a_manager_and_a_login_that_moves_do_not_wait_for_each_other() {
    let entrance = Entrance::open().await;
    let owner = entrance.enter("owner").await;
    for round in 0..20 {
        let tokens = entrance.login("member").await;
        let member = entrance.context(&tokens).user_id;
        let moving = entrance.open_from(&tokens, entrance.tenant.organization_id);
        let (moved, ended) = tokio::join!(moving, entrance.sessions.end_of_member(&owner, member));
        ended.unwrap_or_else(|error| panic!("round {round}: {error:?}"));
        assert!(matches!(moved, Ok(_) | Err(Error::Unauthenticated(_))), "round {round}: {:?}", moved.err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_opens_while_all_are_ended_is_ended_too() {
    let entrance = Entrance::open().await;
    let second = entrance.database.tenant("Second").await;
    let person =
        entrance.database.add_member(second.organization_id, &entrance.tenant.email("member"), Role::Viewer).await.user_id;
    let alive = format!("SELECT count(*) FROM identity.sessions WHERE user_id = '{person}' AND ended_at IS NULL");
    let enders = [
        format!("SELECT identity.replace_password('{person}', 'x', 'password_reset', NULL, NULL, NULL)"),
        format!("SELECT identity.end_sessions('{person}', NULL, NULL, 'revoked')"),
    ];
    let hash =
        entrance.database.texts(&format!("SELECT password_hash FROM identity.credentials WHERE user_id = '{person}'")).await;
    for ender in enders {
        let first = entrance.login("member").await;
        let (context, request) = (entrance.context(&first), to(&first, second.organization_id));
        let held = entrance.database.hold(&ender).await;
        let nowhere = Origin::default();
        let switching = entrance.identity.switch(&context, &request, &nowhere);
        let (switched, ()) = tokio::join!(switching, held.commit_under_a_waiter());
        unauthenticated(switched, "the session it would grow from has ended");
        assert_eq!(entrance.database.number(&alive).await, 0, "{ender}");
        let back = format!("UPDATE identity.credentials SET password_hash = '{}' WHERE user_id = '{person}'", hash[0]);
        entrance.database.execute(&back).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_has_more_than_a_hundred_sessions_and_the_one_least_used_goes() {
    let entrance = Entrance::open().await;
    let first = entrance.login("member").await;
    let person = first.user_id;
    let many = format!(
        "INSERT INTO identity.sessions (user_id, organization_id, expires_at, created_at)
         SELECT '{person}', '{}', now() + interval '1 day', now() - interval '1 hour' FROM generate_series(1, 98)",
        entrance.tenant.organization_id
    );
    entrance.database.execute(&many).await;
    entrance.identity.refresh(&first.refresh_token).await.expect("in use");
    let alive = format!("SELECT count(*) FROM identity.sessions WHERE user_id = '{person}' AND ended_at IS NULL");
    for _ in 0..3 {
        entrance.login("member").await;
    }
    assert_eq!(entrance.database.number(&alive).await, 100);
    entrance.db.begin(&entrance.context(&first)).await.expect("the one in use is not the least used");
    let told = "SELECT count(*) FROM crm_activity_details WHERE description = 'too_many'";
    assert_eq!(entrance.database.number(told).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn managers_end_the_sessions_of_members_here_and_an_admin_not_an_owners() {
    let entrance = Entrance::open().await;
    let second = entrance.database.tenant("Second").await;
    entrance.database.add_member(second.organization_id, &entrance.tenant.email("member"), Role::Viewer).await;
    let (owner, admin, first) = (entrance.enter("owner").await, entrance.enter("admin").await, entrance.login("member").await);
    let moved =
        entrance.identity.switch(&entrance.context(&first), &to(&first, second.organization_id), &Origin::default()).await;
    let there = moved.unwrap();
    let (member, away) = (entrance.enter("member").await, entrance.context(&there));
    for (who, whom) in [(&member, &admin), (&admin, &owner)] {
        forbidden(entrance.sessions.end_of_member(who, whom.user_id).await, "may not");
        entrance.db.begin(whom).await.expect("nothing has ended");
    }
    for stranger in [second.owner.user_id, crm_kernel::UserId::generate()] {
        let refused = not_found(entrance.sessions.end_of_member(&owner, stranger).await, "no member here");
        assert_eq!(format!("{refused:?}"), "NotFound(\"member\")");
    }
    entrance.sessions.end_of_member(&admin, member.user_id).await.unwrap();
    unauthenticated(entrance.db.begin(&member).await, "the member is out with the next request");
    entrance.db.begin(&away).await.expect("elsewhere is not this organisation's");
    let back = to(&there, entrance.tenant.organization_id);
    unauthenticated(
        entrance.identity.switch(&away, &back, &Origin::default()).await,
        "nor does the old login come back from there",
    );
    entrance.enter("member").await;
    let logged = format!("SELECT count(*) FROM q_log WHERE activity_type = 'session_ended' AND user_id = '{}'", admin.user_id);
    assert_eq!(count(&entrance, &logged).await, 1, "by the admin, says the log");
    entrance.sessions.end_of_member(&owner, admin.user_id).await.unwrap();
    unauthenticated(entrance.db.begin(&admin).await, "an owner ends everybody's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_bars_the_logins_of_somebody_who_was_never_here() {
    let entrance = Entrance::open().await;
    let (owner, second) = (entrance.enter("owner").await, entrance.database.tenant("Second").await);
    let email = format!("elsewhere@{}.example.com", second.slug);
    let person = entrance.database.add_member(second.organization_id, &email, Role::Member).await.user_id;
    let elsewhere = entrance.with_password(&email, PASSWORD, &Origin::default()).await.expect("a login elsewhere");
    entrance.database.add_member(entrance.tenant.organization_id, &email, Role::Member).await;
    entrance.sessions.end_of_member(&owner, person).await.expect("there is none to end");
    let own = entrance.tenant.organization_id;
    unauthenticated(entrance.open_from(&elsewhere, own).await, "a login from before comes in no more");
    entrance.db.begin(&entrance.context(&elsewhere)).await.expect("and goes on where it is");
    let later = entrance.with_password(&email, PASSWORD, &Origin::default()).await.unwrap();
    entrance.open_from(&later, own).await.expect("a later one comes in");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_shortened_while_a_session_opens_holds_for_it() {
    let entrance = Entrance::open().await;
    let own = entrance.tenant.organization_id;
    let shorten = format!("UPDATE organizations SET session_days = 1, api_token_days = 1 WHERE id = '{own}'");
    let lengthen = format!("UPDATE organizations SET session_days = 60, api_token_days = 60 WHERE id = '{own}'");
    let long = "SELECT count(*) FROM identity.sessions WHERE ended_at IS NULL AND expires_at > now() + interval '25 hours'";
    // The limit comes first: a login, and a switch within the organisation, wait and see it.
    let held = entrance.database.hold(&shorten).await;
    let (tokens, ()) = tokio::join!(entrance.login("member"), held.commit_under_a_waiter());
    assert_eq!(entrance.database.number(long).await, 0, "opened by the new limit");
    entrance.database.execute(&lengthen).await;
    let held = entrance.database.hold(&shorten).await;
    let (switched, ()) = tokio::join!(entrance.open_from(&tokens, own), held.commit_under_a_waiter());
    switched.expect("neither waits for the other for ever");
    assert_eq!(entrance.database.number(long).await, 0);
    // The session comes first: the limit waits for it and finds it.
    entrance.database.execute(&lengthen).await;
    let opening = format!(
        "SELECT identity.start_session('{}', '{own}', sha256('new'), 864000, 864000, NULL, NULL, 'password', false)",
        tokens.user_id
    );
    let held = entrance.database.hold(&opening).await;
    tokio::join!(entrance.database.execute(&shorten), held.commit_under_a_waiter());
    assert_eq!(entrance.database.number(long).await, 0, "shortened with the others");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_shortened_while_an_api_token_is_made_holds_for_it() {
    let entrance = Entrance::open().await;
    let (context, tokens) = (entrance.enter("member").await, PgApiTokens::new(entrance.db.clone(), TokenKey::generate()));
    let own = context.organization_id;
    let shorten = format!("UPDATE organizations SET api_token_days = 1 WHERE id = '{own}'");
    let held = entrance.database.hold(&shorten).await;
    let wanted = new_token();
    let (made, ()) = tokio::join!(tokens.create(&context, &wanted), held.commit_under_a_waiter());
    assert!(matches!(&made, Err(crm_kernel::Error::Invalid(_))), "ninety days are too many by now: {made:?}");
    entrance.database.execute(&format!("UPDATE organizations SET api_token_days = NULL WHERE id = '{own}'")).await;
    let making = format!(
        "INSERT INTO identity.api_tokens (organization_id, id, user_id, name, token_hash, created_by_id, expires_at)
         VALUES ('{own}', app.uuid7(), '{user}', 'Making', sha256('making'), '{user}', now() + interval '90 days')",
        user = context.user_id
    );
    let held = entrance.database.hold(&making).await;
    tokio::join!(entrance.database.execute(&shorten), held.commit_under_a_waiter());
    let long = "SELECT count(*) FROM identity.api_tokens WHERE expires_at > now() + interval '25 hours'";
    assert_eq!(entrance.database.number(long).await, 0, "shortened");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_while_it_makes_an_api_token_makes_none() {
    let entrance = Entrance::open().await;
    let (context, tokens) = (entrance.enter("member").await, PgApiTokens::new(entrance.db.clone(), TokenKey::generate()));
    let ending = format!(
        "SELECT FROM memberships WHERE organization_id = '{}' AND user_id = '{}' FOR NO KEY UPDATE;
         UPDATE identity.sessions SET ended_at = now(), ended_reason = 'revoked' WHERE id = '{}'",
        context.organization_id,
        context.user_id,
        context.session_id.unwrap()
    );
    let held = entrance.database.hold(&ending).await;
    let wanted = new_token();
    let (made, ()) = tokio::join!(tokens.create(&context, &wanted), held.commit_under_a_waiter());
    unauthenticated(made, "it has ended");
    assert_eq!(entrance.database.number("SELECT count(*) FROM identity.api_tokens").await, 0);
}

fn new_token() -> NewApiToken {
    NewApiToken {
        name: "Import".into(),
        expires_at: None,
        operations: None,
        entities: None,
        read_only: None,
        password: Some(PASSWORD.into()),
    }
}
