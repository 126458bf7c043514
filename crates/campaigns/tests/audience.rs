//! Contacts become members by their ids or as an audience: once, and never who opted out.

#![allow(clippy::print_stdout, reason = "the times are worth seeing when the test passes, too")]

mod parents;

use std::time::Instant;

use crm_campaigns::{Audience, CampaignContacts, Campaigns, MemberStatus, MembersAdded, NewCampaign, STEP};
use crm_kernel::{CampaignId, ContactId, Context, Expected, Field, Filter, Kind, ListQuery, Vocabulary};
use crm_testkit::refusals;
use parents::{Bench, direct::add_directly, filter};
use uuid::Uuid;

/// What this test asks of contacts; all that can be asked of them their own crate says.
static FIELDS: &[Field] = &[
    Field::shown("id", Kind::Id).filterable(),
    Field::shown("last_name", Kind::Text),
    Field::shown("department", Kind::Text).nullable(),
    Field::shown("opted_out", Kind::Boolean),
    Field::shown("version", Kind::Integer),
];

fn audience(text: &str, context: &Context) -> Audience {
    Audience { filter: filter(text, &Vocabulary { fields: FIELDS, parents: &[] }, context), fields: FIELDS }
}

fn added(added: usize, already_members: usize, opted_out: usize, not_found: usize) -> (usize, usize, usize, usize) {
    (added, already_members, opted_out, not_found)
}

fn counts(result: &MembersAdded) -> (usize, usize, usize, usize) {
    (result.added, result.already_members, result.opted_out, result.not_found)
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_are_added_once_and_what_is_left_out_is_told() {
    let bench = Bench::new().await;
    let campaign = bench.campaign().await;
    let stranger = bench.database.tenant("Strangers").await;
    let foreign = bench.contacts_of(stranger.organization_id, 1).await[0];
    let contacts = bench.contacts(6).await;
    bench.opt_out(contacts[1]).await;
    bench.database.execute(&format!("UPDATE crm_contacts SET deleted_at = now() WHERE id = '{}'", contacts[2])).await;
    let nowhere = ContactId(Uuid::now_v7());

    let first = bench.members.add(bench.member(), campaign.id, &contacts[..1]).await.expect("it is hers");
    assert_eq!(counts(&first), added(1, 0, 0, 0));
    let asked: Vec<ContactId> = contacts.iter().copied().chain([contacts[5], foreign, nowhere]).collect();
    let second = bench.members.add(bench.member(), campaign.id, &asked).await.expect("it is hers");
    assert_eq!(counts(&second), added(3, 1, 1, 3), "said twice is once; the bin and another tenant are not there");
    assert_eq!(second.opted_out_ids, [contacts[1]]);
    assert_eq!(second.not_found_ids, [contacts[2], foreign, nowhere]);
    let third = bench.members.add(bench.member(), campaign.id, &asked).await.expect("it is hers");
    assert_eq!(counts(&third), added(0, 4, 1, 3), "and nobody is added twice");
    assert_eq!(bench.database.number("SELECT count(*) FROM crm_campaign_contacts").await, 4);
    let logged = "SELECT count(*) FROM crm_activities WHERE entity_type = 'campaign_contact' AND activity_type = 'created'";
    assert_eq!(bench.database.number(logged).await, 4, "one change, one row");
    for many in [vec![], vec![contacts[0]; 1_001]] {
        let refused = bench.members.add(bench.member(), campaign.id, &many).await;
        refusals::invalid(refused, "/contact_ids", "length", "1 to 1,000");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_change_the_campaign_may_add_and_nobody_else() {
    let bench = Bench::new().await;
    let campaign = bench.campaign().await;
    let contacts = bench.contacts(2).await;
    let (members, tenant) = (&bench.members, &bench.tenant);
    let stranger = bench.database.tenant("Strangers").await;
    for context in [&tenant.colleague, &tenant.viewer] {
        refusals::forbidden(members.add(context, campaign.id, &contacts).await, "it is not theirs");
        refusals::forbidden(
            members.add_audience(context, campaign.id, &audience("version >= 1", bench.member())).await,
            "nor by a filter",
        );
        refusals::forbidden(members.remove(context, campaign.id, &Filter::default()).await, "nor to be emptied");
    }
    refusals::not_found(members.add(&stranger.owner, campaign.id, &contacts).await, "another tenant's does not exist");
    refusals::not_found(members.add(&tenant.owner, CampaignId(Uuid::now_v7()), &contacts).await, "nor does this one");
    for context in [&tenant.member, &tenant.admin, &tenant.owner] {
        members.add(context, campaign.id, &contacts).await.expect("it is theirs to change");
    }
    // The database says the same to whoever asks it directly.
    let mut tx = bench.database.db().begin(&tenant.colleague).await.expect("a transaction");
    refusals::forbidden(add_directly(&mut tx, &campaign, contacts[0]).await, "nor is it to the database");
    drop(tx);
    bench.campaigns.delete(&tenant.owner, campaign.id, &Expected::Any).await.expect("it goes to the bin");
    refusals::not_found(members.add(&tenant.owner, campaign.id, &contacts).await, "the bin takes nothing new");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audience_is_whoever_the_filter_describes_and_may_be_added_again() {
    let bench = Bench::new().await;
    let campaign = bench.campaign().await;
    let contacts = bench.contacts(STEP * 2 + 10).await;
    let sales: Vec<ContactId> = contacts.iter().copied().skip(9).step_by(10).collect();
    bench.opt_out(sales[3]).await;
    let size = sales.len();
    let result = bench
        .members
        .add_audience(bench.member(), campaign.id, &audience("department = \"sales\"", bench.member()))
        .await
        .expect("added");
    assert_eq!(counts(&result), added(size - 1, 0, 1, 0));
    let result =
        bench.members.add_audience(bench.member(), campaign.id, &audience("version >= 1", bench.member())).await.expect("added");
    assert_eq!(counts(&result), added(contacts.len() - size, size - 1, 1, 0), "all three steps of them");
    let result =
        bench.members.add_audience(bench.member(), campaign.id, &audience("version >= 1", bench.member())).await.expect("added");
    assert_eq!(counts(&result), added(0, contacts.len() - 1, 1, 0));
    assert_eq!(bench.wrongly_reached().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_are_listed_and_taken_out() {
    let bench = Bench::new().await;
    let (campaign, other) = (bench.campaign().await, bench.campaign().await);
    let contacts = bench.contacts(7).await;
    for campaign in [&campaign, &other] {
        bench.members.add(bench.member(), campaign.id, &contacts).await.expect("added");
    }
    bench.set(&campaign, contacts[0], MemberStatus::Sent).await.expect("it goes on");
    let of = |id: CampaignId| {
        let field = &crm_campaigns::MEMBER_FIELDS[1];
        let mut query = ListQuery::all(crm_campaigns::default_sort());
        query.filter = query.filter.and_id(field, id.uuid());
        query
    };
    let page = bench.members.list(&bench.tenant.viewer, &ListQuery { limit: 5, ..of(campaign.id) }).await.expect("a page");
    assert_eq!((page.data.len(), page.page.has_more), (5, true));
    let cursor = page.page.next_cursor.clone().expect("there is more");
    let rest = ListQuery { limit: 5, ..of(campaign.id) }.continue_after(&cursor).expect("a cursor");
    let rest = bench.members.list(&bench.tenant.viewer, &rest).await.expect("a page");
    assert_eq!(rest.data.len(), 2);

    let sent = filter("status = \"sent\"", &crm_campaigns::MEMBER_VOCABULARY, bench.member());
    let gone = bench.members.remove(bench.member(), campaign.id, &sent).await.expect("hers");
    assert_eq!(gone, 1, "of this campaign alone");
    let gone = bench.members.remove(&bench.tenant.admin, campaign.id, &Filter::default()).await.expect("an admin's too");
    assert_eq!(gone, 6);
    let left = bench.members.list(bench.member(), &of(other.id)).await.expect("a page");
    assert_eq!(left.data.len(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_are_added_at_once() {
    let bench = Bench::new().await;
    let campaign = bench.campaign().await;
    bench
        .database
        .execute(&format!(
            "SET session_replication_role = replica;
             INSERT INTO crm_contacts (organization_id, owner_id, created_by_id, first_name, last_name, opted_out)
             SELECT '{}', NULL, NULL, 'Contact', n::text, n % 1000 = 0 FROM generate_series(1, 100000) AS n;
             ANALYZE crm_contacts",
            bench.tenant.organization_id
        ))
        .await;
    let everybody = audience("version >= 1", bench.member());
    let begun = Instant::now();
    let first = bench.members.add_audience(bench.member(), campaign.id, &everybody).await.expect("added");
    let first_time = begun.elapsed();
    assert_eq!(counts(&first), added(99_900, 0, 100, 0));
    let begun = Instant::now();
    let again = bench.members.add_audience(bench.member(), campaign.id, &everybody).await.expect("added");
    println!("100,000 contacts: {first_time:.1?} the first time, {:.1?} again", begun.elapsed());
    assert_eq!(counts(&again), added(0, 99_900, 100, 0));
    let begun = Instant::now();
    let metrics = bench.campaigns.metrics(bench.member(), campaign.id).await.expect("metrics");
    println!("metrics of them: {:.3?}", begun.elapsed());
    assert_eq!((metrics.members, metrics.by_status.pending), (99_900, 99_900));

    bench.contacts(1).await;
    let refused = bench.members.add_audience(bench.member(), campaign.id, &everybody).await;
    refusals::invalid(refused, "/filter", "too_many", "one more is too many");
    let another = bench.campaigns.create(bench.member(), NewCampaign { name: "Other".into(), ..NewCampaign::default() }).await;
    let another = another.expect("a member creates");
    assert_eq!(bench.campaigns.metrics(bench.member(), another.id).await.expect("metrics").members, 0);
}
