//! Members: roles, status, the last owner, managers.

use crm_kernel::{Context, Error, Expected, Role, UserId};
use crm_tenancy::{
    Members,
    members::{MemberChanges, MemberStatus, SettableStatus},
};
use crm_testkit::refusals::{forbidden, invalid, not_found, stale, unauthenticated};
use diesel_async::SimpleAsyncConnection;

use crate::{PATIENCE, Scene};

fn role(role: Role) -> MemberChanges {
    MemberChanges { role: Some(role), ..MemberChanges::default() }
}

fn status(status: SettableStatus) -> MemberChanges {
    MemberChanges { status: Some(status), ..MemberChanges::default() }
}

fn reports_to(manager: &Context) -> MemberChanges {
    MemberChanges { manager_id: Some(Some(manager.user_id)), ..MemberChanges::default() }
}

impl Scene {
    async fn change(&self, who: &Context, whom: &Context, changes: MemberChanges) -> crm_kernel::Result<crm_tenancy::Member> {
        self.members.update(who, whom.user_id, &Expected::Any, &changes).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_changes_members_and_a_change_is_logged_with_both_values() {
    let scene = Scene::create().await;
    let tenant = &scene.tenant;
    let changes = MemberChanges { title: Some(Some("Head of 🧪".into())), ..role(Role::Viewer) };
    let before = scene.members.get(&tenant.viewer, tenant.member.user_id).await.unwrap();
    let expected = Expected::OneOf(vec![before.version]);
    let changed = scene.members.update(&tenant.admin, tenant.member.user_id, &expected, &changes).await.unwrap();
    assert_eq!((changed.role, changed.title.as_deref(), changed.version), (Role::Viewer, Some("Head of 🧪"), before.version + 1));
    stale(scene.members.update(&tenant.admin, tenant.member.user_id, &expected, &changes).await, "it has another version now");
    let log = scene.database.activities_of("member", tenant.member.user_id).await;
    let last = log.last().unwrap();
    assert_eq!(last.change("role").unwrap(), ("member".into(), "viewer".into()));
    assert_eq!(last.user_id, Some(tenant.admin.user_id));
    let same = scene.change(&tenant.admin, &tenant.member, MemberChanges::default()).await.unwrap();
    assert_eq!(same.version, changed.version, "nothing changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_come_in_order() {
    let scene = Scene::create().await;
    let (tenant, bad) = (&scene.tenant, MemberChanges { title: Some(Some("x".repeat(101))), ..MemberChanges::default() });
    let wrong = Expected::OneOf(vec![99]);
    for who in [&tenant.owner, &tenant.viewer] {
        for stranger in [scene.stranger.member.user_id, UserId::generate()] {
            not_found(scene.members.update(who, stranger, &wrong, &bad).await, "404 comes before all else");
            not_found(scene.members.remove(who, stranger, &wrong, None).await, "404 comes before all else");
            not_found(scene.members.records(who, stranger).await, "404 comes before all else");
            not_found(scene.members.reassign(who, stranger, tenant.member.user_id).await, "404 comes before all else");
        }
    }
    let member = tenant.member.user_id;
    for who in [&tenant.member, &tenant.viewer] {
        forbidden(scene.members.update(who, tenant.colleague.user_id, &wrong, &bad).await, "403 comes before 412");
        forbidden(scene.members.remove(who, tenant.colleague.user_id, &wrong, None).await, "403 comes before 412");
        forbidden(scene.members.records(who, member).await, "403");
        forbidden(scene.members.reassign(who, member, member).await, "403 comes before 422");
    }
    stale(scene.members.update(&tenant.admin, member, &wrong, &bad).await, "412 comes before 422");
    invalid(scene.change(&tenant.admin, &tenant.member, bad).await, "/title", "length", "a title is short");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_neither_touches_an_owner_nor_makes_one_nor_himself_more() {
    let scene = Scene::create().await;
    let (owner, admin, member) = (&scene.tenant.owner, &scene.tenant.admin, &scene.tenant.member);
    scene.co_owner().await;
    for changes in [role(Role::Admin), status(SettableStatus::Suspended), reports_to(member)] {
        forbidden(scene.change(admin, owner, changes).await, "an owner is for owners");
    }
    forbidden(scene.members.remove(admin, owner.user_id, &Expected::Any, None).await, "an owner is for owners");
    forbidden(scene.change(admin, member, role(Role::Owner)).await, "an owner is made by an owner");
    forbidden(scene.change(admin, admin, role(Role::Owner)).await, "nobody makes more of themselves");
    forbidden(scene.change(admin, admin, status(SettableStatus::Suspended)).await, "nobody suspends themselves");

    let of = |person: &Context, set: &str| format!("UPDATE memberships SET {set} WHERE user_id = '{}'", person.user_id);
    for set in ["role = 'admin'", "status = 'suspended'", "status = 'removed'", "title = 'X'", "manager_id = NULL, title = 'Y'"] {
        assert_eq!(scene.raw(admin, &of(owner, set)).await, "owner_only", "{set}");
    }
    assert_eq!(scene.raw(admin, &of(member, "role = 'owner'")).await, "owner_only");
    assert_eq!(scene.raw(admin, &of(admin, "role = 'owner'")).await, "owner_only");
    assert_eq!(scene.raw(admin, &of(admin, "status = 'suspended'")).await, "own_status");
    for who in [member, &scene.tenant.viewer] {
        assert_eq!(scene.raw(who, &of(who, "role = 'owner'")).await, "done", "row-level security finds nothing to change");
        assert_eq!(scene.raw(who, &of(owner, "status = 'removed'")).await, "done");
        let insert = format!(
            "INSERT INTO memberships (organization_id, user_id, role) VALUES (app.org_id(), '{}', 'owner')",
            UserId::generate()
        );
        assert!(scene.raw(who, &insert).await.contains("permission denied"));
    }
    assert_eq!(scene.standing(owner).await, "owner active");
    assert_eq!(scene.standing(member).await, "member active");
    let elsewhere =
        format!("UPDATE memberships SET role = 'viewer' WHERE organization_id = '{}'", scene.stranger.organization_id);
    assert_eq!(scene.raw(owner, &elsewhere).await, "done");
    assert_eq!(scene.standing(&scene.stranger.owner).await, "owner active", "another organisation's members are not there");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_owner_stays() {
    let scene = Scene::create().await;
    let owner = &scene.tenant.owner;
    invalid(scene.change(owner, owner, role(Role::Member)).await, "/role", "last_owner", "an organisation has an owner");
    invalid(scene.members.leave(owner, None).await, "/status", "last_owner", "the last owner cannot leave");
    invalid(scene.members.remove(owner, owner.user_id, &Expected::Any, None).await, "/status", "last_owner", "nor be removed");
    for set in ["role = 'admin'", "status = 'removed'"] {
        let sql = format!("UPDATE memberships SET {set} WHERE user_id = '{}'", owner.user_id);
        assert_eq!(scene.raw(owner, &sql).await, "last_owner", "{set}");
    }
    // A suspended owner, a deleted one and a service user are no owners to go on with.
    let other = scene.co_owner().await;
    scene.change(owner, &other, status(SettableStatus::Suspended)).await.unwrap();
    invalid(scene.members.leave(owner, None).await, "/status", "last_owner", "the other one is suspended");
    scene.change(owner, &other, status(SettableStatus::Active)).await.unwrap();
    scene.database.execute(&format!("UPDATE users SET deleted_at = now() WHERE id = '{}'", other.user_id)).await;
    invalid(scene.members.leave(owner, None).await, "/status", "last_owner", "the other one is deleted");
    scene.database.execute(&format!("UPDATE users SET deleted_at = NULL WHERE id = '{}'", other.user_id)).await;
    scene.members.leave(owner, None).await.expect("another one is there");
    unauthenticated(scene.members.get(owner, owner.user_id).await, "who has left is out");

    let robot = "WITH robot AS (INSERT INTO users (kind, full_name) VALUES ('service', 'Robot 🤖') RETURNING id)
        INSERT INTO memberships (organization_id, user_id, role) SELECT";
    scene.database.execute(&format!("{robot} '{}', id, 'member' FROM robot", other.organization_id)).await;
    let robot = scene.database.texts("SELECT id FROM users WHERE kind = 'service'").await.remove(0).parse().unwrap();
    let answer = scene.members.update(&other, robot, &Expected::Any, &role(Role::Owner)).await;
    invalid(answer, "/role", "service_owner", "a program owns nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_owners_who_demote_each_other_leave_one_in_every_of_50_rounds() {
    let scene = Scene::create().await;
    let (one, other) = (scene.tenant.owner.clone(), scene.co_owner().await);
    let both = format!(
        "UPDATE memberships SET role = 'owner', status = 'active' WHERE user_id IN ('{}', '{}')",
        one.user_id, other.user_id
    );
    let owners = format!(
        "SELECT count(*) FROM memberships WHERE role = 'owner' AND status = 'active' AND organization_id = '{}'",
        one.organization_id
    );
    for round in 0..50 {
        scene.database.execute(&both).await;
        let (first, second) = match round % 3 {
            0 => tokio::join!(async { scene.change(&one, &other, role(Role::Admin)).await.map(drop) }, async {
                scene.change(&other, &one, role(Role::Admin)).await.map(drop)
            }),
            1 => tokio::join!(async { scene.members.leave(&one, None).await.map(drop) }, async {
                scene.members.leave(&other, None).await.map(drop)
            }),
            _ => tokio::join!(async { scene.change(&one, &other, status(SettableStatus::Suspended)).await.map(drop) }, async {
                scene.members.remove(&other, one.user_id, &Expected::Any, None).await.map(drop)
            }),
        };
        assert_eq!(scene.number(&owners).await, 1, "round {round}: {first:?} {second:?}");
        assert!(first.is_ok() != second.is_ok(), "round {round}: one of them came first: {first:?} {second:?}");
        let lost = first.and(second).unwrap_err();
        let told = matches!(lost, Error::Forbidden(_) | Error::Invalid(_) | Error::Unauthenticated(_));
        assert!(told, "round {round}: the other one is told why: {lost:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_rights_locks_the_organisation_before_the_member() {
    let scene = Scene::create().await;
    let (owner, member) = (&scene.tenant.owner, &scene.tenant.member);
    // As a hand-over does it: the organisation, then its members. Taken the other way round the two would wait for each other.
    let organization = format!("SELECT FROM organizations WHERE id = '{}' FOR NO KEY UPDATE", owner.organization_id);
    let members = format!("UPDATE memberships SET title = 'Deputy' WHERE user_id = '{}'", member.user_id);
    for changes in [role(Role::Viewer), status(SettableStatus::Suspended), reports_to(owner)] {
        let change = scene.change(owner, member, changes);
        let held = scene.database.hold(&organization).await;
        let (changed, ()) = tokio::join!(change, held.change_and_commit_under_a_waiter(&members));
        assert_eq!(changed.expect("it waited for its turn").title.as_deref(), Some("Deputy"), "and saw what came before");
    }
    let leave = scene.members.leave(&scene.tenant.viewer, None);
    let members = members.replace(&member.user_id.to_string(), &scene.tenant.viewer.user_id.to_string());
    let held = scene.database.hold(&organization).await;
    let (left, ()) = tokio::join!(leave, held.change_and_commit_under_a_waiter(&members));
    left.expect("who leaves waits as well");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_being_removed_makes_no_token_meanwhile() {
    let scene = Scene::create().await;
    let admin = &scene.tenant.admin;
    let removal = format!("UPDATE memberships SET status = 'removed' WHERE user_id = '{}'", admin.user_id);
    let making = format!(
        "SELECT identity.create_api_token(app.uuid7(), '{}', 'Robot', sha256('x'), NULL, NULL, false, now() + interval '1 day')",
        admin.user_id
    );
    let held = scene.database.hold(&removal).await;
    let (made, ()) = tokio::join!(scene.raw(admin, &making), held.commit_under_a_waiter());
    assert_eq!(made, "not_a_member", "the removal came first");
    assert_eq!(scene.number("SELECT count(*) FROM identity.api_tokens").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_connection_waits_and_then_sees_what_the_first_has_done() {
    let scene = Scene::create().await;
    let (one, other) = (scene.tenant.owner.clone(), scene.co_owner().await);
    let demote = |whom: &Context| format!("UPDATE memberships SET role = 'member' WHERE user_id = '{}'", whom.user_id);
    let mut first = scene.enter(&one).await;
    first.batch_execute(&demote(&other)).await.unwrap();
    let back = demote(&one);
    let second = scene.raw(&other, &back);
    let finish = async {
        scene.somebody_waits().await;
        first.batch_execute("COMMIT").await.unwrap();
    };
    let (answer, ()) = tokio::time::timeout(PATIENCE, async { tokio::join!(second, finish) }).await.unwrap();
    assert_eq!(answer, "manager_only", "whoever was demoted meanwhile may not");
    assert_eq!((scene.standing(&one).await, scene.standing(&other).await), ("owner active".into(), "member active".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_opens_while_its_person_is_suspended_is_ended_with_the_others() {
    let scene = Scene::create().await;
    let member = &scene.tenant.member;
    let mut door = scene.database.admin().await;
    let open = format!(
        "BEGIN; SELECT identity.start_session('{}', '{}', sha256('x'), 600, 600, NULL, NULL, 'password', false)",
        member.user_id, member.organization_id
    );
    door.batch_execute(&open).await.unwrap();
    let suspend = scene.change(&scene.tenant.owner, member, status(SettableStatus::Suspended));
    let finish = async {
        scene.somebody_waits().await;
        door.batch_execute("COMMIT").await.unwrap();
    };
    let (suspended, ()) = tokio::time::timeout(PATIENCE, async { tokio::join!(suspend, finish) }).await.unwrap();
    suspended.unwrap();
    let open = format!("SELECT count(*) FROM identity.sessions WHERE user_id = '{}' AND ended_at IS NULL", member.user_id);
    assert_eq!(scene.number(&open).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_api_token_moves_rights_whatever_the_gateway_thinks() {
    let scene = Scene::create().await;
    let tenant = &scene.tenant;
    let program = scene.api_token(&tenant.owner, 30).await;
    forbidden(scene.change(&program, &tenant.viewer, role(Role::Owner)).await, "what it gives would outlive it");
    forbidden(scene.change(&program, &tenant.admin, status(SettableStatus::Suspended)).await, "nor does it take");
    forbidden(scene.members.remove(&program, tenant.viewer.user_id, &Expected::Any, None).await, "anything away");
    let title = MemberChanges { title: Some(Some("Analyst".into())), ..MemberChanges::default() };
    scene.change(&program, &tenant.viewer, title).await.expect("a title opens nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_suspended_or_removed_has_no_session_and_no_token_there() {
    let scene = Scene::create().await;
    let both = scene.tenant.email("member");
    scene.database.add_member(scene.stranger.organization_id, &both, Role::Member).await;
    let session = scene.login(&both).await;
    let token = scene.api_token(&session, 30).await;
    let token = Context { session_id: None, ..token };
    let elsewhere = Context { organization_id: scene.stranger.organization_id, session_id: None, ..session.clone() };
    scene.members.get(&token, session.user_id).await.expect("the token works");

    scene.change(&scene.tenant.admin, &session, status(SettableStatus::Suspended)).await.unwrap();
    for who in [&session, &token] {
        unauthenticated(scene.members.get(who, session.user_id).await, "out with the next request");
    }
    scene.change(&scene.tenant.admin, &session, status(SettableStatus::Active)).await.unwrap();
    for who in [&session, &token] {
        unauthenticated(scene.members.get(who, session.user_id).await, "what has ended does not begin again");
    }
    let again = scene.login(&both).await;
    scene.members.remove(&scene.tenant.admin, session.user_id, &Expected::Any, None).await.unwrap();
    unauthenticated(scene.members.get(&again, session.user_id).await, "out with the next request");
    scene.members.get(&elsewhere, session.user_id).await.expect("a member of another organisation still");

    let gone = scene.members.get(&scene.tenant.viewer, session.user_id).await.unwrap();
    assert_eq!(gone.status, MemberStatus::Removed, "records still name them");
    let back = scene.change(&scene.tenant.owner, &session, status(SettableStatus::Active)).await;
    invalid(back, "/status", "member_removed", "they come back by invitation");
    let twice = scene.members.remove(&scene.tenant.owner, session.user_id, &Expected::Any, None).await;
    invalid(twice, "/status", "member_removed", "nobody is removed twice");
    let revoked = scene.database.activities_of("api_token", token.token_id.unwrap()).await;
    assert_eq!(revoked.last().unwrap().user_id, Some(scene.tenant.admin.user_id), "who saw to it is known");
    let ended = format!(
        "SELECT count(*) FROM crm_activities WHERE activity_type = 'session_ended' AND user_id = '{}'",
        scene.tenant.admin.user_id
    );
    assert_eq!(scene.number(&ended).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn managers_form_no_ring_and_no_tower_also_when_two_are_moved_at_once() {
    let scene = Scene::create().await;
    let (owner, one, two) = (&scene.tenant.owner, &scene.tenant.member, &scene.tenant.colleague);
    scene.change(owner, one, reports_to(two)).await.unwrap();
    let ring = scene.change(owner, two, reports_to(one)).await;
    invalid(ring, "/manager_id", "manager_cycle", "nobody is above themselves");
    invalid(scene.change(owner, one, reports_to(one)).await, "/manager_id", "manager_cycle", "nobody is above themselves");
    invalid(scene.change(owner, one, reports_to(&scene.stranger.owner)).await, "/manager_id", "reference", "no stranger");
    scene.change(owner, &scene.tenant.viewer, status(SettableStatus::Suspended)).await.unwrap();
    let absent = scene.change(owner, one, reports_to(&scene.tenant.viewer)).await;
    invalid(absent, "/manager_id", "member_not_active", "a manager is there");

    for _ in 0..10 {
        let nobody = MemberChanges { manager_id: Some(None), ..MemberChanges::default() };
        scene.change(owner, one, nobody.clone()).await.unwrap();
        scene.change(owner, two, nobody).await.unwrap();
        let admin = &scene.tenant.admin;
        let (first, second) = tokio::join!(scene.change(owner, one, reports_to(two)), scene.change(admin, two, reports_to(one)));
        assert!(first.is_ok() != second.is_ok(), "one of the two: {first:?} {second:?}");
    }

    let mut above = scene.tenant.owner.clone();
    for number in 0..20 {
        let next = scene.database.add_member(owner.organization_id, &format!("deep-{number}@example.com"), Role::Viewer).await;
        scene.change(owner, &next, reports_to(&above)).await.unwrap();
        above = next;
    }
    let too_deep = scene.database.add_member(owner.organization_id, "too-deep@example.com", Role::Viewer).await;
    invalid(scene.change(owner, &too_deep, reports_to(&above)).await, "/manager_id", "manager_depth", "twenty are enough");
}
