//! What deals can belong to. Deals do not know the crates of companies and contacts.

use crm_kernel::{CampaignId, CompanyId, ContactId, Context, Result};
use crm_tenancy::Db;
use diesel::ExpressionMethods;
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
    crm_contacts (id) {
        id -> Uuid,
        first_name -> Text,
        last_name -> Text,
    }
}

diesel::table! {
    crm_campaigns (id) {
        id -> Uuid,
        name -> Text,
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

pub async fn contact(db: &Db, context: &Context) -> Result<ContactId> {
    let mut tx = db.begin(context).await?;
    let values = (crm_contacts::first_name.eq("Ada"), crm_contacts::last_name.eq("Lovelace"));
    let inserted = diesel::insert_into(crm_contacts::table).values(values).returning(crm_contacts::id);
    let id = inserted.get_result(&mut tx).await.expect("a contact can be created");
    tx.commit().await?;
    Ok(id)
}

pub async fn campaign(db: &Db, context: &Context) -> Result<CampaignId> {
    let mut tx = db.begin(context).await?;
    let inserted = diesel::insert_into(crm_campaigns::table).values(crm_campaigns::name.eq("Fair")).returning(crm_campaigns::id);
    let id = inserted.get_result(&mut tx).await.expect("a campaign can be created");
    tx.commit().await?;
    Ok(id)
}
