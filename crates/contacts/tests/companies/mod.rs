//! Companies to work at. Contacts do not know the crate of companies.

use crm_kernel::{CompanyId, Context, Result};
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

pub async fn create(db: &Db, context: &Context) -> Result<CompanyId> {
    let mut tx = db.begin(context).await?;
    let values = (crm_companies::name.eq("Employer"), crm_companies::slug.eq(Uuid::now_v7().to_string()));
    let inserted = diesel::insert_into(crm_companies::table).values(values).returning(crm_companies::id);
    let id: CompanyId = inserted.get_result(&mut tx).await.expect("a company can be created");
    tx.commit().await?;
    Ok(id)
}
