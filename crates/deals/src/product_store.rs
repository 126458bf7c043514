//! Every SQL statement about products. Private to this crate.
//!
//! Must stay true: each statement names the organisation; reads that filter go through q_products; a product is held before it is
//! changed.

use crm_kernel::{Deleted, Error, Expected, ListQuery, Position, ProductId, Result, Role, Timestamp, page::COUNT_BOUND};
use crm_tenancy::{Counted, Entity, Expect, Matching, Tx, cost, seek, seek_id};
use diesel::{BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper, dsl::now, pg::Pg};
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};

use crate::{
    products::{NewProduct, PRODUCT_FIELDS, Product, ProductChanges},
    schema::{crm_products as products, q_products},
};

const PRODUCT: Entity = Entity { name: "product", table: "crm_products" };
const VIEW: &str = "q_products";

type Rows<'a> = q_products::BoxedQuery<'a, Pg>;

/// Up to one record more than the page holds, each with the name it may be sorted by.
pub(crate) async fn list(tx: &mut Tx, query: &ListQuery) -> Result<Vec<(Product, String)>> {
    cost::settle(tx, PRODUCT_FIELDS, query, |tx, query| Ok(ordered(tx, query)?.select(q_products::id))).await?;
    let columns = (Product::as_select(), q_products::name_key);
    let found: Vec<(Product, String)> = ordered(tx, query)?.select(columns).load(tx).await.expect_any(PRODUCT)?;
    Ok(found.into_iter().map(|(product, key)| (shown(product), key)).collect())
}

/// One row more than the page holds. No field that is sorted by may be empty, so there is one phase.
fn ordered<'a>(tx: &Tx, query: &ListQuery) -> Result<Rows<'a>> {
    let rows = narrowed(tx, query);
    let rows = match query.sort.field.name {
        "name" => seek!(rows, query, q_products::name_key, q_products::id, String),
        _ => seek_id!(rows, query, q_products::id),
    };
    Ok(rows.limit(i64::from(query.limit) + 1))
}

/// Where a record stands in the order of `field`.
pub(crate) fn position((product, name_key): &(Product, String), field: &str) -> Position {
    let key = if field == "name" { json!(name_key) } else { Value::Null };
    Position::new(key, product.id)
}

pub(crate) async fn count(tx: &mut Tx, query: &ListQuery) -> Result<i64> {
    let rows = |tx: &Tx| narrowed(tx, query).select(q_products::id).limit(COUNT_BOUND + 1);
    cost::settle(tx, PRODUCT_FIELDS, query, |tx, _| Ok(Counted(rows(tx)))).await?;
    Counted(rows(tx)).get_result(tx).await.expect_any(PRODUCT)
}

pub(crate) async fn get(tx: &mut Tx, id: ProductId) -> Result<Product> {
    let living = everything(tx).filter(q_products::id.eq(id)).filter(q_products::deleted_at.is_null());
    living.select(Product::as_select()).first(tx).await.expect_one(PRODUCT).map(shown)
}

pub(crate) async fn insert(tx: &mut Tx, new: &NewProduct) -> Result<Product> {
    let made = diesel::insert_into(products::table).values(new).returning(products::id);
    let id = made.get_result(tx).await.expect_one(PRODUCT)?;
    get(tx, id).await
}

/// Locks a living product if the caller may change it and its version is expected: 404, 403, 412 in this order.
pub(crate) async fn hold(tx: &mut Tx, id: ProductId, expected: &Expected) -> Result<()> {
    get(tx, id).await?;
    tx.require(Role::is_manager, "keep products")?;
    let this = products::table.find((tx.organization_id(), id)).filter(products::deleted_at.is_null());
    let held: i32 = this.select(products::version).for_no_key_update().first(tx).await.expect_one(PRODUCT)?;
    if expected.accepts(held) { Ok(()) } else { Err(Error::Stale(PRODUCT.name)) }
}

/// Changes a product that is held.
pub(crate) async fn update(tx: &mut Tx, id: ProductId, changes: &ProductChanges) -> Result<Product> {
    // There is no statement that sets nothing.
    if *changes != ProductChanges::default() {
        let this = products::table.find((tx.organization_id(), id));
        diesel::update(this).set(changes).execute(tx).await.expect_any(PRODUCT)?;
    }
    get(tx, id).await
}

/// Moves a product that is held to the bin.
pub(crate) async fn delete(tx: &mut Tx, id: ProductId) -> Result<()> {
    let this = products::table.find((tx.organization_id(), id));
    diesel::update(this).set(products::deleted_at.eq(now)).execute(tx).await.expect_any(PRODUCT).map(|_| ())
}

/// Brings a product back from the bin; one that is not in it stays as it is.
pub(crate) async fn restore(tx: &mut Tx, id: ProductId) -> Result<Product> {
    let there = everything(tx).filter(q_products::id.eq(id)).select(q_products::id);
    there.first::<ProductId>(tx).await.expect_one(PRODUCT)?;
    tx.require(Role::is_manager, "restore products")?;
    let this = products::table.find((tx.organization_id(), id)).filter(products::deleted_at.is_not_null());
    let none = None::<Timestamp>;
    let back = diesel::update(this).set(products::deleted_at.eq(none)).returning(products::id);
    back.get_result::<ProductId>(tx).await.optional().expect_any(PRODUCT)?;
    get(tx, id).await
}

/// With its price in the digits of its currency.
fn shown(mut product: Product) -> Product {
    product.unit_price = product.unit_price.map(|price| price.in_currency(&product.currency));
    product
}

fn everything<'a>(tx: &Tx) -> Rows<'a> {
    q_products::table.filter(q_products::organization_id.eq(tx.organization_id())).into_boxed()
}

fn narrowed<'a>(tx: &Tx, query: &ListQuery) -> Rows<'a> {
    let rows = match query.deleted {
        Deleted::Exclude => everything(tx).filter(q_products::deleted_at.is_null()),
        Deleted::Only => everything(tx).filter(q_products::deleted_at.is_not_null()),
    };
    rows.filter(Matching::new(tx, VIEW, &query.filter.condition()))
}
