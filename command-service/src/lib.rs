//! Takes commands over HTTP, commits their events and relays them.

pub mod commands;
pub mod config;
pub mod domain;
pub mod erasure;
pub mod event_store;
pub mod housekeeping;
pub mod http;
pub mod kafka;
pub mod operate;
pub mod outbox;
pub mod serve;
pub mod writer;
