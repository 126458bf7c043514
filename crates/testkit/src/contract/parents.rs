//! Theme: what a record belongs to is a living company of the same organisation, and nothing tells a foreign one from none.

use serde_json::json;
use uuid::Uuid;

use super::{Bench, Noun, draft, id, view};
use crate::refusals::invalid;

/// A company of one's own can be attached; unknown, foreign and deleted ones cannot; a link outlives its parent.
pub async fn a_parent_is_a_living_company_of_ones_own<N: Noun>() {
    let Some(parent_field) = N::PARENT_FIELD else { return };
    let bench = Bench::<N>::new().await;
    let (member, pointer) = (&bench.tenant.member, format!("/{parent_field}"));
    let record = id(&bench.noun.create(member, draft(1)).await.expect("a member creates"));
    let own = bench.database.company(&bench.tenant.colleague, "Ours").await;
    let foreign = bench.database.company(&bench.stranger.owner, "Theirs").await;
    let deleted = bench.database.company(member, "Gone").await;
    bench.database.delete_company(deleted).await;

    let unknown = bench.noun.attach(member, record, Uuid::now_v7()).await;
    let unknown = invalid(unknown, &pointer, "reference", "an unknown parent must be refused");
    let stolen =
        invalid(bench.noun.attach(member, record, foreign).await, &pointer, "reference", "a foreign parent must be refused");
    assert_eq!(format!("{stolen:?}"), format!("{unknown:?}"), "a foreign parent must be refused exactly like an unknown one");
    invalid(bench.noun.attach(member, record, deleted).await, &pointer, "parent_deleted", "a deleted parent must be refused");
    assert_eq!(bench.logged(record).await, 1, "a refused parent is not logged");

    let attached = bench.noun.attach(member, record, own).await.expect("a living company of one's own can be attached");
    assert_eq!(view(&attached)[parent_field], json!(own.to_string()), "the record names its parent");
    bench.database.delete_company(own).await;
    let orphan = bench.noun.get(member, record).await.expect("a record outlives its parent");
    assert_eq!(view(&orphan)[parent_field], json!(own.to_string()), "a record keeps the link to its deleted parent");
    bench.noun.attach(member, record, own).await.expect("saving a record with its deleted parent unchanged is no new link");
}
