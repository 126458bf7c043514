//! Every SQL statement about what a deal consists of and who takes part in it. Private to this crate.
//!
//! Must stay true: the deal is held before its parts are read to be changed, and has a new version afterwards; each statement names the
//! organisation.

use std::collections::HashSet;

use crm_kernel::{ContactId, DealId, LineItemId, Money, ProductId, Result};
use crm_tenancy::{Entity, Expect, Tx};
use diesel::{BoolExpressionMethods, ExpressionMethods, JoinOnDsl, QueryDsl, SelectableHelper, dsl::sum, upsert::excluded};
use diesel_async::RunQueryDsl;

use crate::{
    deal_contacts::{DealContact, NewDealContact},
    line_items::{LineItem, LinePlan, Offered},
    schema::{
        crm_deal_contacts as people, crm_deal_line_items as lines, crm_deals as deals, q_contacts as contacts,
        q_products as products,
    },
    store::DEAL,
};

const LINE: Entity = Entity { name: "line", table: "crm_deal_line_items" };
const PERSON: Entity = Entity { name: "contact of the deal", table: "crm_deal_contacts" };
/// More than a deal may have: what was written otherwise is shown as far as this.
const MOST_PARTS: i64 = 1_000;

/// The lines of a deal with their places, in their order.
pub(crate) async fn lines_of(tx: &mut Tx, deal: DealId) -> Result<Vec<(i32, LineItem)>> {
    let own = lines::table.filter(lines::organization_id.eq(tx.organization_id())).filter(lines::deal_id.eq(deal));
    let ordered = own.order((lines::position, lines::id)).limit(MOST_PARTS);
    ordered.select((lines::position, LineItem::as_select())).load(tx).await.expect_any(LINE)
}

/// What the lines of a deal come to; `None` if there are none.
pub(crate) async fn total_of(tx: &mut Tx, deal: DealId) -> Result<Option<Money>> {
    let own = lines::table.filter(lines::organization_id.eq(tx.organization_id())).filter(lines::deal_id.eq(deal));
    own.select(sum(lines::amount)).first(tx).await.expect_any(LINE)
}

/// Those of these products that are there and not in the bin.
pub(crate) async fn offered(tx: &mut Tx, ids: &[ProductId]) -> Result<Vec<Offered>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let own = products::table.filter(products::organization_id.eq(tx.organization_id())).filter(products::id.eq_any(ids));
    own.filter(products::deleted_at.is_null()).select(Offered::as_select()).load(tx).await.expect_any(LINE)
}

/// Does to the lines of a deal that is held what the plan says.
pub(crate) async fn write_lines(tx: &mut Tx, deal: DealId, plan: &LinePlan) -> Result<()> {
    remove_lines(tx, deal, &plan.removed).await?;
    if !plan.written.is_empty() {
        let row = |(position, line): &(i32, LineItem)| (lines::deal_id.eq(deal), lines::position.eq(*position), line.clone());
        let rows: Vec<_> = plan.written.iter().map(row).collect();
        diesel::insert_into(lines::table)
            .values(rows)
            .on_conflict((lines::organization_id, lines::id))
            .do_update()
            .set((
                lines::name.eq(excluded(lines::name)),
                lines::quantity.eq(excluded(lines::quantity)),
                lines::unit_price.eq(excluded(lines::unit_price)),
                lines::discount_percent.eq(excluded(lines::discount_percent)),
                lines::amount.eq(excluded(lines::amount)),
                lines::position.eq(excluded(lines::position)),
            ))
            .execute(tx)
            .await
            .expect_any(LINE)?;
    }
    let this = deals::table.find((tx.organization_id(), deal));
    let counted = deals::parts_version.eq(deals::parts_version + 1);
    match &plan.total {
        Some(total) => diesel::update(this).set((counted, deals::amount.eq(total))).execute(tx).await.expect_any(DEAL)?,
        None => diesel::update(this).set(counted).execute(tx).await.expect_any(DEAL)?,
    };
    Ok(())
}

async fn remove_lines(tx: &mut Tx, deal: DealId, removed: &[LineItemId]) -> Result<()> {
    if removed.is_empty() {
        return Ok(());
    }
    let own = lines::table.filter(lines::organization_id.eq(tx.organization_id())).filter(lines::deal_id.eq(deal));
    diesel::delete(own.filter(lines::id.eq_any(removed))).execute(tx).await.expect_any(LINE).map(|_| ())
}

/// The people of a deal, in the order in which they came.
pub(crate) async fn people_of(tx: &mut Tx, deal: DealId) -> Result<Vec<DealContact>> {
    let same = contacts::organization_id.eq(people::organization_id).and(contacts::id.eq(people::contact_id));
    let own = people::table.inner_join(contacts::table.on(same)).filter(people::organization_id.eq(tx.organization_id()));
    let columns =
        (people::contact_id, people::role, contacts::first_name, contacts::last_name, contacts::deleted_at.is_not_null());
    let found: Vec<(ContactId, Option<String>, String, String, bool)> = own
        .filter(contacts::organization_id.eq(tx.organization_id()))
        .filter(people::deal_id.eq(deal))
        .order(people::id)
        .limit(MOST_PARTS)
        .select(columns)
        .load(tx)
        .await
        .expect_any(PERSON)?;
    let shown = |(contact_id, role, first, last, is_deleted)| DealContact {
        contact_id,
        role,
        name: Some(format!("{first} {last}")),
        is_deleted,
    };
    Ok(found.into_iter().map(shown).collect())
}

/// The deals that this contact takes part in, newest first.
pub(crate) async fn deals_with(tx: &mut Tx, contact: ContactId, most: i64) -> Result<Vec<DealId>> {
    let own = people::table.filter(people::organization_id.eq(tx.organization_id())).filter(people::contact_id.eq(contact));
    own.order(people::deal_id.desc()).limit(most).select(people::deal_id).load(tx).await.expect_any(PERSON)
}

/// Those of these contacts that are there and not in the bin.
pub(crate) async fn living_contacts(tx: &mut Tx, ids: &[ContactId]) -> Result<HashSet<ContactId>> {
    let own = contacts::table.filter(contacts::organization_id.eq(tx.organization_id())).filter(contacts::id.eq_any(ids));
    let living: Vec<ContactId> =
        own.filter(contacts::deleted_at.is_null()).select(contacts::id).load(tx).await.expect_any(PERSON)?;
    Ok(living.into_iter().collect())
}

/// Lets these people take part in a deal that is held, and those no more.
pub(crate) async fn write_people(tx: &mut Tx, deal: DealId, written: &[NewDealContact], removed: &[ContactId]) -> Result<()> {
    if !removed.is_empty() {
        let own = people::table.filter(people::organization_id.eq(tx.organization_id())).filter(people::deal_id.eq(deal));
        diesel::delete(own.filter(people::contact_id.eq_any(removed))).execute(tx).await.expect_any(PERSON)?;
    }
    if !written.is_empty() {
        let row = |person: &NewDealContact| {
            (people::deal_id.eq(deal), people::contact_id.eq(person.contact_id), people::role.eq(person.role.clone()))
        };
        let rows: Vec<_> = written.iter().map(row).collect();
        diesel::insert_into(people::table)
            .values(rows)
            .on_conflict((people::organization_id, people::deal_id, people::contact_id))
            .do_update()
            .set(people::role.eq(excluded(people::role)))
            .execute(tx)
            .await
            .expect_any(PERSON)?;
    }
    let this = deals::table.find((tx.organization_id(), deal));
    let counted = deals::parts_version.eq(deals::parts_version + 1);
    diesel::update(this).set(counted).execute(tx).await.expect_any(DEAL).map(|_| ())
}
