//! Theme: lists. Whatever the order and the page size, every record comes once, in its place.

use crm_kernel::{Count, Cursor, Deleted, Direction, Expected, ListQuery, Position, Sort, Total};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Bench, Noun, draft, everything, field, id, in_order, view};
use crate::refusals::malformed;

const DIRECTIONS: [Direction; 2] = [Direction::Ascending, Direction::Descending];

/// By every key, in both directions, with pages of 1, 2 and 7: each record once, in order, those without a value last.
pub async fn paging_visits_every_record_once_in_order<N: Noun>() {
    let bench = Bench::<N>::new().await;
    let views: Vec<Value> = bench.sample(15).await.iter().map(view).collect();
    let deleted = bench.noun.create(&bench.tenant.owner, draft(40)).await.expect("the owner creates");
    bench.noun.delete(&bench.tenant.owner, id(&deleted), &Expected::Any).await.expect("the owner deletes");
    bench.noun.create(&bench.stranger.owner, draft(41)).await.expect("the stranger creates");

    for key in N::fields().iter().filter(|field| field.sortable) {
        for direction in DIRECTIONS {
            let sort = Sort { field: key, direction };
            let right = ids(&in_order::<N>(&views, sort));
            for limit in [1, 2, 7, 15, 200] {
                let seen = bench.walk(&bench.tenant.viewer, &ListQuery { limit, ..ListQuery::all(sort) }).await;
                assert_eq!(ids(&seen), right, "sorted by {} {direction:?} in pages of {limit}", key.name);
            }
        }
        if key.nullable {
            let keys: Vec<Value> = views.iter().map(|view| N::sort_key(view, key)).collect();
            let filled = keys.iter().filter(|key| !key.is_null()).count();
            assert!(
                filled >= 2 && keys.len() - filled >= 2,
                "the adapter must leave {} empty in some drafts and fill it in others",
                key.name
            );
        }
    }
}

/// A cursor of another order, filter or bin is refused, and so is one that somebody has damaged.
pub async fn a_cursor_belongs_to_its_question<N: Noun>() {
    let bench = Bench::<N>::new().await;
    bench.sample(3).await;
    let (owner, question) = (&bench.tenant.owner, ListQuery { limit: 1, ..everything::<N>() });
    let page = bench.noun.list(owner, &question).await.expect("a first page");
    let cursor = page.page.next_cursor.expect("three records do not fit in a page of one");
    ListQuery { limit: 2, ..question.clone() }.continue_after(&cursor).expect("another page size may follow a cursor");

    let mut others = vec![ListQuery { deleted: Deleted::Only, ..question.clone() }];
    others.push(ListQuery { filter: question.filter.clone().and_id(field::<N>("id"), Uuid::now_v7()), ..question.clone() });
    for key in N::fields().iter().filter(|field| field.sortable) {
        let sorts = DIRECTIONS.map(|direction| Sort { field: key, direction });
        others.extend(sorts.into_iter().filter(|sort| *sort != question.sort).map(|sort| ListQuery { sort, ..question.clone() }));
    }
    for other in others {
        malformed(other.continue_after(&cursor), "cursor", "a cursor of another question must be refused");
    }
    for damaged in ["", "x", "bm90IGEgY3Vyc29y", &cursor[1..], &format!("{cursor}A")] {
        malformed(question.clone().continue_after(damaged), "cursor", "a damaged cursor must be refused");
    }
    a_key_of_another_type_is_refused(&bench).await;
}

/// A cursor is not signed: its holder may put anything in it, and must not get more than a refusal.
async fn a_key_of_another_type_is_refused<N: Noun>(bench: &Bench<N>) {
    for key in N::fields().iter().filter(|field| field.sortable && field.name != "created_at") {
        for direction in DIRECTIONS {
            let question = ListQuery::all(Sort { field: key, direction });
            let forged = question.cursor(Position::new(json!({ "a": [1] }), Uuid::now_v7()));
            let question = question.continue_after(&forged).expect("it looks like a cursor");
            malformed(bench.noun.list(&bench.tenant.owner, &question).await, "cursor", "a key of another type must be refused");
        }
    }
    let nul = Cursor { position: Position::new("a\0b", Uuid::now_v7()), question: String::new() }.encode();
    malformed(everything::<N>().continue_after(&nul), "cursor", "a key that cannot be stored must be refused");
}

/// A count says how many there are, whatever the page size, and only when asked.
pub async fn a_count_counts_what_is_listed<N: Noun>() {
    let bench = Bench::<N>::new().await;
    let records = bench.sample(5).await;
    bench.noun.create(&bench.stranger.owner, draft(1)).await.expect("the stranger creates");
    let (owner, all) = (&bench.tenant.owner, everything::<N>());
    let counted = ListQuery { count: Count::Bounded, limit: 2, ..all.clone() };
    assert_eq!(bench.noun.list(owner, &all).await.expect("a list").page.total, None, "a list counts only when asked");
    let total = |count| Some(Total { count, exact: true });
    assert_eq!(bench.noun.list(owner, &counted).await.expect("a list").page.total, total(5), "a count is of all pages");

    let mut one = counted.clone();
    one.filter = one.filter.and_id(field::<N>("id"), id(&records[0]));
    assert_eq!(bench.noun.list(owner, &one).await.expect("a list").page.total, total(1), "a count obeys the filter");
    bench.noun.delete(owner, id(&records[0]), &Expected::Any).await.expect("the owner deletes");
    assert_eq!(bench.noun.list(owner, &counted).await.expect("a list").page.total, total(4), "a count leaves the bin out");
    let bin = ListQuery { deleted: Deleted::Only, ..counted };
    assert_eq!(bench.noun.list(owner, &bin).await.expect("the bin").page.total, total(1), "the bin is counted too");
}

fn ids(views: &[Value]) -> Vec<String> {
    views.iter().map(|view| view["id"].to_string()).collect()
}
