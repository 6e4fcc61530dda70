#![doc = include_str!("../README.md")]

pub mod config;
pub mod feed;
pub mod generations;
pub mod http;
pub mod kafka;
pub mod operate;
pub mod progress;
pub mod projections;
pub mod projector;
pub mod queries;
pub mod read_models;
pub mod rebuild;
pub mod service;
pub mod stores;
pub mod verify;
