#![doc = include_str!("../README.md")]

pub mod calendars;
#[cfg(all(feature = "mongodb", feature = "kafka"))]
pub mod config;
pub mod erasures;
pub mod feed;
pub mod generations;
pub mod http;
mod ics;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod live;
pub mod notifications;
#[cfg(all(feature = "mongodb", feature = "kafka"))]
pub mod notify;
#[cfg(all(feature = "mongodb", feature = "kafka"))]
pub mod operate;
pub mod page;
pub mod progress;
pub mod projections;
pub mod projector;
pub mod queries;
pub mod read_models;
#[cfg(all(feature = "mongodb", feature = "kafka"))]
mod rebuild;
pub mod service;
pub mod stores;
pub mod verify;
