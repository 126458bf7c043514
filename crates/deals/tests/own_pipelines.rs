//! Pipelines of one's own: who may make them, what they must keep, and that no deal is ever without its stage.

use crm_deals::{
    DealChanges, Deals, NewDeal, NewPipeline, NewStage, PgDeals, PgPipelines, Pipeline, PipelineChanges, Pipelines, StageOutcome,
    StageStep, within,
};
use crm_kernel::{Error, Expected, PipelineId};
use crm_testkit::{Tenant, TestDatabase, refusals, waiting};

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

    async fn partners(&self) -> Pipeline {
        let new = NewPipeline { name: "Partners".into(), stages: Some(partner_stages()), ..NewPipeline::default() };
        self.pipelines.create(&self.tenant.admin, new).await.expect("an admin makes pipelines")
    }

    async fn deal(&self, pipeline: PipelineId, stage: &str) -> crm_deals::Deal {
        let new = NewDeal {
            name: "Reseller agreement".into(),
            pipeline_id: Some(pipeline),
            stage: Some(stage.into()),
            ..NewDeal::default()
        };
        self.deals.create(&self.tenant.member, new).await.expect("the deal is right")
    }

    async fn change(&self, pipeline: &Pipeline, changes: PipelineChanges) -> crm_kernel::Result<Pipeline> {
        self.pipelines.update(&self.tenant.owner, pipeline.id, &Expected::OneOf(vec![pipeline.version]), &changes).await
    }

    async fn with_stages(&self, pipeline: &Pipeline, stages: Vec<NewStage>) -> crm_kernel::Result<Pipeline> {
        self.change(pipeline, PipelineChanges { stages: Some(stages), ..PipelineChanges::default() }).await
    }

    async fn default(&self) -> Pipeline {
        let all = self.pipelines.list(&self.tenant.viewer).await.expect("a viewer reads").data;
        let mut defaults = all.into_iter().filter(|pipeline| pipeline.is_default);
        let (first, second) = (defaults.next(), defaults.next());
        assert_eq!(second, None, "one is the default");
        first.expect("there is a default")
    }
}

fn stage(key: &str, outcome: StageOutcome, probability: Option<i32>) -> NewStage {
    NewStage { key: key.into(), label: key.to_uppercase(), outcome, probability, rotting_days: None, forecast_category: None }
}

fn partner_stages() -> Vec<NewStage> {
    vec![
        stage("first_call", StageOutcome::Open, Some(20)),
        stage("contract", StageOutcome::Open, Some(60)),
        stage("signed", StageOutcome::Won, None),
        stage("declined", StageOutcome::Lost, None),
    ]
}

fn faults(error: Error) -> Vec<(String, String)> {
    match error {
        Error::Invalid(faults) | Error::Conflict(faults) => faults.into_iter().map(|fault| (fault.pointer, fault.code)).collect(),
        other => vec![(other.to_string(), "no faults".into())],
    }
}

fn at(pointer: &str, code: &str) -> (String, String) {
    (pointer.into(), code.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn deals_go_through_the_stages_of_a_pipeline_of_ones_own() {
    let bench = Bench::new().await;
    let partners = bench.partners().await;
    let places: Vec<_> = partners.stages.iter().map(|stage| (stage.position, stage.key.as_str(), stage.probability)).collect();
    assert_eq!(places, [(1, "first_call", 20), (2, "contract", 60), (3, "signed", 100), (4, "declined", 0)]);
    assert_eq!(bench.pipelines.get(&bench.tenant.viewer, partners.id).await.expect("a viewer reads"), partners);

    let new = NewDeal { name: "Reseller".into(), pipeline_id: Some(partners.id), ..NewDeal::default() };
    let deal = bench.deals.create(&bench.tenant.member, new).await.expect("the first stage is open");
    assert_eq!((deal.stage.as_str(), deal.probability), ("first_call", 20));
    let step = StageStep { stage: "signed".into(), amount: Some("10".parse().expect("money")), ..StageStep::default() };
    let won = bench.deals.move_to(&bench.tenant.member, deal.id, &Expected::Any, &step).await.expect("it is won");
    assert_eq!((won.stage.as_str(), won.probability, won.actual_close_date.is_some()), ("signed", 100, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_without_stages_of_its_own_has_the_six() {
    let bench = Bench::new().await;
    let new = NewPipeline { name: "Renewals".into(), ..NewPipeline::default() };
    let renewals = bench.pipelines.create(&bench.tenant.owner, new).await.expect("the owner makes pipelines");
    assert_eq!(renewals.stages, bench.default().await.stages, "as the database makes them for a new organisation");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_the_stages_is_named_at_once() {
    let bench = Bench::new().await;
    let make = async |stages| {
        let new = NewPipeline { name: " ".into(), stages: Some(stages), ..NewPipeline::default() };
        faults(bench.pipelines.create(&bench.tenant.owner, new).await.expect_err("it is wrong"))
    };
    let rotting = NewStage { rotting_days: Some(3), ..stage("a", StageOutcome::Won, Some(50)) };
    let wrong = vec![rotting, stage("a", StageOutcome::Open, None), stage("B c", StageOutcome::Open, Some(101))];
    let mut named = make(wrong).await;
    named.sort();
    let expected = [
        at("/name", "required"),
        at("/stages", "lost"),
        at("/stages/0/outcome", "first_open"),
        at("/stages/0/probability", "fixed"),
        at("/stages/0/rotting_days", "only_when_open"),
        at("/stages/1/key", "duplicate"),
        at("/stages/1/probability", "required"),
        at("/stages/2/key", "key"),
        at("/stages/2/probability", "range"),
    ];
    assert_eq!(named, expected);
    assert_eq!(make(Vec::new()).await, [at("/name", "required"), at("/stages", "won"), at("/stages", "lost")]);
    let many = (0..51).map(|number| stage(&format!("s{number}"), StageOutcome::Open, Some(1))).collect();
    assert!(make(many).await.contains(&at("/stages", "too_many")));
}

#[tokio::test(flavor = "multi_thread")]
async fn stages_are_added_changed_moved_and_removed_in_one_step_that_is_logged() {
    let bench = Bench::new().await;
    let partners = bench.partners().await;
    let same = bench.with_stages(&partners, partner_stages()).await.expect("nothing is wrong");
    assert_eq!(same, partners, "what changes nothing keeps the version");

    let [first, contract, signed, declined] = partner_stages().try_into().expect("four stages");
    let legal = NewStage { rotting_days: Some(14), ..stage("legal", StageOutcome::Open, Some(80)) };
    let first = NewStage { label: "First talk".into(), ..first };
    let _ = contract;
    let changed = bench.with_stages(&partners, vec![first, legal, declined, signed]).await.expect("nothing is wrong");
    let seen: Vec<_> = changed.stages.iter().map(|stage| (stage.position, stage.key.as_str(), stage.label.as_str())).collect();
    assert_eq!(
        seen,
        [(1, "first_call", "First talk"), (2, "legal", "LEGAL"), (3, "declined", "DECLINED"), (4, "signed", "SIGNED")]
    );
    assert_eq!((changed.version, changed.stages.get(1).and_then(|stage| stage.rotting_days)), (partners.version + 1, Some(14)));

    let log = format!(
        "SELECT entity_type || ' ' || activity_type FROM crm_activities WHERE entity_id = '{}' AND record_version IS DISTINCT FROM 1
          AND xid = (SELECT max(xid) FROM crm_activities WHERE entity_id = '{0}') ORDER BY seq",
        partners.id
    );
    let mut logged = bench.database.texts(&log).await;
    logged.sort();
    let one = |kind: &str| format!("pipeline_stage {kind}");
    let expected = ["pipeline updated".into(), one("created"), one("deleted"), one("updated"), one("updated"), one("updated")];
    assert_eq!(logged, expected, "three kept stages have another place or label");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_that_deals_stand_in_stays_and_keeps_its_outcome() {
    let bench = Bench::new().await;
    let partners = bench.partners().await;
    let living = bench.deal(partners.id, "contract").await;
    let deleted = bench.deal(partners.id, "first_call").await;
    bench.deals.delete(&bench.tenant.member, deleted.id, &Expected::Any).await.expect("its own");

    let only =
        |keys: &[&str]| partner_stages().into_iter().filter(|stage| keys.contains(&stage.key.as_str())).collect::<Vec<_>>();
    let mut fresh = only(&["signed", "declined"]);
    fresh.insert(0, stage("talk", StageOutcome::Open, Some(1)));
    let refused = bench.with_stages(&partners, fresh).await.expect_err("deals stand there");
    assert!(refused.to_string().contains("first_call, contract"), "both are named: {refused}");
    assert_eq!(faults(refused), [at("/stages", "stage_in_use")]);

    let mut turned = partner_stages();
    turned.iter_mut().filter(|stage| stage.key == "declined").for_each(|stage| stage.outcome = StageOutcome::Won);
    let refused = bench.with_stages(&partners, turned).await.expect_err("its deals have a closing date or none");
    assert_eq!(faults(refused), [at("/stages/3/outcome", "fixed"), at("/stages", "lost")]);

    let step = StageStep { stage: "first_call".into(), ..StageStep::default() };
    bench.deals.move_to(&bench.tenant.member, living.id, &Expected::Any, &step).await.expect("to another stage");
    bench.with_stages(&partners, only(&["first_call", "signed", "declined"])).await.expect("nobody stands in contract");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_that_is_being_written_holds_its_stage() {
    let bench = Bench::new().await;
    let partners = bench.partners().await;
    let mut writing = bench.database.db().begin(&bench.tenant.member).await.expect("a transaction");
    let new = NewDeal {
        name: "Just in time".into(),
        pipeline_id: Some(partners.id),
        stage: Some("contract".into()),
        ..NewDeal::default()
    };
    within::create(&mut writing, new).await.expect("the stage is there");

    let stages = partner_stages().into_iter().filter(|stage| stage.key != "contract").collect();
    let removing = bench.with_stages(&partners, stages);
    let committing = async {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        waiting::until("the removal waits for the deal", async || bench.database.number(waiting).await > 0).await;
        writing.commit().await.expect("the deal is written");
    };
    let (removed, ()) = tokio::join!(removing, committing);
    assert_eq!(faults(removed.expect_err("the deal was first")), [at("/stages", "stage_in_use")]);
    assert_eq!(bench.pipelines.get(&bench.tenant.viewer, partners.id).await.expect("it is there"), partners);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_always_one_default() {
    let bench = Bench::new().await;
    let (sales, partners) = (bench.default().await, bench.partners().await);
    let unset = PipelineChanges { is_default: Some(false), ..PipelineChanges::default() };
    assert_eq!(faults(bench.change(&sales, unset).await.expect_err("none would be left")), [at("/is_default", "default_needed")]);
    let gone = bench.pipelines.delete(&bench.tenant.owner, sales.id, &Expected::Any, None).await.expect_err("none would be left");
    assert_eq!(faults(gone), [at("", "pipeline_default")]);

    let set = PipelineChanges { is_default: Some(true), ..PipelineChanges::default() };
    bench.change(&partners, set.clone()).await.expect("another one is");
    assert_eq!(bench.default().await.id, partners.id);
    let deal = bench.deals.create(&bench.tenant.member, NewDeal { name: "Nowhere named".into(), ..NewDeal::default() }).await;
    assert_eq!(deal.expect("it goes to the default").stage, "first_call");

    let third = NewPipeline { name: "Third".into(), is_default: true, ..NewPipeline::default() };
    let third = bench.pipelines.create(&bench.tenant.owner, third).await.expect("it takes over");
    assert_eq!(bench.default().await.id, third.id);
    for _ in 0..20 {
        let make = |id: PipelineId| bench.pipelines.update(&bench.tenant.admin, id, &Expected::Any, &set);
        let (first, second) = tokio::join!(make(sales.id), make(partners.id));
        first.expect("one after the other");
        second.expect("one after the other");
        let now = bench.default().await.id;
        assert!(now == sales.id || now == partners.id, "the later one");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_with_living_deals_is_not_deleted_and_one_without_comes_back() {
    let bench = Bench::new().await;
    let partners = bench.partners().await;
    let deal = bench.deal(partners.id, "contract").await;
    let delete = || bench.pipelines.delete(&bench.tenant.owner, partners.id, &Expected::Any, None);
    assert_eq!(faults(delete().await.expect_err("a deal stands there")), [at("", "pipeline_in_use")]);
    bench.deals.delete(&bench.tenant.member, deal.id, &Expected::Any).await.expect("its own");
    delete().await.expect("nothing living is left");
    assert!(matches!(bench.pipelines.get(&bench.tenant.owner, partners.id).await, Err(Error::NotFound("pipeline"))));
    assert!(matches!(delete().await, Err(Error::NotFound("pipeline"))));

    let back = bench.pipelines.restore(&bench.tenant.owner, partners.id).await.expect("it comes back");
    assert_eq!(back.stages, partners.stages);
    let again = bench.pipelines.restore(&bench.tenant.owner, partners.id).await.expect("it lives already");
    assert_eq!(again.version, back.version);
    bench.deals.restore(&bench.tenant.member, deal.id).await.expect("and so does the deal");
}

#[tokio::test(flavor = "multi_thread")]
async fn owner_and_admin_change_pipelines_and_others_read_them() {
    let bench = Bench::new().await;
    let partners = bench.partners().await;
    let changes = PipelineChanges { name: Some("Resellers".into()), ..PipelineChanges::default() };
    for person in [&bench.tenant.member, &bench.tenant.viewer] {
        let new = NewPipeline { name: "Mine".into(), ..NewPipeline::default() };
        assert!(matches!(bench.pipelines.create(person, new).await, Err(Error::Forbidden(_))));
        assert!(matches!(bench.pipelines.update(person, partners.id, &Expected::Any, &changes).await, Err(Error::Forbidden(_))));
        assert!(matches!(bench.pipelines.delete(person, partners.id, &Expected::Any, None).await, Err(Error::Forbidden(_))));
        assert!(matches!(bench.pipelines.restore(person, partners.id).await, Err(Error::Forbidden(_))));
    }
    let stale = Expected::OneOf(vec![partners.version + 1]);
    assert!(matches!(bench.pipelines.update(&bench.tenant.admin, partners.id, &stale, &changes).await, Err(Error::Stale(_))));
    assert!(matches!(bench.pipelines.delete(&bench.tenant.admin, partners.id, &stale, None).await, Err(Error::Stale(_))));

    let stranger = bench.database.tenant("Umbrella").await;
    let deal = NewDeal { name: "Elsewhere".into(), pipeline_id: Some(partners.id), ..NewDeal::default() };
    assert_eq!(
        faults(bench.deals.create(&stranger.owner, deal).await.expect_err("no such pipeline")),
        [at("/pipeline_id", "reference")]
    );
    for never in [partners.id, PipelineId::generate()] {
        let pipelines = &bench.pipelines;
        assert!(matches!(pipelines.get(&stranger.owner, never).await, Err(Error::NotFound("pipeline"))));
        assert!(matches!(
            pipelines.update(&stranger.owner, never, &Expected::Any, &changes).await,
            Err(Error::NotFound("pipeline"))
        ));
        assert!(matches!(pipelines.delete(&stranger.owner, never, &Expected::Any, None).await, Err(Error::NotFound("pipeline"))));
        assert!(matches!(pipelines.restore(&stranger.owner, never).await, Err(Error::NotFound("pipeline"))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_two_hundred_at_most() {
    let bench = Bench::new().await;
    let organization = bench.tenant.organization_id;
    let more = "SELECT 'Pipeline ' || n FROM generate_series(1, 198) AS n";
    bench
        .database
        .execute(&format!(
            "INSERT INTO crm_pipelines (organization_id, name) SELECT '{organization}', names FROM ({more}) AS t (names)"
        ))
        .await;
    let partners = bench.partners().await;
    let new = NewPipeline { name: "One too many".into(), ..NewPipeline::default() };
    let refused = bench.pipelines.create(&bench.tenant.owner, new).await.expect_err("there are two hundred");
    assert_eq!(faults(refused), [at("", "too_many_pipelines")]);
    bench.pipelines.delete(&bench.tenant.owner, partners.id, &Expected::Any, None).await.expect("it is empty");
    bench.partners().await;
    let refused = bench.pipelines.restore(&bench.tenant.owner, partners.id).await.expect_err("there are two hundred again");
    assert_eq!(faults(refused), [at("", "too_many_pipelines")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_probability_of_a_stage_is_that_of_deals_that_come_to_it_from_now_on() {
    let bench = Bench::new().await;
    let partners = bench.partners().await;
    let there = bench.deal(partners.id, "contract").await;
    let mut stages = partner_stages();
    stages.iter_mut().filter(|stage| stage.key == "contract").for_each(|stage| stage.probability = Some(75));
    bench.with_stages(&partners, stages).await.expect("nothing is wrong");
    let before = bench.deals.get(&bench.tenant.viewer, there.id).await.expect("it is there");
    assert_eq!((before.probability, bench.deal(partners.id, "contract").await.probability), (60, 75));
    let changes = DealChanges { probability: Some(61), ..DealChanges::default() };
    let by_hand = bench.deals.update(&bench.tenant.member, there.id, &Expected::Any, &changes).await.expect("set by hand");
    assert_eq!(by_hand.probability, 61);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_deal_lives_in_a_deleted_pipeline() {
    let bench = Bench::new().await;
    let first = |pipeline: &Pipeline| pipeline.stages.first().map(|stage| stage.key.clone()).expect("a stage");
    let partners = bench.partners().await;
    let deal = bench.deal(partners.id, &first(&partners)).await;
    bench.deals.delete(&bench.tenant.member, deal.id, &Expected::Any).await.expect("into the bin");
    bench.pipelines.delete(&bench.tenant.admin, partners.id, &Expected::Any, None).await.expect("nothing lives there");
    let back = bench.deals.restore(&bench.tenant.member, deal.id).await;
    refusals::invalid(back, "/pipeline_id", "parent_deleted", "there is nowhere to come back to");
    bench.pipelines.restore(&bench.tenant.admin, partners.id).await.expect("an admin restores");
    bench.deals.restore(&bench.tenant.member, deal.id).await.expect("now there is");

    for _ in 0..15 {
        let pipeline = bench.partners().await;
        let waiting = bench.deal(bench.default().await.id, "prospecting").await;
        let stage = first(&pipeline);
        let new = NewDeal {
            name: "Reseller agreement".into(),
            pipeline_id: Some(pipeline.id),
            stage: Some(stage.clone()),
            ..NewDeal::default()
        };
        let step = StageStep { stage, pipeline_id: Some(pipeline.id), ..StageStep::default() };
        let (made, moved, deleted) = tokio::join!(
            bench.deals.create(&bench.tenant.member, new),
            bench.deals.move_to(&bench.tenant.member, waiting.id, &Expected::Any, &step),
            bench.pipelines.delete(&bench.tenant.admin, pipeline.id, &Expected::Any, None),
        );
        assert!(deleted.is_err() || made.is_err() && moved.is_err(), "{deleted:?} {made:?} {moved:?}");
    }
    let lost = "SELECT count(*) FROM crm_deals AS deal JOIN crm_pipelines AS pipeline ON pipeline.id = deal.pipeline_id
                 WHERE deal.deleted_at IS NULL AND pipeline.deleted_at IS NOT NULL";
    assert_eq!(bench.database.number(lost).await, 0);
}
