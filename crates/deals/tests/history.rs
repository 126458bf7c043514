//! Every stay in a stage is on record.

use crm_deals::{Deals, NewDeal, PgDeals, StageStay, StageStep};
use crm_kernel::{DealId, Expected};
use crm_testkit::{TestDatabase, refusals};

fn ways(history: &[StageStay]) -> Vec<(Option<&str>, &str, Option<&str>)> {
    history.iter().map(|stay| (stay.from_stage.as_deref(), stay.stage.as_str(), stay.next_stage.as_deref())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_stay_says_from_where_to_where_how_long_and_by_whom() {
    let database = TestDatabase::create().await;
    let acme = database.tenant("Acme").await;
    let deals = PgDeals::new(database.db());
    let new = NewDeal { name: "x".into(), amount: Some("10".parse().expect("a decimal")), ..NewDeal::default() };
    let deal = deals.create(&acme.member, new).await.expect("a member creates");
    let begun = "UPDATE crm_deal_stage_history SET entered_at = entered_at - interval '90 minutes'";
    database.execute(begun).await;
    let amount = Some("12.5".parse().expect("a decimal"));
    let proposal = StageStep { stage: "proposal".into(), amount, ..StageStep::default() };
    deals.move_to(&acme.owner, deal.id, &Expected::Any, &proposal).await.expect("the owner moves it");
    deals.move_to(&acme.owner, deal.id, &Expected::Any, &proposal).await.expect("a step to where it stands");
    let won = StageStep { stage: "closed_won".into(), ..StageStep::default() };
    deals.move_to(&acme.member, deal.id, &Expected::Any, &won).await.expect("a member wins");

    let history = deals.stage_history(&acme.viewer, deal.id).await.expect("a viewer reads").data;
    let way = [
        (None, "prospecting", Some("proposal")),
        (Some("prospecting"), "proposal", Some("closed_won")),
        (Some("proposal"), "closed_won", None),
    ];
    assert_eq!(ways(&history), way, "oldest first; a step to the same stage is no stay");
    assert_eq!(history[0].seconds.map(|seconds| seconds / 60), Some(90));
    assert_eq!((history[2].seconds, history[2].left_at), (None, None), "it is still there");
    assert_eq!(history[1].left_at, Some(history[2].entered_at));
    let same = "SELECT count(*) FROM crm_deals AS deal JOIN crm_deal_stage_history AS stay ON stay.deal_id = deal.id AND stay.left_at IS NULL
                 WHERE stay.entered_at = deal.stage_entered_at";
    assert_eq!(database.number(same).await, 1, "the deal and its record of stays know of one moment");
    let amounts: Vec<_> = history.iter().map(|stay| stay.amount.as_ref().map(ToString::to_string)).collect();
    assert_eq!(amounts, [Some("10.00".into()), Some("12.50".into()), Some("12.50".to_owned())], "what it was worth when it came");
    let movers: Vec<_> = history.iter().map(|stay| stay.user_id).collect();
    assert_eq!(movers, [Some(acme.member.user_id), Some(acme.owner.user_id), Some(acme.member.user_id)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_history_is_not_there() {
    let database = TestDatabase::create().await;
    let (acme, umbrella) = (database.tenant("Acme").await, database.tenant("Umbrella").await);
    let deals = PgDeals::new(database.db());
    let theirs = deals.create(&umbrella.member, NewDeal { name: "x".into(), ..NewDeal::default() }).await.expect("theirs");
    let never = refusals::not_found(deals.stage_history(&acme.owner, DealId::generate()).await, "it never was");
    let foreign = refusals::not_found(deals.stage_history(&acme.owner, theirs.id).await, "it is another's");
    assert_eq!(format!("{foreign:?}"), format!("{never:?}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn times_follow_the_order_of_the_changes_when_writers_wait_for_each_other() {
    let database = TestDatabase::create().await;
    let acme = database.tenant("Acme").await;
    let deals = PgDeals::new(database.db());
    let deal = deals.create(&acme.member, NewDeal { name: "x".into(), ..NewDeal::default() }).await.expect("a deal");
    let movers: Vec<_> = (0..24)
        .map(|number| {
            let (deals, context) = (PgDeals::new(database.db()), acme.owner.clone());
            let stage = if number % 2 == 0 { "proposal" } else { "negotiation" };
            let step = StageStep { stage: stage.into(), ..StageStep::default() };
            tokio::spawn(async move { deals.move_to(&context, deal.id, &Expected::Any, &step).await })
        })
        .collect();
    for mover in movers {
        mover.await.expect("the mover ends").expect("it moves, one after the other");
    }

    let history = deals.stage_history(&acme.owner, deal.id).await.expect("the history").data;
    assert!(history.len() > 1, "it moved");
    for pair in history.windows(2) {
        assert!(pair[0].left_at >= Some(pair[0].entered_at), "no stay ends before it begins");
        assert_eq!(pair[0].left_at, Some(pair[1].entered_at), "a stay begins when the one before it ends");
    }
    let backwards = "SELECT count(*) FROM (SELECT created_at - lag(created_at) OVER (ORDER BY record_version) AS step
        FROM crm_activities WHERE entity_type = 'deal') AS log WHERE step < interval '0'";
    assert_eq!(database.number(backwards).await, 0, "the log of a record never runs backwards");
}
