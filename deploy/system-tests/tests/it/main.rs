//! Black-box tests of the whole system over HTTP, and tests that read its sources.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by a panic, and reads the machine's clock"
)]

mod alerts;
mod audit;
mod bad_input;
mod campaign;
mod checks;
mod circles;
mod compose;
mod dashboards;
mod debezium;
mod debezium_limits;
mod documents;
mod erasure;
mod full_disk;
mod kills;
mod kubernetes;
mod layering;
mod limits;
mod logs;
mod native_servers;
mod operators;
mod partitions;
mod past;
mod project;
mod races;
mod rebuild;
mod relays;
mod replay;
mod roll_back;
mod secured;
mod stacks;
mod traces;
mod who_may;
mod whole_system;
