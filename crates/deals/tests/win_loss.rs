//! What was won and what was lost, and why.
#![allow(clippy::indexing_slicing, reason = "tests fail by panicking")]

use crm_deals::{ClosedFigures, Deals, FIELDS, NewDeal, PgDeals, PgPipelines, Pipelines, WinLoss};
use crm_kernel::{Context, Filter, fields};
use crm_testkit::{Tenant, TestDatabase};

struct Bench {
    database: TestDatabase,
    tenant: Tenant,
    deals: PgDeals,
    pipelines: PgPipelines,
}

impl Bench {
    /// Three won, three lost, one open.
    async fn with_deals() -> Self {
        let database = TestDatabase::create().await;
        let tenant = database.tenant("Acme").await;
        let (deals, pipelines) = (PgDeals::new(database.db()), PgPipelines::new(database.db()));
        let bench = Self { database, tenant, deals, pipelines };
        let (member, colleague) = (&bench.tenant.member, &bench.tenant.colleague);
        bench.closed(member, "100", "2017-03-05", Some("referral"), None).await;
        bench.closed(member, "200.50", "2017-03-31", Some("trade fair"), None).await;
        bench.closed(colleague, "50", "2017-04-01", None, None).await;
        bench.closed(member, "10", "2017-04-02", Some("referral"), Some("too dear")).await;
        bench.closed(colleague, "20", "2017-04-30", Some("referral"), Some("too dear")).await;
        bench.closed(colleague, "40", "2018-01-01", None, Some("no budget")).await;
        let open = NewDeal { name: "open".into(), amount: "9".parse().ok(), ..NewDeal::default() };
        bench.deals.create(member, open).await.expect("an open deal");
        bench
    }

    async fn closed(&self, by: &Context, amount: &str, day: &str, source: Option<&str>, lost: Option<&str>) {
        let stage = if lost.is_some() { "closed_lost" } else { "closed_won" };
        let new = NewDeal {
            name: "closed".into(),
            stage: Some(stage.into()),
            amount: amount.parse().ok(),
            actual_close_date: day.parse().ok(),
            deal_source: source.map(ToOwned::to_owned),
            lost_reason: lost.map(ToOwned::to_owned),
            ..NewDeal::default()
        };
        self.deals.create(by, new).await.expect("the deal is right");
    }

    async fn win_loss(&self, filter: &Filter) -> WinLoss {
        self.pipelines.win_loss(&self.tenant.viewer, filter).await.expect("a viewer reads")
    }
}

fn seen(figures: &ClosedFigures) -> String {
    let ClosedFigures { won, lost, win_rate } = figures;
    format!("{} {} / {} {} / {}", won.count, won.amount, lost.count, lost.amount, win_rate.as_deref().unwrap_or("-"))
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_deals_are_counted_by_reason_source_owner_and_month() {
    let bench = Bench::with_deals().await;
    let all = bench.win_loss(&Filter::default()).await;
    assert_eq!(seen(&all.total), "3 350.50 / 3 70.00 / 0.5000");
    let reasons: Vec<_> =
        all.reasons.iter().map(|reason| format!("{} {} {}", reason.lost_reason, reason.count, reason.amount)).collect();
    assert_eq!(reasons, ["too dear 2 30.00", "no budget 1 40.00"]);
    let sources: Vec<_> = all.sources.iter().map(|source| (source.deal_source.as_deref(), seen(&source.figures))).collect();
    let expected = [
        (Some("referral"), "1 100.00 / 2 30.00 / 0.3333"),
        (None, "1 50.00 / 1 40.00 / 0.5000"),
        (Some("trade fair"), "1 200.50 / 0 0.00 / 1.0000"),
    ];
    assert_eq!(sources, expected.map(|(source, figures)| (source, figures.to_owned())));
    let owners: Vec<_> = all.owners.iter().map(|owner| (owner.owner_id, seen(&owner.figures))).collect();
    let (member, colleague) = (bench.tenant.member.user_id, bench.tenant.colleague.user_id);
    assert_eq!(
        owners,
        [(Some(member), "2 300.50 / 1 10.00 / 0.6667".into()), (Some(colleague), "1 50.00 / 2 60.00 / 0.3333".into())]
    );
    assert!(all.owners.iter().all(|owner| owner.owner_name.is_some()));
    assert_eq!(all.teams.iter().map(|team| seen(&team.figures)).collect::<Vec<_>>(), [seen(&all.total)]);
    let months: Vec<_> = all.months.iter().map(|month| (month.month.as_str(), seen(&month.figures))).collect();
    let expected = [
        ("2017-03", "2 300.50 / 0 0.00 / 1.0000"),
        ("2017-04", "1 50.00 / 2 30.00 / 0.3333"),
        ("2018-01", "0 0.00 / 1 40.00 / 0.0000"),
    ];
    assert_eq!(months, expected.map(|(month, figures)| (month, figures.to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_is_a_period_and_a_stranger_sees_nothing() {
    let bench = Bench::with_deals().await;
    let mut mine = Filter::default();
    mine.add(&bench.tenant.colleague, fields::find(FIELDS, "owner_id").unwrap(), "me").unwrap();
    let filtered = bench.win_loss(&mine).await;
    assert_eq!((seen(&filtered.total), filtered.owners.len()), ("1 50.00 / 2 60.00 / 0.3333".into(), 1));
    assert_eq!(filtered.reasons.iter().map(|reason| reason.count).collect::<Vec<_>>(), [1, 1]);

    let umbrella = bench.database.tenant("Umbrella").await;
    let nothing = bench.pipelines.win_loss(&umbrella.owner, &Filter::default()).await.unwrap();
    assert_eq!((seen(&nothing.total), nothing.months.len(), nothing.owners.len()), ("0 0.00 / 0 0.00 / -".into(), 0, 0));
}
