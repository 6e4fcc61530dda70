//! Tests on real servers: `MYSQL_URL` and `KAFKA_BROKERS` name them.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't go on has failed"
)]

mod binlog_held;
mod binlog_modes;
mod binlog_relay;
mod binlog_rig;
mod binlog_servers;
mod binlog_sharing;
mod binlog_whole;
mod bookable_by;
mod closures;
mod commands;
mod commands_bounds;
mod debezium;
mod erasure;
mod erasure_list;
mod event_store;
mod event_store_mysql;
mod event_store_outbox;
mod forgotten;
mod hooked_store;
mod http;
mod http_admin;
mod http_bad_input;
mod http_forms;
mod import;
mod import_stream;
mod limits;
mod migrations;
mod names;
mod on_behalf;
mod openapi;
mod operate;
mod own_mysql;
mod passing_errors;
mod primary_switch;
mod proxy;
mod quotas;
mod recorded_at;
mod relay;
mod relay_interleavings;
mod relay_rig;
mod relay_sharing;
mod restore;
mod retention;
mod retrieval;
mod roll_back;
mod samples;
mod series;
mod serve;
mod servers;
mod test_service;
mod test_store;
mod upgrades;
mod writer;
mod writer_forms;
mod writer_import;
mod writer_rig;
