//! How a deal is won, lost and opened again.

use crm_deals::{Deal, DealChanges, Deals, NewDeal, PgDeals, StageStep};
use crm_kernel::{Context, Date, Error, Expected, FieldError};
use crm_testkit::{Tenant, TestDatabase, refusals};

struct Bench {
    database: TestDatabase,
    tenant: Tenant,
    deals: PgDeals,
}

impl Bench {
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        let tenant = database.tenant("Acme").await;
        let deals = PgDeals::new(database.db());
        Self { database, tenant, deals }
    }

    async fn deal(&self, amount: Option<&str>) -> Deal {
        let amount = amount.map(|amount| amount.parse().expect("a decimal"));
        let new = NewDeal { name: "Forty workstations".into(), amount, ..NewDeal::default() };
        self.deals.create(self.member(), new).await.expect("a member creates")
    }

    fn member(&self) -> &Context {
        &self.tenant.member
    }

    async fn take(&self, deal: &Deal, step: StageStep) -> Deal {
        self.deals.move_to(self.member(), deal.id, &Expected::Any, &step).await.expect("the step is right")
    }

    async fn today(&self, zone: &str) -> Date {
        let days = self.database.texts(&format!("SELECT (now() AT TIME ZONE '{zone}')::date")).await;
        days.first().and_then(|day| day.parse().ok()).expect("a date")
    }
}

fn to(stage: &str) -> StageStep {
    StageStep { stage: stage.into(), ..StageStep::default() }
}

fn lost(reason: &str) -> StageStep {
    StageStep { lost_reason: Some(reason.into()), ..to("closed_lost") }
}

fn date(text: &str) -> Option<Date> {
    Some(text.parse().expect("a date"))
}

fn codes(error: Error) -> Vec<String> {
    let Error::Invalid(fields) = error else { unreachable!("expected Invalid, got {error:?}") };
    let mut codes: Vec<String> = fields.iter().map(|FieldError { pointer, code, .. }| format!("{pointer} {code}")).collect();
    codes.sort();
    codes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_deal_begins_in_the_first_stage_of_the_default_pipeline() {
    let bench = Bench::new().await;
    let deal = bench.deal(None).await;
    assert_eq!((deal.stage.as_str(), deal.probability, deal.currency.as_str()), ("prospecting", 10, "USD"));
    assert_eq!((deal.actual_close_date, deal.lost_reason, deal.owner_id), (None, None, Some(bench.member().user_id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn winning_needs_an_amount_and_sets_probability_and_date() {
    let bench = Bench::new().await;
    let deal = bench.deal(None).await;
    let without = bench.deals.move_to(bench.member(), deal.id, &Expected::Any, &to("closed_won")).await;
    refusals::invalid(without, "/amount", "required_to_win", "a won deal has an amount");

    let amount = Some("4800.5".parse().expect("a decimal"));
    let won = bench.take(&deal, StageStep { amount, ..to("closed_won") }).await;
    assert_eq!((won.probability, won.actual_close_date, won.version), (100, Some(bench.today("UTC").await), 2));
    assert_eq!(won.amount.map(|amount| amount.to_string()).as_deref(), Some("4800.50"), "the step brings the amount");

    let with_amount = bench.deal(Some("0")).await;
    let won = bench.take(&with_amount, StageStep { actual_close_date: date("2024-02-29"), ..to("closed_won") }).await;
    assert_eq!(
        (won.probability, won.actual_close_date),
        (100, date("2024-02-29")),
        "zero is an amount; the date is the one given"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn losing_needs_a_reason() {
    let bench = Bench::new().await;
    let deal = bench.deal(None).await;
    for step in [to("closed_lost"), lost(" \n")] {
        let without = bench.deals.move_to(bench.member(), deal.id, &Expected::Any, &step).await;
        refusals::invalid(without, "/lost_reason", "required_when_lost", "a lost deal says why");
    }
    let gone = bench.take(&deal, lost("too dear")).await;
    assert_eq!((gone.probability, gone.actual_close_date), (0, Some(bench.today("UTC").await)));
    assert_eq!(gone.lost_reason.as_deref(), Some("too dear"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_broken_rule_is_named_at_once() {
    let bench = Bench::new().await;
    let deal = bench.deal(None).await;
    let refused = |step: StageStep| {
        let (deals, member) = (bench.deals.clone(), bench.member().clone());
        async move { codes(deals.move_to(&member, deal.id, &Expected::Any, &step).await.expect_err("it is refused")) }
    };
    let (far, why) = (date("9999-12-31"), Some("why".to_owned()));
    let won = StageStep { actual_close_date: far, lost_reason: why.clone(), ..to("closed_won") };
    let rules = ["/actual_close_date future", "/amount required_to_win", "/lost_reason only_when_lost"];
    assert_eq!(refused(won).await, rules);
    let open = StageStep { actual_close_date: date("2024-01-01"), lost_reason: why, ..to("proposal") };
    assert_eq!(refused(open).await, ["/actual_close_date only_when_closed", "/lost_reason only_when_lost"]);
    let lost = StageStep { actual_close_date: far, amount: Some("-1.005".parse().expect("a decimal")), ..to("closed_lost") };
    let rules = ["/actual_close_date future", "/amount digits", "/amount range", "/lost_reason required_when_lost"];
    assert_eq!(refused(lost).await, rules);
    let nowhere = StageStep { lost_reason: Some("a\0b".into()), ..to("no such stage\0") };
    assert_eq!(refused(nowhere).await, ["/lost_reason character", "/stage reference"]);
    assert_eq!(bench.database.activities_of("deal", deal.id).await.len(), 1, "what is refused leaves no trace");
}

#[tokio::test(flavor = "multi_thread")]
async fn today_is_where_the_organisation_is() {
    let bench = Bench::new().await;
    // Fourteen hours ahead and eleven behind: one of the two always has another day than UTC.
    for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago"] {
        bench.database.execute(&format!("UPDATE organizations SET time_zone = '{zone}'")).await;
        let deal = bench.deal(Some("1")).await;
        let today = bench.today(zone).await;
        assert_eq!(bench.take(&deal, to("closed_won")).await.actual_close_date, Some(today), "won today in {zone}");
        let tomorrow = Some(Date(today.0.next_day().expect("there is one")));
        let late = StageStep { actual_close_date: tomorrow, ..to("closed_won") };
        let late = bench.deals.move_to(bench.member(), deal.id, &Expected::Any, &late).await;
        refusals::invalid(late, "/actual_close_date", "future", "tomorrow is in the future");
    }
}

/// The organisation moves, and the day on which a deal was won lies in its future.
#[tokio::test(flavor = "multi_thread")]
async fn a_day_of_closing_may_be_written_back_as_it_was_read() {
    let bench = Bench::new().await;
    bench.database.execute("UPDATE organizations SET time_zone = 'Pacific/Kiritimati'").await;
    let won = bench.take(&bench.deal(Some("1")).await, to("closed_won")).await;
    bench.database.execute("UPDATE organizations SET time_zone = 'Pacific/Pago_Pago'").await;
    assert!(won.actual_close_date > Some(bench.today("Pacific/Pago_Pago").await));
    let same = StageStep { actual_close_date: won.actual_close_date, ..to("closed_won") };
    let same = bench.take(&won, same).await;
    assert_eq!((same.actual_close_date, same.version), (won.actual_close_date, won.version));
    // Lost on that day would be a new closing.
    let lost = StageStep { actual_close_date: won.actual_close_date, ..lost("payment failed") };
    let refused = bench.deals.move_to(bench.member(), won.id, &Expected::Any, &lost).await;
    refusals::invalid(refused, "/actual_close_date", "future", "it was won on that day, not lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_again_forgets_the_closing_and_is_on_record() {
    let bench = Bench::new().await;
    let deal = bench.deal(Some("100")).await;
    bench.take(&deal, lost("too dear")).await;
    let open = bench.take(&deal, to("negotiation")).await;
    assert_eq!((open.probability, open.actual_close_date, open.lost_reason.clone()), (75, None, None));
    let log = bench.database.activities_of("deal", deal.id).await;
    let last = log.last().expect("there is a log");
    assert_eq!(last.change("stage"), Some(("closed_lost".into(), "negotiation".into())));
    assert_eq!(last.change("lost_reason"), Some(("too dear".into(), serde_json::Value::Null)));
    let won = bench.take(&open, to("closed_won")).await;
    let lost = bench.take(&won, lost("payment failed")).await;
    assert_eq!((lost.probability, lost.lost_reason.as_deref()), (0, Some("payment failed")), "won may turn out to be lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_to_where_it_stands_changes_only_what_it_names() {
    let bench = Bench::new().await;
    let deal = bench.deal(Some("100")).await;
    let odd = DealChanges { probability: Some(42), ..DealChanges::default() };
    let deal = bench.deals.update(bench.member(), deal.id, &Expected::Any, &odd).await.expect("it is open");
    assert_eq!(bench.take(&deal, to("prospecting")).await, deal, "nothing is named, nothing changes");
    let lost_deal = bench.take(&deal, StageStep { actual_close_date: date("2024-05-01"), ..lost("too dear") }).await;
    assert_eq!(bench.take(&deal, to("closed_lost")).await, lost_deal, "a lost deal keeps its reason and date");
    assert_eq!(bench.database.activities_of("deal", deal.id).await.len(), 3, "a step that changes nothing is not logged");
    let corrected = bench.take(&deal, lost("no budget")).await;
    assert_eq!((corrected.lost_reason.as_deref(), corrected.actual_close_date), (Some("no budget"), date("2024-05-01")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_probability_of_a_closed_deal_stays() {
    let bench = Bench::new().await;
    let deal = bench.deal(Some("100")).await;
    let won = bench.take(&deal, to("closed_won")).await;
    let change = |probability| DealChanges { probability: Some(probability), ..DealChanges::default() };
    let refused = bench.deals.update(bench.member(), won.id, &Expected::Any, &change(50)).await;
    refusals::invalid(refused, "/probability", "deal_closed", "a won deal is certain");
    let same = bench.deals.update(bench.member(), won.id, &Expected::Any, &change(100)).await;
    assert_eq!(same.expect("the same value is no change"), won);
    let amount = Some(Some("250".parse().expect("a decimal")));
    let corrected = DealChanges { amount, currency: Some("USD".into()), ..DealChanges::default() };
    let corrected =
        bench.deals.update(bench.member(), won.id, &Expected::Any, &corrected).await.expect("an amount may be corrected");
    assert_eq!(corrected.base_amount.map(|amount| amount.to_string()).as_deref(), Some("250.00"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_can_be_made_closed_by_the_same_rules() {
    let bench = Bench::new().await;
    let new = |stage: &str| NewDeal { name: "x".into(), stage: Some(stage.into()), ..NewDeal::default() };
    let refused = bench.deals.create(bench.member(), new("closed_won")).await.expect_err("it has no amount");
    assert_eq!(codes(refused), ["/amount required_to_win"]);
    let refused = NewDeal {
        probability: Some(101),
        currency: Some("EURO".into()),
        actual_close_date: date("9999-12-31"),
        ..new("closed_lost")
    };
    let refused = bench.deals.create(bench.member(), refused).await.expect_err("everything is wrong");
    let rules = ["/actual_close_date future", "/currency currency", "/lost_reason required_when_lost", "/probability range"];
    assert_eq!(codes(refused), rules);
    let half = NewDeal { probability: Some(50), amount: Some("1".parse().expect("a decimal")), ..new("closed_won") };
    let half = bench.deals.create(bench.member(), half).await.expect_err("a won deal is certain");
    assert_eq!(codes(half), ["/probability deal_closed"]);
    let gone = NewDeal { lost_reason: Some("no budget".into()), actual_close_date: date("2024-03-01"), ..new("closed_lost") };
    let gone = bench.deals.create(bench.member(), gone).await.expect("a lost deal with its reason");
    assert_eq!(
        (gone.probability, gone.actual_close_date, gone.lost_reason.as_deref()),
        (0, date("2024-03-01"), Some("no budget"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn replacing_does_not_move() {
    let bench = Bench::new().await;
    let deal = bench.deal(Some("100")).await;
    let lost_deal = bench.take(&deal, StageStep { actual_close_date: date("2024-05-01"), ..lost("too dear") }).await;
    let same = NewDeal {
        name: deal.name.clone(),
        pipeline_id: Some(deal.pipeline_id),
        stage: Some("closed_lost".into()),
        amount: deal.amount.clone(),
        actual_close_date: date("2024-05-01"),
        lost_reason: Some("too dear".into()),
        owner_id: deal.owner_id,
        ..NewDeal::default()
    };
    let replaced = bench.deals.replace(bench.member(), deal.id, &Expected::Any, same.clone()).await.expect("it says what is");
    assert_eq!(replaced, lost_deal, "what is there already is no change");
    let moved =
        NewDeal { stage: Some("proposal".into()), actual_close_date: date("2024-05-02"), lost_reason: Some("x".into()), ..same };
    let moved = bench.deals.replace(bench.member(), deal.id, &Expected::Any, moved).await.expect_err("it would move");
    assert_eq!(codes(moved), ["/actual_close_date use_stage", "/lost_reason use_stage", "/stage use_stage"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_a_step_come_in_their_order() {
    let bench = Bench::new().await;
    let deal = bench.deal(None).await;
    let stranger = bench.database.tenant("Umbrella").await;
    let (wrong, old) = (to("no such stage"), Expected::OneOf(vec![9]));
    let step = async |context: &Context, expected: &Expected| bench.deals.move_to(context, deal.id, expected, &wrong).await;
    refusals::not_found(step(&stranger.owner, &old).await, "another organisation's deal is not there");
    refusals::forbidden(step(&bench.tenant.colleague, &old).await, "a colleague's deal is not a member's to move");
    refusals::forbidden(step(&bench.tenant.viewer, &old).await, "a viewer moves nothing");
    refusals::stale(step(bench.member(), &old).await, "stale comes before invalid");
    refusals::invalid(step(bench.member(), &Expected::OneOf(vec![1])).await, "/stage", "reference", "there is no such stage");
    bench.deals.delete(bench.member(), deal.id, &Expected::Any).await.expect("a member deletes its own");
    refusals::not_found(step(bench.member(), &old).await, "a deleted deal is not there for a step");
    refusals::not_found(bench.deals.stage_history(bench.member(), deal.id).await, "nor is its history");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_steps_at_once_from_one_version_one_is_stale() {
    let bench = Bench::new().await;
    let deal = bench.deal(Some("100")).await;
    let first = Expected::OneOf(vec![1]);
    let (proposal, won) = (to("proposal"), to("closed_won"));
    let (left, right) = tokio::join!(
        bench.deals.move_to(bench.member(), deal.id, &first, &proposal),
        bench.deals.move_to(&bench.tenant.owner, deal.id, &first, &won),
    );
    let (done, late) = if left.is_ok() { (left, right) } else { (right, left) };
    refusals::stale(late, "the version was the other's by then");
    let now = bench.deals.get(bench.member(), deal.id).await.expect("it is there");
    assert_eq!(done.expect("one of them wins"), now);
    assert_eq!(now.version, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_steps_at_once_without_a_version_happen_one_after_the_other() {
    let bench = Bench::new().await;
    for round in 0..5 {
        let deal = bench.deal(Some("100")).await;
        let (gone, open) = (lost("too dear"), to("negotiation"));
        let (left, right) = tokio::join!(
            bench.deals.move_to(bench.member(), deal.id, &Expected::Any, &gone),
            bench.deals.move_to(&bench.tenant.owner, deal.id, &Expected::Any, &open),
        );
        let mut versions = [left.expect("the one succeeds").version, right.expect("and so does the other").version];
        versions.sort_unstable();
        assert_eq!(versions, [2, 3], "round {round}");
        let now = bench.deals.get(bench.member(), deal.id).await.expect("it is there");
        let is_whole = match now.stage.as_str() {
            "closed_lost" => now.probability == 0 && now.lost_reason.is_some() && now.actual_close_date.is_some(),
            "negotiation" => now.probability == 75 && now.lost_reason.is_none() && now.actual_close_date.is_none(),
            _ => false,
        };
        assert!(is_whole, "the later step is whole: {now:?}");
        let history = bench.deals.stage_history(bench.member(), deal.id).await.expect("a history").data;
        let ways: Vec<_> = history.iter().map(|stay| (stay.from_stage.clone(), stay.next_stage.clone())).collect();
        assert_eq!(ways.len(), 3, "the later step knew the earlier: {ways:?}");
        assert_eq!(history[2].from_stage.as_ref(), Some(&history[1].stage));
    }
}
