//! What is kept beside the deals is what they come to, whoever writes, and however many at once.
#![allow(clippy::indexing_slicing, reason = "tests fail by panicking")]

use crm_deals::{Deal, DealChanges, Deals, FIELDS, NewDeal, PgDeals, PgPipelines, PipelineSummary, Pipelines, StageStep};
use crm_kernel::{Context, Error, Expected, Filter, fields};
use crm_testkit::{Tenant, TestDatabase};
use tokio::task::JoinSet;

const STAGES: [&str; 6] = ["prospecting", "qualification", "proposal", "negotiation", "closed_won", "closed_lost"];

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        // SplitMix64, by Steele, Lea and Flood.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).expect("it is below a usize")
    }

    fn amount(&mut self) -> Option<crm_kernel::Money> {
        (self.below(5) > 0).then(|| format!("{}.{:02}", self.below(1_000_000), self.below(100)).parse().expect("an amount"))
    }

    fn day(&mut self) -> Option<crm_kernel::Date> {
        (self.below(5) > 0).then(|| format!("20{}-{:02}-28", 20 + self.below(5), 1 + self.below(12)).parse().expect("a date"))
    }
}

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

    async fn summary(&self, filter: &Filter) -> PipelineSummary {
        self.pipelines.summary(&self.tenant.viewer, filter).await.expect("a viewer reads")
    }

    /// What is kept, and what is counted deal by deal: a filter that all deals pass asks for that.
    async fn both(&self) -> (PipelineSummary, PipelineSummary) {
        let pipelines = self.pipelines.list(&self.tenant.viewer).await.expect("a list").data;
        let field = fields::find(FIELDS, "pipeline_id").expect("deals have pipelines");
        let counted = Filter::default().and_id(field, pipelines[0].id.uuid());
        (self.summary(&Filter::default()).await, self.summary(&counted).await)
    }

    async fn rows(&self) -> i64 {
        self.database.number("SELECT count(*) FROM crm_deal_figures").await
    }
}

/// One of all the things that happen to deals.
async fn happen(deals: &PgDeals, who: &Context, dice: &mut Dice, own: &mut Vec<Deal>) -> Result<(), Error> {
    let stage = STAGES[dice.below(STAGES.len())];
    let lost_reason = (stage == "closed_lost").then(|| "too dear".to_owned());
    if own.len() < 5 || dice.below(4) == 0 {
        let amount = dice.amount().or_else(|| "1".parse().ok().filter(|_| stage == "closed_won"));
        let currency = Some(if dice.below(6) == 0 { "EUR" } else { "USD" }.to_owned());
        let (stage, expected_close_date) = (Some(stage.to_owned()), dice.day());
        let new =
            NewDeal { name: "Deal".into(), stage, lost_reason, amount, currency, expected_close_date, ..NewDeal::default() };
        own.push(deals.create(who, new).await?);
        return Ok(());
    }
    let place = dice.below(own.len());
    let (id, any) = (own[place].id, Expected::Any);
    match dice.below(5) {
        0 => {
            deals.delete(who, id, &any).await?;
            own.swap_remove(place);
        }
        1 => {
            deals.delete(who, id, &any).await?;
            deals.restore(who, id).await?;
        }
        2 => {
            let amount = Some("77.7".parse().expect("an amount"));
            let step = StageStep { stage: stage.into(), lost_reason, amount, ..StageStep::default() };
            deals.move_to(who, id, &any, &step).await?;
        }
        3 => {
            let owner_id = Some(Some(who.user_id).filter(|_| dice.below(2) == 0));
            deals.update(who, id, &any, &DealChanges { owner_id, ..DealChanges::default() }).await?;
        }
        _ => {
            let changes = DealChanges {
                expected_close_date: Some(dice.day()),
                deal_source: Some(Some(format!("source {}", dice.below(100)))),
                ..DealChanges::default()
            };
            deals.update(who, id, &any, &changes).await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_beside_the_deals_is_what_they_come_to() {
    let bench = Bench::new().await;
    let people = [&bench.tenant.owner, &bench.tenant.admin, &bench.tenant.member, &bench.tenant.colleague];
    let mut writers = JoinSet::new();
    for (number, who) in people.into_iter().enumerate() {
        let (deals, who) = (bench.deals.clone(), who.clone());
        writers.spawn(async move {
            let (mut dice, mut own) = (Dice(number as u64), Vec::new());
            for _ in 0..60 {
                happen(&deals, &who, &mut dice, &mut own).await.expect("nothing of this is refused");
            }
        });
    }
    // Somebody folds while they write.
    while !writers.is_empty() {
        let fold = format!("SELECT app.fold_deal_figures('{}')", bench.tenant.organization_id);
        bench.database.execute(&fold).await;
        let _ = writers.try_join_next().map(|written| written.expect("it wrote"));
    }
    let (kept, counted) = bench.both().await;
    assert!(counted.open.count > 20 && counted.owners.len() == 5 && counted.months.len() > 10, "{counted:?}");
    assert!(counted.deals_without_base_amount > 0);
    assert_eq!(kept, counted);

    bench.database.execute(&format!("SELECT app.fold_deal_figures('{}')", bench.tenant.organization_id)).await;
    let folded = bench.rows().await;
    assert_eq!(bench.both().await.0, counted, "folding changes nothing that is shown");
    bench.database.execute(&format!("SELECT app.fold_deal_figures('{}')", bench.tenant.organization_id)).await;
    assert_eq!(bench.rows().await, folded, "and leaves one row of each group");

    bench.database.execute("UPDATE crm_deals SET deleted_at = now() WHERE deleted_at IS NULL").await;
    let (kept, counted) = bench.both().await;
    assert_eq!((kept.open.count, kept.won.count, kept.lost.count), (0, 0, 0));
    assert_eq!(kept, counted);
    bench.database.execute(&format!("SELECT app.fold_deal_figures('{}')", bench.tenant.organization_id)).await;
    assert_eq!(bench.rows().await, 0, "what came to nothing is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_nothing_that_is_counted_adds_nothing() {
    let bench = Bench::new().await;
    let member = &bench.tenant.member;
    let deal = bench.deals.create(member, NewDeal { name: "Deal".into(), ..NewDeal::default() }).await.unwrap();
    assert_eq!(bench.rows().await, 2, "a row by owner, a row by month");
    let named = DealChanges { name: Some("Another name".into()), ..DealChanges::default() };
    bench.deals.update(member, deal.id, &Expected::Any, &named).await.unwrap();
    assert_eq!(bench.rows().await, 2);
    let dated = DealChanges { expected_close_date: Some("2031-01-31".parse().ok()), ..DealChanges::default() };
    bench.deals.update(member, deal.id, &Expected::Any, &dated).await.unwrap();
    assert_eq!(bench.rows().await, 4, "out of one month and into another, with the same owner");
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_those_of_ones_own_organisation() {
    let bench = Bench::new().await;
    let umbrella = bench.database.tenant("Umbrella").await;
    let new = || NewDeal { name: "Deal".into(), amount: "5".parse().ok(), ..NewDeal::default() };
    bench.deals.create(&bench.tenant.member, new()).await.unwrap();
    bench.deals.create(&umbrella.member, new()).await.unwrap();
    bench.deals.create(&umbrella.member, new()).await.unwrap();
    assert_eq!(bench.summary(&Filter::default()).await.open.count, 1);
    let theirs = bench.pipelines.summary(&umbrella.viewer, &Filter::default()).await.unwrap();
    assert_eq!((theirs.open.count, theirs.open.amount.to_string()), (2, "10.00".into()));
}
