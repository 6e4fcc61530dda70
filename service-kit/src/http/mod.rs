//! The common parts of both services' HTTP interfaces, on actix-web.

pub mod admin_metrics;
pub mod caller;
mod connections;
pub mod context;
mod cors;
pub mod decode;
pub mod description;
mod dev_headers;
pub mod endpoint;
pub mod headers;
mod health;
mod heartbeat;
mod integers;
pub mod json;
mod limits;
pub mod log_level;
mod media_types;
mod middleware;
mod parts;
pub mod path;
pub mod problem;
pub mod query;
pub mod server;
pub mod service;
mod upkeep;
