#![doc = include_str!("../README.md")]

pub mod abort_point;
pub mod audit;
pub mod auth;
pub mod brokers;
mod claims;
pub mod clock;
pub mod config;
pub mod dev_key;
pub mod http;
pub mod ids;
pub mod jwks;
pub mod kit_settings;
pub mod meter;
pub mod origins;
pub mod places;
pub mod probe;
pub mod process;
mod proxies;
pub mod readiness;
mod refusal;
pub mod report;
pub mod retry;
pub mod shutdown;
pub mod telemetry;
pub mod tls;
pub mod traces;
