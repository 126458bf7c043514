//! What other systems call our records: a source, its id, and the record here.
//!
//! Must stay true: within one kind of record a source's id means one record; who may write them is for the database to say (owners
//! and admins). That the record is alive is for the caller to see to.

use crm_kernel::{Error, FieldError, Result, Timestamp, validation};
use diesel::{ExpressionMethods, QueryDsl, Queryable, Selectable, SelectableHelper};
use diesel_async::RunQueryDsl;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Entity, Expect, Tx, schema::crm_external_ids as external_ids};

const EXTERNAL_ID: Entity = Entity { name: "external id", table: "crm_external_ids" };

/// Names of one record that are shown at most.
const MOST: i64 = 1_000;

/// What another system calls a record.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize, garde::Validate)]
#[serde(deny_unknown_fields)]
pub struct ExternalId {
    /// The system: `hubspot`.
    #[garde(length(chars, max = 100), custom(validation::readable))]
    pub source: String,
    /// The id that it has there, as it is written there.
    #[garde(length(chars, max = 255), custom(validation::readable))]
    pub external_id: String,
}

/// A name that a record has elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = external_ids, check_for_backend(diesel::pg::Pg))]
pub struct NamedElsewhere {
    /// The system: `hubspot`.
    pub source: String,
    /// The id that it has there.
    pub external_id: String,
    /// Since when it is known here.
    pub created_at: Timestamp,
}

/// What became of naming a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attached {
    /// The name is new.
    Now,
    /// The record had it already.
    Before,
}

/// The record of this kind that has this name; one in the bin too.
///
/// # Errors
/// `Invalid` when it cannot be a name; `Unavailable` when the database is away.
pub async fn find(tx: &mut Tx, entity: &'static str, name: &ExternalId) -> Result<Option<Uuid>> {
    validation::check(name)?;
    let named = external_ids::table
        .filter(external_ids::organization_id.eq(tx.organization_id()))
        .filter(external_ids::entity_type.eq(entity))
        .filter(external_ids::source.eq(&name.source))
        .filter(external_ids::external_id.eq(&name.external_id));
    let mut found: Vec<Uuid> = named.select(external_ids::entity_id).limit(1).load(tx).await.expect_any(EXTERNAL_ID)?;
    Ok(found.pop())
}

/// The names of a record, oldest first; the first thousand.
///
/// # Errors
/// `Unavailable` when the database is away.
pub async fn of(tx: &mut Tx, entity: &'static str, record: Uuid) -> Result<Vec<NamedElsewhere>> {
    let own = external_ids::table
        .filter(external_ids::organization_id.eq(tx.organization_id()))
        .filter(external_ids::entity_type.eq(entity))
        .filter(external_ids::entity_id.eq(record));
    own.order(external_ids::id).limit(MOST).select(NamedElsewhere::as_select()).load(tx).await.expect_any(EXTERNAL_ID)
}

/// Gives a record a name, which it may have already. Two who do that at once wait for each other.
///
/// # Errors
/// `Conflict` when another record has the name; `Forbidden` for members and viewers; `Invalid` when it cannot be a name.
pub async fn attach(tx: &mut Tx, entity: &'static str, record: Uuid, name: &ExternalId) -> Result<Attached> {
    validation::check(name)?;
    let values = (
        external_ids::entity_type.eq(entity),
        external_ids::entity_id.eq(record),
        external_ids::source.eq(&name.source),
        external_ids::external_id.eq(&name.external_id),
    );
    let made = diesel::insert_into(external_ids::table).values(values).on_conflict_do_nothing().execute(tx).await;
    if made.expect_any(EXTERNAL_ID)? > 0 {
        return Ok(Attached::Now);
    }
    if find(tx, entity, name).await? == Some(record) { Ok(Attached::Before) } else { Err(taken()) }
}

/// Takes a name from a record.
///
/// # Errors
/// `NotFound` when the record does not have it; `Forbidden` for members and viewers.
pub async fn detach(tx: &mut Tx, entity: &'static str, record: Uuid, name: &ExternalId) -> Result<()> {
    tx.require(crm_kernel::Role::is_manager, "take external ids from records")?;
    let this = external_ids::table
        .filter(external_ids::organization_id.eq(tx.organization_id()))
        .filter(external_ids::entity_type.eq(entity))
        .filter(external_ids::entity_id.eq(record))
        .filter(external_ids::source.eq(&name.source))
        .filter(external_ids::external_id.eq(&name.external_id));
    match diesel::delete(this).execute(tx).await.expect_any(EXTERNAL_ID)? {
        0 => Err(Error::NotFound(EXTERNAL_ID.name)),
        _ => Ok(()),
    }
}

fn taken() -> Error {
    Error::Conflict(vec![FieldError::new("/external_id", "unique", "another record has this external id")])
}
