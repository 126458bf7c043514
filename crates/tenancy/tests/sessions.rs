//! Where somebody is logged in, and that it ends at once when it is ended.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod entrance;

use crm_kernel::{Context, Role, SessionId};
use crm_tenancy::{
    Identity,
    identity::{
        Origin,
        sessions::{SessionMethod, Sessions},
    },
};
use crm_testkit::refusals::{forbidden, not_found, unauthenticated};
use entrance::{Entrance, from};

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
    let switched = entrance.identity.switch(&context, second.organization_id, &Origin::default()).await.unwrap();
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
    let (here, other, colleague) =
        (entrance.enter("member").await, entrance.enter("member").await, entrance.enter("colleague").await);
    let away = entrance.identity.switch(&here, second.organization_id, &Origin::default()).await.unwrap();
    entrance.sessions.end_others(&here).await.unwrap();
    entrance.db.begin(&here).await.expect("this one goes on");
    entrance.db.begin(&colleague).await.expect("other people are not meant");
    for ended in [&other, &entrance.context(&away)] {
        unauthenticated(entrance.db.begin(ended).await, "all others have ended");
    }
    unauthenticated(entrance.identity.refresh(&away.refresh_token).await, "and cannot be refreshed");
    assert_eq!(count(&entrance, "SELECT count(*) FROM q_log WHERE activity_type = 'session_ended'").await, 2);
    forbidden(entrance.sessions.end_others(&entrance.tenant.member).await, "without a session there is no this one");
}

#[tokio::test(flavor = "multi_thread")]
async fn managers_end_the_sessions_of_members_here_and_an_admin_not_an_owners() {
    let entrance = Entrance::open().await;
    let second = entrance.database.tenant("Second").await;
    entrance.database.add_member(second.organization_id, &entrance.tenant.email("member"), Role::Viewer).await;
    let (owner, admin, member) = (entrance.enter("owner").await, entrance.enter("admin").await, entrance.enter("member").await);
    let away = entrance.context(&entrance.identity.switch(&member, second.organization_id, &Origin::default()).await.unwrap());
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
    let logged = format!("SELECT count(*) FROM q_log WHERE activity_type = 'session_ended' AND user_id = '{}'", admin.user_id);
    assert_eq!(count(&entrance, &logged).await, 1, "by the admin, says the log");
    entrance.sessions.end_of_member(&owner, admin.user_id).await.unwrap();
    unauthenticated(entrance.db.begin(&admin).await, "an owner ends everybody's");
}
