//! Campaigns and their members go forward only, with the time of each step.

mod parents;

use crm_campaigns::{CampaignChanges, CampaignContact, CampaignContacts, CampaignStatus, Campaigns, MemberStatus, NewCampaign};
use crm_kernel::{Error, Expected, FieldError};
use crm_testkit::refusals;
use parents::Bench;

fn to(status: CampaignStatus) -> CampaignChanges {
    CampaignChanges { status: Some(status), ..CampaignChanges::default() }
}

const EVERY: [CampaignStatus; 5] = [
    CampaignStatus::Planning,
    CampaignStatus::Active,
    CampaignStatus::Paused,
    CampaignStatus::Completed,
    CampaignStatus::Cancelled,
];

#[tokio::test(flavor = "multi_thread")]
async fn every_step_that_is_allowed_is_done_and_every_other_refused_by_service_and_database() {
    let bench = Bench::new().await;
    for from in EVERY {
        for next in EVERY {
            let new = NewCampaign { name: "Spring".into(), status: Some(from), ..NewCampaign::default() };
            let campaign = bench.campaigns.create(bench.member(), new).await.expect("a new one may have any");
            let direct = format!("UPDATE crm_campaigns SET status = '{next}' WHERE id = '{}'", campaign.id);
            if from.may_become(next) {
                let after =
                    bench.campaigns.update(bench.member(), campaign.id, &Expected::Any, &to(next)).await.expect("allowed");
                assert_eq!(after.status, next);
                let begun = matches!(from, CampaignStatus::Active | CampaignStatus::Paused | CampaignStatus::Completed)
                    || matches!(next, CampaignStatus::Active);
                assert_eq!(after.started_at.is_some(), begun, "{from} {next}");
                assert_eq!(after.paused_at.is_some(), next == CampaignStatus::Paused);
                assert_eq!(after.completed_at.is_some(), next == CampaignStatus::Completed);
                assert_eq!(after.cancelled_at.is_some(), next == CampaignStatus::Cancelled);
                if from != next && from != CampaignStatus::Planning && from != CampaignStatus::Cancelled {
                    assert_eq!(after.started_at, campaign.started_at, "it begins once");
                }
            } else {
                let refused = bench.campaigns.update(bench.member(), campaign.id, &Expected::Any, &to(next)).await;
                refusals::invalid(refused, "/status", "campaign_status_order", "forward only");
                assert_eq!(bench.broken_rule(&direct).await, "campaign_status_order", "{from} {next}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replacing_keeps_a_status_that_is_not_said_and_all_faults_come_at_once() {
    let bench = Bench::new().await;
    let campaign = bench.campaign().await;
    bench.campaigns.update(bench.member(), campaign.id, &Expected::Any, &to(CampaignStatus::Active)).await.expect("it begins");
    let new = NewCampaign { name: "Summer".into(), ..NewCampaign::default() };
    let replaced = bench.campaigns.replace(bench.member(), campaign.id, &Expected::Any, new).await.expect("hers");
    assert_eq!((replaced.status, replaced.name.as_str()), (CampaignStatus::Active, "Summer"));

    bench.database.execute("UPDATE organizations SET default_currency = 'JPY'").await;
    let wrong = CampaignChanges {
        name: Some(" ".into()),
        status: Some(CampaignStatus::Planning),
        start_date: Some(Some("2026-05-02".parse().expect("a date"))),
        end_date: Some(Some("2026-05-01".parse().expect("a date"))),
        budget: Some(Some("-1".parse().expect("a decimal"))),
        actual_cost: Some(Some("10.5".parse().expect("a decimal"))),
        ..CampaignChanges::default()
    };
    let refused = bench.campaigns.update(bench.member(), campaign.id, &Expected::Any, &wrong).await;
    let Err(Error::Invalid(faults)) = refused else { unreachable!("expected Invalid, got {refused:?}") };
    let mut found: Vec<String> = faults.iter().map(|FieldError { pointer, code, .. }| format!("{pointer} {code}")).collect();
    found.sort();
    let expected = ["/actual_cost digits", "/budget range", "/end_date order", "/name readable", "/status campaign_status_order"];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.split(' ').next(), expected.split(' ').next(), "{found}");
    }
    // What is counted in a currency keeps it.
    let spent = CampaignChanges { actual_cost: Some(Some("1000".parse().expect("a decimal"))), ..CampaignChanges::default() };
    let spent = bench.campaigns.update(bench.member(), campaign.id, &Expected::Any, &spent).await.expect("yen have no digits");
    assert_eq!(spent.actual_cost.expect("it has one").to_string(), "1000");
    assert_eq!(bench.broken_rule("UPDATE organizations SET default_currency = 'USD'").await, "currency_in_use");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_goes_forward_only_and_what_comes_later_implies_what_came_before() {
    use MemberStatus::{Bounced, Clicked, Delivered, Opened, Pending, Sent, Unsubscribed};
    let every = [Pending, Sent, Delivered, Opened, Clicked, Bounced, Unsubscribed];
    let bench = Bench::new().await;
    let campaign = bench.campaign().await;
    let contacts = bench.contacts(every.len() * every.len()).await;
    bench.members.add(bench.member(), campaign.id, &contacts).await.expect("added");
    let steps = every.iter().flat_map(|from| every.iter().map(move |next| (*from, *next)));
    for ((from, next), contact) in steps.zip(contacts) {
        let before = bench.set(&campaign, contact, from).await.expect("from pending to all");
        let after = bench.set(&campaign, contact, next).await;
        if !from.may_become(next) {
            refusals::invalid(after, "/status", "member_status_order", "forward only");
            let direct = format!("UPDATE crm_campaign_contacts SET status = '{next}' WHERE id = '{}'", before.id);
            if next != Unsubscribed {
                assert_eq!(bench.broken_rule(&direct).await, "member_status_order", "{from} {next}");
            }
            continue;
        }
        let after = after.expect("forward");
        assert_eq!(after.status, next);
        assert_eq!(after.version, before.version + i32::from(from != next));
        assert!(is_consistent(&after), "{after:?}");
        assert!(keeps(&before, &after), "{before:?} {after:?}");
    }
}

/// Whoever came so far has the times of the steps before.
fn is_consistent(member: &CampaignContact) -> bool {
    let implies = |later: bool, earlier: bool| !later || earlier;
    implies(member.clicked_at.is_some(), member.opened_at.is_some())
        && implies(member.opened_at.is_some(), member.delivered_at.is_some())
        && implies(member.delivered_at.is_some(), member.sent_at.is_some())
        && implies(member.bounced_at.is_some(), member.sent_at.is_some())
        && (member.status == MemberStatus::Unsubscribed) == member.unsubscribed_at.is_some()
}

fn keeps(before: &CampaignContact, after: &CampaignContact) -> bool {
    let times = |member: &CampaignContact| {
        [member.sent_at, member.delivered_at, member.opened_at, member.clicked_at, member.bounced_at, member.unsubscribed_at]
    };
    times(before).iter().zip(times(after)).all(|(before, after)| before.is_none() || *before == after)
}
