//! What both services' HTTP sides have in common, on actix-web.

pub mod caller;
mod connections;
pub mod context;
pub mod decode;
pub mod description;
pub mod endpoint;
pub mod health;
mod heartbeat;
pub mod json;
mod limits;
pub mod log_level;
mod middleware;
mod parts;
pub mod path;
pub mod problem;
pub mod query;
pub mod server;
pub mod service;
mod upkeep;
