//! The forecast: every deal in one place of it, sums exact, each larger figure containing the smaller one.
#![allow(clippy::indexing_slicing, reason = "tests fail by panicking")]

use crm_deals::{
    Deal, Deals, FIELDS, Forecast, ForecastCategory, ForecastFigures, ForecastPeriod, ForecastPeriods, NewDeal, NewStage,
    PeriodLength, PgDeals, PgPipelines, PipelineChanges, Pipelines,
};
use crm_kernel::{Context, Date, Expected, Filter, fields};
use crm_testkit::{Tenant, TestDatabase};

struct Bench {
    database: TestDatabase,
    tenant: Tenant,
    deals: PgDeals,
    pipelines: PgPipelines,
    from: Date,
    until: Date,
}

impl Bench {
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        let tenant = database.tenant("Acme").await;
        let (deals, pipelines) = (PgDeals::new(database.db()), PgPipelines::new(database.db()));
        let Forecast { from, until, .. } =
            pipelines.forecast(&tenant.viewer, &Filter::default(), ForecastPeriods::default()).await.expect("a forecast");
        Self { database, tenant, deals, pipelines, from, until }
    }

    async fn deal(&self, by: &Context, stage: &str, amount: &str, day: Option<Date>) -> Deal {
        let closed = stage.starts_with("closed");
        let new = NewDeal {
            name: "x".into(),
            stage: Some(stage.into()),
            amount: Some(amount.parse().expect("a decimal")),
            actual_close_date: day.filter(|_| closed),
            expected_close_date: day.filter(|_| !closed),
            lost_reason: (stage == "closed_lost").then(|| "too dear".into()),
            ..NewDeal::default()
        };
        self.deals.create(by, new).await.expect("the deal is right")
    }

    /// One deal of every kind; amounts are powers of two, so that a sum says which deals are in it.
    async fn with_deals() -> Self {
        let bench = Self::new().await;
        let (member, colleague) = (&bench.tenant.member, &bench.tenant.colleague);
        let before = Date(bench.from.0.previous_day().expect("a day before"));
        let after = Date(bench.until.0.next_day().expect("a day after"));
        bench.deal(member, "closed_won", "100", Some(bench.from)).await;
        bench.deal(colleague, "negotiation", "200", Some(bench.from)).await;
        bench.deal(member, "proposal", "400", Some(bench.until)).await;
        bench.deal(member, "prospecting", "800", Some(bench.until)).await;
        bench.deal(member, "prospecting", "1600", Some(before)).await;
        bench.deal(member, "proposal", "3200", Some(after)).await;
        bench.deal(member, "negotiation", "6400", None).await;
        bench.deal(member, "closed_lost", "12800", Some(bench.from)).await;
        bench.deal(member, "closed_won", "25600", Some(before)).await;
        bench
    }

    async fn forecast(&self, filter: &Filter) -> Forecast {
        self.pipelines.forecast(&self.tenant.viewer, filter, ForecastPeriods::default()).await.expect("a viewer reads")
    }
}

fn seen(figures: &ForecastFigures) -> (i64, i64, [String; 5]) {
    let ForecastFigures { won_count, open_count, won, commit, best_case, pipeline, weighted } = figures;
    (*won_count, *open_count, [won, commit, best_case, pipeline, weighted].map(ToString::to_string))
}

fn are(won_count: i64, open_count: i64, amounts: [i64; 5]) -> (i64, i64, [String; 5]) {
    (won_count, open_count, amounts.map(|amount| format!("{amount}.00")))
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_gives_twelve_months_of_zeros() {
    let bench = Bench::new().await;
    let forecast = bench.forecast(&Filter::default()).await;
    assert_eq!((forecast.months.len(), seen(&forecast.total)), (12, are(0, 0, [0; 5])));
    assert!(forecast.months.iter().all(|month| seen(&month.figures) == are(0, 0, [0; 5])));
    assert_eq!((forecast.owners, forecast.teams), (Vec::new(), Vec::new()));
    let quarter = bench.database.texts("SELECT date_trunc('quarter', now() AT TIME ZONE 'UTC')::date").await;
    assert_eq!(quarter, [bench.from.to_string()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_deal_is_in_one_place() {
    let bench = Bench::with_deals().await;
    let forecast = bench.forecast(&Filter::default()).await;
    assert_eq!(seen(&forecast.total), are(1, 3, [100, 300, 700, 1500, 530]));
    assert_eq!(seen(&forecast.overdue), are(0, 1, [0, 0, 0, 1600, 160]));
    assert_eq!(seen(&forecast.later), are(0, 2, [0, 6400, 9600, 9600, 6400]));
    let months: Vec<_> = forecast.months.iter().filter(|month| seen(&month.figures) != are(0, 0, [0; 5])).collect();
    let [first, last] = months.as_slice() else { panic!("two months have deals: {months:?}") };
    assert_eq!(
        (first.month.as_str(), seen(&first.figures)),
        (&bench.from.to_string()[..7], are(1, 1, [100, 300, 300, 300, 250]))
    );
    assert_eq!((last.month.as_str(), seen(&last.figures)), (&bench.until.to_string()[..7], are(0, 2, [0, 0, 400, 1200, 280])));
    let names: Vec<&str> = forecast.months.iter().map(|month| month.month.as_str()).collect();
    assert!(names.is_sorted() && names.len() == 12, "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_and_teams_come_by_their_commitment_and_add_up() {
    let bench = Bench::with_deals().await;
    let Tenant { member, colleague, organization_id, .. } = &bench.tenant;
    let team = bench.database.texts(&format!("SELECT app.add_team('{organization_id}', 'East', NULL)")).await.remove(0);
    bench.database.execute(&format!("UPDATE memberships SET team_id = '{team}' WHERE user_id = '{}'", member.user_id)).await;
    let mut forecast = bench.forecast(&Filter::default()).await;
    let owners: Vec<_> = forecast.owners.iter().map(|owner| (owner.owner_id, seen(&owner.figures))).collect();
    let right = [
        (Some(colleague.user_id), are(0, 1, [0, 200, 200, 200, 150])),
        (Some(member.user_id), are(1, 2, [100, 100, 500, 1300, 380])),
    ];
    assert_eq!(owners, right);
    let teams: Vec<_> = forecast.teams.iter().map(|team| (team.team_name.as_deref(), seen(&team.figures))).collect();
    assert_eq!(teams, [(None, right[0].1.clone()), (Some("East"), right[1].1.clone())]);
    assert!(forecast.owners.iter().all(|owner| owner.owner_name.is_some()));
    forecast.hide_names();
    assert!(forecast.owners.iter().all(|owner| owner.owner_name.is_none() && owner.team_name.is_none()));
    assert!(forecast.teams.iter().all(|team| team.team_name.is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_period_has_its_owners_and_teams() {
    let bench = Bench::with_deals().await;
    let Tenant { member, colleague, .. } = &bench.tenant;
    let forecast = bench.forecast(&Filter::default()).await;
    let [first, second, third, last] = forecast.periods.as_slice() else { panic!("four quarters: {:?}", forecast.periods) };
    assert_eq!((first.from, last.until), (bench.from, bench.until));
    assert_eq!(Some(second.from.0), first.until.0.next_day());
    assert_eq!(seen(&first.figures), are(1, 1, [100, 300, 300, 300, 250]));
    let of = |period: &ForecastPeriod| -> Vec<_> {
        period.owners.iter().map(|owner| (owner.owner_id, seen(&owner.figures))).collect()
    };
    let right = [
        (Some(colleague.user_id), are(0, 1, [0, 200, 200, 200, 150])),
        (Some(member.user_id), are(1, 0, [100, 100, 100, 100, 100])),
    ];
    assert_eq!(of(first), right);
    assert_eq!(of(last), [(Some(member.user_id), are(0, 2, [0, 0, 400, 1200, 280]))]);
    assert_eq!((of(second), of(third)), (Vec::new(), Vec::new()));
    assert_eq!(first.teams.len(), 1);

    let months = ForecastPeriods { length: PeriodLength::Month, count: 2 };
    let months = bench.pipelines.forecast(&bench.tenant.viewer, &Filter::default(), months).await.expect("a viewer reads");
    let today = bench.database.texts("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM')").await;
    assert_eq!((months.periods.len(), months.months.len(), &months.months[0].month), (2, 2, &today[0]));
    let counts = |figures: &ForecastFigures| figures.won_count + figures.open_count;
    let in_periods: i64 = months.periods.iter().map(|period| counts(&period.figures)).sum();
    assert_eq!(in_periods, counts(&months.total));
    let open = [&months.overdue, &months.total, &months.later].map(|figures| figures.open_count);
    assert_eq!(open.iter().sum::<i64>(), 6, "every open deal is somewhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_may_say_where_its_deals_belong() {
    let bench = Bench::with_deals().await;
    let sales = bench.pipelines.list(&bench.tenant.owner).await.expect("a list").data.remove(0);
    let stage = |stage: &crm_deals::Stage| NewStage {
        key: stage.key.clone(),
        label: stage.label.clone(),
        outcome: stage.outcome,
        probability: Some(stage.probability),
        rotting_days: stage.rotting_days,
        forecast_category: match stage.key.as_str() {
            "prospecting" => Some(ForecastCategory::Omitted),
            "proposal" => Some(ForecastCategory::Commit),
            "negotiation" => Some(ForecastCategory::Pipeline),
            _ => None,
        },
    };
    let stages = Some(sales.stages.iter().map(stage).collect());
    let changes = PipelineChanges { stages, ..PipelineChanges::default() };
    bench.pipelines.update(&bench.tenant.owner, sales.id, &Expected::Any, &changes).await.expect("nothing is wrong");
    let forecast = bench.forecast(&Filter::default()).await;
    assert_eq!(seen(&forecast.total), are(1, 2, [100, 500, 500, 700, 450]), "800 is in no figure");
    assert_eq!(seen(&forecast.overdue), are(0, 0, [0; 5]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_and_a_stranger_see_their_part() {
    let bench = Bench::with_deals().await;
    let owner = fields::find(FIELDS, "owner_id").expect("a field");
    let mut mine = Filter::default();
    mine.add(&bench.tenant.colleague, owner, "me").expect("an owner");
    let forecast = bench.forecast(&mine).await;
    assert_eq!(seen(&forecast.total), are(0, 1, [0, 200, 200, 200, 150]));
    assert_eq!((seen(&forecast.overdue), forecast.owners.len()), (are(0, 0, [0; 5]), 1));

    let stranger = bench.database.tenant("Umbrella").await;
    let nothing =
        bench.pipelines.forecast(&stranger.owner, &Filter::default(), ForecastPeriods::default()).await.expect("a forecast");
    assert_eq!((seen(&nothing.total), seen(&nothing.later)), (are(0, 0, [0; 5]), are(0, 0, [0; 5])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_embeds_this_is_told_how_many_periods_there_may_be() {
    let bench = Bench::with_deals().await;
    for (length, count) in
        [(PeriodLength::Quarter, 0), (PeriodLength::Quarter, 9), (PeriodLength::Quarter, 200), (PeriodLength::Month, 25)]
    {
        let refused = bench.pipelines.forecast(&bench.tenant.owner, &Filter::default(), ForecastPeriods { length, count }).await;
        assert!(
            matches!(&refused, Err(crm_kernel::Error::Malformed(errors)) if errors[0].pointer == "periods"),
            "{count}: {refused:?}"
        );
    }
}
