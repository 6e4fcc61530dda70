//! Tests of the query side. Those on MongoDB and Kafka read `MONGODB_URL` and `KAFKA_BROKERS`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod audit;
mod busiest_by_clock;
mod calendars;
mod calendars_program;
#[path = "../../../shared-events/tests/it/clock_changes.rs"]
mod clock_changes;
mod conformance;
mod conformance_histories;
mod conformance_oracle;
mod conformance_statistics;
mod conformance_steps;
mod consistency;
mod crash;
mod endpoints;
mod erasure;
mod erasure_list;
mod events;
mod feed;
mod feed_double;
mod finding;
mod generations;
mod http;
mod http_past;
mod http_tags;
mod kafka_consumer;
mod lists;
mod live;
mod live_client;
mod mail_server;
mod mails;
mod mails_of_series;
mod mongo_database;
mod mongo_indexes;
mod mongo_joint_writes;
mod mongo_usage;
mod mongo_writes;
mod moved_local_times;
mod notices;
mod notifications;
mod notify;
mod notify_world;
mod operating;
mod page;
mod past;
mod past_series;
mod pipelines;
mod projector;
mod rebuild;
mod receiver;
mod reminders;
mod schedules;
mod statistics;
mod store_double;
mod subscriptions;
mod test_service;
mod usage_rules;
mod verify;
