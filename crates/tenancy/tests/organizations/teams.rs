//! Teams.

use crm_kernel::{Count, Expected, Filter, ListQuery, TeamId, UserId};
use crm_tenancy::{
    Members, Teams,
    members::{MemberChanges, SettableStatus},
    teams::{FIELDS, NewTeam, Team, TeamChanges, default_sort},
};
use crm_testkit::refusals::{conflict, forbidden, invalid, not_found, stale};

use crate::Scene;

fn team(name: &str) -> NewTeam {
    NewTeam { name: name.into(), manager_id: None }
}

impl Scene {
    async fn team(&self, name: &str) -> Team {
        self.teams.create(&self.tenant.admin, team(name)).await.unwrap()
    }

    async fn join(&self, who: UserId, team: TeamId) -> crm_kernel::Result<crm_tenancy::Member> {
        let changes = MemberChanges { team_id: Some(Some(team)), ..MemberChanges::default() };
        self.members.update(&self.tenant.owner, who, &Expected::Any, &changes).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_team_is_made_changed_and_deleted_and_each_is_logged() {
    let scene = Scene::create().await;
    let made = scene.team("Süd 🌞").await;
    assert_eq!((made.name.as_str(), made.version), ("Süd 🌞", 1));
    let lead = TeamChanges { manager_id: Some(Some(scene.tenant.member.user_id)), ..TeamChanges::default() };
    let changed = scene.teams.update(&scene.tenant.owner, made.id, &Expected::OneOf(vec![1]), &lead).await.unwrap();
    assert_eq!((changed.manager_id, changed.version), (Some(scene.tenant.member.user_id), 2));
    let same = scene.teams.update(&scene.tenant.owner, made.id, &Expected::Any, &lead).await.unwrap();
    assert_eq!(same.version, 2, "a change that changes nothing keeps the version");
    let replaced = scene.teams.replace(&scene.tenant.owner, made.id, &Expected::Any, team("South")).await.unwrap();
    assert_eq!((replaced.name.as_str(), replaced.manager_id), ("South", None));
    scene.teams.delete(&scene.tenant.admin, made.id, &Expected::OneOf(vec![3])).await.unwrap();
    not_found(scene.teams.get(&scene.tenant.owner, made.id).await, "it is gone");
    let log = scene.database.activities_of("team", made.id).await;
    let kinds: Vec<&str> = log.iter().map(|row| row.activity_type.as_str()).collect();
    assert_eq!(kinds, ["created", "updated", "updated", "deleted"]);
    scene.team("SOUTH").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_come_in_order() {
    let scene = Scene::create().await;
    let (made, tenant, wrong) = (scene.team("North").await, &scene.tenant, Expected::OneOf(vec![99]));
    let bad = TeamChanges { name: Some(" ".into()), ..TeamChanges::default() };
    let theirs = scene.teams.create(&scene.stranger.owner, team("North")).await.unwrap();
    for id in [theirs.id, TeamId::generate()] {
        for who in [&tenant.owner, &tenant.viewer] {
            not_found(scene.teams.get(who, id).await, "another organisation's team is not there");
            not_found(scene.teams.update(who, id, &wrong, &bad).await, "404 comes before all else");
            not_found(scene.teams.delete(who, id, &wrong).await, "404 comes before all else");
        }
    }
    for who in [&tenant.member, &tenant.viewer] {
        forbidden(scene.teams.create(who, team("")).await, "403 comes before 422");
        forbidden(scene.teams.update(who, made.id, &wrong, &bad).await, "403 comes before 412");
        forbidden(scene.teams.delete(who, made.id, &wrong).await, "403 comes before 412");
        let raw = scene.raw(who, "INSERT INTO teams (name) VALUES ('Mine')").await;
        assert!(raw.contains("row-level security"), "the database says so too: {raw}");
    }
    stale(scene.teams.update(&tenant.admin, made.id, &wrong, &bad).await, "412 comes before 422");
    stale(scene.teams.delete(&tenant.admin, made.id, &wrong).await, "412");
    invalid(scene.teams.update(&tenant.admin, made.id, &Expected::Any, &bad).await, "/name", "required", "a team has a name");
    conflict(scene.teams.create(&tenant.admin, team("nORTH")).await, "/name", "no two teams have one name");
    let lead = |id| NewTeam { manager_id: Some(id), ..team("Other") };
    for stranger in [scene.stranger.owner.user_id, UserId::generate()] {
        invalid(scene.teams.create(&tenant.admin, lead(stranger)).await, "/manager_id", "reference", "no stranger leads");
    }
    let suspended = MemberChanges { status: Some(SettableStatus::Suspended), ..MemberChanges::default() };
    scene.members.update(&tenant.owner, tenant.viewer.user_id, &Expected::Any, &suspended).await.unwrap();
    let absent = scene.teams.create(&tenant.admin, lead(tenant.viewer.user_id)).await;
    invalid(absent, "/manager_id", "member_not_active", "a manager is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_team_has_no_members_also_when_one_joins_at_the_same_moment() {
    let scene = Scene::create().await;
    let (member, owner) = (scene.tenant.member.user_id, scene.tenant.owner.user_id);
    let made = scene.team("North").await;
    scene.join(member, made.id).await.unwrap();
    scene.join(owner, made.id).await.unwrap();
    scene.teams.delete(&scene.tenant.admin, made.id, &Expected::Any).await.expect("an admin's team may hold an owner");
    for person in [member, owner] {
        assert_eq!(scene.members.get(&scene.tenant.viewer, person).await.unwrap().team_id, None);
    }
    invalid(scene.join(member, made.id).await, "/team_id", "parent_deleted", "nobody joins what is gone");
    let theirs = scene.teams.create(&scene.stranger.owner, team("Theirs")).await.unwrap();
    for id in [theirs.id, TeamId::generate()] {
        invalid(scene.join(member, id).await, "/team_id", "reference", "another organisation's team is not there");
    }
    for round in 0..20 {
        let made = scene.team(&format!("Team {round}")).await;
        let (deleted, joined) =
            tokio::join!(scene.teams.delete(&scene.tenant.admin, made.id, &Expected::Any), scene.join(member, made.id));
        deleted.unwrap();
        let inside =
            scene.number("SELECT count(*) FROM memberships JOIN teams ON id = team_id WHERE deleted_at IS NOT NULL").await;
        assert_eq!(inside, 0, "round {round}: {joined:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_sorted_filtered_and_paged() {
    let scene = Scene::create().await;
    for name in ["delta", "Alpha", "charlie", "Bravo"] {
        scene.team(name).await;
    }
    scene.teams.create(&scene.stranger.owner, team("Alien")).await.unwrap();
    let names = |teams: &[Team]| teams.iter().map(|team| team.name.clone()).collect::<Vec<_>>();
    let mut query = ListQuery { limit: 3, count: Count::Bounded, ..ListQuery::all(default_sort()) };
    let first = scene.teams.list(&scene.tenant.viewer, &query).await.unwrap();
    assert_eq!(names(&first.data), ["Alpha", "Bravo", "charlie"]);
    assert_eq!(first.page.total.unwrap().count, 4);
    query = query.continue_after(&first.page.next_cursor.unwrap()).unwrap();
    assert_eq!(names(&scene.teams.list(&scene.tenant.viewer, &query).await.unwrap().data), ["delta"]);
    let mut filter = Filter::default();
    let field = crm_kernel::fields::find(FIELDS, "name").unwrap();
    filter.add(&scene.tenant.viewer, field, "BRAVO").unwrap();
    let found = scene.teams.list(&scene.tenant.viewer, &ListQuery { filter, ..ListQuery::all(default_sort()) }).await.unwrap();
    assert_eq!(names(&found.data), ["Bravo"]);
}
