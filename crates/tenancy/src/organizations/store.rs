//! Every SQL statement about the organisation. Each names it, although the database confines it anyway.

use crm_kernel::{Date, Error, Expected, OrganizationId, Result};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, IntoSql, OptionalExtension, PgTimestampExpressionMethods, QueryDsl,
    SelectableHelper,
    dsl::{date, now},
    sql_types::{Bool, Timestamptz},
};
use diesel_async::RunQueryDsl;

use super::model::{Organization, OrganizationChanges, SecuritySettings, SecuritySettingsChanges};
use crate::{Entity, Expect, Tx, schema::organizations};

const ORGANIZATION: Entity = Entity { name: "organization", table: "organizations" };

pub(super) async fn get(tx: &mut Tx) -> Result<Organization> {
    let own = organizations::table.find(tx.organization_id());
    own.select(Organization::as_select()).first(tx).await.expect_one(ORGANIZATION)
}

pub(super) async fn today(tx: &mut Tx) -> Result<Date> {
    let here = now.into_sql::<Timestamptz>().at_time_zone(organizations::time_zone);
    organizations::table.find(tx.organization_id()).select(date(here)).first(tx).await.expect_one(ORGANIZATION)
}

pub(super) async fn security(tx: &mut Tx) -> Result<SecuritySettings> {
    let own = organizations::table.find(tx.organization_id());
    own.select(SecuritySettings::as_select()).first(tx).await.expect_one(ORGANIZATION)
}

/// Refuses what was made from another version, before its values are judged.
pub(super) async fn expect_version(tx: &mut Tx, expected: &Expected) -> Result<()> {
    let own = organizations::table.find(tx.organization_id());
    let version: i32 = own.select(organizations::version).first(tx).await.expect_one(ORGANIZATION)?;
    if expected.accepts(version) { Ok(()) } else { Err(Error::Stale(ORGANIZATION.name)) }
}

pub(super) async fn update(tx: &mut Tx, expected: &Expected, changes: &OrganizationChanges) -> Result<()> {
    let own = organizations::table.find(tx.organization_id());
    let own = own.filter(expected.is_any().into_sql::<Bool>().or(organizations::version.eq_any(expected.versions())));
    done(diesel::update(own).set(changes).returning(organizations::id).get_result(tx).await)
}

pub(super) async fn update_security(tx: &mut Tx, expected: &Expected, changes: &SecuritySettingsChanges) -> Result<()> {
    let own = organizations::table.find(tx.organization_id());
    let own = own.filter(expected.is_any().into_sql::<Bool>().or(organizations::version.eq_any(expected.versions())));
    done(diesel::update(own).set(changes).returning(organizations::id).get_result(tx).await)
}

pub(super) async fn delete(tx: &mut Tx, expected: &Expected) -> Result<()> {
    let own = organizations::table.find(tx.organization_id());
    let own = own.filter(expected.is_any().into_sql::<Bool>().or(organizations::version.eq_any(expected.versions())));
    let gone = diesel::update(own).set(organizations::deleted_at.eq(now)).returning(organizations::id).get_result(tx).await;
    done(gone)
}

/// The caller's role was asked, so that nothing was changed means that somebody was faster.
fn done(changed: diesel::QueryResult<OrganizationId>) -> Result<()> {
    changed.optional().expect_any(ORGANIZATION)?.map(|_| ()).ok_or(Error::Stale(ORGANIZATION.name))
}
