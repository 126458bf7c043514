//! Metrics are exact, to the last digit that is shown.

mod parents;

use crm_campaigns::{CampaignChanges, CampaignContacts, CampaignStatus, Campaigns, MemberStatus};
use crm_kernel::Expected;
use crm_testkit::refusals;
use parents::Bench;

#[tokio::test(flavor = "multi_thread")]
async fn rates_are_those_of_the_formulas() {
    use MemberStatus::{Bounced, Clicked, Delivered, Opened, Sent, Unsubscribed};
    let bench = Bench::new().await;
    let campaign = bench.campaign().await;
    let contacts = bench.contacts(20).await;
    bench.members.add(bench.member(), campaign.id, &contacts).await.expect("added");
    let ways: [&[MemberStatus]; 13] = [
        &[Sent],
        &[Sent],
        &[Delivered],
        &[Delivered],
        &[Delivered],
        &[Opened],
        &[Sent, Opened],
        &[Delivered, Clicked],
        &[Clicked, Unsubscribed],
        &[Opened, Unsubscribed],
        &[Bounced],
        &[Delivered, Bounced],
        &[Unsubscribed],
    ];
    for (way, contact) in ways.iter().zip(&contacts) {
        for status in *way {
            bench.set(&campaign, *contact, *status).await.expect("forward");
        }
    }
    let metrics = bench.campaigns.metrics(&bench.tenant.viewer, campaign.id).await.expect("everybody may read them");
    let by = &metrics.by_status;
    assert_eq!((metrics.members, by.pending, by.sent, by.delivered, by.opened), (20, 7, 2, 3, 2));
    assert_eq!((by.clicked, by.bounced, by.unsubscribed), (1, 2, 3));
    assert_eq!((metrics.sent, metrics.delivered, metrics.opened, metrics.clicked), (12, 8, 5, 2));
    assert_eq!((metrics.bounced, metrics.unsubscribed), (2, 2), "who was never reached unsubscribed from nothing");
    let rates = [
        (&metrics.delivery_rate, "0.6667"),
        (&metrics.open_rate, "0.6250"),
        (&metrics.click_rate, "0.2500"),
        (&metrics.click_to_open_rate, "0.4000"),
        (&metrics.bounce_rate, "0.1667"),
        (&metrics.unsubscribe_rate, "0.2500"),
        (&metrics.conversion_rate, "0.0000"),
    ];
    for (rate, expected) in rates {
        assert_eq!(rate.as_deref(), Some(expected));
    }

    // Who opts out when it is over changes its members, and none of its figures.
    let over = CampaignChanges { status: Some(CampaignStatus::Cancelled), ..CampaignChanges::default() };
    bench.campaigns.update(bench.member(), campaign.id, &Expected::Any, &over).await.expect("it is over");
    bench.opt_out(contacts[2]).await;
    let after = bench.campaigns.metrics(bench.member(), campaign.id).await.expect("metrics");
    assert_eq!((after.by_status.unsubscribed, after.unsubscribed, after.delivered), (4, 2, 8));
}

#[tokio::test(flavor = "multi_thread")]
async fn money_comes_from_the_won_deals_of_the_campaign_alone() {
    let bench = Bench::new().await;
    let (campaign, other) = (bench.campaign().await, bench.campaign().await);
    let contacts = bench.contacts(8).await;
    bench.members.add(bench.member(), campaign.id, &contacts).await.expect("added");
    let empty = bench.campaigns.metrics(bench.member(), other.id).await.expect("metrics");
    for rate in [&empty.open_rate, &empty.bounce_rate, &empty.conversion_rate, &empty.roi, &empty.budget_used] {
        assert_eq!(*rate, None, "what would be divided by zero");
    }
    assert_eq!((empty.cost_per_conversion, empty.revenue.to_string()), (None, "0.00".to_owned()));

    let organization = bench.tenant.organization_id;
    let deal = |campaign, stage: &str, amount: &str, currency: &str| {
        let closed = if stage.starts_with("closed") { "'2026-01-31'" } else { "NULL" };
        format!(
            "INSERT INTO crm_deals (organization_id, name, campaign_id, stage, amount, currency, actual_close_date)
             VALUES ('{organization}', 'Deal', '{campaign}', '{stage}', {amount}, '{currency}', {closed});"
        )
    };
    let deals = [
        deal(campaign.id, "closed_won", "1000.10", "USD"),
        deal(campaign.id, "closed_won", "0.20", "USD"),
        deal(campaign.id, "closed_won", "500", "EUR"),
        deal(campaign.id, "closed_lost", "7777", "USD"),
        deal(campaign.id, "proposal", "8888", "USD"),
        deal(other.id, "closed_won", "9999", "USD"),
    ]
    .concat();
    bench.database.execute(&deals).await;
    let gone = deal(campaign.id, "closed_won", "5555", "USD").replace("'Deal'", "'Gone'");
    bench.database.execute(&format!("{gone} UPDATE crm_deals SET deleted_at = now() WHERE name = 'Gone'")).await;
    let spent = CampaignChanges {
        budget: Some(Some("800".parse().expect("a decimal"))),
        actual_cost: Some(Some("400.10".parse().expect("a decimal"))),
        ..CampaignChanges::default()
    };
    bench.campaigns.update(bench.member(), campaign.id, &Expected::Any, &spent).await.expect("hers");
    let metrics = bench.campaigns.metrics(bench.member(), campaign.id).await.expect("metrics");
    assert_eq!((metrics.deals, metrics.conversions, metrics.conversions_without_rate), (5, 3, 1));
    assert_eq!((metrics.currency.as_str(), metrics.revenue.to_string()), ("USD", "1000.30".to_owned()));
    assert_eq!(metrics.conversion_rate.as_deref(), Some("0.3750"));
    assert_eq!(metrics.roi.as_deref(), Some("1.5001"), "600.20 / 400.10");
    assert_eq!(metrics.budget_used.as_deref(), Some("0.5001"));
    assert_eq!(metrics.cost_per_conversion.map(|cost| cost.to_string()).as_deref(), Some("133.37"));

    let free = CampaignChanges { actual_cost: Some(Some("0".parse().expect("a decimal"))), ..CampaignChanges::default() };
    bench.campaigns.update(bench.member(), campaign.id, &Expected::Any, &free).await.expect("hers");
    let metrics = bench.campaigns.metrics(bench.member(), campaign.id).await.expect("metrics");
    assert_eq!((metrics.roi, metrics.cost_per_conversion.map(|cost| cost.to_string())), (None, Some("0.00".to_owned())));
    let stranger = bench.database.tenant("Strangers").await;
    refusals::not_found(bench.campaigns.metrics(&stranger.owner, campaign.id).await, "another tenant's does not exist");
}
