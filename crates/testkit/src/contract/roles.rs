//! Theme: what each role may do to whose record.

use crm_kernel::{Access, Context, Expected, Result, Role};

use super::{Bench, Draft, Noun, draft, id, text, version, view};
use crate::{Tenant, refusals::forbidden};

/// A viewer reads every record and is refused every write with `Forbidden`.
pub async fn a_viewer_reads_and_changes_nothing<N: Noun>() {
    let bench = Bench::<N>::new().await;
    let Tenant { owner, viewer, .. } = &bench.tenant;
    let record = bench.noun.create(owner, draft(1)).await.expect("the owner creates");
    forbidden(bench.noun.create(viewer, draft(2)).await, "a viewer must not create");
    refuses_writes(&bench, viewer, &record, "a viewer").await;
    bench.noun.delete(owner, id(&record), &Expected::Any).await.expect("the owner deletes");
    forbidden(bench.noun.restore(viewer, id(&record)).await, "a viewer must not restore");
}

/// A member changes what it owns and what it created, hands it over, and is refused a colleague's record.
pub async fn a_member_changes_what_it_owns_or_created_and_nothing_else<N: Noun>() {
    let bench = Bench::<N>::new().await;
    let Tenant { owner, member, colleague, .. } = &bench.tenant;
    let given = |to: &Context, number| Draft { owner: Some(to.user_id), ..draft(number) };

    let theirs = bench.noun.create(colleague, draft(1)).await.expect("a colleague creates");
    refuses_writes(&bench, member, &theirs, "a member, on a colleague's record,").await;

    let owned = bench.noun.create(owner, given(member, 2)).await.expect("the owner creates for a member");
    works(&bench, member, &owned, "a member must be able to change what it owns").await;
    let created = bench.noun.create(member, given(colleague, 3)).await.expect("a member creates for a colleague");
    works(&bench, member, &created, "a member must be able to change what it created").await;
    works(&bench, colleague, &created, "a colleague must be able to change what was created for it").await;

    let passed = bench.noun.replace(member, id(&owned), &Expected::Any, given(colleague, 2)).await;
    passed.expect("a member must be able to hand over what it owns");
    forbidden(
        bench.noun.rename(member, id(&owned), &Expected::Any, "mine").await,
        "what was handed over is no longer a member's to change",
    );
}

/// Owner and admin change whatever is there.
pub async fn managers_change_everything<N: Noun>() {
    let bench = Bench::<N>::new().await;
    let record = bench.noun.create(&bench.tenant.member, draft(1)).await.expect("a member creates");
    for manager in [&bench.tenant.admin, &bench.tenant.owner] {
        works(&bench, manager, &record, "owner and admin must be able to change a member's record").await;
        bench.noun.delete(manager, id(&record), &Expected::Any).await.expect("owner and admin may delete a member's record");
        bench.noun.restore(manager, id(&record)).await.expect("owner and admin may restore a record");
    }
}

/// A context that may only read is refused every write, whatever its role.
pub async fn a_read_only_context_writes_nothing<N: Noun>() {
    let bench = Bench::<N>::new().await;
    let record = bench.noun.create(&bench.tenant.owner, draft(1)).await.expect("the owner creates");
    let read_only = Context { access: Access::ReadOnly, ..bench.tenant.owner.clone() };
    forbidden(bench.noun.create(&read_only, draft(2)).await, "a read-only context must not create");
    refuses_writes(&bench, &read_only, &record, "a read-only context").await;
    bench.noun.delete(&bench.tenant.owner, id(&record), &Expected::Any).await.expect("the owner deletes");
    forbidden(bench.noun.restore(&read_only, id(&record)).await, "a read-only context must not restore");
}

/// The role in the context is a hint: who claims a higher one is still who they are.
pub async fn a_forged_role_gains_nothing<N: Noun>() {
    let bench = Bench::<N>::new().await;
    let record = bench.noun.create(&bench.tenant.owner, draft(1)).await.expect("the owner creates");
    let forged = |context: &Context| Context { role: Role::Owner, ..context.clone() };
    forbidden(
        bench.noun.create(&forged(&bench.tenant.viewer), draft(2)).await,
        "a viewer who claims to be owner must not create",
    );
    refuses_writes(&bench, &forged(&bench.tenant.viewer), &record, "a viewer who claims to be owner").await;
    refuses_writes(&bench, &forged(&bench.tenant.member), &record, "a member who claims to be owner").await;
}

async fn works<N: Noun>(bench: &Bench<N>, context: &Context, record: &N::Record, rule: &str) {
    let wanted = format!("Renamed by {}", context.user_id);
    let renamed =
        bench.noun.rename(context, id(record), &Expected::Any, &wanted).await.unwrap_or_else(|error| panic!("{rule}: {error}"));
    assert_eq!(text::<N>(&renamed), wanted, "{rule}");
}

/// Reading works, every write is refused, and nothing has changed.
async fn refuses_writes<N: Noun>(bench: &Bench<N>, context: &Context, record: &N::Record, who: &str) {
    let (noun, id, any) = (&bench.noun, id(record), Expected::Any);
    let read = noun.get(context, id).await.unwrap_or_else(|error| panic!("{who} must be able to read: {error}"));
    let check = |answer: Result<()>, what: &str| forbidden(answer, &format!("{who} must not {what}"));
    check(noun.rename(context, id, &any, "taken").await.map(drop), "rename");
    check(noun.rename(context, id, &Expected::OneOf(vec![version(&read)]), "taken").await.map(drop), "rename a named version");
    check(noun.replace(context, id, &any, draft(9)).await.map(drop), "replace");
    check(noun.delete(context, id, &any).await, "delete");
    let after = noun.get(context, id).await.expect("the record is still there");
    assert_eq!(view(&after), view(&read), "{who} must have changed nothing");
}
