//! Takes commands over HTTP, commits their events and relays them.

#[cfg(feature = "binlog")]
pub mod binlog_relay;
pub mod commands;
#[cfg(all(feature = "binlog", feature = "kafka"))]
pub mod config;
mod digest;
pub mod domain;
pub mod erasure;
pub mod event_store;
pub mod housekeeping;
pub mod http;
pub mod in_process;
#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(all(feature = "binlog", feature = "kafka"))]
pub mod operate;
pub mod outbox;
pub mod roll_back;
pub mod service;
pub mod writer;
