//! Exchange rates: what other currencies are worth in the organisation's, by day, and the service that keeps them. Owners and admins keep
//! them, everybody reads them. What deals come to at a rate is the database's to say (ADR 0049).
//!
//! Must stay true: rates are written with one transaction, and open deals follow in bounded steps behind it; what a step leaves is seen in the
//! deals, and housekeeping goes on with it.

use std::collections::HashSet;

use async_trait::async_trait;
use crm_kernel::{
    Context, Count, Date, Direction, Error, ExchangeRateId, Field, FieldError, Kind, ListQuery, Page, Result, Role, Sort,
    Timestamp, Total, UserId, Vocabulary, currency,
};
use crm_tenancy::Db;
use diesel::{Queryable, Selectable};
use serde::{Deserialize, Serialize};

use crate::{exchange_rate_store as store, rate::Rate, schema::q_exchange_rates, store::base_currency};

/// Rates of one call at most.
const MOST_RATES: usize = 1_000;
/// Deals of one step: each is logged, so that this many stay far below the statement timeout.
const STEP: i32 = 500;
/// Steps behind one call at most; housekeeping does what is left.
const MOST_STEPS: usize = 20;

const VALID_ON: Field = Field::shown("valid_on", Kind::Date).filterable().sortable();

/// The fields of an exchange rate, in the order of its JSON.
pub static EXCHANGE_RATE_FIELDS: &[Field] = &[
    Field::shown("id", Kind::Id).filterable(),
    Field::shown("currency", Kind::Text).filterable(),
    VALID_ON,
    Field::shown("rate", Kind::Decimal),
    Field::shown("set_by_id", Kind::Member).nullable(),
    Field::shown("created_at", Kind::Timestamp).sortable(),
    Field::shown("updated_at", Kind::Timestamp),
    Field::shown("version", Kind::Integer),
];

/// What a filter of exchange rates may name.
pub static EXCHANGE_RATE_VOCABULARY: Vocabulary = Vocabulary { fields: EXCHANGE_RATE_FIELDS, parents: &[] };

/// The order of lists of rates when none is asked for: the latest day first.
#[must_use]
pub fn exchange_rate_sort() -> Sort {
    Sort { field: &VALID_ON, direction: Direction::Descending }
}

/// What a currency is worth from one day on.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = q_exchange_rates, check_for_backend(diesel::pg::Pg))]
pub struct ExchangeRate {
    /// Its id.
    pub id: ExchangeRateId,
    /// ISO 4217 code.
    pub currency: String,
    /// The first day that it is valid on; it is until a later rate's.
    pub valid_on: Date,
    /// What one of `currency` is worth in the organisation's currency.
    pub rate: Rate,
    /// The member who set it.
    pub set_by_id: Option<UserId>,
    /// When it was first set.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Counts its changes, from 1.
    pub version: i32,
}

/// Rates to be set.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
pub struct ExchangeRatesRequest {
    /// The rates, at most 1,000. Those that are there and are not named stay.
    pub data: Vec<NewExchangeRate>,
}

/// A rate to be set.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
pub struct NewExchangeRate {
    /// ISO 4217 code; not the organisation's own.
    pub currency: String,
    /// The first day that it is valid on.
    pub valid_on: Date,
    /// What one of `currency` is worth in the organisation's currency: more than 0, with 8 digits after the point at most.
    pub rate: Rate,
}

/// What setting rates came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct ExchangeRatesSet {
    /// Rates that are new or other than they were.
    pub changed: usize,
    /// Deals that are counted at another rate now.
    pub deals: i64,
    /// Whether all deals are: false when so many are behind that the rest follows within the hour.
    pub complete: bool,
}

/// The exchange rates of one organisation.
#[async_trait]
pub trait ExchangeRates: Send + Sync {
    /// A page.
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<ExchangeRate>>;

    /// One of them.
    async fn get(&self, context: &Context, id: ExchangeRateId) -> Result<ExchangeRate>;

    /// Sets rates by currency and day, all or none; for owner and admin. Setting what is there already changes nothing.
    async fn set(&self, context: &Context, rates: &[NewExchangeRate]) -> Result<ExchangeRatesSet>;

    /// Takes a rate away; for owner and admin. `NotFound` when there is none. Closed deals keep what they were counted at.
    async fn delete(&self, context: &Context, id: ExchangeRateId) -> Result<ExchangeRatesSet>;
}

/// Exchange rates kept in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgExchangeRates {
    db: Db,
}

impl PgExchangeRates {
    /// On this database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// Each step is a transaction of its own.
    async fn follow(&self, context: &Context, changed: usize) -> Result<ExchangeRatesSet> {
        let mut deals = 0;
        for _ in 0..MOST_STEPS {
            let mut tx = self.db.begin(context).await?;
            let step = store::follow(&mut tx, STEP).await?;
            tx.commit().await?;
            deals += i64::from(step);
            if step < STEP {
                return Ok(ExchangeRatesSet { changed, deals, complete: true });
            }
        }
        Ok(ExchangeRatesSet { changed, deals, complete: false })
    }
}

#[async_trait]
impl ExchangeRates for PgExchangeRates {
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<ExchangeRate>> {
        let mut tx = self.db.begin(context).await?;
        let rows = store::list(&mut tx, query).await?;
        let total = match query.count {
            Count::Bounded => Some(Total::bounded(store::count(&mut tx, query).await?)),
            Count::Skip => None,
        };
        Ok(Page::from_rows(query, rows, total, store::position))
    }

    async fn get(&self, context: &Context, id: ExchangeRateId) -> Result<ExchangeRate> {
        store::get(&mut self.db.begin(context).await?, id).await
    }

    async fn set(&self, context: &Context, rates: &[NewExchangeRate]) -> Result<ExchangeRatesSet> {
        let mut tx = self.db.begin(context).await?;
        tx.require(Role::is_manager, "set exchange rates")?;
        let faults = faults(rates, &base_currency(&mut tx).await?);
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        let changed = store::set(&mut tx, rates).await?;
        tx.commit().await?;
        self.follow(context, changed).await
    }

    async fn delete(&self, context: &Context, id: ExchangeRateId) -> Result<ExchangeRatesSet> {
        let mut tx = self.db.begin(context).await?;
        tx.require(Role::is_manager, "take exchange rates away")?;
        store::delete(&mut tx, id).await?;
        tx.commit().await?;
        self.follow(context, 1).await
    }
}

/// Everything that is wrong with these rates.
fn faults(rates: &[NewExchangeRate], own_currency: &str) -> Vec<FieldError> {
    if rates.len() > MOST_RATES {
        return vec![FieldError::new("/data", "too_many", format!("at most {MOST_RATES} rates"))];
    }
    let (mut faults, mut seen) = (Vec::new(), HashSet::new());
    for (index, sent) in rates.iter().enumerate() {
        let mut fault = |field: &str, code: &str, message: &str| {
            faults.push(FieldError::new(format!("/data/{index}/{field}"), code, message));
        };
        if currency::digits(&sent.currency).is_none() {
            fault("currency", "currency", "not an ISO 4217 code in use");
        } else if sent.currency == own_currency {
            fault("currency", "own_currency", "the organisation's own currency has no rate");
        }
        if !sent.rate.is_positive() {
            fault("rate", "range", "must be more than 0");
        }
        if !seen.insert((&sent.currency, sent.valid_on)) {
            fault("valid_on", "duplicate", "another rate is for this currency and day");
        }
    }
    faults
}
