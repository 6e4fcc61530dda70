//! The parameters of a query.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::de::DeserializeOwned;

use super::decode;
use super::problem::Problem;

/// The query string. `T` denies unknown fields, so that a misspelt parameter is not silently ignored.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> Query<T> {
    /// The parameters of a query string, or of a part of one.
    ///
    /// # Errors
    /// If one is unknown, missing or not possible.
    pub fn of(query: &str) -> Result<Self, Problem> {
        decode::query(query).map(Self)
    }
}

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request.query_string()))
    }
}
