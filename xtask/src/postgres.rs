//! A private PostgreSQL for this checkout: which installation, and the cluster made with it.

pub mod cluster;
pub mod installation;
pub mod portable;
pub mod server;
