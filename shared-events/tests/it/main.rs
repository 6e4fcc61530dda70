//! Tests of the contract: golden files, the AsyncAPI document, the README, and properties of every codec.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends at the first thing that is not as it should be"
)]

mod asyncapi;
mod clock_changes;
mod golden;
mod properties;
mod readme;
mod room_rules;
mod room_rules_by_clock;
mod schema;
mod time_zones;
mod upcasting;
mod whole_days_by_clock;
