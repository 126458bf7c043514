//! Amounts have the digits of their currency, and are summed in the organisation's.

use crm_deals::{Deal, DealChanges, Deals, NewDeal, PgDeals, PgPipelines, Pipelines, StageStep};
use crm_kernel::{Context, Expected, Filter, Money, Result};
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

    async fn deal(&self, amount: &str, currency: Option<&str>) -> Result<Deal> {
        let (amount, currency) = (Some(money(amount)), currency.map(ToOwned::to_owned));
        self.deals.create(self.member(), NewDeal { name: "x".into(), amount, currency, ..NewDeal::default() }).await
    }

    fn member(&self) -> &Context {
        &self.tenant.member
    }

    async fn home_is(&self, currency: &str) {
        self.database.execute(&format!("UPDATE organizations SET default_currency = '{currency}'")).await;
    }

    /// The same past the rule that an organisation with amounts keeps its currency: what is asked here is what a deal does, should it
    /// meet another one all the same.
    async fn home_becomes(&self, currency: &str) {
        let change = format!("UPDATE organizations SET default_currency = '{currency}'");
        self.database.execute(&format!("SET session_replication_role = replica; {change}")).await;
    }
}

fn money(text: &str) -> Money {
    text.parse().expect("a decimal")
}

fn shown(amount: Option<&Money>) -> Option<String> {
    amount.map(ToString::to_string)
}

#[tokio::test(flavor = "multi_thread")]
async fn amounts_show_the_digits_of_their_currency() {
    let bench = Bench::new().await;
    for (sent, currency, back) in [("1", "USD", "1.00"), ("1054.0", "JPY", "1054"), ("1.5", "KWD", "1.500"), ("0", "EUR", "0.00")]
    {
        let deal = bench.deal(sent, Some(currency)).await.expect("it is a currency");
        assert_eq!(shown(deal.amount.as_ref()).as_deref(), Some(back), "{sent} {currency}");
        let read = bench.deals.get(bench.member(), deal.id).await.expect("it is there");
        assert_eq!(read, deal);
    }
    let largest = bench.deal("999999999999999.999", Some("KWD")).await.expect("it fits");
    assert_eq!(shown(largest.amount.as_ref()).as_deref(), Some("999999999999999.999"));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_digits_than_the_currency_has_are_refused() {
    let bench = Bench::new().await;
    for (amount, currency) in [("0.5", "JPY"), ("0.001", "USD"), ("10.005", "EUR")] {
        refusals::invalid(bench.deal(amount, Some(currency)).await, "/amount", "digits", currency);
    }
    refusals::invalid(bench.deal("1.005", None).await, "/amount", "digits", "the organisation's currency has digits too");
    let deal = bench.deal("10.50", Some("USD")).await.expect("cents are right");
    let change = |amount: Option<&str>, currency: Option<&str>| DealChanges {
        amount: amount.map(|amount| Some(money(amount))),
        currency: currency.map(ToOwned::to_owned),
        ..DealChanges::default()
    };
    for changes in [change(None, Some("JPY")), change(Some("0.001"), None), change(Some("0.1"), Some("JPY"))] {
        let refused = bench.deals.update(bench.member(), deal.id, &Expected::Any, &changes).await;
        refusals::invalid(refused, "/amount", "digits", "the amount and the currency after the change are what counts");
    }
    let both = bench.deals.update(bench.member(), deal.id, &Expected::Any, &change(Some("10"), Some("JPY"))).await;
    assert_eq!(shown(both.expect("ten yen").amount.as_ref()).as_deref(), Some("10"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_currencies_in_use_are_taken() {
    let bench = Bench::new().await;
    for code in ["XXX", "usd", "DEM", "", "US\0"] {
        refusals::invalid(bench.deal("1", Some(code)).await, "/currency", "currency", code);
    }
    let negative = bench.deal("-1", None).await;
    refusals::invalid(negative, "/amount", "range", "nobody sells for less than nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_changes_at_once_cannot_make_an_amount_that_its_currency_lacks() {
    let bench = Bench::new().await;
    let yen = DealChanges { currency: Some("JPY".into()), ..DealChanges::default() };
    let cents = DealChanges { amount: Some(Some(money("10.50"))), ..DealChanges::default() };
    for round in 0..5 {
        let deal = bench.deal("10", Some("USD")).await.expect("ten dollars");
        let (left, right) = tokio::join!(
            bench.deals.update(bench.member(), deal.id, &Expected::Any, &yen),
            bench.deals.update(&bench.tenant.owner, deal.id, &Expected::Any, &cents),
        );
        assert!(left.is_ok() != right.is_ok(), "round {round}: one of them is too late: {left:?} {right:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_organisations_currency_is_the_one_meant_and_the_one_summed() {
    let bench = Bench::new().await;
    bench.home_is("JPY").await;
    let yen = bench.deal("1054", None).await.expect("yen");
    assert_eq!(
        (yen.currency.as_str(), shown(yen.base_amount.as_ref()).as_deref()),
        ("JPY", Some("1054")),
        "a base amount has its digits"
    );
    let dollars = bench.deal("10.50", Some("USD")).await.expect("dollars");
    assert_eq!(dollars.base_amount, None, "without a rate there is no base amount");
    let nothing = NewDeal { name: "no amount".into(), currency: Some("EUR".into()), ..NewDeal::default() };
    bench.deals.create(bench.member(), nothing).await.expect("no amount yet");

    let summary = PgPipelines::new(bench.database.db()).summary(bench.member(), &Filter::default()).await.expect("a summary");
    assert_eq!((summary.currency.as_str(), summary.deals_without_base_amount), ("JPY", 1), "only an amount can lack its rate");
    assert_eq!((summary.open.count, summary.open.amount.to_string().as_str()), (3, "1054"));
    assert_eq!(summary.open.weighted_amount.to_string(), "105.4", "digits that a weight brings are shown");

    let back = NewDeal { name: "x".into(), amount: Some(money("2000")), ..NewDeal::default() };
    let back = bench.deals.replace(bench.member(), dollars.id, &Expected::Any, back).await.expect("replaced");
    assert_eq!(
        (back.currency.as_str(), shown(back.base_amount.as_ref()).as_deref()),
        ("JPY", Some("2000")),
        "absent means the organisation's"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_won_keeps_the_rate_of_its_day() {
    let bench = Bench::new().await;
    let deal = bench.deal("100", None).await.expect("dollars");
    let won = StageStep { stage: "closed_won".into(), ..StageStep::default() };
    bench.deals.move_to(bench.member(), deal.id, &Expected::Any, &won).await.expect("it is won");
    bench.home_becomes("EUR").await;
    let changes = DealChanges { amount: Some(Some(money("120"))), ..DealChanges::default() };
    let corrected = bench.deals.update(bench.member(), deal.id, &Expected::Any, &changes).await.expect("a correction");
    assert_eq!(shown(corrected.base_amount.as_ref()).as_deref(), Some("120.00"), "counted at the rate it was closed with");
}
