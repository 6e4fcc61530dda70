//! The headers and problems of all queries, for the OpenAPI document.

use std::collections::BTreeMap;

use service_kit::http::{
    description::{DEFECT, METHOD, NOBODY, TOO_MANY, problems},
    headers::PREFER,
};
use shared_events::ConsistencyToken;
use utoipa::{
    IntoParams, IntoResponses,
    openapi::{
        RefOr,
        path::{Parameter, ParameterBuilder, ParameterIn},
        response::Response,
        schema::{ObjectBuilder, Type},
    },
};

use super::request::{GENERATION, TOKEN};

/// The optional headers and the parameter of every query.
pub(super) struct QueryHeaders;

impl IntoParams for QueryHeaders {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let header = |name: &str, description: &str| {
            let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(r"^[\t -~]*$"));
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Header)
                .description(Some(description))
                .schema(Some(text))
                .build()
        };
        let number =
            ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(4_294_967_295_i64));
        vec![
            ParameterBuilder::new()
                .name(GENERATION)
                .parameter_in(ParameterIn::Query)
                .description(Some(
                    "The number of a frozen generation: the answer is that of its moment. For administrators.",
                ))
                .schema(Some(number))
                .build(),
            header(
                TOKEN,
                &format!(
                    "What the answer has to show: `Consistency-Token` of a command's answer, or several, separated by \
                     commas, with up to {} rooms in all. A token that a query has answered need not be sent again.",
                    ConsistencyToken::MAX_ROOMS
                ),
            ),
            header(
                PREFER,
                "`wait=n`: wait up to so many seconds until the token's versions are visible; 2, at most 10.",
            ),
        ]
    }
}

/// The problems of a secret address.
pub(super) struct SecretRefusals;

impl IntoResponses for SecretRefusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[
            ("400", "The secret is missing, or a parameter is unknown."),
            ("404", "The secret is not one of this address, or its calendar was deleted."),
            METHOD,
            ("429", "Too many requests for this calendar, or with secrets of none; see `Retry-After`."),
            DEFECT,
            ("503", "Not available; see `Retry-After`."),
        ])
    }
}

/// The problems of every query.
pub(super) struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[
            ("400", "A parameter or header is missing, unknown or not possible."),
            NOBODY,
            ("403", "For owners or administrators only."),
            METHOD,
            TOO_MANY,
            DEFECT,
            ("503", "Not visible yet, parked, or not available; see `type` and `Retry-After`."),
        ])
    }
}
