//! One file per noun. A handler understands the request, makes one call, wraps the answer.

pub mod activities;
pub mod auth;
pub mod campaign_contacts;
pub mod campaigns;
pub mod companies;
pub mod contacts;
pub mod custom_fields;
pub mod deals;
pub mod docs;
pub mod exchange_rates;
pub mod figures;
pub mod health;
pub mod notes;
pub mod organizations;
pub mod pipelines;
pub mod products;
pub mod projects;
pub mod tasks;
