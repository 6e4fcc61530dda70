//! Starts the built services as processes on free ports, and sends them HTTP requests. The tests in `tests/it` build on
//! it. It uses none of the services' code.
#![expect(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod answer;
mod binaries;
pub mod campaign;
mod client;
mod connect;
mod event_stream;
pub mod kafka;
pub mod mongo;
pub mod mysql;
mod namespace;
pub mod openapi;
mod own_kafka;
mod process;
mod random;
mod secured;
mod server;
mod stack;

pub use answer::Answer;
pub use client::{Call, Client, Import, Room, YEAR, hour_of_year, until};
pub use connect::Connect;
pub use event_stream::{EventStream, Told};
pub use namespace::{Namespace, ServerUrls, block_on};
pub use own_kafka::OwnKafka;
pub use process::Process;
pub use random::Random;
pub use secured::Secured;
pub use server::{Server, free_port};
pub use stack::Stack;

/// A unique name.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "tests share servers: only random names keep them apart")]
pub fn unique(prefix: &str) -> String {
    format!("{prefix}-{}", uuid::Uuid::new_v4().simple())
}
