//! Takes commands over HTTP, commits their events and relays them.

pub mod commands;
pub mod domain;
