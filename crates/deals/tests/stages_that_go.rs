//! Stages and pipelines that go: their deals are moved to others in the same call, and none is lost or changed otherwise.
#![allow(clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

use crm_deals::{
    Deal, Deals, ExchangeRates, NewDeal, NewExchangeRate, NewPipeline, NewStage, PgDeals, PgExchangeRates, PgPipelines, Pipeline,
    PipelineChanges, Pipelines, Stage, StageMove, StageOutcome, StageStep,
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

    /// So many deals that wait for a decision.
    async fn fill(&self, count: u32) {
        let (own, member, pipeline) = (self.tenant.organization_id, self.tenant.member.user_id, self.pipeline.id);
        let deals = format!(
            "INSERT INTO crm_deals (organization_id, name, pipeline_id, stage, owner_id, created_by_id)
             SELECT '{own}', 'GTX Pro ' || number, '{pipeline}', 'qualification', '{member}', '{member}'
               FROM generate_series(1, {count}) AS number"
        );
        self.database.execute(&deals).await;
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
async fn a_deal_in_the_bin_counts_what_it_counted() {
    let bench = Bench::new().await;
    let mut before = Vec::new();
    for stage in ["qualification", "closed_won"] {
        let new =
            NewDeal { amount: "550".parse().ok(), currency: Some("EUR".into()), name: "GTX Pro".into(), ..NewDeal::default() };
        let deal = bench.deals.create(&bench.tenant.member, new).await.expect("a deal");
        let step = StageStep { stage: stage.into(), ..StageStep::default() };
        let deal = bench.deals.move_to(&bench.tenant.member, deal.id, &Expected::Any, &step).await.expect("it moves");
        bench.deals.delete(&bench.tenant.member, deal.id, &Expected::Any).await.expect("its own");
        before.push(bench.seen(&deal).await);
    }
    let rates = PgExchangeRates::new(bench.database.db());
    let (valid_on, rate) = ("2017-10-01".parse().expect("a day"), "1.17550253".parse().expect("a rate"));
    rates.set(&bench.tenant.admin, &[NewExchangeRate { currency: "EUR".into(), valid_on, rate }]).await.expect("an admin");
    let signed = NewStage { key: "signed".into(), ..as_sent(&bench.pipeline.stages[4]) };
    let moves = [("qualification", "proposal"), ("closed_won", "signed")];
    bench.change(&["qualification", "closed_won"], vec![signed], &moves).await.expect("an admin");
    for (deal, stage) in before.iter().zip(["proposal", "signed"]) {
        let seen = bench.seen(deal).await;
        let counted = |deal: &Deal| (deal.base_rate.clone(), deal.base_rate_on, deal.base_amount.clone());
        assert_eq!((seen.stage.as_str(), counted(&seen)), (stage, counted(deal)));
    }
    let back = bench.deals.restore(&bench.tenant.member, before[0].id).await.expect("who deleted it");
    assert_eq!(back.base_amount.map(|amount| amount.to_string()).as_deref(), Some("646.53"), "it counts again");
}

/// What a change was refused with.
fn conflict(refused: Result<Pipeline>) -> (String, String) {
    let Error::Conflict(mut fields) = refused.expect_err("it is refused") else { panic!("another refusal") };
    let field = fields.remove(0);
    (field.code, field.message)
}

const LEFT: &str = "SELECT count(*) FROM crm_deals WHERE stage = 'qualification'";

#[tokio::test(flavor = "multi_thread")]
async fn a_call_moves_so_many_and_the_next_one_goes_on() {
    let mut bench = Bench::new().await;
    bench.fill(10_300).await;
    let (moves, added) = ([("qualification", "discovery")], vec![open_stage("discovery", 30)]);
    let (code, message) = conflict(bench.change(&["qualification"], added.clone(), &moves).await);
    assert_eq!((code.as_str(), bench.database.number(LEFT).await), ("more_deals", 300));
    // The stage is there already, and the pipeline has another version: the answer says which.
    bench.pipeline.version += 1;
    assert!(message.ends_with(&format!("is {} now, for If-Match", bench.pipeline.version)), "{message}");
    bench.change(&["qualification"], added, &moves).await.expect("the rest");
    assert_eq!(bench.database.number(LEFT).await, 0);
    let logged = "SELECT count(*) FROM crm_activities WHERE entity_type = 'deal' AND operation_id IS NOT NULL";
    assert_eq!(bench.database.number(logged).await, 10_300);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_moves_all_it_may_and_leaves_none_is_done() {
    let bench = Bench::new().await;
    bench.fill(10_000).await;
    let changed = bench.change(&["qualification"], Vec::new(), &[("qualification", "proposal")]).await.expect("all were moved");
    assert_eq!((bench.database.number(LEFT).await, changed.stages.len()), (0, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_named_no_version_hears_of_none() {
    let bench = Bench::new().await;
    let deal = bench.deal("qualification").await;
    let stays = bench.pipeline.stages.iter().filter(|stage| stage.key != "qualification").map(as_sent);
    let moves = Some(vec![StageMove { from: "qualification".into(), to: "proposal".into() }]);
    let changes = PipelineChanges { stages: Some(stays.collect()), moves, ..PipelineChanges::default() };
    // Somebody holds the deal, so that the call waits between its two looks at the pipeline, and changes the pipeline.
    let held = bench.database.hold(&format!("UPDATE crm_deals SET name = 'GTX Plus Pro' WHERE id = '{}'", deal.id)).await;
    let (pipelines, admin, id) = (bench.pipelines.clone(), bench.tenant.admin.clone(), bench.pipeline.id);
    let (sent, again) = (changes.clone(), changes);
    let moving = tokio::spawn(async move { pipelines.update(&admin, id, &Expected::Any, &sent).await });
    held.change_and_commit_under_a_waiter(&format!("UPDATE crm_pipelines SET name = 'Sales' WHERE id = '{id}'")).await;
    assert_eq!(conflict(moving.await.expect("no panic")).0, "changed_meanwhile");
    bench.pipelines.update(&bench.tenant.admin, id, &Expected::Any, &again).await.expect("it goes on");
    assert_eq!(bench.seen(&deal).await.stage, "proposal");
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
