//! Products: what is sold, at which price, and the service that keeps them. Owners and admins keep them, everybody reads them.
//!
//! Must stay true: what a deal was offered does not change with the product; its lines keep their own names and prices.

use async_trait::async_trait;
use crm_kernel::{
    Context, Count, Deleted, Direction, Expected, Field, Kind, ListQuery, Money, Page, ProductId, Result, Role, Sort, Timestamp,
    Total, Vocabulary, validation,
    values::{nullable, present},
};
use crm_tenancy::Db;
use diesel::{AsChangeset, Insertable, Queryable, Selectable};
use serde::{Deserialize, Serialize};

use crate::{
    product_store as store,
    schema::{crm_products, q_products},
    store::base_currency,
};

const CREATED_AT: Field = Field::shown("created_at", Kind::Timestamp).sortable();

/// The fields of a product, in the order of its JSON.
pub static PRODUCT_FIELDS: &[Field] = &[
    Field::shown("id", Kind::Id).filterable(),
    Field::shown("name", Kind::Caseless).key("name_key").filterable().sortable(),
    Field::shown("sku", Kind::Text).nullable().filterable(),
    Field::shown("description", Kind::Text).nullable(),
    Field::shown("unit_price", Kind::Decimal).nullable(),
    Field::shown("currency", Kind::Text).filterable(),
    Field::shown("is_active", Kind::Boolean).filterable(),
    CREATED_AT,
    Field::shown("updated_at", Kind::Timestamp),
    Field::shown("deleted_at", Kind::Timestamp).nullable(),
    Field::shown("version", Kind::Integer),
];

/// What a filter of products may name.
pub static PRODUCT_VOCABULARY: Vocabulary = Vocabulary { fields: PRODUCT_FIELDS, parents: &[] };

/// The order of lists of products when none is asked for: newest first.
#[must_use]
pub fn product_sort() -> Sort {
    Sort { field: &CREATED_AT, direction: Direction::Descending }
}

/// A product.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = q_products, check_for_backend(diesel::pg::Pg))]
pub struct Product {
    /// Its id.
    pub id: ProductId,
    /// What it is called.
    pub name: String,
    /// What the organisation's other systems call it; no two living products have the same.
    pub sku: Option<String>,
    /// What it is.
    pub description: Option<String>,
    /// What one costs; null if that is settled in each deal.
    pub unit_price: Option<Money>,
    /// ISO 4217 code of `unit_price`.
    pub currency: String,
    /// Whether it is still sold: what is not is still there for the deals that have it.
    pub is_active: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it was deleted; null while it lives.
    pub deleted_at: Option<Timestamp>,
    /// Counts its changes, from 1; see If-Match.
    pub version: i32,
}

/// A product to be made.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Insertable)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = crm_products)]
#[serde(deny_unknown_fields)]
pub struct NewProduct {
    /// What it is called.
    #[serde(default)]
    pub name: String,
    /// What the organisation's other systems call it.
    #[serde(default)]
    pub sku: Option<String>,
    /// What it is.
    #[serde(default)]
    pub description: Option<String>,
    /// What one costs.
    #[serde(default)]
    pub unit_price: Option<Money>,
    /// ISO 4217 code of `unit_price`; the organisation's when absent.
    #[serde(default)]
    pub currency: Option<String>,
    /// Whether it is sold; true when absent.
    #[serde(default)]
    pub is_active: Option<bool>,
}

/// A change to a product: what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, AsChangeset, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = crm_products)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct ProductChanges {
    /// What it is called.
    #[serde(deserialize_with = "present")]
    #[garde(length(chars, max = 255), inner(custom(validation::readable)))]
    pub name: Option<String>,
    /// What the organisation's other systems call it.
    #[serde(deserialize_with = "nullable")]
    #[garde(inner(length(chars, max = 100)), inner(inner(custom(validation::readable))))]
    pub sku: Option<Option<String>>,
    /// What it is.
    #[serde(deserialize_with = "nullable")]
    #[garde(inner(length(chars, max = 10_000)), inner(inner(custom(validation::storable))))]
    pub description: Option<Option<String>>,
    /// What one costs.
    #[serde(deserialize_with = "nullable")]
    #[garde(inner(inner(custom(validation::not_negative))))]
    pub unit_price: Option<Option<Money>>,
    /// ISO 4217 code of `unit_price`.
    #[serde(deserialize_with = "present")]
    #[garde(inner(custom(validation::currency)))]
    pub currency: Option<String>,
    /// Whether it is still sold.
    #[serde(deserialize_with = "present")]
    pub is_active: Option<bool>,
}

impl From<NewProduct> for ProductChanges {
    /// For its rules alone.
    fn from(new: NewProduct) -> Self {
        Self {
            name: Some(new.name),
            sku: Some(new.sku),
            description: Some(new.description),
            unit_price: Some(new.unit_price),
            currency: new.currency,
            is_active: new.is_active,
        }
    }
}

/// The products of one organisation. Another organisation's product does not exist here: every method says `NotFound`.
#[async_trait]
pub trait Products: Send + Sync {
    /// A page. The bin (`Deleted::Only`) is for owner and admin: `Forbidden` otherwise.
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<Product>>;

    /// A living product.
    async fn get(&self, context: &Context, id: ProductId) -> Result<Product>;

    /// A new product; for owner and admin.
    async fn create(&self, context: &Context, new: NewProduct) -> Result<Product>;

    /// Changes what is named and leaves the rest; for owner and admin. Lines that are written already keep what they say.
    async fn update(&self, context: &Context, id: ProductId, expected: &Expected, changes: &ProductChanges) -> Result<Product>;

    /// Moves it to the bin; for owner and admin. Lines of it stay, and there are no new ones.
    async fn delete(&self, context: &Context, id: ProductId, expected: &Expected) -> Result<()>;

    /// Brings it back; for owner and admin. `Conflict` when another one has its number by now.
    async fn restore(&self, context: &Context, id: ProductId) -> Result<Product>;
}

/// Products kept in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgProducts {
    db: Db,
}

impl PgProducts {
    /// On this database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db }
    }
}

#[async_trait]
impl Products for PgProducts {
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<Product>> {
        let mut tx = self.db.begin(context).await?;
        if query.deleted == Deleted::Only {
            tx.require(Role::is_manager, "see the bin")?;
        }
        let rows = store::list(&mut tx, query).await?;
        let total = match query.count {
            Count::Bounded => Some(Total::bounded(store::count(&mut tx, query).await?)),
            Count::Skip => None,
        };
        Ok(Page::from_rows(query, rows, total, store::position).map(|(product, _)| product))
    }

    async fn get(&self, context: &Context, id: ProductId) -> Result<Product> {
        store::get(&mut self.db.begin(context).await?, id).await
    }

    async fn create(&self, context: &Context, mut new: NewProduct) -> Result<Product> {
        let mut tx = self.db.begin(context).await?;
        tx.require(Role::is_manager, "keep products")?;
        validation::check(&ProductChanges::from(new.clone()))?;
        if new.currency.is_none() {
            new.currency = Some(base_currency(&mut tx).await?);
        }
        let product = store::insert(&mut tx, &new).await?;
        tx.commit().await?;
        Ok(product)
    }

    async fn update(&self, context: &Context, id: ProductId, expected: &Expected, changes: &ProductChanges) -> Result<Product> {
        let mut tx = self.db.begin(context).await?;
        store::hold(&mut tx, id, expected).await?;
        validation::check(changes)?;
        let product = store::update(&mut tx, id, changes).await?;
        tx.commit().await?;
        Ok(product)
    }

    async fn delete(&self, context: &Context, id: ProductId, expected: &Expected) -> Result<()> {
        let mut tx = self.db.begin(context).await?;
        store::hold(&mut tx, id, expected).await?;
        store::delete(&mut tx, id).await?;
        tx.commit().await
    }

    async fn restore(&self, context: &Context, id: ProductId) -> Result<Product> {
        let mut tx = self.db.begin(context).await?;
        let product = store::restore(&mut tx, id).await?;
        tx.commit().await?;
        Ok(product)
    }
}
