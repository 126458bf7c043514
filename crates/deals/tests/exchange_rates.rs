//! What deals in other currencies come to: open ones at the rate of today, closed ones at that of their day.
//!
//! The rates are those of the Federal Reserve (H.10, monthly: EUR 0.8507, 0.8516 and 0.8449 for a dollar in October to December 2017),
//! turned round and rounded to eight digits.
#![allow(clippy::indexing_slicing, reason = "tests fail by panicking")]

use crm_deals::{
    Deal, DealChanges, Deals, ExchangeRates, ExchangeRatesSet, FIELDS, NewDeal, NewExchangeRate, PgDeals, PgExchangeRates,
    PgPipelines, PipelineSummary, Pipelines, StageStep, VOCABULARY, default_sort,
};
use crm_kernel::{
    Condition, Context, ExchangeRateId, Expected, Filter, ListQuery, Result, Timestamp, currency, fields, filter::Moment,
};
use crm_tenancy::housekeeping;
use crm_testkit::{Tenant, TestDatabase, refusals, waiting::until};
use tokio::task::JoinSet;

const OCTOBER: (&str, &str, &str) = ("EUR", "2017-10-01", "1.17550253");
const NOVEMBER: (&str, &str, &str) = ("EUR", "2017-11-01", "1.17426022");
const DECEMBER: (&str, &str, &str) = ("EUR", "2017-12-01", "1.18357202");

struct Bench {
    database: TestDatabase,
    tenant: Tenant,
    deals: PgDeals,
    rates: PgExchangeRates,
    pipelines: PgPipelines,
}

impl Bench {
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        let tenant = database.tenant("Acme").await;
        let (deals, rates) = (PgDeals::new(database.db()), PgExchangeRates::new(database.db()));
        let pipelines = PgPipelines::new(database.db());
        Self { database, tenant, deals, rates, pipelines }
    }

    async fn deal(&self, amount: &str, currency: &str) -> Deal {
        let (amount, currency) = (amount.parse().ok(), Some(currency.to_owned()));
        let new = NewDeal { name: "GTX Pro".into(), amount, currency, ..NewDeal::default() };
        self.deals.create(&self.tenant.member, new).await.expect("a deal")
    }

    async fn set(&self, rates: &[(&str, &str, &str)]) -> ExchangeRatesSet {
        self.try_set(&self.tenant.admin, rates).await.expect("an admin sets rates")
    }

    async fn try_set(&self, who: &Context, rates: &[(&str, &str, &str)]) -> Result<ExchangeRatesSet> {
        self.rates.set(who, &rates.iter().map(|rate| new_rate(*rate)).collect::<Vec<_>>()).await
    }

    async fn worth(&self, deal: &Deal) -> Option<String> {
        let deal = self.deals.get(&self.tenant.viewer, deal.id).await.expect("it is there");
        deal.base_amount.map(|amount| amount.to_string())
    }

    /// The rate that a deal is counted at, and its day.
    async fn rate(&self, deal: &Deal) -> (Option<String>, Option<String>) {
        let deal = self.deals.get(&self.tenant.viewer, deal.id).await.expect("it is there");
        (deal.base_rate.map(|rate| rate.to_string()), deal.base_rate_on.map(|day| day.to_string()))
    }

    async fn move_to(&self, deal: &Deal, stage: &str, day: Option<&str>) {
        let lost_reason = (stage == "closed_lost").then(|| "too dear".to_owned());
        let actual_close_date = day.map(|day| day.parse().expect("a day"));
        let step = StageStep { stage: stage.into(), actual_close_date, lost_reason, ..StageStep::default() };
        self.deals.move_to(&self.tenant.member, deal.id, &Expected::Any, &step).await.expect("it moves");
    }

    /// Takes away what is valid from this day on, in whosever organisation it is; what nobody has is asked for by an id of nobody's.
    async fn remove(&self, who: &Context, (currency, valid_on, _): (&str, &str, &str)) -> Result<ExchangeRatesSet> {
        let query = format!("SELECT id FROM crm_exchange_rates WHERE currency = '{currency}' AND valid_on = '{valid_on}'");
        let found = self.database.texts(&query).await.first().and_then(|id| id.parse().ok());
        self.rates.delete(who, found.unwrap_or_else(ExchangeRateId::generate)).await
    }

    /// How many deals housekeeping has counted at another rate.
    async fn kept(&self) -> i64 {
        housekeeping::run(&self.database.db()).await.expect("the database is there")["exchange_rates"]
    }

    async fn summary(&self, filter: &Filter) -> PipelineSummary {
        self.pipelines.summary(&self.tenant.viewer, filter).await.expect("a viewer reads")
    }
}

fn new_rate((currency, valid_on, rate): (&str, &str, &str)) -> NewExchangeRate {
    let (valid_on, rate) = (valid_on.parse().expect("a day"), rate.parse().expect("a rate"));
    NewExchangeRate { currency: currency.into(), valid_on, rate }
}

#[tokio::test(flavor = "multi_thread")]
async fn open_deals_follow_the_newest_rate_that_is_not_later_than_today() {
    let bench = Bench::new().await;
    let deal = bench.deal("100.05", "EUR").await;
    assert_eq!(bench.worth(&deal).await, None, "there is no rate yet");
    assert_eq!(bench.set(&[OCTOBER, DECEMBER]).await, ExchangeRatesSet { changed: 2, deals: 1, complete: true });
    assert_eq!(bench.worth(&deal).await.as_deref(), Some("118.42"));
    assert_eq!(bench.set(&[OCTOBER, DECEMBER]).await, ExchangeRatesSet { changed: 0, deals: 0, complete: true }, "said twice");
    let later = bench.deal("100.05", "EUR").await;
    assert_eq!(later.base_amount.map(|amount| amount.to_string()).as_deref(), Some("118.42"), "new ones have it at once");
    assert_eq!(bench.set(&[("EUR", "2999-01-01", "9")]).await.deals, 0, "that day is not come");

    let december = bench.remove(&bench.tenant.owner, DECEMBER).await.expect("it goes");
    assert_eq!(december.deals, 2);
    assert_eq!(bench.worth(&deal).await.as_deref(), Some("117.61"), "the one before it");
    bench.remove(&bench.tenant.owner, OCTOBER).await.expect("it goes");
    assert_eq!(bench.worth(&deal).await, None);
    refusals::not_found(bench.remove(&bench.tenant.owner, OCTOBER).await, "it is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_says_the_rate_that_it_is_counted_at_and_its_day() {
    let bench = Bench::new().await;
    let (euros, dollars) = (bench.deal("100.05", "EUR").await, bench.deal("100.05", "USD").await);
    let of = |(_, day, rate): (&str, &str, &str)| (Some(rate.to_owned()), Some(day.to_owned()));
    assert_eq!(bench.rate(&euros).await, (None, None), "there is none");
    assert_eq!(bench.rate(&dollars).await, (Some("1".into()), None), "the organisation's own");
    bench.set(&[OCTOBER, NOVEMBER, DECEMBER]).await;
    assert_eq!(bench.rate(&euros).await, of(DECEMBER));
    bench.move_to(&euros, "closed_won", Some("2017-11-20")).await;
    assert_eq!(bench.rate(&euros).await, of(NOVEMBER), "that of its day");

    let mut filter = Filter::default();
    for (text, found) in [
        ("base_rate > 1.174 AND base_rate < 1.175 AND base_rate_on = \"2017-11-01\"", vec![euros.id]),
        ("base_rate_on >= \"2017-11-02\" OR base_rate <= 1", vec![dollars.id]),
        ("base_rate_on = null", vec![dollars.id]),
    ] {
        let moment = Moment::utc(bench.tenant.viewer.user_id, Timestamp::now());
        let condition = Condition::parse(text, &VOCABULARY).expect("a condition");
        filter = Filter::default().and(condition, &moment).expect("within the calendar");
        let query = ListQuery { filter: filter.clone(), ..ListQuery::all(default_sort()) };
        let page = bench.deals.list(&bench.tenant.viewer, &query).await.expect("a viewer reads");
        assert_eq!(page.data.iter().map(|deal| deal.id).collect::<Vec<_>>(), found, "{text}");
    }
    assert_eq!(bench.summary(&filter).await.open.count, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_deal_keeps_the_rate_of_its_day_until_it_is_opened_again() {
    let bench = Bench::new().await;
    bench.set(&[OCTOBER, NOVEMBER, DECEMBER]).await;
    let deal = bench.deal("100.05", "EUR").await;
    bench.move_to(&deal, "closed_won", Some("2017-11-20")).await;
    assert_eq!(bench.worth(&deal).await.as_deref(), Some("117.48"));
    assert_eq!(bench.set(&[("EUR", NOVEMBER.1, "2"), ("EUR", "2017-11-20", "3")]).await.deals, 0, "it is frozen");
    assert_eq!(bench.worth(&deal).await.as_deref(), Some("117.48"));
    bench.move_to(&deal, "negotiation", None).await;
    assert_eq!(bench.worth(&deal).await.as_deref(), Some("118.42"), "opened again, it is worth what it is today");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_closed_without_a_rate_gets_that_of_its_day_once() {
    let bench = Bench::new().await;
    let deal = bench.deal("100.05", "EUR").await;
    bench.move_to(&deal, "closed_won", Some("2017-11-20")).await;
    assert_eq!(bench.set(&[DECEMBER]).await.deals, 0, "that is later than its day");
    assert_eq!(bench.worth(&deal).await, None);
    assert_eq!(bench.set(&[NOVEMBER]).await.deals, 1);
    assert_eq!(bench.worth(&deal).await.as_deref(), Some("117.48"));
    assert_eq!(bench.set(&[("EUR", NOVEMBER.1, "2")]).await.deals, 0, "once");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_is_named_and_only_managers_write() {
    let bench = Bench::new().await;
    let own = [OCTOBER, ("USD", "2017-10-01", "1")];
    refusals::invalid(bench.try_set(&bench.tenant.owner, &own).await, "/data/1/currency", "own_currency", "their own currency");
    let zero = [OCTOBER, ("CHF", "2017-10-01", "0")];
    refusals::invalid(bench.try_set(&bench.tenant.owner, &zero).await, "/data/1/rate", "range", "zero");
    let unknown = [("DEM", "2017-10-01", "1")];
    refusals::invalid(bench.try_set(&bench.tenant.owner, &unknown).await, "/data/0/currency", "currency", "withdrawn");
    let twice = [OCTOBER, OCTOBER];
    refusals::invalid(bench.try_set(&bench.tenant.owner, &twice).await, "/data/1/valid_on", "duplicate", "twice");
    for who in [&bench.tenant.member, &bench.tenant.viewer] {
        refusals::forbidden(bench.try_set(who, &[OCTOBER]).await, "managers alone");
        refusals::forbidden(bench.remove(who, OCTOBER).await, "managers alone");
    }
    assert_eq!(bench.database.number("SELECT count(*) FROM crm_exchange_rates").await, 0, "all or none");
}

#[tokio::test(flavor = "multi_thread")]
async fn rates_are_those_of_ones_own_organisation() {
    let bench = Bench::new().await;
    let umbrella = bench.database.tenant("Umbrella").await;
    bench.try_set(&umbrella.owner, &[DECEMBER]).await.expect("theirs");
    let deal = bench.deal("100.05", "EUR").await;
    assert_eq!(bench.worth(&deal).await, None);
    refusals::not_found(bench.remove(&bench.tenant.owner, DECEMBER).await, "not theirs");
}

#[tokio::test(flavor = "multi_thread")]
async fn housekeeping_goes_on_where_somebody_stopped() {
    let bench = Bench::new().await;
    let deal = bench.deal("100.05", "EUR").await;
    let insert = format!(
        "INSERT INTO crm_exchange_rates (organization_id, currency, valid_on, rate) VALUES ('{}', 'EUR', '2017-12-01', 1.18357202)",
        bench.tenant.organization_id
    );
    bench.database.execute(&insert).await;
    assert_eq!(bench.worth(&deal).await, None, "whoever set it went no further");
    assert_eq!(bench.kept().await, 1);
    assert_eq!(bench.worth(&deal).await.as_deref(), Some("118.42"));
    assert_eq!(bench.kept().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_knows_the_digits_of_every_currency() {
    let bench = Bench::new().await;
    let codes = (b'A'..=b'Z').flat_map(|a| (b'A'..=b'Z').flat_map(move |b| (b'A'..=b'Z').map(move |c| [a, b, c])));
    let codes = codes.map(|code| String::from_utf8(code.to_vec()).expect("letters"));
    let known: Vec<_> = codes.filter_map(|code| currency::digits(&code).map(|digits| format!("('{code}', {digits})"))).collect();
    assert!(known.len() > 150, "{}", known.len());
    let other = format!(
        "SELECT count(*) FROM (VALUES {}) AS known (code, digits) WHERE app.currency_digits(code) <> digits",
        known.join(", ")
    );
    assert_eq!(bench.database.number(&other).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_the_counted_sums_while_rates_change_and_deals_move() {
    let bench = Bench::new().await;
    let mut writers = JoinSet::new();
    for (number, who) in [&bench.tenant.owner, &bench.tenant.member, &bench.tenant.colleague].into_iter().enumerate() {
        let (deals, who) = (bench.deals.clone(), who.clone());
        writers.spawn(async move {
            for round in 0..40_usize {
                let currency = ["EUR", "JPY", "USD"][(round + number) % 3].to_owned();
                let amount = format!("{}", 1 + round * 7919 % 10_007).parse().ok();
                let new = NewDeal { name: "GTX Pro".into(), amount, currency: Some(currency), ..NewDeal::default() };
                let deal = deals.create(&who, new).await.expect("a deal");
                if round % 2 == 0 {
                    let step = StageStep { stage: "closed_won".into(), ..StageStep::default() };
                    deals.move_to(&who, deal.id, &Expected::Any, &step).await.expect("it is won");
                } else {
                    let amount = Some("77".parse().ok());
                    let changes = DealChanges { amount, ..DealChanges::default() };
                    deals.update(&who, deal.id, &Expected::Any, &changes).await.expect("it is worth something else");
                }
            }
        });
    }
    let mut round = 0;
    while !writers.is_empty() {
        round += 1;
        let rates = [("EUR", "2017-10-01", format!("1.{round:04}")), ("JPY", "2017-12-01", format!("0.0{round:04}1"))];
        bench.set(&rates.each_ref().map(|(currency, day, rate)| (*currency, *day, rate.as_str()))).await;
        while let Some(written) = writers.try_join_next() {
            written.expect("it wrote");
        }
    }
    bench.set(&[DECEMBER]).await;
    assert_eq!(bench.kept().await, 0, "none is behind");
    let pipelines = bench.pipelines.list(&bench.tenant.viewer).await.expect("a list").data;
    let field = fields::find(FIELDS, "pipeline_id").expect("deals have pipelines");
    let counted = bench.summary(&Filter::default().and_id(field, pipelines[0].id.uuid())).await;
    let kept = bench.summary(&Filter::default()).await;
    assert_eq!((counted.open.count, counted.won.count), (60, 60));
    assert_eq!(kept, counted);
    let at_another =
        "SELECT count(*) FROM crm_deals WHERE actual_close_date IS NULL AND currency = 'EUR' AND base_rate <> 1.18357202";
    assert_eq!(bench.database.number(at_another).await, 0);
}

/// Two zones in which it is never the same day.
const FIRST_ZONE: &str = "Etc/GMT+12";
const LAST_ZONE: &str = "Pacific/Kiritimati";

impl Bench {
    /// So many deals of this organisation in euros, counted at the rate of a day that ended: another one is valid from today on.
    async fn a_day_goes_by(&self, tenant: &Tenant, deals: u32) {
        let own = tenant.organization_id;
        self.database.execute(&format!("UPDATE organizations SET time_zone = '{FIRST_ZONE}' WHERE id = '{own}'")).await;
        let today = format!("(now() AT TIME ZONE '{FIRST_ZONE}')::date");
        let (yesterdays, todays) = (NOVEMBER.2, DECEMBER.2);
        self.database
            .execute(&format!(
                "INSERT INTO crm_exchange_rates (organization_id, currency, valid_on, rate)
                 VALUES ('{own}', 'EUR', {today}, {yesterdays}), ('{own}', 'EUR', {today} + 1, {todays});
                 INSERT INTO crm_deals (organization_id, name, amount, currency, pipeline_id, stage, owner_id, created_by_id)
                 SELECT '{own}', 'GTX Pro ' || number, 100.05 + number, 'EUR', pipeline.id, 'prospecting', '{member}', '{member}'
                   FROM crm_pipelines AS pipeline, generate_series(1, {deals}) AS number
                  WHERE pipeline.organization_id = '{own}'",
                member = tenant.member.user_id
            ))
            .await;
        self.database.execute(&format!("UPDATE organizations SET time_zone = '{LAST_ZONE}' WHERE id = '{own}'")).await;
    }

    async fn behind(&self, tenant: &Tenant) -> i64 {
        let (own, todays) = (tenant.organization_id, DECEMBER.2);
        let counted = format!("SELECT count(*) FROM crm_deals WHERE organization_id = '{own}' AND currency = 'EUR'");
        self.database.number(&format!("{counted} AND base_rate <> {todays}")).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_s_change_is_followed_by_all_once_whoever_does_it() {
    let bench = Bench::new().await;
    let umbrella = bench.database.tenant("Umbrella").await;
    for tenant in [&bench.tenant, &umbrella] {
        bench.a_day_goes_by(tenant, 1_200).await;
        assert_eq!(bench.behind(tenant).await, 1_200);
    }
    // Somebody is writing one of the deals: nobody waits for that.
    let own = bench.tenant.organization_id;
    let one = format!("SELECT min(id::text)::text FROM crm_deals WHERE organization_id = '{own}'");
    let one = bench.database.texts(&one).await.remove(0);
    let held = bench.database.hold(&format!("UPDATE crm_deals SET name = 'GTX Pro+' WHERE id = '{one}'")).await;
    let (first, second) = tokio::join!(bench.kept(), bench.kept());
    assert_eq!(first + second, 2_399, "each deal once: {first} {second}");
    assert_eq!((bench.behind(&bench.tenant).await, bench.behind(&umbrella).await), (1, 0));
    drop(held);
    until("the deal that was held follows", async || bench.kept().await == 1).await;
    assert_eq!((bench.behind(&bench.tenant).await, bench.kept().await), (0, 0));
    let written_twice = "SELECT count(*) FROM crm_deals WHERE currency = 'EUR' AND version <> 2";
    assert_eq!(bench.database.number(written_twice).await, 0);
    let logged =
        "SELECT count(*) FROM crm_activities WHERE entity_type = 'deal' AND activity_type = 'updated' AND actor_kind = 'system'";
    assert_eq!(bench.database.number(logged).await, 2_400, "each change is a row of the log");
}

/// The step passes over deals that somebody has locked, but what hangs on a deal can be locked without it.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_beside_the_deals_of_one_organisation_holds_up_no_other() {
    let bench = Bench::new().await;
    let (umbrella, initech) = (bench.database.tenant("Umbrella").await, bench.database.tenant("Initech").await);
    for tenant in [&bench.tenant, &umbrella, &initech] {
        bench.a_day_goes_by(tenant, 3).await;
    }
    let own = umbrella.organization_id;
    let times =
        format!("UPDATE crm_record_times SET last_activity_at = now() WHERE organization_id = '{own}' AND entity = 'deal'");
    let held = bench.database.hold(&times).await;
    assert_eq!(bench.kept().await, 6);
    let behind = (bench.behind(&bench.tenant).await, bench.behind(&umbrella).await, bench.behind(&initech).await);
    assert_eq!(behind, (0, 3, 0));
    drop(held);
    until("the others follow", async || bench.kept().await == 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_whose_deals_cannot_follow_holds_up_no_other() {
    let bench = Bench::new().await;
    let (umbrella, initech) = (bench.database.tenant("Umbrella").await, bench.database.tenant("Initech").await);
    for tenant in [&bench.tenant, &umbrella, &initech] {
        bench.a_day_goes_by(tenant, 3).await;
    }
    let broken = umbrella.organization_id;
    bench
        .database
        .execute(&format!(
            "CREATE FUNCTION public.out_of_order() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN RAISE EXCEPTION 'this one fails' USING ERRCODE = 'internal_error'; END $$;
             CREATE TRIGGER guard_99_broken BEFORE UPDATE ON crm_deals
                 FOR EACH ROW WHEN (NEW.organization_id = '{broken}') EXECUTE FUNCTION public.out_of_order()"
        ))
        .await;
    assert_eq!(bench.kept().await, 6);
    let behind = (bench.behind(&bench.tenant).await, bench.behind(&umbrella).await, bench.behind(&initech).await);
    assert_eq!(behind, (0, 3, 0));
    bench.database.execute("DROP TRIGGER guard_99_broken ON crm_deals").await;
    assert_eq!(bench.kept().await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn deals_of_several_currencies_are_held_by_id() {
    let bench = Bench::new().await;
    // The currencies the other way round than the ids: the one after the other would hold the second deal before the first.
    let (first, second) = (bench.deal("550", "GBP").await, bench.deal("550", "EUR").await);
    assert!(first.id < second.id);
    let name = |deal: &Deal| format!("UPDATE crm_deals SET name = 'GTX Plus Pro' WHERE id = '{}'", deal.id);
    let held = bench.database.hold(&name(&first)).await;
    let (rates, admin) = (bench.rates.clone(), bench.tenant.admin.clone());
    let pounds = ("GBP", "2017-10-01", "1.32010000");
    let setting = tokio::spawn(async move { rates.set(&admin, &[new_rate(OCTOBER), new_rate(pounds)]).await });
    held.change_and_commit_under_a_waiter(&name(&second)).await;
    let set = setting.await.expect("no panic").expect("nobody waits for each other");
    assert_eq!(set, ExchangeRatesSet { changed: 2, deals: 2, complete: true });
    let worth = [bench.worth(&first).await, bench.worth(&second).await];
    assert_eq!(worth.map(Option::unwrap_or_default), ["726.06", "646.53"]);
}
