#![doc = include_str!("../README.md")]

mod board;
mod board_store;
mod bulk;
mod deal_contacts;
mod exchange_rate_store;
mod exchange_rates;
mod fields;
mod forecast;
mod history;
mod line_items;
mod model;
mod parts_store;
mod pipeline;
mod pipeline_changes;
mod pipeline_moves;
mod pipeline_store;
mod position;
mod product_store;
mod products;
mod rate;
mod rules;
mod schema;
mod service;
mod stage;
mod store;
mod summary;
mod sums;
mod win_loss;
pub mod within;

pub use board::{Board, BoardCard, BoardStage, CardList, CardPage, CardsQuestion};
pub use bulk::BulkDeals;
pub use deal_contacts::{DealContact, DealContactList, DealContactsRequest, NewDealContact};
pub use exchange_rates::{
    EXCHANGE_RATE_FIELDS, EXCHANGE_RATE_VOCABULARY, ExchangeRate, ExchangeRates, ExchangeRatesRequest, ExchangeRatesSet,
    NewExchangeRate, PgExchangeRates, exchange_rate_sort,
};
pub use fields::{FIELDS, VOCABULARY, default_sort};
pub use forecast::{
    Forecast, ForecastFigures, ForecastMonth, ForecastOwner, ForecastPeriod, ForecastPeriods, ForecastTeam, PeriodLength,
};
pub use history::{StageHistory, StageStay};
pub use line_items::{LineItem, LineItemList, LineItemsRequest, NewLineItem};
pub use model::{Deal, DealChanges, NewDeal};
pub use pipeline::{ForecastCategory, PgPipelines, Pipeline, PipelineList, Pipelines, Stage, StageOutcome};
pub use pipeline_changes::{NewPipeline, NewStage, PipelineChanges, StageMove};
pub use products::{NewProduct, PRODUCT_FIELDS, PRODUCT_VOCABULARY, PgProducts, Product, ProductChanges, Products, product_sort};
pub use rate::Rate;
pub use service::{Deals, MOST_TAKING_PART, PgDeals};
pub use stage::StageStep;
pub use summary::{Figures, MonthFigures, OwnerFigures, PipelineSummary, StageFigures, TeamFigures};
pub use win_loss::{ClosedFigures, MonthWinLoss, OwnerWinLoss, ReasonFigures, SourceFigures, TeamWinLoss, WinLoss};
