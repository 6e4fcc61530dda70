//! A reader of notices against the real servers. `MYSQL_URL`, `KAFKA_BROKERS` and `MONGODB_URL` name them.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't go on has failed"
)]

mod notices;
mod reader;
