//! Schemas of an import and its answer.

use std::collections::BTreeMap;

use utoipa::{
    IntoResponses, PartialSchema, ToSchema,
    openapi::{
        Content, Ref, RefOr, Response, ResponseBuilder,
        schema::{OneOfBuilder, Schema},
    },
};

use super::{CancelLine, ImportOutcome, MEDIA_TYPE, MoveLine, RescheduleLine, ReserveLine};

/// The body of an import.
pub(in super::super) enum ImportLines {}

/// 200: the outcomes of the lines.
pub(in super::super) enum ImportAnswer {}

impl IntoResponses for ImportAnswer {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let content = Content::new(Some(Ref::from_schema_name(ImportOutcome::name())));
        let description = "One line for each line that is not blank, in their order.";
        let response = ResponseBuilder::new().description(description).content(MEDIA_TYPE, content);
        BTreeMap::from([("200".to_owned(), response.build().into())])
    }
}

impl PartialSchema for ImportLines {
    fn schema() -> RefOr<Schema> {
        OneOfBuilder::new()
            .item(Ref::from_schema_name(ReserveLine::name()))
            .item(Ref::from_schema_name(RescheduleLine::name()))
            .item(Ref::from_schema_name(MoveLine::name()))
            .item(Ref::from_schema_name(CancelLine::name()))
            .description(Some(
                "A line, distinguished by `command`: `reserve`, `reschedule`, `move`, `cancel`.",
            ))
            .into()
    }
}

impl ToSchema for ImportLines {}
