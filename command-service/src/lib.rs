//! Takes commands over HTTP, commits their events and relays them.

pub mod commands;
pub mod domain;
pub mod event_store;
pub mod http;
pub mod kafka;
pub mod outbox;
pub mod writer;
