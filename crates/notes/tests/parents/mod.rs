//! What notes can be about. Notes do not know the crates of other nouns.

#![allow(dead_code, reason = "each test uses what it needs")]

use crm_kernel::{Context, Result};
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
    crm_deals (id) {
        id -> Uuid,
        name -> Text,
    }
}

diesel::table! {
    crm_projects (id) {
        id -> Uuid,
        name -> Text,
    }
}

diesel::table! {
    crm_campaigns (id) {
        id -> Uuid,
        name -> Text,
    }
}

diesel::table! {
    crm_tasks (id) {
        id -> Uuid,
        title -> Text,
    }
}

pub async fn company(db: &Db, context: &Context) -> Result<Uuid> {
    let mut tx = db.begin(context).await?;
    let values = (crm_companies::name.eq("Buyer"), crm_companies::slug.eq(Uuid::now_v7().to_string()));
    let inserted = diesel::insert_into(crm_companies::table).values(values).returning(crm_companies::id);
    let id = inserted.get_result(&mut tx).await.expect("a company can be created");
    tx.commit().await?;
    Ok(id)
}

pub async fn contact(db: &Db, context: &Context) -> Result<Uuid> {
    let mut tx = db.begin(context).await?;
    let values = (crm_contacts::first_name.eq("Ada"), crm_contacts::last_name.eq("Lovelace"));
    let inserted = diesel::insert_into(crm_contacts::table).values(values).returning(crm_contacts::id);
    let id = inserted.get_result(&mut tx).await.expect("a contact can be created");
    tx.commit().await?;
    Ok(id)
}

pub async fn deal(db: &Db, context: &Context) -> Result<Uuid> {
    let mut tx = db.begin(context).await?;
    let inserted = diesel::insert_into(crm_deals::table).values(crm_deals::name.eq("Deal")).returning(crm_deals::id);
    let id = inserted.get_result(&mut tx).await.expect("a deal can be created");
    tx.commit().await?;
    Ok(id)
}

pub async fn project(db: &Db, context: &Context) -> Result<Uuid> {
    let mut tx = db.begin(context).await?;
    let inserted = diesel::insert_into(crm_projects::table).values(crm_projects::name.eq("Rollout")).returning(crm_projects::id);
    let id = inserted.get_result(&mut tx).await.expect("a project can be created");
    tx.commit().await?;
    Ok(id)
}

pub async fn task(db: &Db, context: &Context) -> Result<Uuid> {
    let mut tx = db.begin(context).await?;
    let inserted = diesel::insert_into(crm_tasks::table).values(crm_tasks::title.eq("Ask")).returning(crm_tasks::id);
    let id = inserted.get_result(&mut tx).await.expect("a task can be created");
    tx.commit().await?;
    Ok(id)
}

pub async fn campaign(db: &Db, context: &Context) -> Result<Uuid> {
    let mut tx = db.begin(context).await?;
    let inserted = diesel::insert_into(crm_campaigns::table).values(crm_campaigns::name.eq("Fair")).returning(crm_campaigns::id);
    let id = inserted.get_result(&mut tx).await.expect("a campaign can be created");
    tx.commit().await?;
    Ok(id)
}
