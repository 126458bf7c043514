//! Theme: another tenant's record does not exist, and nothing tells it from one that never was.

use crm_kernel::{Context, Deleted, Error, Expected, ListQuery, Result};
use uuid::Uuid;

use super::{Bench, Noun, draft, everything, field, id, view};
use crate::refusals::not_found;

/// Every method that takes an id refuses a foreign record exactly as it refuses an id that never was.
pub async fn another_tenants_record_is_not_there<N: Noun>() {
    let bench = Bench::<N>::new().await;
    let foreign = bench.noun.create(&bench.stranger.owner, draft(1)).await.expect("the stranger creates");
    let binned = bench.noun.create(&bench.stranger.owner, draft(2)).await.expect("the stranger creates another");
    bench.noun.delete(&bench.stranger.owner, id(&binned), &Expected::Any).await.expect("the stranger deletes");
    let before = view(&foreign);

    for context in [&bench.tenant.owner, &bench.tenant.member, &bench.tenant.viewer] {
        let never = texts(&bench, context, Uuid::now_v7()).await;
        let living = texts(&bench, context, id(&foreign)).await;
        let deleted = texts(&bench, context, id(&binned)).await;
        assert_eq!(living, never, "a foreign record must be refused exactly like one that never was");
        assert_eq!(deleted, never, "a foreign deleted record must be refused exactly like one that never was");
    }
    let after = bench.noun.get(&bench.stranger.owner, id(&foreign)).await.expect("the stranger still has it");
    assert_eq!(view(&after), before, "a foreign record must not have changed");
}

/// What each method says about this id. All but the bin's must be `NotFound`; to a viewer and a member the bin is closed.
async fn texts<N: Noun>(bench: &Bench<N>, context: &Context, id: Uuid) -> Vec<String> {
    let (noun, any) = (&bench.noun, Expected::Any);
    let mut said = vec![
        said(noun.get(context, id).await, "get"),
        said(noun.rename(context, id, &any, "stolen").await, "rename"),
        said(noun.rename(context, id, &Expected::OneOf(vec![1]), "stolen").await, "rename of a version"),
        said(noun.replace(context, id, &any, draft(3)).await, "replace"),
        said(noun.delete(context, id, &any).await, "delete"),
        said(noun.restore(context, id).await, "restore"),
    ];
    if context.role.is_manager() {
        said.push(self::said(noun.get_with_deleted(context, id).await, "get with deleted"));
    }
    said
}

fn said<T: std::fmt::Debug>(answer: Result<T>, method: &str) -> String {
    let error: Error = not_found(answer, &format!("{method} of a record that is not there"));
    format!("{method}: {error:?}")
}

/// Lists, filters by id, the bin and lookups of many never show a foreign record.
pub async fn lists_and_lookups_hold_only_ones_own<N: Noun>() {
    let bench = Bench::<N>::new().await;
    let own = bench.noun.create(&bench.tenant.member, draft(1)).await.expect("a member creates");
    let foreign = bench.noun.create(&bench.stranger.owner, draft(2)).await.expect("the stranger creates");
    let binned = bench.noun.create(&bench.stranger.owner, draft(3)).await.expect("the stranger creates another");
    bench.noun.delete(&bench.stranger.owner, id(&binned), &Expected::Any).await.expect("the stranger deletes");

    let listed = bench.walk(&bench.tenant.owner, &everything::<N>()).await;
    assert_eq!(listed, [view(&own)], "a list holds only one's own records");
    let bin = ListQuery { deleted: Deleted::Only, ..everything::<N>() };
    assert!(bench.walk(&bench.tenant.owner, &bin).await.is_empty(), "the bin holds only one's own records");
    let mut by_id = everything::<N>();
    by_id.filter = by_id.filter.and_id(field::<N>("id"), id(&foreign));
    assert!(bench.walk(&bench.tenant.owner, &by_id).await.is_empty(), "a foreign id in a filter finds nothing");
    let ids = [id(&own), id(&foreign), id(&binned), Uuid::now_v7()];
    let many = bench.noun.get_many(&bench.tenant.viewer, &ids).await.expect("a lookup of many is never refused");
    assert_eq!(many.iter().map(id).collect::<Vec<_>>(), [id(&own)], "a lookup of many leaves foreign records out");
}
