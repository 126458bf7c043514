//! Theme: who changes a record says which version was meant, and learns when it was another.

use crm_kernel::{Expected, Result};

use super::{Bench, Noun, draft, id, text, version, view};
use crate::{
    Tenant,
    refusals::{forbidden, not_found, stale},
};

/// A change made from an old version is `Stale` and leaves the record and the log alone.
pub async fn a_stale_version_changes_nothing<N: Noun>() {
    let bench = Bench::<N>::new().await;
    let Tenant { member, .. } = &bench.tenant;
    let record = bench.noun.create(member, draft(1)).await.expect("a member creates");
    assert_eq!(version(&record), 1, "a new record has version 1");
    let id = id(&record);
    let now = bench.noun.rename(member, id, &Expected::OneOf(vec![1]), "Second").await.expect("the current version is accepted");
    assert_eq!(version(&now), 2, "a change adds one to the version");
    let logged = bench.logged(id).await;

    for old in [vec![1], vec![3, 7], vec![]] {
        let expected = Expected::OneOf(old);
        let check = |answer: Result<()>, what: &str| stale(answer, &format!("{what} from versions {expected:?} when it is 2"));
        check(bench.noun.rename(member, id, &expected, "Third").await.map(drop), "a change");
        check(bench.noun.replace(member, id, &expected, draft(2)).await.map(drop), "a replacement");
        check(bench.noun.delete(member, id, &expected).await, "a deletion");
    }
    let after = bench.noun.get(member, id).await.expect("the record is still there");
    assert_eq!(view(&after), view(&now), "a stale change must change nothing");
    assert_eq!(bench.logged(id).await, logged, "a stale change must not be logged");
}

/// A list of versions is satisfied by any of them; no list, by every version.
pub async fn any_named_version_is_enough<N: Noun>() {
    let bench = Bench::<N>::new().await;
    let Tenant { member, .. } = &bench.tenant;
    let id = id(&bench.noun.create(member, draft(1)).await.expect("a member creates"));
    let steps = [Expected::OneOf(vec![5, 1]), Expected::OneOf(vec![2]), Expected::Any];
    for (step, expected) in steps.iter().enumerate() {
        let changed = bench
            .noun
            .rename(member, id, expected, &format!("Step {step}"))
            .await
            .expect("one of the versions is the current one");
        assert_eq!(usize::try_from(version(&changed)), Ok(step + 2), "each change adds one to the version");
    }
    bench.noun.delete(member, id, &Expected::OneOf(vec![1, 4])).await.expect("a deletion names versions too");
}

/// Setting what is already there keeps version and time of change, and is not logged.
pub async fn a_change_of_nothing_is_no_change<N: Noun>() {
    let bench = Bench::<N>::new().await;
    let Tenant { member, .. } = &bench.tenant;
    let same = super::Draft { owner: Some(member.user_id), ..draft(1) };
    let record = bench.noun.create(member, same).await.expect("a member creates");
    let id = id(&record);
    let again =
        bench.noun.rename(member, id, &Expected::OneOf(vec![1]), &text::<N>(&record)).await.expect("the same text is accepted");
    assert_eq!(view(&again), view(&record), "setting the same text must keep version and updated_at");
    let replaced = bench.noun.replace(member, id, &Expected::Any, same).await.expect("the same values are accepted");
    assert_eq!(view(&replaced), view(&record), "replacing with the same values must keep version and updated_at");
    assert_eq!(bench.logged(id).await, 1, "a change of nothing must not be logged");
}

/// Not there, then not allowed, then stale: who may not change a record does not learn whether its version was right.
pub async fn refusals_come_in_their_order<N: Noun>() {
    let bench = Bench::<N>::new().await;
    let Tenant { owner, member, viewer, .. } = &bench.tenant;
    let id = id(&bench.noun.create(owner, draft(1)).await.expect("the owner creates"));
    let old = Expected::OneOf(vec![99]);
    for context in [member, viewer] {
        forbidden(bench.noun.rename(context, id, &old, "x").await, "forbidden comes before stale");
        forbidden(bench.noun.delete(context, id, &old).await, "forbidden comes before stale");
    }
    stale(bench.noun.rename(owner, id, &old, "").await, "stale comes before invalid");
    bench.noun.delete(owner, id, &Expected::Any).await.expect("the owner deletes");
    for context in [owner, member, viewer] {
        not_found(bench.noun.rename(context, id, &old, "x").await, "a deleted record is not there for a change");
        not_found(bench.noun.delete(context, id, &old).await, "a deleted record is not there for a deletion");
    }
}
