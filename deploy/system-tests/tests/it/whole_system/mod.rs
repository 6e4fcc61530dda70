//! The whole API, as its contract says it.

mod idempotency;
mod import;
mod operation;
mod queries;
mod reservations;
mod rooms;
mod statistics;
