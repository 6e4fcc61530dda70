//! Black-box tests of the whole system over HTTP, and tests that read its sources.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test ends at the first thing that is not as it should be, and has the machine's time"
)]

mod alerts;
mod audit;
mod bad_input;
mod campaign;
mod circles;
mod compose;
mod dashboards;
mod documents;
mod erasure;
mod full_disk;
mod kills;
mod kubernetes;
mod layering;
mod logs;
mod operators;
mod races;
mod rebuild;
mod relays;
mod replay;
mod secured;
mod stacks;
mod traces;
mod who_may;
mod whole_system;
