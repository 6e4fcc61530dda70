//! A reader of notices against the real servers. `MYSQL_URL`, `KAFKA_BROKERS` and `MONGODB_URL` name them.
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod notices;
mod reader;
