//! The figures of the pipelines are those of the deals, to the cent.

use std::collections::BTreeMap;

use crm_deals::{Deal, Deals, FIELDS, Figures, NewDeal, PgDeals, PgPipelines, PipelineSummary, Pipelines, StageStep};
use crm_kernel::{Context, Expected, Filter, UserId, fields};
use crm_testkit::{Tenant, TestDatabase};

struct Bench {
    database: TestDatabase,
    tenant: Tenant,
    deals: PgDeals,
    pipelines: PgPipelines,
}

impl Bench {
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        let tenant = database.tenant("Acme").await;
        let (deals, pipelines) = (PgDeals::new(database.db()), PgPipelines::new(database.db()));
        Self { database, tenant, deals, pipelines }
    }

    async fn deal(&self, by: &Context, stage: &str, amount: &str, day: &str) -> Deal {
        let closed = stage.starts_with("closed");
        let (amount, day) = (Some(amount.parse().expect("a decimal")), Some(day.parse().expect("a date")));
        let new = NewDeal {
            name: "x".into(),
            stage: Some(stage.into()),
            amount,
            actual_close_date: day.filter(|_| closed),
            expected_close_date: day.filter(|_| !closed),
            lost_reason: (stage == "closed_lost").then(|| "too dear".into()),
            ..NewDeal::default()
        };
        self.deals.create(by, new).await.expect("the deal is right")
    }

    async fn summary(&self, filter: &Filter) -> PipelineSummary {
        self.pipelines.summary(&self.tenant.viewer, filter).await.expect("a viewer reads")
    }
}

fn seen(figures: &Figures) -> (i64, String, String) {
    (figures.count, figures.amount.to_string(), figures.weighted_amount.to_string())
}

fn are(count: i64, amount: &str, weighted: &str) -> (i64, String, String) {
    (count, amount.into(), weighted.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_begins_with_one_pipeline_of_six_stages() {
    let bench = Bench::new().await;
    let list = bench.pipelines.list(&bench.tenant.viewer).await.expect("a list").data;
    let [sales] = list.as_slice() else { panic!("expected one pipeline: {list:?}") };
    assert!(sales.is_default);
    let stages: Vec<_> =
        sales.stages.iter().map(|stage| (stage.key.as_str(), stage.probability, stage.outcome.as_str())).collect();
    let six = [("prospecting", 10, "open"), ("qualification", 25, "open"), ("proposal", 50, "open"), ("negotiation", 75, "open")];
    assert_eq!(stages, [&six[..], &[("closed_won", 100, "won"), ("closed_lost", 0, "lost")]].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_gives_zeros_and_no_rate() {
    let bench = Bench::new().await;
    let summary = bench.summary(&Filter::default()).await;
    assert_eq!((seen(&summary.open), summary.win_rate), (are(0, "0.00", "0.00"), None));
    assert_eq!(summary.stages.len(), 6, "empty stages are there");
    assert!(summary.owners.is_empty() && summary.teams.is_empty() && summary.months.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_are_exact_and_rounded_once() {
    let bench = Bench::new().await;
    let member = &bench.tenant.member;
    for _ in 0..3 {
        bench.deal(member, "prospecting", "0.01", "2017-03-01").await;
    }
    bench.deal(member, "prospecting", "333333333333333.33", "2017-03-02").await;
    bench.deal(member, "closed_won", "0.10", "2017-03-03").await;
    bench.deal(member, "closed_won", "0.20", "2017-04-03").await;
    bench.deal(member, "closed_lost", "5", "2017-04-30").await;
    let summary = bench.summary(&Filter::default()).await;
    // A tenth of 333333333333333.36 is 33333333333333.336.
    assert_eq!(seen(&summary.open), are(4, "333333333333333.36", "33333333333333.336"));
    assert_eq!(seen(&summary.won), are(2, "0.30", "0.30"));
    assert_eq!(seen(&summary.lost), are(1, "5.00", "0.00"), "what is lost has no weight");
    assert_eq!(summary.win_rate.as_deref(), Some("0.6667"));
    let stages: Vec<_> = summary.stages.iter().map(|stage| (stage.stage.as_str(), stage.count)).collect();
    let order =
        [("prospecting", 4), ("qualification", 0), ("proposal", 0), ("negotiation", 0), ("closed_won", 2), ("closed_lost", 1)];
    assert_eq!(stages, order);
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_and_teams_come_by_what_they_won() {
    let bench = Bench::new().await;
    let Tenant { owner, member, colleague, organization_id, .. } = &bench.tenant;
    let team = bench.database.texts(&format!("SELECT app.add_team('{organization_id}', 'East', NULL)")).await.remove(0);
    for user in [member.user_id, colleague.user_id] {
        bench.database.execute(&format!("UPDATE memberships SET team_id = '{team}' WHERE user_id = '{user}'")).await;
    }
    bench.deal(member, "closed_won", "10", "2017-03-01").await;
    bench.deal(colleague, "closed_won", "20.50", "2017-03-01").await;
    bench.deal(colleague, "closed_lost", "7", "2017-03-01").await;
    bench.deal(owner, "closed_won", "15", "2017-03-01").await;
    let orphan = bench.deal(owner, "prospecting", "100", "2017-03-01").await;
    bench.database.execute(&format!("UPDATE crm_deals SET owner_id = NULL WHERE id = '{}'", orphan.id)).await;

    let summary = bench.summary(&Filter::default()).await;
    let owners: Vec<(Option<UserId>, String, Option<String>)> =
        summary.owners.iter().map(|row| (row.owner_id, row.won.amount.to_string(), row.win_rate.clone())).collect();
    let right = [
        (Some(colleague.user_id), "20.50".to_owned(), Some("0.5000".to_owned())),
        (Some(owner.user_id), "15.00".into(), Some("1.0000".into())),
        (Some(member.user_id), "10.00".into(), Some("1.0000".into())),
        (None, "0.00".into(), None),
    ];
    assert_eq!(owners, right);
    assert_eq!(summary.owners[0].team_name.as_deref(), Some("East"));
    assert_eq!(summary.owners[1].owner_name.as_deref(), Some("Owner of Acme"));
    let teams: Vec<_> =
        summary.teams.iter().map(|row| (row.team_name.as_deref(), row.won.amount.to_string(), row.open.count)).collect();
    assert_eq!(teams, [(Some("East"), "30.50".into(), 0), (None, "15.00".to_owned(), 1)]);
    assert_eq!(summary.teams[0].win_rate.as_deref(), Some("0.6667"));
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_deals_belong_to_the_month_of_closing_and_open_ones_to_the_one_expected() {
    let bench = Bench::new().await;
    let member = &bench.tenant.member;
    bench.deal(member, "prospecting", "1", "2017-03-31").await;
    let won = bench.deal(member, "proposal", "2", "2017-03-31").await;
    let step = StageStep {
        stage: "closed_won".into(),
        actual_close_date: Some("2016-12-01".parse().expect("a date")),
        ..StageStep::default()
    };
    bench.deals.move_to(member, won.id, &Expected::Any, &step).await.expect("it is won");
    bench.deals.create(member, NewDeal { name: "some day".into(), ..NewDeal::default() }).await.expect("no date");
    let months = bench.summary(&Filter::default()).await.months;
    let months: Vec<_> = months.iter().map(|row| (row.month.as_deref(), row.open.count, row.won.count, row.lost.count)).collect();
    assert_eq!(months, [(Some("2016-12"), 0, 1, 0), (Some("2017-03"), 1, 0, 0), (None, 1, 0, 0)], "oldest first, none last");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_too_many_months_the_oldest_are_left_out() {
    let bench = Bench::new().await;
    let user = bench.tenant.member.user_id;
    let rows = format!(
        "INSERT INTO crm_deals (organization_id, owner_id, created_by_id, name, expected_close_date)
         SELECT '{}', '{user}', '{user}', 'x', ('1900-01-15'::date + make_interval(months => number))::date
           FROM generate_series(0, 609) AS number",
        bench.tenant.organization_id
    );
    bench.database.execute(&rows).await;
    let summary = bench.summary(&Filter::default()).await;
    assert_eq!((summary.open.count, summary.months.len()), (610, 600));
    assert_eq!(summary.months[0].month.as_deref(), Some("1900-11"));
    assert_eq!(summary.months[599].month.as_deref(), Some("1950-10"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_lives_matches_and_is_ones_own_is_counted() {
    let bench = Bench::new().await;
    let (member, colleague) = (&bench.tenant.member, &bench.tenant.colleague);
    let umbrella = bench.database.tenant("Umbrella").await;
    bench.deal(&umbrella.owner, "closed_won", "1000", "2017-03-01").await;
    let gone = bench.deal(member, "closed_won", "500", "2017-03-01").await;
    bench.deals.delete(member, gone.id, &Expected::Any).await.expect("a member deletes its own");
    bench.deal(member, "closed_won", "10", "2017-03-01").await;
    bench.deal(colleague, "prospecting", "20", "2017-05-01").await;

    let mut mine = Filter::default();
    mine.add(member, fields::find(FIELDS, "owner_id").expect("a field"), "me").expect("a value");
    let summary = bench.summary(&mine).await;
    assert_eq!((summary.open.count, seen(&summary.won)), (0, are(1, "10.00", "10.00")));
    assert_eq!((summary.owners.len(), summary.months.len(), summary.stages.len()), (1, 1, 6), "every part is narrowed");

    let mut elsewhere = Filter::default();
    elsewhere
        .add(member, fields::find(FIELDS, "pipeline_id").expect("a field"), &crm_kernel::PipelineId::generate().to_string())
        .expect("a value");
    assert!(bench.summary(&elsewhere).await.stages.is_empty(), "a filter by pipeline leaves the others out");

    let all = bench.summary(&Filter::default()).await;
    let mut by_outcome: BTreeMap<&str, i64> = BTreeMap::new();
    for stage in &all.stages {
        *by_outcome.entry(stage.outcome.as_str()).or_default() += stage.count;
    }
    assert_eq!(by_outcome, BTreeMap::from([("lost", 0), ("open", 1), ("won", 1)]));
}
