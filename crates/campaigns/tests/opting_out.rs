//! Nobody who opted out is reached, however many are writing at the same moment.

mod parents;

use std::time::Duration;

use crm_campaigns::{CampaignContactChanges, CampaignContacts, MemberStatus};
use crm_kernel::Expected;
use crm_testkit::refusals;
use parents::{
    Bench,
    direct::{opt_out, run},
};

#[tokio::test(flavor = "multi_thread")]
async fn who_opts_out_is_unsubscribed_everywhere_and_stays_so() {
    let bench = Bench::new().await;
    let (first, second) = (bench.campaign().await, bench.campaign().await);
    let contacts = bench.contacts(2).await;
    for campaign in [&first, &second] {
        bench.members.add(bench.member(), campaign.id, &contacts).await.expect("added");
    }
    bench.set(&first, contacts[0], MemberStatus::Clicked).await.expect("it goes on");
    bench.opt_out(contacts[0]).await;
    for campaign in [&first, &second] {
        let gone = bench.members.get(bench.member(), campaign.id, contacts[0]).await.expect("still a member");
        assert_eq!(gone.status, MemberStatus::Unsubscribed);
        assert!(gone.unsubscribed_at.is_some());
        let other = bench.members.get(bench.member(), campaign.id, contacts[1]).await.expect("a member");
        assert_eq!(other.status, MemberStatus::Pending);
    }
    let clicked = bench.members.get(bench.member(), first.id, contacts[0]).await.expect("a member");
    assert!(clicked.clicked_at.is_some(), "what was stays known");

    bench.database.execute("UPDATE crm_contacts SET opted_out = false").await;
    let again = bench.members.get(bench.member(), first.id, contacts[0]).await.expect("a member");
    assert_eq!(again.status, MemberStatus::Unsubscribed, "who comes back is not taken back by itself");
    refusals::invalid(bench.set(&first, contacts[0], MemberStatus::Sent).await, "/status", "member_status_order", "nor by hand");
}

#[tokio::test(flavor = "multi_thread")]
async fn unsubscribing_opts_out_also_a_contact_that_is_anothers() {
    let bench = Bench::new().await;
    let (campaign, other) = (bench.campaign().await, bench.campaign().await);
    let contacts = bench.contacts(2).await;
    for campaign in [&campaign, &other] {
        bench.members.add(bench.member(), campaign.id, &contacts).await.expect("added");
    }
    let changes = CampaignContactChanges { status: Some(MemberStatus::Unsubscribed) };
    let refused = bench.members.update(&bench.tenant.colleague, campaign.id, contacts[0], &Expected::Any, &changes).await;
    refusals::forbidden(refused, "the campaign is not theirs");
    let stale = bench.members.update(bench.member(), campaign.id, contacts[0], &Expected::OneOf(vec![7]), &changes).await;
    refusals::stale(stale, "another version");
    assert_eq!(bench.database.number("SELECT count(*) FROM crm_contacts WHERE opted_out").await, 0, "nothing happened");

    let expected = Expected::OneOf(vec![1]);
    let gone = bench.members.update(bench.member(), campaign.id, contacts[0], &expected, &changes).await.expect("hers");
    assert_eq!((gone.status, gone.version), (MemberStatus::Unsubscribed, 2));
    let again = bench.set(&campaign, contacts[0], MemberStatus::Unsubscribed).await.expect("it is so already");
    assert_eq!(again.version, 2, "a change that changes nothing");
    assert_eq!(bench.database.number("SELECT count(*) FROM crm_contacts WHERE opted_out").await, 1);
    let elsewhere = bench.members.get(bench.member(), other.id, contacts[0]).await.expect("a member");
    assert_eq!(elsewhere.status, MemberStatus::Unsubscribed);
    let added = bench.members.add(bench.member(), bench.campaign().await.id, &contacts).await.expect("added");
    assert_eq!((added.added, added.opted_out), (1, 1), "and is not added elsewhere");
    // No way round it: the word alone is refused.
    let word = format!("UPDATE crm_campaign_contacts SET status = 'unsubscribed' WHERE contact_id = '{}'", contacts[1]);
    assert_eq!(bench.broken_rule(&word).await, "member_not_opted_out");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_opts_out_first_is_waited_for_and_left_out() {
    let bench = Bench::new().await;
    let campaign = bench.campaign().await;
    let contacts = bench.contacts(3).await;
    let held = bench.database.hold(&format!("UPDATE crm_contacts SET opted_out = true WHERE id = '{}'", contacts[1])).await;
    let (members, member, id, asked) = (bench.members.clone(), bench.member().clone(), campaign.id, contacts.clone());
    let adding = tokio::spawn(async move { members.add(&member, id, &asked).await });
    held.commit_under_a_waiter().await;
    let added = adding.await.expect("it ends").expect("the others are added");
    assert_eq!((added.added, added.opted_out), (2, 1));
    assert_eq!(added.opted_out_ids, [contacts[1]]);
    assert_eq!(bench.wrongly_reached().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_opts_out_while_they_are_added_waits_and_is_unsubscribed() {
    let bench = Bench::new().await;
    let campaign = bench.campaign().await;
    let contacts = bench.contacts(3).await;
    let adding = format!(
        "INSERT INTO crm_campaign_contacts (organization_id, campaign_id, contact_id)
         SELECT organization_id, '{}', id FROM crm_contacts",
        campaign.id
    );
    let held = bench.database.hold(&adding).await;
    // Any other change of the contact waits for nobody.
    bench.database.execute(&format!("UPDATE crm_contacts SET title = 'CTO' WHERE id = '{}'", contacts[1])).await;
    let opting = format!("UPDATE crm_contacts SET opted_out = true WHERE id = '{}'", contacts[1]);
    let url = bench.database.admin_url();
    let out = tokio::spawn(async move { run(&url, &opting).await });
    held.commit_under_a_waiter().await;
    out.await.expect("they opted out");
    let member = bench.members.get(bench.member(), campaign.id, contacts[1]).await.expect("a member");
    assert_eq!(member.status, MemberStatus::Unsubscribed);
    assert_eq!(bench.wrongly_reached().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_opt_out_while_many_are_added() {
    let bench = Bench::new().await;
    let campaign = bench.campaign().await;
    let contacts = bench.contacts(600).await;
    let mut all = tokio::task::JoinSet::new();
    for part in contacts.chunks(100) {
        let (members, member, part) = (bench.members.clone(), bench.tenant.admin.clone(), part.to_vec());
        all.spawn(async move {
            // Each a few at a time, so that some opt out before, some during and some after.
            for few in part.chunks(10) {
                members.add(&member, campaign.id, few).await.expect("added");
            }
        });
    }
    let db = bench.database.db();
    for part in contacts.chunks(150) {
        let (db, admin, part) = (db.clone(), bench.tenant.admin.clone(), part.to_vec());
        all.spawn(async move {
            for contact in part.iter().step_by(3) {
                let mut tx = db.begin(&admin).await.expect("a transaction");
                opt_out(&mut tx, *contact).await;
                tx.commit().await.expect("they opted out");
            }
        });
    }
    tokio::time::timeout(Duration::from_secs(60), all.join_all()).await.expect("nobody waits for ever");
    assert_eq!(bench.database.number("SELECT count(*) FROM crm_contacts WHERE opted_out").await, 200);
    assert_eq!(bench.wrongly_reached().await, 0);
    let missing = "SELECT count(*) FROM crm_contacts AS contact WHERE NOT opted_out AND NOT EXISTS (
                       SELECT FROM crm_campaign_contacts WHERE contact_id = contact.id)";
    assert_eq!(bench.database.number(missing).await, 0, "and nobody else was left out");
}
