//! `cargo xtask plans --conversion`: the type of a custom field of all contacts is changed while people change contacts, and what they waited.
//!
//! Must stay true: the conversion is begun and driven as a gateway does it; the writers write through the contacts' own service, first
//! without a conversion beside them and then with it, on contacts from all over the organisation.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use crm_contacts::{ContactChanges, Contacts, PgContacts};
use crm_kernel::{ContactId, Context, CustomFieldId, Expected, FieldType, Timestamp};
use crm_tenancy::custom_fields::{ConversionRequest, work};
use crm_tenancy::{CustomFieldDefinitions, Db, PgCustomFieldDefinitions};
use serde_json::json;
use tokio_postgres::Client;

use crate::progress::{say, seconds};

const WRITERS: usize = 4;
/// How long they write before the conversion begins.
const BEFORE: Duration = Duration::from_secs(20);
/// As the gateway does between two steps.
const BREATH: Duration = Duration::from_millis(20);
/// One contact in so many is changed by the writers, in an order of no meaning.
const ONE_IN: i64 = 400;

pub async fn measure(admin: &Client, db: &Db, context: &Context) -> Result<()> {
    let fields = PgCustomFieldDefinitions::new(db.clone());
    let key = format!("points_{}", Timestamp::now().0.unix_timestamp());
    let new = json!({ "entity": "contact", "key": key, "label": key, "field_type": "text" });
    let field = fields.create(context, serde_json::from_value(new)?).await?;
    let filled = fill(admin, context, &key).await?;
    let contacts = Arc::new(some_contacts(admin, context).await?);
    say(&format!("  {filled} contacts with a text under {key}; {WRITERS} writers\n"));

    let alone = written_for(db, context, &contacts, BEFORE).await?;
    say(&format!("  without a conversion: {}\n", told(&alone)));
    let stop = Arc::new(AtomicBool::new(false));
    let writers = start(db, context, &contacts, &stop);
    let begun = Instant::now();
    let request: ConversionRequest = serde_json::from_value(json!({ "field_type": "integer" }))?;
    fields.convert(context, field.id, &Expected::Any, &request).await?;
    let called = begun.elapsed();
    let steps = driven(db).await?;
    let took = begun.elapsed();
    stop.store(true, Ordering::Relaxed);
    let beside = waits(writers).await?;
    say(&format!("  beside the conversion: {}\n", told(&beside)));
    say(&format!("  the call: {} ms; all of it: {} in {steps} steps\n", called.as_millis(), seconds(took)));
    check(&fields, admin, context, (field.id, &key), filled).await
}

/// A number as text under the key of every contact, but for one in a hundred, which has something else.
async fn fill(admin: &Client, context: &Context, key: &str) -> Result<u64> {
    admin.batch_execute("SET session_replication_role = replica").await?;
    let organization = context.organization_id.to_string();
    let filled = admin
        .execute(
            "UPDATE crm_contacts SET custom_fields = custom_fields || jsonb_build_object($2::text,
                    CASE WHEN get_byte(uuid_send(id), 15) < 3 THEN 'about ten' ELSE lead_score || '' END)
              WHERE organization_id = $1::text::uuid AND lead_score IS NOT NULL",
            &[&organization, &key],
        )
        .await?;
    admin.batch_execute("SET session_replication_role = origin").await?;
    admin.batch_execute("VACUUM (ANALYZE) crm_contacts").await?;
    Ok(filled)
}

async fn some_contacts(admin: &Client, context: &Context) -> Result<Vec<ContactId>> {
    let query = "SELECT id::text FROM crm_contacts WHERE organization_id = $1::text::uuid AND deleted_at IS NULL
                    AND hashint8extended(extract(epoch FROM created_at)::bigint, 5) % $2 = 0 ORDER BY md5(id::text)";
    let rows = admin.query(query, &[&context.organization_id.to_string(), &ONE_IN]).await?;
    let ids: Result<Vec<ContactId>> = rows.iter().map(|row| Ok(ContactId(row.try_get::<_, String>(0)?.parse()?))).collect();
    let ids = ids?;
    ensure!(ids.len() > WRITERS, "there are too few contacts to change");
    Ok(ids)
}

type Writers = Vec<tokio::task::JoinHandle<crm_kernel::Result<Vec<Duration>>>>;

/// Each changes the title of one contact after the other, and tells what each change took.
fn start(db: &Db, context: &Context, contacts: &Arc<Vec<ContactId>>, stop: &Arc<AtomicBool>) -> Writers {
    let writer = |number: usize| {
        let (store, context) = (PgContacts::new(db.clone()), context.clone());
        let (contacts, stop) = (Arc::clone(contacts), Arc::clone(stop));
        tokio::spawn(async move {
            let mut took = Vec::new();
            for (turn, id) in contacts.iter().skip(number).step_by(WRITERS).cycle().enumerate() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let title = format!("Buyer {number} {turn}");
                let changes = ContactChanges { title: Some(Some(title)), ..ContactChanges::default() };
                let begun = Instant::now();
                store.update(&context, *id, &Expected::Any, &changes).await?;
                took.push(begun.elapsed());
            }
            Ok(took)
        })
    };
    (0..WRITERS).map(writer).collect()
}

async fn waits(writers: Writers) -> Result<Vec<Duration>> {
    let mut all = Vec::new();
    for writer in writers {
        all.extend(writer.await.context("a writer broke")??);
    }
    all.sort();
    Ok(all)
}

async fn written_for(db: &Db, context: &Context, contacts: &Arc<Vec<ContactId>>, time: Duration) -> Result<Vec<Duration>> {
    let stop = Arc::new(AtomicBool::new(false));
    let writers = start(db, context, contacts, &stop);
    tokio::time::sleep(time).await;
    stop.store(true, Ordering::Relaxed);
    waits(writers).await
}

async fn driven(db: &Db) -> Result<usize> {
    let mut steps = 0;
    while work::step(db).await? {
        steps += 1;
        tokio::time::sleep(BREATH).await;
    }
    Ok(steps)
}

fn told(sorted: &[Duration]) -> String {
    let at = |share: usize| sorted.get((sorted.len() * share / 1000).min(sorted.len().saturating_sub(1))).copied();
    let millis = |time: Option<Duration>| time.unwrap_or_default().as_millis();
    format!(
        "{} writes, half within {} ms, 99 in 100 within {} ms, 999 in 1,000 within {} ms, the longest {} ms",
        sorted.len(),
        millis(at(500)),
        millis(at(990)),
        millis(at(999)),
        millis(sorted.last().copied())
    )
}

/// That nothing was left out.
async fn check(
    fields: &PgCustomFieldDefinitions,
    admin: &Client,
    context: &Context,
    (id, key): (CustomFieldId, &str),
    filled: u64,
) -> Result<()> {
    let field = fields.get(context, id).await?;
    let done = field.work.context("the conversion says nothing of itself")?;
    ensure!(field.field_type == FieldType::Integer && done.finished_at.is_some(), "the conversion did not end");
    let query = "SELECT count(*) FILTER (WHERE jsonb_typeof(custom_fields -> $2) = 'number'),
                        count(*) FILTER (WHERE jsonb_typeof(custom_fields -> $2) = 'string' AND custom_fields ->> $2 <> 'about ten'
                                               AND deleted_at IS NULL)
                   FROM crm_contacts WHERE organization_id = $1::text::uuid";
    let row = admin.query_one(query, &[&context.organization_id.to_string(), &key]).await?;
    let (numbers, left): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    say(&format!("  of {filled}: {} converted, {} do not fit, {left} left out\n", done.converted, done.misfitting));
    ensure!(left == 0 && numbers == done.converted, "{numbers} numbers are stored, {left} texts were left out");
    fields.retire(context, id, &Expected::Any).await?;
    Ok(())
}
