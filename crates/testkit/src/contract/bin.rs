//! Theme: the bin. Deleting moves there, managers look into it, and who may restore is not who may delete.

use crm_kernel::{Deleted, Expected, ListQuery, Role};

use super::{Bench, Draft, Noun, draft, everything, id, moved_on, version, view};
use crate::{
    Tenant,
    refusals::{conflict, forbidden, not_found},
};

/// A deleted record is gone from reading and lists, and lies in the bin.
pub async fn deleting_moves_to_the_bin<N: Noun>() {
    let bench = Bench::<N>::new().await;
    let Tenant { owner, admin, member, viewer, .. } = &bench.tenant;
    let records = bench.sample(3).await;
    let gone = id(&records[1]);
    bench.noun.delete(owner, gone, &Expected::Any).await.expect("the owner deletes");
    for context in [owner, member, viewer] {
        not_found(bench.noun.get(context, gone).await, "a deleted record is not there");
        let listed = bench.walk(context, &everything::<N>()).await;
        assert!(listed.len() == 2 && listed.iter().all(|view| id(view) != gone), "a deleted record is not listed");
    }
    for context in [owner, admin] {
        let bin = bench.walk(context, &bin::<N>()).await;
        assert_eq!(bin.iter().map(id).collect::<Vec<_>>(), [gone], "the bin holds what was deleted");
        let seen = bench.noun.get_with_deleted(context, gone).await.expect("managers see deleted records");
        assert!(view(&seen)["deleted_at"].is_string(), "a deleted record says when it was deleted");
    }
    let many = bench.noun.get_many(viewer, &[gone]).await.expect("a lookup of many is never refused");
    assert_eq!(many.len(), 1, "a lookup of many shows deleted records, because others refer to them");
    not_found(bench.noun.delete(owner, gone, &Expected::Any).await, "a record cannot be deleted twice");
}

/// Members and viewers do not look into the bin, also when they claim to be more than they are.
pub async fn the_bin_is_for_managers<N: Noun>() {
    let bench = Bench::<N>::new().await;
    let Tenant { member, viewer, .. } = &bench.tenant;
    let gone = id(&bench.noun.create(member, draft(1)).await.expect("a member creates"));
    bench.noun.delete(member, gone, &Expected::Any).await.expect("a member deletes its own");
    for context in [member, viewer] {
        let forged = crm_kernel::Context { role: Role::Admin, ..context.clone() };
        for context in [context, &forged] {
            forbidden(bench.noun.list(context, &bin::<N>()).await, "the bin is for owner and admin, as memberships has them");
            forbidden(bench.noun.get_with_deleted(context, gone).await, "a deleted record is for owner and admin to see");
        }
    }
}

/// A restored record is what it was, with a new version.
pub async fn restoring_brings_back_what_was<N: Noun>() {
    let bench = Bench::<N>::new().await;
    let Tenant { admin, member, .. } = &bench.tenant;
    let record = bench.noun.create(member, draft(1)).await.expect("a member creates");
    let id = id(&record);
    bench.noun.delete(member, id, &Expected::OneOf(vec![1])).await.expect("a member deletes its own");
    let back = bench.noun.restore(admin, id).await.expect("an admin restores what another deleted");
    assert_eq!(view(&back), moved_on(view(&record), &view(&back)), "a restored record is what it was");
    assert_eq!(version(&back), 3, "deleting and restoring are changes");
    let again = bench.noun.restore(admin, id).await.expect("restoring a living record is no error");
    assert_eq!(view(&again), view(&back), "restoring a living record changes nothing");
    assert_eq!(bench.logged(id).await, 3, "restoring a living record is not logged");
    let renamed = bench.noun.rename(member, id, &Expected::Any, "Back again").await.expect("a restored record can be changed");
    assert_eq!(version(&renamed), 4, "a restored record counts on");
}

/// A member restores what it deleted itself, and nothing else.
pub async fn who_deleted_may_restore_and_other_members_may_not<N: Noun>() {
    let bench = Bench::<N>::new().await;
    let Tenant { owner, member, colleague, viewer, .. } = &bench.tenant;
    let own = id(&bench.noun.create(member, draft(1)).await.expect("a member creates"));
    bench.noun.delete(member, own, &Expected::Any).await.expect("a member deletes its own");
    forbidden(bench.noun.restore(colleague, own).await, "another member must not restore it");
    forbidden(bench.noun.restore(viewer, own).await, "a viewer must not restore it");
    bench.noun.restore(member, own).await.expect("the member who deleted it may restore it");
    forbidden(bench.noun.restore(colleague, own).await, "restoring what lives is still not for another member");
    forbidden(bench.noun.restore(viewer, own).await, "restoring what lives is still not for a viewer");

    bench.noun.delete(owner, own, &Expected::Any).await.expect("the owner deletes");
    forbidden(bench.noun.restore(member, own).await, "a member must not restore what the owner deleted, although it created it");

    let shared = Draft { owner: Some(colleague.user_id), ..draft(2) };
    let shared = id(&bench.noun.create(member, shared).await.expect("a member creates for a colleague"));
    bench.noun.delete(colleague, shared, &Expected::Any).await.expect("a colleague deletes what it owns");
    forbidden(
        bench.noun.restore(member, shared).await,
        "a member must not restore what a colleague deleted, although it created it",
    );
    bench.noun.restore(owner, shared).await.expect("the owner restores everything");
}

/// Who comes back to find the unique value taken stays in the bin.
pub async fn restoring_into_a_taken_value_is_a_conflict<N: Noun>() {
    let Some(unique) = N::UNIQUE_FIELD else { return };
    let bench = Bench::<N>::new().await;
    let Tenant { owner, .. } = &bench.tenant;
    let first = id(&bench.noun.create(owner, draft(1)).await.expect("the first one gets it"));
    bench.noun.delete(owner, first, &Expected::Any).await.expect("the owner deletes");
    let second = id(&bench.noun.create(owner, draft(1)).await.expect("a deleted record frees its value"));
    conflict(
        bench.noun.restore(owner, first).await,
        &format!("/{unique}"),
        "a record must not come back beside one with its value",
    );
    not_found(bench.noun.get(owner, first).await, "what could not be restored is still deleted");
    bench.noun.delete(owner, second, &Expected::Any).await.expect("the owner deletes");
    bench.noun.restore(owner, first).await.expect("when the value is free again, it can come back");
}

fn bin<N: Noun>() -> ListQuery {
    ListQuery { deleted: Deleted::Only, ..everything::<N>() }
}
