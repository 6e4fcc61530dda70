//! Tests on real servers: `MYSQL_URL` and `KAFKA_BROKERS` name them.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't go on has failed"
)]

mod relay;
mod test_store;
mod writer;
