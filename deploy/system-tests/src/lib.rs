//! Starts the built services as processes of their own, on free ports, and speaks HTTP with them: what the tests in
//! `tests/it` stand on. It knows nothing of the services' code.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test ends at the first thing that is not as it should be"
)]

mod binaries;
pub mod campaign;
mod client;
pub mod kafka;
pub mod mongo;
pub mod mysql;
mod namespace;
pub mod openapi;
mod process;
mod random;
mod secured;
mod server;
mod stack;

pub use client::{Answer, Call, Client, Import, Room};
pub use namespace::{Namespace, ServerUrls, block_on};
pub use process::Process;
pub use random::Random;
pub use secured::Secured;
pub use server::{Server, free_port};
pub use stack::Stack;

/// A name that no other test, process or run has.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "tests share servers: only chance keeps their names apart")]
pub fn unique(prefix: &str) -> String {
    format!("{prefix}-{}", uuid::Uuid::new_v4().simple())
}
