//! Stages and pipelines that go: their deals are moved to others in the same call, and none is lost or changed otherwise.
#![allow(clippy::indexing_slicing, reason = "tests fail by panicking")]

use crm_deals::{
    Deal, Deals, NewDeal, NewPipeline, NewStage, PgDeals, PgPipelines, Pipeline, PipelineChanges, Pipelines, Stage, StageMove,
    StageOutcome, StageStep,
};
use crm_kernel::{Error, Expected, PipelineId, Result};
use crm_testkit::{Tenant, TestDatabase, refusals};

struct Bench {
    database: TestDatabase,
    tenant: Tenant,
    deals: PgDeals,
    pipelines: PgPipelines,
    pipeline: Pipeline,
}

impl Bench {
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        let tenant = database.tenant("Acme").await;
        let (deals, pipelines) = (PgDeals::new(database.db()), PgPipelines::new(database.db()));
        let pipeline = pipelines.list(&tenant.viewer).await.expect("a viewer reads").data.remove(0);
        Self { database, tenant, deals, pipelines, pipeline }
    }

    async fn deal(&self, stage: &str) -> Deal {
        let new = NewDeal { name: "GTX Pro".into(), amount: "550".parse().ok(), ..NewDeal::default() };
        let deal = self.deals.create(&self.tenant.member, new).await.expect("a deal");
        let lost_reason = (stage == "closed_lost").then(|| "too dear".to_owned());
        let step = StageStep { stage: stage.into(), lost_reason, ..StageStep::default() };
        self.deals.move_to(&self.tenant.member, deal.id, &Expected::Any, &step).await.expect("it moves")
    }

    async fn seen(&self, deal: &Deal) -> Deal {
        self.deals.get_with_deleted(&self.tenant.owner, deal.id).await.expect("it is there")
    }

    /// Without these stages and with those, and what becomes of the deals.
    async fn change(&self, gone: &[&str], added: Vec<NewStage>, moves: &[(&str, &str)]) -> Result<Pipeline> {
        let kept = self.pipeline.stages.iter().filter(|stage| !gone.contains(&stage.key.as_str())).map(as_sent);
        let moves = moves.iter().map(|(from, to)| StageMove { from: (*from).into(), to: (*to).into() }).collect();
        let changes =
            PipelineChanges { stages: Some(kept.chain(added).collect()), moves: Some(moves), ..PipelineChanges::default() };
        let expected = Expected::OneOf(vec![self.pipeline.version]);
        self.pipelines.update(&self.tenant.admin, self.pipeline.id, &expected, &changes).await
    }
}

fn as_sent(stage: &Stage) -> NewStage {
    NewStage {
        key: stage.key.clone(),
        label: stage.label.clone(),
        outcome: stage.outcome,
        probability: Some(stage.probability),
        rotting_days: stage.rotting_days,
        forecast_category: stage.forecast_category,
    }
}

fn open_stage(key: &str, probability: i32) -> NewStage {
    let outcome = StageOutcome::Open;
    NewStage {
        key: key.into(),
        label: "Discovery".into(),
        outcome,
        probability: Some(probability),
        rotting_days: None,
        forecast_category: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deals_of_a_stage_that_goes_are_moved_with_it_those_in_the_bin_too() {
    let bench = Bench::new().await;
    let (one, gone, other) = (bench.deal("qualification").await, bench.deal("qualification").await, bench.deal("proposal").await);
    bench.deals.delete(&bench.tenant.member, gone.id, &Expected::Any).await.expect("its own");
    let refused = bench.change(&["qualification"], Vec::new(), &[]).await.expect_err("deals stand there");
    let Error::Conflict(fields) = refused else { panic!("{refused}") };
    assert_eq!((fields[0].pointer.as_str(), fields[0].code.as_str()), ("/stages", "stage_in_use"));

    let moves = [("qualification", "discovery")];
    let changed = bench.change(&["qualification"], vec![open_stage("discovery", 30)], &moves).await.expect("an admin");
    let keys: Vec<_> = changed.stages.iter().map(|stage| stage.key.as_str()).collect();
    assert_eq!(keys, ["prospecting", "proposal", "negotiation", "closed_won", "closed_lost", "discovery"]);
    for deal in [&one, &gone] {
        let seen = bench.seen(deal).await;
        assert_eq!((seen.stage.as_str(), seen.probability, &seen.amount), ("discovery", 30, &deal.amount));
        let log = bench.database.activities_of("deal", deal.id).await;
        let last = log.last().expect("it is logged");
        assert_eq!((last.user_id, seen.deleted_at.is_some()), (Some(bench.tenant.admin.user_id), deal.id == gone.id));
    }
    assert_eq!(bench.seen(&other).await, other);
    let logged = "SELECT count(*) FROM crm_activities WHERE entity_type = 'deal' AND operation_id IS NOT NULL";
    let operations = logged.replace("count(*)", "count(DISTINCT operation_id)");
    assert_eq!((bench.database.number(logged).await, bench.database.number(&operations).await), (2, 1), "one operation");
    let back = bench.deals.restore(&bench.tenant.member, gone.id).await.expect("who deleted it");
    assert_eq!(back.stage, "discovery", "it comes back where the others are");
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_deals_keep_their_day_and_their_rate() {
    let bench = Bench::new().await;
    let lost = bench.deal("closed_lost").await;
    let another = NewStage { key: "given_up".into(), ..as_sent(&bench.pipeline.stages[5]) };
    bench.change(&["closed_lost"], vec![another], &[("closed_lost", "given_up")]).await.expect("an admin");
    let seen = bench.seen(&lost).await;
    let kept = (seen.actual_close_date, seen.lost_reason, seen.base_rate, seen.probability);
    assert_eq!((seen.stage.as_str(), kept), ("given_up", (lost.actual_close_date, lost.lost_reason, lost.base_rate, 0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_a_move_is_named_and_nothing_is_moved() {
    let bench = Bench::new().await;
    let deal = bench.deal("qualification").await;
    let moves = [
        ("proposal", "negotiation"),
        ("qualification", "closed_won"),
        ("never", "proposal"),
        ("qualification", "nowhere"),
        ("qualification", "proposal"),
        ("qualification", "negotiation"),
    ];
    let refused = bench.change(&["qualification"], Vec::new(), &moves).await.expect_err("all wrong but one");
    let Error::Invalid(fields) = refused else { panic!("{refused}") };
    let named: Vec<_> = fields.iter().map(|field| (field.pointer.as_str(), field.code.as_str())).collect();
    assert_eq!(
        named,
        [
            ("/moves/0/from", "reference"),
            ("/moves/1/to", "outcome"),
            ("/moves/2/from", "reference"),
            ("/moves/3/to", "reference"),
            ("/moves/5/from", "duplicate")
        ]
    );
    assert_eq!(bench.seen(&deal).await, deal);
    let changes = PipelineChanges { moves: Some(Vec::new()), ..PipelineChanges::default() };
    let by_member = bench.pipelines.update(&bench.tenant.member, bench.pipeline.id, &Expected::Any, &changes).await;
    refusals::forbidden(by_member, "managers alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_moves_so_many_and_the_next_one_goes_on() {
    let bench = Bench::new().await;
    let (own, member) = (bench.tenant.organization_id, bench.tenant.member.user_id);
    bench
        .database
        .execute(&format!(
            "INSERT INTO crm_deals (organization_id, name, pipeline_id, stage, owner_id, created_by_id)
             SELECT '{own}', 'GTX Pro ' || number, '{}', 'qualification', '{member}', '{member}' FROM generate_series(1, 10300) AS number",
            bench.pipeline.id
        ))
        .await;
    let moves = [("qualification", "proposal")];
    let refused = bench.change(&["qualification"], Vec::new(), &moves).await.expect_err("more than one call moves");
    let Error::Conflict(fields) = refused else { panic!("{refused}") };
    assert_eq!(fields[0].code, "more_deals");
    let left = "SELECT count(*) FROM crm_deals WHERE stage = 'qualification'";
    assert_eq!(bench.database.number(left).await, 300);
    bench.change(&["qualification"], Vec::new(), &moves).await.expect("the rest");
    assert_eq!(bench.database.number(left).await, 0);
    let logged = "SELECT count(*) FROM crm_activities WHERE entity_type = 'deal' AND operation_id IS NOT NULL";
    assert_eq!(bench.database.number(logged).await, 10_300);
}

#[tokio::test(flavor = "multi_thread")]
async fn deals_of_a_pipeline_that_goes_are_moved_to_another() {
    let bench = Bench::new().await;
    let new = NewPipeline {
        name: "Renewals".into(),
        is_default: true,
        stages: Some(vec![
            open_stage("asked", 40),
            open_stage("proposal", 60),
            NewStage { key: "renewed".into(), outcome: StageOutcome::Won, probability: None, ..open_stage("", 0) },
            NewStage { key: "closed_lost".into(), outcome: StageOutcome::Lost, probability: None, ..open_stage("", 0) },
        ]),
        ..NewPipeline::default()
    };
    let mut placed = Vec::new();
    for (from, to) in
        [("negotiation", "asked"), ("proposal", "proposal"), ("closed_won", "renewed"), ("closed_lost", "closed_lost")]
    {
        placed.push((bench.deal(from).await, to));
    }
    let renewals = bench.pipelines.create(&bench.tenant.owner, new).await.expect("an owner makes pipelines");
    let delete = async |target: Option<PipelineId>| {
        bench.pipelines.delete(&bench.tenant.admin, bench.pipeline.id, &Expected::Any, target).await
    };
    refusals::conflict(delete(None).await, "", "deals stand there");
    let umbrella = bench.database.tenant("Umbrella").await;
    let theirs = bench.pipelines.list(&umbrella.viewer).await.expect("a viewer reads").data.remove(0).id;
    for wrong in [theirs, bench.pipeline.id, PipelineId::generate()] {
        refusals::invalid(delete(Some(wrong)).await, "/move_deals_to", "reference", "not another one of ours");
    }
    delete(Some(renewals.id)).await.expect("an admin deletes pipelines");
    for (deal, to) in placed {
        let seen = bench.seen(&deal).await;
        assert_eq!((seen.pipeline_id, seen.stage.as_str(), seen.actual_close_date), (renewals.id, to, deal.actual_close_date));
    }
    refusals::not_found(bench.pipelines.get(&bench.tenant.owner, bench.pipeline.id).await, "it is in the bin");
}
