//! The OpenAPI schema of problems.

use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema, Type};
use utoipa::openapi::{KnownFormat, RefOr, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

use super::{Problem, ProblemType};

impl PartialSchema for Problem {
    fn schema() -> RefOr<Schema> {
        let text =
            |description: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(description));
        let kinds = ProblemType::ALL.iter().map(|kind| kind.uri());
        let status = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)))
            .description(Some("The HTTP status."));
        ObjectBuilder::new()
            .description(Some(
                "A problem (RFC 9457). Further members give details, such as the overlapping reservation.",
            ))
            .property("type", text("The type of the problem.").enum_values(Some(kinds)))
            .required("type")
            .property("title", text("The type in words."))
            .required("title")
            .property("status", status)
            .required("status")
            .property("detail", text("The details of this occurrence."))
            .required("detail")
            .property(
                "field",
                text("JSON pointer into the body, or name of a parameter, part of the path or header."),
            )
            .additional_properties(Some(AdditionalProperties::FreeForm(true)))
            .into()
    }
}

impl ToSchema for Problem {}
