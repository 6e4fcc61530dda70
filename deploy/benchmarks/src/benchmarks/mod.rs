//! The benchmarks. Each measures both sides and checks the data that they wrote.

mod arrival;
mod as_of;
mod beside;
mod checkpoints;
mod closing;
mod commands;
mod footprint;
mod growth;
mod keys;
mod live;
mod projector;
mod projector_sink;
mod queries;
mod rebuild;
mod relay;
mod relay_debezium;
mod relay_log;
mod series;
mod sharing;
mod statistics;
mod sweep;
mod unknown_ids;
mod visible;
mod visible_bare;
mod visible_before;
mod visible_highest;
mod zero_payload;

use std::pin::Pin;

use anyhow::Result;

use crate::{figures::Finding, rig::Rig};

pub(crate) struct Benchmark {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) run: fn(&Rig) -> Run<'_>,
}

type Run<'rig> = Pin<Box<dyn Future<Output = Result<Vec<Finding>>> + 'rig>>;

/// All benchmarks, in the order of `all`.
pub(crate) const BENCHMARKS: &[Benchmark] = &[
    Benchmark {
        name: "commands-usual",
        about: "durable commands over HTTP, against the usual service with one transaction a command",
        run: |rig| Box::pin(commands::against_the_usual_service(rig)),
    },
    Benchmark {
        name: "commands-limit",
        about: "durable commands over HTTP, one and 100 a request, against bare multi-row inserts of the same rows",
        run: |rig| Box::pin(commands::against_the_limit(rig)),
    },
    Benchmark {
        name: "keys",
        about: "bare inserts with one index of idempotency keys, against two, beyond MySQL's memory",
        run: |rig| Box::pin(keys::one_index(rig)),
    },
    Benchmark {
        name: "single-command",
        about: "one command at a time, against one raw durable transaction of the same rows",
        run: |rig| Box::pin(commands::one_at_a_time(rig)),
    },
    Benchmark {
        name: "hot-room",
        about: "all commands on one room, against 500 rooms",
        run: |rig| Box::pin(commands::on_one_room(rig)),
    },
    Benchmark {
        name: "relay",
        about: "a backlog from the outbox to Kafka, against the Kafka client alone",
        run: |rig| Box::pin(relay::backlog(rig)),
    },
    Benchmark {
        name: "relay-growth",
        about: "the relay with a long backlog and after it, against a short one and none",
        run: |rig| Box::pin(relay::growth(rig)),
    },
    Benchmark {
        name: "relay-debezium",
        about: "a backlog from the outbox to Kafka, against Debezium's outbox event router",
        run: |rig| Box::pin(relay_debezium::against_debezium(rig)),
    },
    Benchmark {
        name: "relay-log",
        about: "a backlog from the binary log to Kafka, against the outbox table",
        run: |rig| Box::pin(relay_log::against_the_table(rig)),
    },
    Benchmark {
        name: "relay-log-debezium",
        about: "a backlog from the binary log to Kafka, against Debezium's outbox event router",
        run: |rig| Box::pin(relay_log::against_debezium(rig)),
    },
    Benchmark {
        name: "commands-log",
        about: "durable commands until all are in Kafka, from the binary log, against the outbox table",
        run: |rig| Box::pin(relay_log::beside_commands(rig)),
    },
    Benchmark {
        name: "arrival-log-debezium",
        about: "from the commit to the message in Kafka, from the binary log, against Debezium tuned for latency",
        run: |rig| Box::pin(arrival::against_debezium(rig)),
    },
    Benchmark {
        name: "projector-sink",
        about: "events from Kafka into all read models, against the MongoDB sink connector with one document an event",
        run: |rig| Box::pin(projector_sink::against_the_sink(rig)),
    },
    Benchmark {
        name: "visible",
        about: "from commit to visible in MongoDB, against Debezium and the sink connector",
        run: |rig| Box::pin(visible::from_commit(rig)),
    },
    Benchmark {
        name: "visible-bare",
        about: "from commit to visible in MongoDB, against bare clients that write one after the other",
        run: |rig| Box::pin(visible_bare::against_the_bare_chain(rig)),
    },
    Benchmark {
        name: "visible-before",
        about: "processor time from command to visible, against the build in the folder BENCHMARKS_BEFORE, if it is set",
        run: |rig| Box::pin(visible_before::against_the_build_before(rig)),
    },
    Benchmark {
        name: "checkpoints",
        about: "bare durable commands of events with their checkpoints, against the same without",
        run: |rig| Box::pin(checkpoints::with_their_events(rig)),
    },
    Benchmark {
        name: "visible-highest",
        about: "the highest rate of events that are visible in time, against Debezium and the sink connector",
        run: |rig| Box::pin(visible_highest::highest_rate(rig)),
    },
    Benchmark {
        name: "live",
        about: "live streams to 2,000 clients at 500 events a second, against commit to visible",
        run: |rig| Box::pin(live::streams(rig)),
    },
    Benchmark {
        name: "projector",
        about: "events from Kafka into all read models, against the driver alone inserting the final documents",
        run: |rig| Box::pin(projector::backlog(rig)),
    },
    Benchmark {
        name: "queries",
        about: "queries over HTTP at 1,000,000 stored reservations, against the driver alone",
        run: |rig| Box::pin(queries::against_the_driver(rig)),
    },
    Benchmark {
        name: "queries-growth",
        about: "queries over HTTP at 1,000,000 stored reservations, against 10,000",
        run: |rig| Box::pin(queries::growth(rig)),
    },
    Benchmark {
        name: "statistics",
        about: "statistics over HTTP beside 500 commands a second, against the same alone",
        run: |rig| Box::pin(statistics::beside_commands(rig)),
    },
    Benchmark {
        name: "as-of",
        about: "queries about the past of a room with 100,000 events, against a fixed limit and the same about the present",
        run: |rig| Box::pin(as_of::one_room(rig)),
    },
    Benchmark {
        name: "rebuild",
        about: "all read models from the feed, against the driver alone inserting the final documents",
        run: |rig| Box::pin(rebuild::from_the_feed(rig)),
    },
    Benchmark {
        name: "sweep",
        about: "commands during a sweep of old idempotency records, against the same without a sweep",
        run: |rig| Box::pin(sweep::under_load(rig)),
    },
    Benchmark {
        name: "unknown-ids",
        about: "commands while others ask a room with a long history for ids that were never made, against the same without",
        run: |rig| Box::pin(unknown_ids::beside_commands(rig)),
    },
    Benchmark {
        name: "reserve-growth",
        about: "one command at a time in a room with many past and live reservations, against a room with few",
        run: |rig| Box::pin(growth::reserving(rig)),
    },
    Benchmark {
        name: "series",
        about: "400 occurrences of a series in one request, against a fixed limit",
        run: |rig| Box::pin(series::of_400(rig)),
    },
    Benchmark {
        name: "closure",
        about: "a closure of a year in a room with many live reservations, against one of a day",
        run: |rig| Box::pin(closing::of_a_year(rig)),
    },
    Benchmark {
        name: "zero-payload",
        about: "readers that are told by notices and fetch events, against readers of the topic of events",
        run: |rig| Box::pin(zero_payload::against_full_events(rig)),
    },
    Benchmark {
        name: "footprint",
        about: "memory and start of both services with a million events, against fixed limits",
        run: |rig| Box::pin(footprint::memory_and_start(rig)),
    },
    Benchmark {
        name: "sharing",
        about: "two processes of each service that share the work, against one of each",
        run: |rig| Box::pin(sharing::two_of_each(rig)),
    },
    Benchmark {
        name: "sharing-log",
        about: "the same while the binary log is relayed",
        run: |rig| Box::pin(sharing::two_of_each_with_the_log(rig)),
    },
];
