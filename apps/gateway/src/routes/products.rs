//! `/a-crm/products`: what is sold, for the lines of deals.

use actix_web::{
    HttpRequest,
    web::{Data, Path},
};
use crm_deals::{NewProduct, PRODUCT_FIELDS, PRODUCT_VOCABULARY, Product, ProductChanges, product_sort};
use crm_kernel::{Field, ProductId, Result, Sort, Vocabulary, validation};
use paperclip::actix::{api_v2_operation, web};
use uuid::Uuid;

use crate::{
    answer::{Created, Empty, Found, Listed, Plain, Record, if_match},
    body::{Body, Input},
    caller::{Caller, RecordCaller},
    problem::Answer,
    question::{FieldList, Noun, Question, SearchRequest, in_where},
    related::Relation,
    services::Services,
    shape::created,
};

const COLLECTION: &str = "/api/v1/a-crm/products";

/// The routes of this file.
#[must_use]
pub fn scope() -> web::Scope {
    web::scope("/products")
        .route("", web::get().to(list))
        .route("", web::post().to(create))
        .route("/fields", web::get().to(fields))
        .route("/search", web::post().to(search))
        .route("/{id}", web::get().to(get))
        .route("/{id}", web::patch().to(update))
        .route("/{id}", web::delete().to(delete))
        .route("/{id}/restore", web::post().to(restore))
}

/// Products, as a noun of questions.
#[derive(Debug)]
pub struct ProductNoun;

impl Noun for ProductNoun {
    const NAME: &'static str = "product";

    fn fields() -> &'static [Field] {
        PRODUCT_FIELDS
    }
    fn vocabulary() -> Vocabulary {
        PRODUCT_VOCABULARY
    }
    fn default_sort() -> Sort {
        product_sort()
    }
    const RELATIONS: &'static [Relation] = &[];
    const BIN: bool = true;
}

impl Record for Product {
    fn id(&self) -> Uuid {
        self.id.uuid()
    }
    fn version(&self) -> i32 {
        self.version
    }
}

impl Input for NewProduct {
    fn check(&self) -> Result<()> {
        validation::check(&ProductChanges::from(self.clone()))
    }
}

impl Input for ProductChanges {
    fn check(&self) -> Result<()> {
        validation::check(self)
    }
}

/// List products
#[api_v2_operation(operation_id = "listProducts", tags("Products"))]
async fn list(caller: Caller, question: Question<ProductNoun>, services: Data<Services>) -> Answer<Listed<Product>> {
    let (query, shape) = question.read(&services, &caller).await?;
    let page = services.products.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// What can be asked about products
#[api_v2_operation(operation_id = "listProductFields", tags("Products"))]
async fn fields(caller: Caller, services: Data<Services>) -> Answer<Plain<FieldList>> {
    Ok(Plain(FieldList::of::<ProductNoun>(&services, &caller).await?))
}

/// Search products: the question as a body
#[api_v2_operation(operation_id = "searchProducts", tags("Products"))]
async fn search(caller: Caller, services: Data<Services>, body: Body<SearchRequest>) -> Answer<Listed<Product>> {
    let (query, shape) = body.0.read::<ProductNoun>(&services, &caller).await?;
    let page = services.products.list(&caller.context, &query).await.map_err(in_where)?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// Create a product
#[api_v2_operation(operation_id = "createProduct", tags("Products"))]
async fn create(caller: Caller, services: Data<Services>, body: Body<NewProduct>) -> Answer<Created<Product>> {
    let product = services.products.create(&caller.context, body.0).await?;
    Ok(created(COLLECTION, &product)?)
}

/// Get a product
#[api_v2_operation(operation_id = "getProduct", tags("Products"))]
async fn get(caller: Caller, id: Path<ProductId>, services: Data<Services>) -> Answer<Found<Product>> {
    Ok(Found::plain(&services.products.get(&caller.context, *id).await?)?)
}

/// Change a product: a JSON Merge Patch. Lines of deals keep the names and prices that they have
#[api_v2_operation(operation_id = "updateProduct", tags("Products"))]
async fn update(
    caller: RecordCaller,
    request: HttpRequest,
    id: Path<ProductId>,
    services: Data<Services>,
    body: Body<ProductChanges>,
) -> Answer<Found<Product>> {
    let context = caller.allowed(services.products.get(&caller.context, *id)).await?;
    Ok(Found::plain(&services.products.update(context, *id, &if_match(&request), &body.0).await?)?)
}

/// Move a product to the bin
#[api_v2_operation(operation_id = "deleteProduct", tags("Products"))]
async fn delete(caller: RecordCaller, request: HttpRequest, id: Path<ProductId>, services: Data<Services>) -> Answer<Empty> {
    let context = caller.allowed(services.products.get(&caller.context, *id)).await?;
    services.products.delete(context, *id, &if_match(&request)).await?;
    Ok(Empty)
}

/// Bring a product back from the bin
#[api_v2_operation(operation_id = "restoreProduct", tags("Products"))]
async fn restore(caller: RecordCaller, id: Path<ProductId>, services: Data<Services>) -> Answer<Found<Product>> {
    let context = caller.allowed(services.products.get(&caller.context, *id)).await?;
    Ok(Found::plain(&services.products.restore(context, *id).await?)?)
}
