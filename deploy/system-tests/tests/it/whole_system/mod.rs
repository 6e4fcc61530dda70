//! The whole API, scenario by scenario.

mod callers;
mod closures;
mod idempotency;
mod import;
mod operation;
mod queries;
mod reservations;
mod rooms;
mod rules;
mod statistics;
