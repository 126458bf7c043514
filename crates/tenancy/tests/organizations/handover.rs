//! What becomes of the records of those who go.

use crm_kernel::{Context, Expected, Role};
use crm_tenancy::{
    Members,
    members::{Handover, Led, MemberChanges, OwnedCollection, SettableStatus},
};
use crm_testkit::refusals::{forbidden, invalid};

use crate::Scene;

impl Scene {
    /// Records of a person: living ones of every noun, and a company in the bin.
    async fn fill(&self, person: &Context) {
        let columns = format!("'{}', '{1}', '{1}'", person.organization_id, person.user_id);
        self.database
            .execute(&format!(
                "INSERT INTO crm_companies (organization_id, owner_id, created_by_id, name, slug, deleted_at)
                 SELECT {columns}, 'Company 🏭 ' || number, 'company-' || gen_random_uuid(), CASE WHEN number = 4 THEN now() END
                   FROM generate_series(1, 4) AS number;
                 INSERT INTO crm_contacts (organization_id, owner_id, created_by_id, first_name, last_name)
                 SELECT {columns}, 'First', 'Last' FROM generate_series(1, 2);
                 INSERT INTO crm_deals (organization_id, owner_id, created_by_id, name, amount) VALUES ({columns}, 'Deal', 10);
                 INSERT INTO crm_campaigns (organization_id, owner_id, created_by_id, name) VALUES ({columns}, 'Campaign');
                 INSERT INTO crm_projects (organization_id, owner_id, created_by_id, project_manager_id, name)
                 VALUES ({columns}, '{}', 'Project');
                 INSERT INTO crm_tasks (organization_id, assigned_to_id, created_by_id, title) VALUES ({columns}, 'Task');
                 INSERT INTO crm_notes (organization_id, owner_id, created_by_id, content) VALUES ({columns}, 'Note')",
                person.user_id
            ))
            .await;
    }

    async fn owned(&self, who: &Context, table: &str) -> i64 {
        self.number(&format!("SELECT count(*) FROM {table} WHERE owner_id = '{}'", who.user_id)).await
    }
}

/// Collection, moved, remaining, in the bin.
fn counts(handover: &Handover) -> Vec<(&str, i64, i64, i64)> {
    handover.records.iter().map(|row| (row.collection.as_str(), row.moved, row.remaining, row.in_bin)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_removed_hands_everything_over_in_one_operation() {
    let scene = Scene::create().await;
    let (tenant, member, heir) = (&scene.tenant, &scene.tenant.member, &scene.tenant.colleague);
    scene.fill(member).await;
    scene.fill(&tenant.admin).await;
    scene.fill(&scene.stranger.member).await;
    let offered = scene.members.records(&tenant.admin, member.user_id).await.unwrap();
    let companies = OwnedCollection { collection: "companies".into(), field: "owner_id".into(), living: 3, in_bin: 1 };
    assert!(offered.records.contains(&companies), "{offered:?}");

    let handover = scene.members.remove(&tenant.admin, member.user_id, &Expected::Any, Some(heir.user_id)).await.unwrap();
    assert_eq!(
        counts(&handover),
        [
            ("campaigns", 1, 0, 0),
            ("companies", 3, 0, 1),
            ("contacts", 2, 0, 0),
            ("deals", 1, 0, 0),
            ("notes", 1, 0, 0),
            ("projects", 1, 0, 0),
            ("projects", 1, 0, 0),
            ("tasks", 1, 0, 0)
        ]
    );
    for (table, moved) in [("crm_companies", 3), ("crm_contacts", 2), ("crm_deals", 1), ("crm_projects", 1), ("crm_campaigns", 1)]
    {
        assert_eq!(scene.owned(heir, table).await, moved);
    }
    assert_eq!(scene.owned(member, "crm_companies").await, 1, "what lies in the bin keeps whom it had");
    assert_eq!(scene.owned(&tenant.admin, "crm_companies").await, 4, "others keep theirs");
    assert_eq!(scene.owned(&scene.stranger.member, "crm_companies").await, 4, "so does another organisation");
    let operation = format!("SELECT count(*) FROM crm_activities WHERE operation_id = '{}'", handover.operation_id);
    assert_eq!(scene.number(&operation).await, 12, "ten records, one of them twice, and the membership, under one handle");
    let created_by = format!("SELECT count(*) FROM crm_companies WHERE created_by_id = '{}'", member.user_id);
    assert_eq!(scene.number(&created_by).await, 4, "who made them stays known");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_heir_records_stay_and_are_handed_over_later() {
    let scene = Scene::create().await;
    let (admin, member, heir) = (&scene.tenant.admin, &scene.tenant.member, &scene.tenant.colleague);
    scene.fill(member).await;
    let handover = scene.members.remove(admin, member.user_id, &Expected::Any, None).await.unwrap();
    assert_eq!(
        counts(&handover),
        [
            ("campaigns", 0, 1, 0),
            ("companies", 0, 3, 1),
            ("contacts", 0, 2, 0),
            ("deals", 0, 1, 0),
            ("notes", 0, 1, 0),
            ("projects", 0, 1, 0),
            ("projects", 0, 1, 0),
            ("tasks", 0, 1, 0)
        ]
    );
    assert_eq!(handover.reassigned_to, None);
    let later = scene.members.reassign(admin, member.user_id, heir.user_id).await.unwrap();
    assert_eq!(
        counts(&later),
        [
            ("campaigns", 1, 0, 0),
            ("companies", 3, 0, 1),
            ("contacts", 2, 0, 0),
            ("deals", 1, 0, 0),
            ("notes", 1, 0, 0),
            ("projects", 1, 0, 0),
            ("projects", 1, 0, 0),
            ("tasks", 1, 0, 0)
        ]
    );
    let again = scene.members.reassign(admin, member.user_id, heir.user_id).await.unwrap();
    assert_eq!(
        counts(&again),
        [
            ("campaigns", 0, 0, 0),
            ("companies", 0, 0, 1),
            ("contacts", 0, 0, 0),
            ("deals", 0, 0, 0),
            ("notes", 0, 0, 0),
            ("projects", 0, 0, 0),
            ("projects", 0, 0, 0),
            ("tasks", 0, 0, 0)
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stays_hands_over_what_was_counted_before_and_keeps_their_people() {
    let scene = Scene::create().await;
    let (tenant, mover, heir) = (&scene.tenant, &scene.tenant.member, &scene.tenant.colleague);
    scene.fill(mover).await;
    scene.members.update(&tenant.admin, heir.user_id, &Expected::Any, &reporting_to(mover)).await.unwrap();

    let counted = scene.members.records(&tenant.admin, mover.user_id).await.unwrap();
    assert_eq!(scene.owned(mover, "crm_companies").await, 4, "counting moves nothing");
    for refused in [mover, &tenant.viewer, heir] {
        forbidden(scene.members.records(refused, mover.user_id).await, "only owners and admins see what somebody has");
        forbidden(
            scene.members.reassign(refused, mover.user_id, heir.user_id).await,
            "only owners and admins hand over what others have",
        );
    }
    assert_eq!(scene.owned(heir, "crm_companies").await, 0, "nothing has moved");

    let handover = scene.members.reassign(&tenant.admin, mover.user_id, heir.user_id).await.unwrap();
    let expected: Vec<_> = counted.records.iter().map(|row| (row.collection.as_str(), row.living, 0, row.in_bin)).collect();
    assert_eq!(counts(&handover), expected, "what moves is what was counted, noun by noun");
    assert_eq!((handover.led_moved, handover.led_remaining), (Led::default(), Led { teams: 0, members: 1 }));
    let operation = format!("SELECT count(*) FROM crm_activities WHERE operation_id = '{}'", handover.operation_id);
    assert_eq!(scene.number(&operation).await, 11, "ten records, one of them twice, and nothing else");
    let status = format!("SELECT count(*) FROM memberships WHERE user_id = '{}' AND status = 'active'", mover.user_id);
    assert_eq!(scene.number(&status).await, 1, "they stay");
}

fn reporting_to(manager: &Context) -> MemberChanges {
    MemberChanges { manager_id: Some(Some(manager.user_id)), ..MemberChanges::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_heir_is_an_active_member_of_the_same_organisation_and_somebody_else() {
    let scene = Scene::create().await;
    let (tenant, member) = (&scene.tenant, scene.tenant.member.user_id);
    scene.fill(&tenant.member).await;
    let suspended = MemberChanges { status: Some(SettableStatus::Suspended), ..MemberChanges::default() };
    scene.members.update(&tenant.owner, tenant.colleague.user_id, &Expected::Any, &suspended).await.unwrap();
    for (heir, code) in [
        (scene.stranger.member.user_id, "reference"),
        (crm_kernel::UserId::generate(), "reference"),
        (tenant.colleague.user_id, "member_not_active"),
        (member, "same_member"),
    ] {
        let removed = scene.members.remove(&tenant.owner, member, &Expected::Any, Some(heir)).await;
        invalid(removed, "/reassign_to", code, "an heir is there");
        invalid(scene.members.reassign(&tenant.owner, member, heir).await, "/to", code, "an heir is there");
        invalid(scene.members.leave(&tenant.member, Some(heir)).await, "/reassign_to", code, "an heir is there");
    }
    assert_eq!(scene.standing(&tenant.member).await, "member active", "nothing happened");
    assert_eq!(scene.owned(&tenant.member, "crm_companies").await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_who_leaves_hands_over_what_is_theirs_and_nothing_else() {
    let scene = Scene::create().await;
    let (tenant, member, heir) = (&scene.tenant, &scene.tenant.member, &scene.tenant.colleague);
    scene.fill(member).await;
    scene.fill(&tenant.admin).await;
    let team = format!(
        "INSERT INTO teams (organization_id, name, manager_id) VALUES ('{}', 'North ❄', '{}')",
        member.organization_id, member.user_id
    );
    scene.database.execute(&team).await;
    scene
        .database
        .execute(&format!("UPDATE memberships SET manager_id = '{}' WHERE user_id = '{}'", member.user_id, tenant.owner.user_id))
        .await;
    let handover = scene.members.leave(member, Some(heir.user_id)).await.unwrap();
    assert_eq!(
        counts(&handover),
        [
            ("campaigns", 1, 0, 0),
            ("companies", 3, 0, 1),
            ("contacts", 2, 0, 0),
            ("deals", 1, 0, 0),
            ("notes", 1, 0, 0),
            ("projects", 1, 0, 0),
            ("projects", 1, 0, 0),
            ("tasks", 1, 0, 0)
        ]
    );
    assert_eq!((handover.led_moved, handover.led_remaining), (Led { teams: 1, members: 1 }, Led::default()));
    assert_eq!(scene.owned(&tenant.admin, "crm_companies").await, 4);
    assert_eq!(scene.standing(member).await, "member removed");

    scene.fill(&tenant.viewer).await;
    let answer = scene.members.leave(&tenant.viewer, Some(heir.user_id)).await;
    forbidden(answer, "a viewer changes no record, not even its owner");
    let handover = scene.members.leave(&tenant.viewer, None).await.unwrap();
    assert_eq!(counts(&handover)[1], ("companies", 0, 3, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_over_from_above_or_below_comes_to_stand_above_nobody_twice() {
    let scene = Scene::create().await;
    let organization = scene.tenant.organization_id;
    let (top, boss) = (&scene.tenant.owner, &scene.tenant.admin);
    let (upper, lower, peer) = (&scene.tenant.member, &scene.tenant.colleague, &scene.tenant.viewer);
    // top > boss > (upper > lower), peer
    for (whom, above) in [(boss, top), (upper, boss), (lower, upper), (peer, boss)] {
        let set = format!("UPDATE memberships SET manager_id = '{}' WHERE user_id = '{}'", above.user_id, whom.user_id);
        scene.database.execute(&set).await;
    }
    let handover = scene.members.remove(top, boss.user_id, &Expected::Any, Some(lower.user_id)).await.unwrap();
    assert_eq!(handover.led_moved, Led { teams: 0, members: 2 });
    let manager = async |of: &Context| {
        let query =
            format!("SELECT manager_id FROM memberships WHERE organization_id = '{organization}' AND user_id = '{}'", of.user_id);
        scene.database.texts(&query).await.remove(0)
    };
    assert_eq!(manager(upper).await, top.user_id.to_string(), "who stood between goes to the one above");
    assert_eq!(manager(lower).await, upper.user_id.to_string());
    assert_eq!(manager(peer).await, lower.user_id.to_string());
    let admin = scene.database.add_member(organization, "second-admin@example.com", Role::Admin).await;
    let direct = format!("SELECT * FROM app.hand_over_led('{}', '{}')", upper.user_id, lower.user_id);
    assert_eq!(scene.raw(&admin, &direct).await, "manager_only", "an active member keeps whom they lead");
    assert_eq!(scene.raw(peer, &direct).await, "manager_only");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_may_not_change_raw_sql_does_not_hand_over() {
    let scene = Scene::create().await;
    let (member, viewer, admin) = (&scene.tenant.member, &scene.tenant.viewer, &scene.tenant.admin);
    scene.fill(admin).await;
    let call = |from: &Context, to: &Context| {
        format!(
            "SELECT * FROM app.reassign_records('companies', 'owner_id', '{}', '{}', '00000000-0000-0000-0000-000000000000', 100)",
            from.user_id, to.user_id
        )
    };
    for thief in [member, viewer] {
        assert_eq!(scene.raw(thief, &call(admin, thief)).await, "done", "row-level security finds nothing");
    }
    assert_eq!(scene.raw(&scene.stranger.owner, &call(admin, &scene.stranger.owner)).await, "done");
    assert_eq!(scene.owned(admin, "crm_companies").await, 4);
    let other = "SELECT * FROM app.reassign_records('memberships', 'role', app.user_id(), app.user_id(), app.user_id(), 1)";
    assert!(scene.raw(&scene.tenant.owner, other).await.contains("no such owner"), "only what names an owner");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_made_a_viewer_while_leaving_hands_nothing_over() {
    let scene = Scene::create().await;
    let (tenant, member, heir) = (&scene.tenant, &scene.tenant.member, &scene.tenant.colleague);
    scene.fill(member).await;
    let demotion = format!(
        "UPDATE memberships SET role = 'viewer' WHERE organization_id = '{}' AND user_id = '{}'",
        tenant.organization_id, member.user_id
    );
    let held = scene.database.hold(&demotion).await;
    let (left, ()) = tokio::join!(scene.members.leave(member, Some(heir.user_id)), held.commit_under_a_waiter());
    forbidden(left, "a viewer changes no record");
    assert_eq!(
        (scene.owned(member, "crm_companies").await, scene.owned(heir, "crm_companies").await),
        (4, 0),
        "all of it is undone"
    );
    scene.members.leave(member, None).await.expect("leaving alone is everybody's right");
}
