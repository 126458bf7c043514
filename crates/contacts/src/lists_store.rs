//! Every SQL statement about the lists that are kept with a contact: its addresses and numbers, its companies. Private to this crate.
//!
//! Must stay true: the contact is held before a list is read to be changed, and has a new version afterwards; each statement names the
//! organisation. The rows are written before the contact, whose own fields say which is the primary one: the database compares the two.

use std::collections::HashSet;

use crm_kernel::{CompanyId, ContactId, Expected, Result};
use crm_tenancy::{Entity, Expect, Tx};
use diesel::{BoolExpressionMethods, ExpressionMethods, JoinOnDsl, OptionalExtension, QueryDsl, upsert::excluded};
use diesel_async::RunQueryDsl;

use crate::{
    contact_companies::ContactCompany,
    contact_points::{ContactPoint, ContactPointKind, primary},
    schema::{crm_contact_companies as companies, crm_contact_points as points, crm_contacts as contacts, q_companies},
    store::{self, CONTACT},
};

const POINT: Entity = Entity { name: "contact point", table: "crm_contact_points" };
const COMPANY: Entity = Entity { name: "company of the contact", table: "crm_contact_companies" };
/// More than a contact may have: what was written otherwise is shown as far as this.
const MOST: i64 = 1_000;

/// Locks a living contact that the caller may change and whose version is expected; otherwise says why not.
pub(crate) async fn hold(tx: &mut Tx, id: ContactId, expected: &Expected) -> Result<()> {
    let this = contacts::table.find((tx.organization_id(), id)).filter(contacts::deleted_at.is_null());
    let held: Option<i32> = this.select(contacts::version).for_no_key_update().first(tx).await.optional().expect_any(CONTACT)?;
    match (held, store::refusal(tx, id, expected).await?) {
        (Some(_), None) => Ok(()),
        (_, Some(refusal)) => Err(refusal),
        (None, None) => Err(crm_kernel::Error::Stale(CONTACT.name)),
    }
}

/// The addresses and numbers in their order. One that no list was ever written of has those of the contact itself.
pub(crate) async fn points_of(tx: &mut Tx, id: ContactId) -> Result<Vec<ContactPoint>> {
    let own = points::table.filter(points::organization_id.eq(tx.organization_id())).filter(points::contact_id.eq(id));
    let ordered = own.order((points::position, points::id)).limit(MOST);
    let columns = (points::kind, points::value, points::label, points::is_primary);
    let rows: Vec<(ContactPointKind, String, Option<String>, bool)> = ordered.select(columns).load(tx).await.expect_any(POINT)?;
    let shown = |(kind, value, label, is_primary)| ContactPoint { kind, value, label, is_primary };
    let mut all: Vec<ContactPoint> = rows.into_iter().map(shown).collect();
    let contact = store::get_with_deleted(tx, id).await?;
    for (kind, value) in [(ContactPointKind::Phone, contact.phone), (ContactPointKind::Email, contact.email)] {
        if let Some(value) = value.filter(|_| primary(&all, kind).is_none()) {
            all.insert(0, ContactPoint { kind, value, label: None, is_primary: true });
        }
    }
    Ok(all)
}

/// Writes the list of a contact that is held, and the contact after it.
pub(crate) async fn write_points(tx: &mut Tx, id: ContactId, current: &[ContactPoint], kept: &[ContactPoint]) -> Result<()> {
    let organization = tx.organization_id();
    let own = || points::table.filter(points::organization_id.eq(organization)).filter(points::contact_id.eq(id));
    for kind in [ContactPointKind::Email, ContactPointKind::Phone] {
        let of_kind = |all: &[ContactPoint]| -> Vec<String> {
            all.iter().filter(|point| point.kind == kind).map(|point| point.value.to_lowercase()).collect()
        };
        let (before, after) = (of_kind(current), of_kind(kept));
        let gone: Vec<String> = before.into_iter().filter(|value| !after.contains(value)).collect();
        let these = own().filter(points::kind.eq(kind));
        diesel::delete(these.filter(points::value_key.eq_any(gone))).execute(tx).await.expect_any(POINT)?;
        // One primary one at a time, at every moment.
        let first = primary(kept, kind).unwrap_or_default().to_lowercase();
        let demoted = own().filter(points::kind.eq(kind)).filter(points::is_primary).filter(points::value_key.ne(first));
        diesel::update(demoted).set(points::is_primary.eq(false)).execute(tx).await.expect_any(POINT)?;
    }
    let row = |(position, point): (i32, &ContactPoint)| {
        (
            points::contact_id.eq(id),
            points::kind.eq(point.kind),
            points::value.eq(point.value.clone()),
            points::label.eq(point.label.clone()),
            points::is_primary.eq(point.is_primary),
            points::position.eq(position),
        )
    };
    let rows: Vec<_> = (0..).zip(kept).map(row).collect();
    if !rows.is_empty() {
        diesel::insert_into(points::table)
            .values(rows)
            .on_conflict((points::organization_id, points::contact_id, points::kind, points::value_key))
            .do_update()
            .set((
                points::value.eq(excluded(points::value)),
                points::label.eq(excluded(points::label)),
                points::is_primary.eq(excluded(points::is_primary)),
                points::position.eq(excluded(points::position)),
            ))
            .execute(tx)
            .await
            .expect_any(POINT)?;
    }
    let set = (
        contacts::lists_version.eq(contacts::lists_version + 1),
        contacts::email.eq(primary(kept, ContactPointKind::Email)),
        contacts::phone.eq(primary(kept, ContactPointKind::Phone)),
    );
    diesel::update(contacts::table.find((organization, id))).set(set).execute(tx).await.expect_any(CONTACT).map(|_| ())
}

/// The companies in their order. A contact that no list was ever written of has its own one.
pub(crate) async fn companies_of(tx: &mut Tx, id: ContactId) -> Result<Vec<ContactCompany>> {
    let organization = tx.organization_id();
    let same = q_companies::organization_id.eq(companies::organization_id).and(q_companies::id.eq(companies::company_id));
    let own = companies::table.inner_join(q_companies::table.on(same)).filter(companies::organization_id.eq(organization));
    let columns =
        (companies::company_id, companies::role, companies::is_primary, q_companies::name, q_companies::deleted_at.is_not_null());
    let rows: Vec<(CompanyId, Option<String>, bool, String, bool)> = own
        .filter(q_companies::organization_id.eq(organization))
        .filter(companies::contact_id.eq(id))
        .order((companies::position, companies::id))
        .limit(MOST)
        .select(columns)
        .load(tx)
        .await
        .expect_any(COMPANY)?;
    let shown = |(company_id, role, is_primary, name, is_deleted)| ContactCompany {
        company_id,
        role,
        is_primary,
        name: Some(name),
        is_deleted,
    };
    let mut all: Vec<ContactCompany> = rows.into_iter().map(shown).collect();
    let contact = store::get_with_deleted(tx, id).await?;
    if let Some(company) = contact.company_id.filter(|_| !all.iter().any(|company| company.is_primary)) {
        let this = q_companies::table.filter(q_companies::organization_id.eq(organization)).filter(q_companies::id.eq(company));
        let (name, is_deleted): (String, bool) =
            this.select((q_companies::name, q_companies::deleted_at.is_not_null())).first(tx).await.expect_one(COMPANY)?;
        all.insert(0, ContactCompany { company_id: company, role: None, is_primary: true, name: Some(name), is_deleted });
    }
    Ok(all)
}

/// Those of these companies that are there and not in the bin.
pub(crate) async fn living_companies(tx: &mut Tx, ids: &[CompanyId]) -> Result<HashSet<CompanyId>> {
    let own =
        q_companies::table.filter(q_companies::organization_id.eq(tx.organization_id())).filter(q_companies::id.eq_any(ids));
    let living: Vec<CompanyId> =
        own.filter(q_companies::deleted_at.is_null()).select(q_companies::id).load(tx).await.expect_any(COMPANY)?;
    Ok(living.into_iter().collect())
}

/// Writes the list of a contact that is held, and the contact after it.
pub(crate) async fn write_companies(tx: &mut Tx, id: ContactId, kept: &[ContactCompany]) -> Result<()> {
    let organization = tx.organization_id();
    let own = || companies::table.filter(companies::organization_id.eq(organization)).filter(companies::contact_id.eq(id));
    let stay: Vec<CompanyId> = kept.iter().map(|company| company.company_id).collect();
    let first = kept.iter().find(|company| company.is_primary).map(|company| company.company_id);
    diesel::delete(own().filter(companies::company_id.ne_all(stay))).execute(tx).await.expect_any(COMPANY)?;
    // One primary one at a time, at every moment.
    let demoted = own().filter(companies::is_primary).filter(companies::company_id.ne_all(first));
    diesel::update(demoted).set(companies::is_primary.eq(false)).execute(tx).await.expect_any(COMPANY)?;
    let row = |(position, company): (i32, &ContactCompany)| {
        (
            companies::contact_id.eq(id),
            companies::company_id.eq(company.company_id),
            companies::role.eq(company.role.clone()),
            companies::is_primary.eq(company.is_primary),
            companies::position.eq(position),
        )
    };
    let rows: Vec<_> = (0..).zip(kept).map(row).collect();
    if !rows.is_empty() {
        diesel::insert_into(companies::table)
            .values(rows)
            .on_conflict((companies::organization_id, companies::contact_id, companies::company_id))
            .do_update()
            .set((
                companies::role.eq(excluded(companies::role)),
                companies::is_primary.eq(excluded(companies::is_primary)),
                companies::position.eq(excluded(companies::position)),
            ))
            .execute(tx)
            .await
            .expect_any(COMPANY)?;
    }
    let set = (contacts::lists_version.eq(contacts::lists_version + 1), contacts::company_id.eq(first));
    diesel::update(contacts::table.find((organization, id))).set(set).execute(tx).await.expect_any(CONTACT).map(|_| ())
}

/// The contacts that belong to this company besides those whose first it is, at most so many.
pub(crate) async fn further_of(tx: &mut Tx, company: CompanyId, most: i64) -> Result<Vec<ContactId>> {
    let own = companies::table.filter(companies::organization_id.eq(tx.organization_id()));
    let further = own.filter(companies::company_id.eq(company)).filter(companies::is_primary.eq(false));
    further.order(companies::contact_id).limit(most).select(companies::contact_id).load(tx).await.expect_any(COMPANY)
}
