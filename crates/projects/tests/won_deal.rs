//! What was sold becomes work: one call makes a project of a won deal, once.

mod parents;

use crm_kernel::{DealId, Expected};
use crm_projects::{NewProject, PgProjects, ProjectChanges, ProjectOfDeal, ProjectOrigin, Projects};
use crm_testkit::{Tenant, TestDatabase, refusals};
use uuid::Uuid;

struct Bench {
    database: TestDatabase,
    tenant: Tenant,
    projects: PgProjects,
}

impl Bench {
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        let tenant = database.tenant("Acme").await;
        let projects = PgProjects::new(database.db());
        Self { database, tenant, projects }
    }

    async fn deal(&self, stage: &str) -> DealId {
        parents::deal(&self.database.db(), &self.tenant.member, stage, None).await.expect("a deal")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_won_deal_becomes_a_project_for_its_company_under_its_name() {
    let bench = Bench::new().await;
    let (db, member) = (bench.database.db(), &bench.tenant.member);
    let company = parents::company(&db, member).await.expect("a company");
    let deal = parents::deal(&db, member, "closed_won", Some(company)).await.expect("a deal");
    let of = ProjectOfDeal { estimated_hours: Some("120".parse().expect("a decimal")), ..ProjectOfDeal::default() };
    // Whoever may write may do so, although the deal is somebody else's.
    let project = bench.projects.create_of_deal(&bench.tenant.colleague, deal, of).await.expect("it is won");
    assert_eq!((project.deal_id, project.company_id), (Some(deal), Some(company)));
    assert_eq!((project.name.as_str(), project.origin), ("Forty workstations", ProjectOrigin::WonDeal));
    assert_eq!(project.owner_id, Some(bench.tenant.colleague.user_id));
    refusals::forbidden(
        bench.projects.create_of_deal(&bench.tenant.viewer, deal, ProjectOfDeal::default()).await,
        "a viewer makes nothing",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_won_living_deal_of_ones_own_does() {
    let bench = Bench::new().await;
    let (db, member) = (bench.database.db(), &bench.tenant.member);
    for stage in ["prospecting", "negotiation", "closed_lost"] {
        let refused = bench.projects.create_of_deal(member, bench.deal(stage).await, ProjectOfDeal::default()).await;
        refusals::invalid(refused, "/deal_id", "deal_not_won", stage);
    }
    let umbrella = bench.database.tenant("Umbrella").await;
    let foreign = parents::deal(&db, &umbrella.member, "closed_won", None).await.expect("a deal");
    let mut answers = Vec::new();
    for deal in [DealId(Uuid::now_v7()), foreign] {
        let refused = bench.projects.create_of_deal(member, deal, ProjectOfDeal::default()).await;
        answers.push(format!("{:?}", refusals::not_found(refused, "it is not there")));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "what exists elsewhere must not show: {answers:?}");
    let gone = bench.deal("closed_won").await;
    bench.database.execute(&format!("UPDATE crm_deals SET deleted_at = now() WHERE id = '{gone}'")).await;
    let refused = bench.projects.create_of_deal(member, gone, ProjectOfDeal::default()).await;
    refusals::not_found(refused, "what lies in the bin is not there");
    assert_eq!(bench.database.number("SELECT count(*) FROM crm_projects").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_living_project_comes_from_a_deal_also_when_many_ask_at_once() {
    let bench = Bench::new().await;
    let deal = bench.deal("closed_won").await;
    let people = [&bench.tenant.member, &bench.tenant.colleague, &bench.tenant.admin, &bench.tenant.owner];
    let mut asked = tokio::task::JoinSet::new();
    for context in people.into_iter().cycle().take(8) {
        let context = context.clone();
        let projects = bench.projects.clone();
        asked.spawn(async move { projects.create_of_deal(&context, deal, ProjectOfDeal::default()).await });
    }
    let (made, refused): (Vec<_>, Vec<_>) = asked.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!((made.len(), refused.len()), (1, 7));
    for answer in refused {
        refusals::conflict(answer, "/deal_id", "it became one already");
    }

    let first = made.into_iter().flatten().next().expect("one was made");
    bench.projects.delete(&bench.tenant.owner, first.id, &Expected::Any).await.expect("it goes to the bin");
    let second = bench.projects.create_of_deal(&bench.tenant.member, deal, ProjectOfDeal::default()).await;
    second.expect("what lies in the bin does not count");
    let back = bench.projects.restore(&bench.tenant.owner, first.id).await;
    refusals::conflict(back, "/deal_id", "but then it cannot come back");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_its_deal_and_others_may_change_theirs() {
    let bench = Bench::new().await;
    let member = &bench.tenant.member;
    let (deal, other) = (bench.deal("closed_won").await, bench.deal("proposal").await);
    let sold = bench.projects.create_of_deal(member, deal, ProjectOfDeal::default()).await.expect("it is won");
    for to in [None, Some(other)] {
        let changes = ProjectChanges { deal_id: Some(to), ..ProjectChanges::default() };
        let refused = bench.projects.update(member, sold.id, &Expected::Any, &changes).await;
        refusals::invalid(refused, "/deal_id", "deal_kept", "it came from that deal");
    }
    // A deal may have any number of projects that did not come from it, won or not.
    for _ in 0..2 {
        let new = NewProject { name: "Pilot".into(), deal_id: Some(other), ..NewProject::default() };
        let direct = bench.projects.create(member, new).await.expect("any living deal will do");
        assert_eq!(direct.origin, ProjectOrigin::Direct);
        let changes = ProjectChanges { deal_id: Some(Some(deal)), ..ProjectChanges::default() };
        bench.projects.update(member, direct.id, &Expected::Any, &changes).await.expect("it may go to another");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_that_is_opened_again_at_the_same_moment_becomes_no_project() {
    let bench = Bench::new().await;
    let (db, member) = (bench.database.db(), bench.tenant.member.clone());
    let deal = bench.deal("closed_won").await;
    let reopening = format!("UPDATE crm_deals SET stage = 'negotiation', actual_close_date = NULL WHERE id = '{deal}'");
    let held = bench.database.hold(&reopening).await;
    let projects = bench.projects.clone();
    let asked = tokio::spawn(async move { projects.create_of_deal(&member, deal, ProjectOfDeal::default()).await });
    held.commit_under_a_waiter().await;
    let refused = asked.await.expect("it ends");
    refusals::invalid(refused, "/deal_id", "deal_not_won", "it was opened first");

    // And afterwards: a project stays when its deal is opened again.
    parents::move_deal(&db, &bench.tenant.member, deal, "closed_won").await.expect("it is won again");
    let project = bench.projects.create_of_deal(&bench.tenant.member, deal, ProjectOfDeal::default()).await.expect("it is won");
    parents::move_deal(&db, &bench.tenant.member, deal, "negotiation").await.expect("it is open again");
    let renamed = ProjectChanges { name: Some("On".into()), ..ProjectChanges::default() };
    bench.projects.update(&bench.tenant.member, project.id, &Expected::Any, &renamed).await.expect("it goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_in_the_bin_is_left_out() {
    let bench = Bench::new().await;
    let (db, member) = (bench.database.db(), &bench.tenant.member);
    let company = parents::company(&db, member).await.expect("a company");
    let deal = parents::deal(&db, member, "closed_won", Some(company)).await.expect("a deal");
    bench.database.execute(&format!("UPDATE crm_companies SET deleted_at = now() WHERE id = '{company}'")).await;
    let project = bench.projects.create_of_deal(member, deal, ProjectOfDeal::default()).await.expect("it is won");
    assert_eq!((project.deal_id, project.company_id), (Some(deal), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_that_changes_hands_at_the_same_moment_is_read_as_it_was_left() {
    let bench = Bench::new().await;
    let (db, member) = (bench.database.db(), bench.tenant.member.clone());
    let (first, second) =
        (parents::company(&db, &member).await.expect("one"), parents::company(&db, &member).await.expect("another"));
    let deal = parents::deal(&db, &member, "closed_won", Some(first)).await.expect("a deal");
    let held = bench.database.hold(&format!("UPDATE crm_deals SET company_id = '{second}' WHERE id = '{deal}'")).await;
    let (projects, context) = (bench.projects.clone(), member.clone());
    let asked = tokio::spawn(async move { projects.create_of_deal(&context, deal, ProjectOfDeal::default()).await });
    held.commit_under_a_waiter().await;
    let project = asked.await.expect("it ends").expect("it is won");
    assert_eq!(project.company_id, Some(second), "it was sold to another one first");

    let gone = parents::deal(&db, &member, "closed_won", None).await.expect("a deal");
    let held = bench.database.hold(&format!("UPDATE crm_deals SET deleted_at = now() WHERE id = '{gone}'")).await;
    let projects = bench.projects.clone();
    let asked = tokio::spawn(async move { projects.create_of_deal(&member, gone, ProjectOfDeal::default()).await });
    held.commit_under_a_waiter().await;
    refusals::invalid(asked.await.expect("it ends"), "/deal_id", "parent_deleted", "it went to the bin first");
    assert_eq!(bench.database.number("SELECT count(*) FROM crm_projects").await, 1);
}
