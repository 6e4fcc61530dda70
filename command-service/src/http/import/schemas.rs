//! Schemas of an import and its answer.

use std::collections::BTreeMap;

use utoipa::{
    IntoResponses, PartialSchema, ToSchema,
    openapi::{
        Ref, RefOr, Response,
        schema::{OneOfBuilder, Schema},
    },
};

use super::{
    super::lines::lines_of, CancelLine, CancelSeriesLine, ChangeSeriesLine, ImportOutcome, MoveLine,
    RescheduleLine, ReserveLine, SeriesLine,
};

/// The body of an import.
pub(in super::super) enum ImportLines {}

/// 200: the outcomes of the lines.
pub(in super::super) enum ImportAnswer {}

impl IntoResponses for ImportAnswer {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        lines_of::<ImportOutcome>()
    }
}

impl PartialSchema for ImportLines {
    fn schema() -> RefOr<Schema> {
        OneOfBuilder::new()
            .item(Ref::from_schema_name(ReserveLine::name()))
            .item(Ref::from_schema_name(RescheduleLine::name()))
            .item(Ref::from_schema_name(MoveLine::name()))
            .item(Ref::from_schema_name(CancelLine::name()))
            .item(Ref::from_schema_name(SeriesLine::name()))
            .item(Ref::from_schema_name(ChangeSeriesLine::name()))
            .item(Ref::from_schema_name(CancelSeriesLine::name()))
            .description(Some(
                "A line, distinguished by `command`: `reserve`, `reschedule`, `move`, `cancel`, `reserveSeries`, \
                 `changeSeries`, `cancelSeries`.",
            ))
            .into()
    }
}

impl ToSchema for ImportLines {}
