//! Theme: the log. Every change leaves exactly one activity that says who, what, from what to what; a refusal leaves none.

use crm_kernel::{Context, Expected, OperationId};
use serde_json::{Value, json};

use super::{Bench, Noun, draft, id, text, version};
use crate::{ActivityRow, Tenant, TestDatabase};

/// Creation, change, deletion and restoration: one activity each, with the right values, version and actor.
pub async fn every_change_is_logged_once<N: Noun>() {
    let bench = Bench::<N>::new().await;
    let Tenant { owner, .. } = &bench.tenant;
    let member = &from_somewhere(&bench.tenant.member);
    let record = bench.noun.create(member, draft(1)).await.expect("a member creates");
    let (id, first) = (id(&record), text::<N>(&record));
    let renamed = bench.noun.rename(owner, id, &Expected::Any, "Another name").await.expect("the owner renames");
    bench.noun.delete(member, id, &Expected::Any).await.expect("a member deletes its own");
    let restored = bench.noun.restore(member, id).await.expect("a member restores what it deleted");

    let log = bench.database.activities_of(N::ENTITY, id).await;
    let kinds: Vec<&str> = log.iter().map(|row| row.activity_type.as_str()).collect();
    assert_eq!(kinds, ["created", "updated", "deleted", "restored"], "every change is logged once and in order");
    let versions: Vec<Option<i32>> = log.iter().map(|row| row.record_version).collect();
    assert_eq!(
        versions,
        [Some(1), Some(version(&renamed)), Some(3), Some(version(&restored))],
        "an activity has the record's version"
    );

    says(&log[0], member, N::TEXT_FIELD, &Value::Null, &json!(first));
    says(&log[1], owner, N::TEXT_FIELD, &json!(first), &json!("Another name"));
    assert_eq!(log[1].fields, [N::TEXT_FIELD], "only the field that changed is logged");
    let (before, after) = log[2].change("deleted_at").expect("a deletion logs when");
    assert!(before.is_null() && after.is_string(), "a deletion logs deleted_at from nothing to a time");
    let (before, after) = log[3].change("deleted_at").expect("a restoration logs it too");
    assert!(before.is_string() && after.is_null(), "a restoration logs deleted_at from a time to nothing");
    for row in &log {
        let listed: Vec<&String> =
            row.changes.as_ref().and_then(Value::as_object).expect("changes are an object").keys().collect();
        assert_eq!(listed.len(), row.fields.len(), "the names of the fields are those of the changes");
        assert!(
            !row.fields.iter().any(|field| ["version", "updated_at", "organization_id"].contains(&field.as_str())),
            "what every change changes is not logged"
        );
    }
    origin_is_kept(&log[0], member);
}

/// What is refused leaves no trace in the log.
pub async fn a_refused_change_is_not_logged<N: Noun>() {
    let bench = Bench::<N>::new().await;
    let Tenant { member, viewer, colleague, .. } = &bench.tenant;
    let record = bench.noun.create(member, draft(1)).await.expect("a member creates");
    let all = all_activities(&bench.database).await;
    for context in [viewer, colleague, &bench.stranger.owner] {
        bench.noun.rename(context, id(&record), &Expected::Any, "x").await.expect_err("it is refused");
        bench.noun.delete(context, id(&record), &Expected::Any).await.expect_err("it is refused");
    }
    bench.noun.rename(member, id(&record), &Expected::OneOf(vec![7]), "x").await.expect_err("it is refused");
    bench.noun.create(viewer, draft(2)).await.expect_err("it is refused");
    assert_eq!(all_activities(&bench.database).await, all, "a refused change must not be logged");
}

async fn all_activities(database: &TestDatabase) -> i64 {
    database.number("SELECT count(*) FROM crm_activities").await
}

/// The same caller with everything known that the log can keep.
fn from_somewhere(context: &Context) -> Context {
    Context {
        ip: Some([192, 0, 2, 7].into()),
        user_agent: Some("it's a \"test\" \\ %s".into()),
        request_id: "request-of-the-test".into(),
        operation_id: Some(OperationId::generate()),
        ..context.clone()
    }
}

fn says(row: &ActivityRow, actor: &Context, field: &str, old: &Value, new: &Value) {
    assert_eq!(row.change(field), Some((old.clone(), new.clone())), "{} logs {field} from old to new", row.activity_type);
    assert_eq!(row.user_id, Some(actor.user_id), "{} logs who did it", row.activity_type);
    assert_eq!(row.actor_kind, "user", "{} logs that it was a person", row.activity_type);
}

fn origin_is_kept(row: &ActivityRow, context: &Context) {
    assert_eq!(row.ip.as_deref(), Some("192.0.2.7"), "the log keeps the address");
    assert_eq!(row.user_agent, context.user_agent, "the log keeps the program");
    assert_eq!(row.request_id.as_deref(), Some("request-of-the-test"), "the log keeps the request");
    assert_eq!(row.operation_id, context.operation_id.map(OperationId::uuid), "the log keeps the operation");
}
