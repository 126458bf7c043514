//! The gateway: the only crate that knows HTTP.
//!
//! Lives here: routes, extractors, answers, problem+json, the policy of roles, the document of the API, configuration,
//! logging. Does not live here: a rule of any noun, a statement of SQL.
//! Must stay true: a handler makes one call of one service and wraps what comes back; who calls comes from the token
//! alone; nothing internal is shown.

pub mod address;
pub mod answer;
pub mod app;
pub mod audience;
pub mod body;
pub mod bulk;
pub mod caller;
pub mod configuration;
pub mod connection;
pub mod contract;
pub mod cross_origin;
pub mod current;
pub mod external_ids;
pub mod head;
mod json;
pub mod key_source;
pub mod keys;
pub mod limits;
pub mod listening;
pub mod logging;
pub mod metrics;
pub mod once;
pub mod openapi;
pub mod policy;
pub mod problem;
pub mod question;
pub mod related;
pub mod request;
pub mod routes;
pub mod server;
pub mod services;
pub mod shape;
pub mod spelling;
pub mod start;
pub mod tracing_export;
pub mod uses;
