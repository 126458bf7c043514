//! What projects can belong to. Projects do not know the crates of companies and deals.

#![allow(dead_code, reason = "each test uses what it needs")]

use crm_kernel::{CompanyId, Context, Date, DealId, Result};
use crm_tenancy::Db;
use diesel::{ExpressionMethods, QueryDsl};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

diesel::table! {
    crm_companies (id) {
        id -> Uuid,
        name -> Text,
        slug -> Text,
    }
}

diesel::table! {
    crm_deals (organization_id, id) {
        id -> Uuid,
        organization_id -> Uuid,
        name -> Text,
        company_id -> Nullable<Uuid>,
        stage -> Text,
        actual_close_date -> Nullable<Date>,
    }
}

pub async fn company(db: &Db, context: &Context) -> Result<CompanyId> {
    let mut tx = db.begin(context).await?;
    let values = (crm_companies::name.eq("Buyer"), crm_companies::slug.eq(Uuid::now_v7().to_string()));
    let inserted = diesel::insert_into(crm_companies::table).values(values).returning(crm_companies::id);
    let id = inserted.get_result(&mut tx).await.expect("a company can be created");
    tx.commit().await?;
    Ok(id)
}

/// In this stage of the default pipeline; a closed one closed long ago.
pub async fn deal(db: &Db, context: &Context, stage: &str, company: Option<CompanyId>) -> Result<DealId> {
    let mut tx = db.begin(context).await?;
    let values = (
        crm_deals::name.eq("Forty workstations"),
        crm_deals::company_id.eq(company),
        crm_deals::stage.eq(stage),
        crm_deals::actual_close_date.eq(closing_date(stage)),
    );
    let inserted = diesel::insert_into(crm_deals::table).values(values).returning(crm_deals::id);
    let id = inserted.get_result(&mut tx).await.expect("a deal can be created");
    tx.commit().await?;
    Ok(id)
}

/// Moves it, as its own crate would.
pub async fn move_deal(db: &Db, context: &Context, deal: DealId, stage: &str) -> Result<()> {
    let mut tx = db.begin(context).await?;
    let this = crm_deals::table.find((tx.organization_id(), deal));
    let values = (crm_deals::stage.eq(stage), crm_deals::actual_close_date.eq(closing_date(stage)));
    diesel::update(this).set(values).execute(&mut tx).await.expect("a deal can be moved");
    tx.commit().await
}

fn closing_date(stage: &str) -> Option<Date> {
    stage.starts_with("closed").then(|| "2025-06-30".parse().expect("a date"))
}
