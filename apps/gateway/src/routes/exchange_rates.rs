//! `/a-crm/exchange-rates`: what other currencies are worth in the organisation's, by day.

use actix_web::web::{Data, Path};
use crm_deals::{
    EXCHANGE_RATE_FIELDS, EXCHANGE_RATE_VOCABULARY, ExchangeRate, ExchangeRatesRequest, ExchangeRatesSet, exchange_rate_sort,
};
use crm_kernel::{ExchangeRateId, Field, Result, Sort, Vocabulary};
use paperclip::actix::{api_v2_operation, web};
use uuid::Uuid;

use crate::{
    answer::{Listed, Plain, Record},
    body::{Body, Input},
    caller::{Caller, RecordCaller},
    problem::Answer,
    question::{FieldList, Noun, Question},
    related::{Relation, Target},
    services::Services,
};

/// The routes of this file.
#[must_use]
pub fn scope() -> web::Scope {
    web::scope("/exchange-rates")
        .route("", web::get().to(list))
        .route("", web::put().to(set))
        .route("/fields", web::get().to(fields))
        .route("/{id}", web::delete().to(delete))
}

/// Exchange rates, as a noun of questions.
#[derive(Debug)]
pub struct ExchangeRateNoun;

impl Noun for ExchangeRateNoun {
    const NAME: &'static str = "exchange_rate";

    fn fields() -> &'static [Field] {
        EXCHANGE_RATE_FIELDS
    }
    fn vocabulary() -> Vocabulary {
        EXCHANGE_RATE_VOCABULARY
    }
    fn default_sort() -> Sort {
        exchange_rate_sort()
    }
    const RELATIONS: &'static [Relation] = &[Relation { name: "set_by", key: "set_by_id", target: Target::Member }];
    const BIN: bool = false;
}

impl Record for ExchangeRate {
    fn id(&self) -> Uuid {
        self.id.uuid()
    }
    fn version(&self) -> i32 {
        self.version
    }
}

impl Input for ExchangeRatesRequest {
    /// What is wrong with a rate depends on the organisation's own currency: the service says it.
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// List exchange rates
#[api_v2_operation(operation_id = "listExchangeRates", tags("Exchange rates"))]
async fn list(caller: Caller, question: Question<ExchangeRateNoun>, services: Data<Services>) -> Answer<Listed<ExchangeRate>> {
    let (query, shape) = question.read(&services, &caller).await?;
    let page = services.exchange_rates.list(&caller.context, &query).await?;
    Ok(shape.page(&services, &caller, page).await?)
}

/// What can be asked about exchange rates
#[api_v2_operation(operation_id = "listExchangeRateFields", tags("Exchange rates"))]
async fn fields(caller: Caller, services: Data<Services>) -> Answer<Plain<FieldList>> {
    Ok(Plain(FieldList::of::<ExchangeRateNoun>(&services, &caller).await?))
}

/// Set exchange rates by currency and day: all of them or none. Open deals follow; closed ones keep the rate of their day
#[api_v2_operation(operation_id = "setExchangeRates", tags("Exchange rates"))]
async fn set(caller: Caller, services: Data<Services>, body: Body<ExchangeRatesRequest>) -> Answer<Plain<ExchangeRatesSet>> {
    Ok(Plain(services.exchange_rates.set(&caller.context, &body.0.data).await?))
}

/// Take an exchange rate away. Open deals follow; closed ones keep what they were counted at
#[api_v2_operation(operation_id = "deleteExchangeRate", tags("Exchange rates"))]
async fn delete(caller: RecordCaller, id: Path<ExchangeRateId>, services: Data<Services>) -> Answer<Plain<ExchangeRatesSet>> {
    let context = caller.context.clone();
    let caller = caller.admitted(services.exchange_rates.get(&context, *id)).await?;
    Ok(Plain(services.exchange_rates.delete(&caller.context, *id).await?))
}
