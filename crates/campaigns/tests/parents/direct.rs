//! What is done to members and contacts past this crate.

use crm_campaigns::Campaign;
use crm_kernel::{ContactId, Result};
use crm_tenancy::{Expect, Tx};
use diesel::{ExpressionMethods, QueryDsl};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

diesel::table! {
    crm_contacts (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        opted_out -> Bool,
    }
}

diesel::table! {
    crm_campaign_contacts (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        campaign_id -> Uuid,
        contact_id -> Uuid,
    }
}

/// As the crate of contacts would do it.
pub async fn opt_out(tx: &mut Tx, contact: ContactId) {
    let this = crm_contacts::table.find((tx.organization_id(), contact));
    diesel::update(this).set(crm_contacts::opted_out.eq(true)).execute(tx).await.expect("they opt out");
}

/// As a program would do it that asks nobody but the database.
pub async fn add_directly(tx: &mut Tx, campaign: &Campaign, contact: ContactId) -> Result<usize> {
    let values = (crm_campaign_contacts::campaign_id.eq(campaign.id), crm_campaign_contacts::contact_id.eq(contact));
    let entity = crm_tenancy::Entity { name: "campaign member", table: "crm_campaign_contacts" };
    diesel::insert_into(crm_campaign_contacts::table).values(values).execute(tx).await.expect_any(entity)
}

/// Runs SQL as the administrator of this address.
pub async fn run(admin_url: &str, statement: &str) {
    let mut admin = AsyncPgConnection::establish(admin_url).await.expect("a connection");
    admin.batch_execute(statement).await.expect("it runs");
}
