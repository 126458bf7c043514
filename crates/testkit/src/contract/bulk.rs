//! Theme: many changes in one transaction. Each is judged as if it had come alone, and keys name one record however many writers there are.

use crm_kernel::{Context, Error, Expected, OperationId, Result};
use crm_tenancy::{
    bulk::{self, Done, Key, Noun as _, Operation},
    external_ids::ExternalId,
};
use uuid::Uuid;

use super::{Bench, Draft, Noun, draft, everything, id, moved_on, text, version, view};
use crate::{
    Tenant,
    refusals::{conflict, forbidden, not_found, stale},
};

type Results<N> = Vec<Result<Done<<N as Noun>::Record>>>;

/// Does it in a transaction of its own and keeps it.
async fn each<N: Noun>(bench: &Bench<N>, context: &Context, operations: Vec<Operation<N::Bulk>>) -> Results<N> {
    let mut tx = bench.database.db().begin(context).await.expect("a transaction");
    let results = bulk::each(&mut tx, operations, &bulk::everything).await;
    tx.commit().await.expect("refused operations do not fail the commit");
    results
}

fn create<N: Noun>(draft: Draft) -> Operation<N::Bulk> {
    Operation::Create(Box::new(N::new(draft)))
}

fn rename<N: Noun>(id: Uuid, expected: Expected, text: &str) -> Operation<N::Bulk> {
    Operation::Update(Key::Id(id), expected, Box::new(N::renaming(text)))
}

fn upsert<N: Noun>(key: Key, number: usize, text: &str) -> Operation<N::Bulk> {
    Operation::Upsert(key, Expected::Any, Box::new(N::new(draft(number))), Box::new(N::renaming(text)))
}

fn elsewhere(id: &str) -> Key {
    Key::External(ExternalId { source: "hubspot".into(), external_id: id.into() })
}

fn record<R>(result: Result<Done<R>>) -> R {
    match result.expect("it is done") {
        Done::Created(record) | Done::Updated(record) => record,
        Done::Deleted => panic!("a deleted record is not shown"),
    }
}

/// Creations, changes and deletions of one call keep their order; what is refused harms no other; all have one operation id.
pub async fn each_operation_is_judged_as_if_it_had_come_alone<N: Noun>() {
    let bench = Bench::<N>::new().await;
    let Tenant { member, colleague, .. } = &bench.tenant;
    let own = bench.noun.create(member, draft(1)).await.expect("a member creates");
    let doomed = bench.noun.create(member, draft(2)).await.expect("a member creates");
    let theirs = bench.noun.create(colleague, draft(3)).await.expect("a colleague creates");
    let foreign = bench.noun.create(&bench.stranger.owner, draft(4)).await.expect("a stranger creates");
    let context = Context { operation_id: Some(OperationId::generate()), ..member.clone() };
    let operations = vec![
        create::<N>(draft(10)),
        create::<N>(draft(11)),
        rename::<N>(id(&own), Expected::OneOf(vec![7]), "Stale"),
        rename::<N>(id(&own), Expected::OneOf(vec![1]), "Émile 🦀"),
        rename::<N>(id(&theirs), Expected::Any, "Taken"),
        rename::<N>(id(&foreign), Expected::Any, "Stolen"),
        Operation::Delete(Key::Id(id(&doomed)), Expected::Any),
        create::<N>(draft(12)),
    ];
    let mut results = each(&bench, &context, operations).await.into_iter();
    let mut next = || results.next().expect("every operation has a result");
    let made: Vec<Uuid> = [next(), next()].into_iter().map(|result| id(&record(result))).collect();
    stale(next(), "a version that is not there any more is refused");
    assert_eq!(text::<N>(&record(next())), "Émile 🦀", "a refusal does not keep the next operation from being done");
    forbidden(next(), "a member does not change a colleague's record");
    not_found(next(), "another organisation's record is not there");
    assert!(matches!(next(), Ok(Done::Deleted)), "a member deletes its own");
    let last = id(&record(next()));
    assert!(results.next().is_none(), "there are no more results than operations");

    for id in made.iter().chain([&last]) {
        bench.noun.get(member, *id).await.expect("what is reported as created is there");
    }
    not_found(bench.noun.get(member, id(&doomed)).await, "what is reported as deleted is gone");
    assert_eq!(view(&bench.noun.get(colleague, id(&theirs)).await.expect("it is there")), view(&theirs), "it has not changed");
    for id in made.iter().chain([&last, &id(&own), &id(&doomed)]) {
        let log = bench.database.activities_of(N::ENTITY, *id).await;
        let newest = log.last().expect("a change is logged");
        assert_eq!(newest.operation_id, context.operation_id.map(Into::into), "all changes of a call have its operation id");
    }
    assert_eq!(bench.logged(id(&theirs)).await, 1, "a refused operation is not logged");
}

/// A run of creations is one statement; when one cannot be made, the others are.
pub async fn a_run_of_creations_loses_only_what_is_refused<N: Noun>() {
    let bench = Bench::<N>::new().await;
    let member = &bench.tenant.member;
    let taken = Uuid::now_v7();
    bench.noun.create(member, Draft { id: Some(taken), ..draft(1) }).await.expect("a member creates");
    let together = each(&bench, member, (10..20).map(|number| create::<N>(draft(number))).collect()).await;
    let records: Vec<N::Record> = together.into_iter().map(record).collect();
    for (number, made) in (10..20).zip(&records) {
        let alone = bench.noun.get(member, id(made)).await.expect("it is there");
        assert_eq!(view(made), view(&alone), "what is answered is what is stored");
        assert_eq!(bench.logged(id(made)).await, 1, "each creation is logged");
        let again = bench.noun.create(&bench.stranger.member, draft(number)).await.expect("another tenant creates the same");
        assert_eq!(text::<N>(made), text::<N>(&again), "results have the order of the operations");
    }
    let mut operations: Vec<_> = (20..24).map(|number| create::<N>(draft(number))).collect();
    operations.insert(2, create::<N>(Draft { id: Some(taken), ..draft(30) }));
    let mut results = each(&bench, member, operations).await;
    conflict(results.remove(2), "/id", "an id that is taken is refused");
    for (number, result) in (20..24).zip(results) {
        bench.noun.get(member, id(&record(result))).await.unwrap_or_else(|error| panic!("number {number} is made: {error}"));
    }
}

/// When all or none is wanted, the first refusal is told, and nothing is left.
pub async fn all_or_nothing_leaves_nothing<N: Noun>() {
    let bench = Bench::<N>::new().await;
    let member = &bench.tenant.member;
    let own = bench.noun.create(member, draft(1)).await.expect("a member creates");
    let wanted = |version: i32| {
        vec![
            create::<N>(draft(10)),
            create::<N>(draft(11)),
            rename::<N>(id(&own), Expected::OneOf(vec![version]), "Renamed"),
            create::<N>(draft(12)),
        ]
    };
    let mut tx = bench.database.db().begin(member).await.expect("a transaction");
    let failed = bulk::all(&mut tx, wanted(7), &bulk::everything).await.expect_err("one operation is stale");
    drop(tx);
    assert_eq!(failed.index, 2, "the operation at fault is named");
    assert!(matches!(failed.error, Error::Stale(_)), "and its reason: {}", failed.error);
    assert_eq!(bench.walk(member, &everything::<N>()).await, [view(&own)], "nothing of it is left");

    let mut tx = bench.database.db().begin(member).await.expect("a transaction");
    bulk::all(&mut tx, wanted(1), &bulk::everything).await.expect("nothing is refused");
    tx.commit().await.expect("all of it is kept");
    assert_eq!(bench.walk(member, &everything::<N>()).await.len(), 4, "all of it is there");
}

/// A viewer is refused every operation, by its true role.
pub async fn a_viewer_changes_nothing_in_bulk<N: Noun>() {
    let bench = Bench::<N>::new().await;
    let Tenant { owner, viewer, .. } = &bench.tenant;
    let record = bench.noun.create(owner, draft(1)).await.expect("the owner creates");
    let operations = vec![
        create::<N>(draft(10)),
        create::<N>(draft(11)),
        rename::<N>(id(&record), Expected::Any, "Taken"),
        Operation::Delete(Key::Id(id(&record)), Expected::Any),
        upsert::<N>(Key::Id(id(&record)), 1, "Taken"),
        upsert::<N>(elsewhere("1"), 12, "Taken"),
    ];
    for result in each(&bench, viewer, operations).await {
        forbidden(result, "a viewer changes nothing");
    }
    assert_eq!(bench.walk(viewer, &everything::<N>()).await, [view(&record)], "nothing has changed");
}

/// By id, by external id and by natural key: what is there is changed, what is not is made, and the next one finds it.
pub async fn an_upsert_changes_what_is_there_and_makes_what_is_not<N: Noun>() {
    let bench = Bench::<N>::new().await;
    let owner = &bench.tenant.owner;
    let mut keys = vec![Key::Id(Uuid::now_v7()), elsewhere("4711/é 🦀")];
    if N::Bulk::NATURAL_KEY.is_some() {
        let mut new = N::new(draft(3));
        keys.extend(N::Bulk::natural_key(&mut new).and_then(|key| key.clone()).map(Key::Natural));
    }
    for (number, key) in (1..).zip(keys) {
        for expected in [Expected::Present, Expected::OneOf(vec![1])] {
            let (new, changes) = (Box::new(N::new(draft(number))), Box::new(N::renaming("No")));
            let wanted = Operation::Upsert(key.clone(), expected, new, changes);
            stale(each(&bench, owner, vec![wanted]).await.remove(0), "what must be there already is not made");
        }
        let mut results =
            each(&bench, owner, vec![upsert::<N>(key.clone(), number, "No"), upsert::<N>(key.clone(), number, "Renamed")]).await;
        let changed = results.pop().expect("two results");
        let made = results.pop().expect("two results");
        assert!(matches!(made, Ok(Done::Created(_))), "{key:?} is made: {made:?}");
        assert!(matches!(changed, Ok(Done::Updated(_))), "{key:?} is changed: {changed:?}");
        let (made, changed) = (record(made), record(changed));
        assert_eq!((id(&made), version(&made), version(&changed)), (id(&changed), 1, 2), "it is the same record");
        assert_eq!(text::<N>(&changed), "Renamed");
        let mut before = moved_on(view(&made), &view(&changed));
        before[N::TEXT_FIELD] = view(&changed)[N::TEXT_FIELD].clone();
        assert_eq!(view(&changed), before, "what an upsert does not say stays");
        if let Key::Id(key) = key {
            assert_eq!(id(&made), key, "an id that is upserted is the record's");
        }
        bench.noun.delete(owner, id(&made), &Expected::Any).await.expect("the owner deletes");
        let after = each(&bench, owner, vec![upsert::<N>(key.clone(), number, "Renamed")]).await.remove(0);
        match key {
            Key::Natural(_) => assert!(matches!(after, Ok(Done::Created(_))), "a deleted record frees its key: {after:?}"),
            Key::External(_) => drop(conflict(after, "/external_id", "an external id of a record in the bin is a conflict")),
            Key::Id(_) => drop(conflict(after, "/id", "the id of a record in the bin is a conflict")),
        }
    }
}

/// However many writers upsert the same key at the same moment, there is one record, and nobody is refused.
pub async fn upserts_of_one_key_at_once_make_one_record<N: Noun>() {
    let bench = Bench::<N>::new().await;
    let owner = &bench.tenant.owner;
    let mut new = N::new(draft(3));
    let natural = N::Bulk::natural_key(&mut new).and_then(|key| key.clone()).map(Key::Natural);
    for key in [Key::Id(Uuid::now_v7()), elsewhere("4711")].into_iter().chain(natural) {
        let writers = (0..6).map(|_| {
            let (db, context, key) = (bench.database.db(), owner.clone(), key.clone());
            tokio::spawn(async move {
                let mut tx = db.begin(&context).await.expect("a transaction");
                let done = bulk::each(&mut tx, vec![upsert::<N>(key, 3, "Renamed")], &bulk::everything).await.remove(0);
                tx.commit().await.expect("it is kept");
                done
            })
        });
        let writers: Vec<_> = writers.collect();
        let (mut made, mut ids) = (0, Vec::new());
        for writer in writers {
            let done = writer.await.expect("the writer ends");
            made += usize::from(matches!(done, Ok(Done::Created(_))));
            ids.push(id(&record(done)));
        }
        ids.dedup();
        assert_eq!((made, ids.len()), (1, 1), "{key:?} is one record");
        assert_eq!(bench.walk(owner, &everything::<N>()).await.len(), 1, "and no other is left behind");
        bench.noun.delete(owner, ids[0], &Expected::Any).await.expect("the owner deletes");
    }
}
