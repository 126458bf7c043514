//! Something to log, written as the application writes. Activities do not know the crate of companies.

use crm_kernel::{CompanyId, Context};
use crm_tenancy::Db;
use diesel::{ExpressionMethods, QueryDsl};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

diesel::table! {
    crm_companies (id) {
        id -> Uuid,
        name -> Text,
        slug -> Text,
        company_status -> Text,
    }
}

pub async fn create(db: &Db, context: &Context, name: &str) -> CompanyId {
    let mut tx = db.begin(context).await.expect("a transaction");
    let values = (crm_companies::name.eq(name), crm_companies::slug.eq(Uuid::now_v7().to_string()));
    let inserted = diesel::insert_into(crm_companies::table).values(values).returning(crm_companies::id);
    let id: CompanyId = inserted.get_result(&mut tx).await.expect("a company");
    tx.commit().await.expect("a commit");
    id
}

pub async fn rename(db: &Db, context: &Context, id: CompanyId, name: &str) {
    let mut tx = db.begin(context).await.expect("a transaction");
    let renamed = diesel::update(crm_companies::table.find(id)).set(crm_companies::name.eq(name));
    assert_eq!(renamed.execute(&mut tx).await.expect("an update"), 1);
    tx.commit().await.expect("a commit");
}
