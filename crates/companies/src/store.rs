//! Every SQL statement about companies. Private to this crate.
//!
//! Must stay true: each statement names the organisation, although the database confines it anyway, so that the planner
//! knows its tenant; reads that filter go through q_companies, where every operator may use its index.

use std::collections::HashMap;

use crm_kernel::{
    CompanyId, Deleted, Error, Expected, ListQuery, Position, Result, Timestamp,
    page::{COUNT_BOUND, CUSTOM_SORT},
};
use crm_tenancy::{
    Counted, Entity, Expect, Limited, Matching, Standing, Tx, cost,
    custom_fields::{in_rank, ranked},
    patched, seek,
    seek::Phase,
    seek_id, seek_nullable,
};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, IntoSql, NullableExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper,
    dsl::now, sql_types::Bool,
};
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    fields::{FIELDS, VIEW},
    model::{Company, CompanyChanges, NewCompany},
    schema::{crm_companies as companies, q_companies},
};

pub(crate) const COMPANY: Entity = Entity { name: "company", table: "crm_companies" };

type Rows<'a> = q_companies::BoxedQuery<'a, diesel::pg::Pg>;

pub(crate) async fn get(tx: &mut Tx, id: CompanyId) -> Result<Company> {
    let living = everything(tx).filter(q_companies::id.eq(id)).filter(q_companies::deleted_at.is_null());
    living.select(Company::as_select()).first(tx).await.expect_one(COMPANY)
}

pub(crate) async fn get_with_deleted(tx: &mut Tx, id: CompanyId) -> Result<Company> {
    everything(tx).filter(q_companies::id.eq(id)).select(Company::as_select()).first(tx).await.expect_one(COMPANY)
}

pub(crate) async fn get_many(tx: &mut Tx, ids: &[CompanyId]) -> Result<Vec<Company>> {
    everything(tx).filter(q_companies::id.eq_any(ids)).select(Company::as_select()).load(tx).await.expect_any(COMPANY)
}

/// Up to one record more than the page holds, each with the value it was sorted by.
pub(crate) async fn list(tx: &mut Tx, query: &ListQuery) -> Result<Vec<(Company, String)>> {
    let wanted = usize::from(query.limit) + 1;
    if query.custom_sort.is_some() {
        let ranks = ranked(tx, VIEW, FIELDS, query, wanted).await?;
        let ids: Vec<CompanyId> = ranks.iter().map(|rank| CompanyId(rank.id)).collect();
        return Ok(in_rank(ranks, get_many(tx, &ids).await?, |company| company.id.uuid()));
    }
    let mut found = Vec::new();
    for phase in Phase::of(query) {
        let missing = wanted - found.len();
        if missing > 0 {
            found.extend(part(tx, query, *phase, missing).await?);
        }
    }
    Ok(found)
}

async fn part(tx: &mut Tx, query: &ListQuery, phase: Phase, wanted: usize) -> Result<Vec<(Company, String)>> {
    let ids = |tx: &Tx, query: &ListQuery| Ok(Limited::new(ordered(tx, query, phase)?.select(q_companies::id), wanted));
    cost::settle(tx, FIELDS, query, ids).await?;
    let rows = ordered(tx, query, phase)?;
    Limited::new(rows.select((Company::as_select(), q_companies::name_key)), wanted).load(tx).await.expect_any(COMPANY)
}

/// The rows of one phase, in the order that was asked for.
fn ordered<'a>(tx: &Tx, query: &ListQuery, phase: Phase) -> Result<Rows<'a>> {
    let rows = narrowed(tx, query);
    let in_bin = query.deleted == Deleted::Only;
    let rows = match query.sort.field.name {
        "name" => seek!(rows, query, q_companies::name_key, q_companies::id, String),
        "annual_revenue" => seek_nullable!(rows, query, phase, q_companies::annual_revenue_key, i64::MAX, q_companies::id, i64),
        "employee_count" => seek_nullable!(rows, query, phase, q_companies::employee_count_key, i64::MAX, q_companies::id, i64),
        "updated_at" => {
            seek!(rows.filter(q_companies::in_bin.eq(in_bin)), query, q_companies::updated_at_key, q_companies::id, Timestamp)
        }
        "last_activity_at" => {
            seek!(rows.filter(q_companies::in_bin.eq(in_bin)), query, q_companies::last_activity_key, q_companies::id, Timestamp)
        }
        _ => seek_id!(rows, query, q_companies::id),
    };
    Ok(rows)
}

/// Where a record stands in the order of `field`; the key is the database's own, so that both sides compare alike.
pub(crate) fn position((company, name_key): &(Company, String), field: &str) -> Position {
    let key = match field {
        "name" => json!(name_key),
        "annual_revenue" => json!(company.annual_revenue.as_ref().map(crm_kernel::Money::thousandths)),
        "employee_count" => json!(company.employee_count),
        CUSTOM_SORT => serde_json::from_str(name_key).unwrap_or_default(),
        "updated_at" => json!(company.updated_at),
        "last_activity_at" => json!(company.last_activity_at),
        _ => Value::Null,
    };
    Position::new(key, company.id)
}

pub(crate) async fn count(tx: &mut Tx, query: &ListQuery) -> Result<i64> {
    let rows = |tx: &Tx| narrowed(tx, query).select(q_companies::id).limit(COUNT_BOUND + 1);
    cost::settle(tx, FIELDS, query, |tx, _| Ok(Counted(rows(tx)))).await?;
    Counted(rows(tx)).get_result(tx).await.expect_any(COMPANY)
}

/// Whether a living company has this slug.
pub(crate) async fn slug_taken(tx: &mut Tx, slug: &str) -> Result<bool> {
    let same = everything(tx).filter(q_companies::slug.eq(slug)).filter(q_companies::deleted_at.is_null());
    let found: Option<CompanyId> = same.select(q_companies::id).first(tx).await.optional().expect_any(COMPANY)?;
    Ok(found.is_some())
}

pub(crate) async fn insert(tx: &mut Tx, new: &NewCompany) -> Result<Company> {
    let id =
        diesel::insert_into(companies::table).values(new).returning(companies::id).get_result(tx).await.expect_one(COMPANY)?;
    get(tx, id).await
}

/// All of them with one statement, in this order. Each says its id.
pub(crate) async fn insert_all(tx: &mut Tx, new: &[NewCompany]) -> Result<Vec<Company>> {
    let made: Vec<CompanyId> =
        diesel::insert_into(companies::table).values(new).returning(companies::id).get_results(tx).await.expect_any(COMPANY)?;
    let mut found: HashMap<CompanyId, Company> =
        get_many(tx, &made).await?.into_iter().map(|company| (company.id, company)).collect();
    let in_order: Option<Vec<Company>> = new.iter().map(|new| found.remove(&new.id?)).collect();
    in_order.ok_or_else(|| Error::internal("a record that was made is not there"))
}

/// The living companies with this slug.
pub(crate) async fn with_slug(tx: &mut Tx, slug: &str) -> Result<Vec<Uuid>> {
    let same = everything(tx).filter(q_companies::slug.eq(slug)).filter(q_companies::deleted_at.is_null());
    same.select(q_companies::id).limit(2).load(tx).await.expect_any(COMPANY)
}

/// Those of these slugs that living companies have.
pub(crate) async fn taken_slugs(tx: &mut Tx, slugs: &[String]) -> Result<Vec<String>> {
    let same = everything(tx).filter(q_companies::slug.eq_any(slugs)).filter(q_companies::deleted_at.is_null());
    same.select(q_companies::slug).load(tx).await.expect_any(COMPANY)
}

pub(crate) async fn update(tx: &mut Tx, id: CompanyId, expected: &Expected, changes: &CompanyChanges) -> Result<Company> {
    let this = companies::table.find((tx.organization_id(), id)).filter(companies::deleted_at.is_null());
    let this = this.filter(expected.is_any().into_sql::<Bool>().or(companies::version.eq_any(expected.versions())));
    let changed = diesel::update(this)
        .set((
            changes,
            companies::billing_address.eq(patched!(companies::billing_address, changes.billing_address)),
            companies::shipping_address.eq(patched!(companies::shipping_address, changes.shipping_address)),
            companies::custom_fields.eq(patched!(companies::custom_fields.nullable(), changes.custom_fields).assume_not_null()),
        ))
        .returning(companies::id)
        .get_result(tx)
        .await;
    done(tx, id, expected, changed).await
}

pub(crate) async fn delete(tx: &mut Tx, id: CompanyId, expected: &Expected) -> Result<()> {
    let this = companies::table.find((tx.organization_id(), id)).filter(companies::deleted_at.is_null());
    let this = this.filter(expected.is_any().into_sql::<Bool>().or(companies::version.eq_any(expected.versions())));
    let gone: Option<CompanyId> = diesel::update(this)
        .set(companies::deleted_at.eq(now))
        .returning(companies::id)
        .get_result(tx)
        .await
        .optional()
        .expect_any(COMPANY)?;
    if gone.is_some() { Ok(()) } else { Err(why_not(tx, id, expected).await?) }
}

/// Brings a record back from the bin; a record that is not in it stays as it is.
pub(crate) async fn restore(tx: &mut Tx, id: CompanyId) -> Result<Company> {
    let this = companies::table.find((tx.organization_id(), id)).filter(companies::deleted_at.is_not_null());
    let none = None::<Timestamp>;
    let back: Option<CompanyId> = diesel::update(this)
        .set(companies::deleted_at.eq(none))
        .returning(companies::id)
        .get_result(tx)
        .await
        .optional()
        .expect_any(COMPANY)?;
    let company = get_with_deleted(tx, id).await?;
    // Untouched: it lives already, which is well for those who may change it, or the database refused.
    let refused = back.is_none() && (company.deleted_at.is_some() || !standing(tx, &company).changeable_by(tx.role()));
    if refused { Err(Error::forbidden("your role may not restore this company")) } else { Ok(company) }
}

/// What forbids changing the record, asked before its new values are judged.
pub(crate) async fn refusal(tx: &mut Tx, id: CompanyId, expected: &Expected) -> Result<Option<Error>> {
    let seen = get_with_deleted(tx, id).await.map(|company| standing(tx, &company));
    Standing::refusal(seen, tx, COMPANY, expected)
}

fn standing(tx: &Tx, company: &Company) -> Standing {
    Standing::of(tx, company.deleted_at, company.version, &[company.owner_id, company.created_by_id])
}

async fn why_not(tx: &mut Tx, id: CompanyId, expected: &Expected) -> Result<Error> {
    // Nothing forbids it now, so somebody was faster between the two looks: that is what stale means.
    Ok(refusal(tx, id, expected).await?.unwrap_or(Error::Stale(COMPANY.name)))
}

async fn done(tx: &mut Tx, id: CompanyId, expected: &Expected, changed: diesel::QueryResult<CompanyId>) -> Result<Company> {
    match changed.optional().expect_any(COMPANY)? {
        Some(id) => get(tx, id).await,
        None => Err(why_not(tx, id, expected).await?),
    }
}

fn everything<'a>(tx: &Tx) -> Rows<'a> {
    q_companies::table.filter(q_companies::organization_id.eq(tx.organization_id())).into_boxed()
}

fn narrowed<'a>(tx: &Tx, query: &ListQuery) -> Rows<'a> {
    let condition = query.filter.condition();
    let rows = match query.deleted {
        Deleted::Exclude => everything(tx).filter(q_companies::deleted_at.is_null()),
        Deleted::Only => everything(tx).filter(q_companies::deleted_at.is_not_null()),
    };
    let rows =
        if seek::by_times(&condition) { rows.filter(q_companies::in_bin.eq(query.deleted == Deleted::Only)) } else { rows };
    rows.filter(Matching::new(tx, VIEW, &condition))
}
