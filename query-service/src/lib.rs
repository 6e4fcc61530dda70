//! Consumes events into read models and answers queries over them.

pub mod projections;
pub mod queries;
pub mod read_models;
pub mod stores;
