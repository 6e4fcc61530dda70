//! What both services' HTTP sides have in common, on actix-web.

mod around;
pub mod caller;
mod connections;
pub mod context;
pub mod decode;
pub mod endpoint;
pub mod health;
mod heartbeat;
pub mod json;
mod limits;
pub mod log_level;
pub mod path;
pub mod problem;
pub mod query;
pub mod server;
mod upkeep;
