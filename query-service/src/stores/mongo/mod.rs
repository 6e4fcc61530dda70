//! Read models in MongoDB.
