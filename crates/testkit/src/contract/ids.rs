//! Theme: ids that clients choose, and values that only one record may have.

use crm_kernel::Expected;
use uuid::{NoContext, Timestamp, Uuid};

use super::{Bench, Draft, Noun, draft, id};
use crate::{
    Tenant,
    refusals::{conflict, invalid},
};

/// Seconds that an id may be ahead of the server's clock are sixty; this is far beyond.
const FUTURE: u64 = 600;

/// An id of version 7 is taken as it is; another version, or one from the future, is refused.
pub async fn a_client_may_choose_an_id_of_version_7<N: Noun>() {
    let bench = Bench::<N>::new().await;
    let Tenant { member, .. } = &bench.tenant;
    let chosen = Uuid::now_v7();
    let with = |number, id| Draft { id: Some(id), ..draft(number) };
    let record = bench.noun.create(member, with(1, chosen)).await.expect("an id of version 7 is accepted");
    assert_eq!(id(&record), chosen, "a client's id is kept");

    let random = Uuid::from_u128(0x1f0c_7a52_93de_4b6e_8a41_5d2e_90b7_c3f8);
    assert_eq!(random.get_version_num(), 4);
    for other in [random, Uuid::nil(), Uuid::max()] {
        invalid(bench.noun.create(member, with(2, other)).await, "/id", "id_not_v7", "an id of another version must be refused");
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is after 1970").as_secs();
    let future = Uuid::new_v7(Timestamp::from_unix(NoContext, now + FUTURE, 0));
    invalid(bench.noun.create(member, with(2, future)).await, "/id", "id_from_future", "an id from the future must be refused");
    bench.noun.create(member, draft(2)).await.expect("what was refused has left nothing behind");
}

/// The same id twice is a conflict, also after deletion; another tenant may have it, and learns nothing by it.
pub async fn an_id_is_used_once_for_each_tenant<N: Noun>() {
    let bench = Bench::<N>::new().await;
    let Tenant { owner, member, .. } = &bench.tenant;
    let chosen = Uuid::now_v7();
    let with = |number| Draft { id: Some(chosen), ..draft(number) };
    bench.noun.create(member, with(1)).await.expect("the first one gets it");
    conflict(bench.noun.create(owner, with(2)).await, "/id", "an id can be used once");
    let theirs = bench.noun.create(&bench.stranger.member, with(1)).await.expect("another tenant may use the same id");
    assert_eq!(id(&theirs), chosen, "another tenant gets the id it asked for");

    bench.noun.delete(owner, chosen, &Expected::Any).await.expect("the owner deletes");
    conflict(bench.noun.create(owner, with(2)).await, "/id", "a deleted record keeps its id");
    bench.noun.get(&bench.stranger.member, chosen).await.expect("the same id of another tenant is another record");
}

/// A value that must be unique among living records is a conflict for the second; deleting frees it; tenants do not share it.
pub async fn a_duplicate_is_a_conflict<N: Noun>() {
    let Some(unique) = N::UNIQUE_FIELD else { return };
    let bench = Bench::<N>::new().await;
    let Tenant { owner, member, .. } = &bench.tenant;
    let pointer = format!("/{unique}");
    let first = bench.noun.create(member, draft(1)).await.expect("the first one gets it");
    conflict(bench.noun.create(owner, draft(1)).await, &pointer, "a unique value can be used once");
    let other = bench.noun.create(owner, draft(2)).await.expect("another value is free");
    conflict(
        bench.noun.replace(owner, id(&other), &Expected::Any, draft(1)).await,
        &pointer,
        "a change must not take a used value",
    );
    bench.noun.create(&bench.stranger.owner, draft(1)).await.expect("another tenant may use the same value");

    bench.noun.delete(member, id(&first), &Expected::Any).await.expect("a member deletes its own");
    bench.noun.create(owner, draft(1)).await.expect("a deleted record frees its unique value");
}
