//! The answer to a command.

use actix_web::{
    HttpRequest, HttpResponse, Responder,
    body::BoxBody,
    http::header::{CACHE_CONTROL, ETAG, LOCATION},
};
use serde::Serialize;
use service_kit::http::headers::TAGGED;
use shared_events::{ReservationId, RoomId, Version};
use utoipa::ToSchema;

use crate::writer::Done;

/// The effect of a command, and whether an earlier request with the same key had it.
#[derive(Debug)]
pub(super) struct CommandAnswer {
    pub(super) done: Done,
    pub(super) repeated: bool,
}

/// The effect of a command.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Effect {
    /// The room; after a move, the new one.
    #[schema(value_type = uuid::Uuid)]
    room: RoomId,
    /// The room's version after the command.
    #[schema(minimum = 1)]
    #[schema(value_type = u64)]
    version: Version,
    /// The reservation, for a command about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>, nullable = false)]
    reservation: Option<ReservationId>,
    /// Revision of the reservation, or of the room's settings; also in `ETag`.
    #[schema(minimum = 1)]
    revision: u32,
}

impl Effect {
    /// The effect of a command, and the path of what it made in the query service.
    pub(super) fn of(done: &Done) -> (Self, Option<String>) {
        let Done { room, version, reservation, revision, created, .. } = *done;
        let location = created.then(|| match reservation {
            Some(reservation) => format!("/v1/reservations/{reservation}"),
            None => format!("/v1/rooms/{room}"),
        });
        (Self { room, version, reservation, revision }, location)
    }
}

impl Responder for CommandAnswer {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let (effect, location) = Effect::of(&self.done);
        let mut response = match location {
            Some(location) => {
                let mut created = HttpResponse::Created();
                created.insert_header((LOCATION, location));
                created
            }
            None => HttpResponse::Ok(),
        };
        if self.repeated {
            response.insert_header(("Idempotency-Replayed", "true"));
        }
        response
            .insert_header((ETAG, format!("\"{}\"", effect.revision)))
            .insert_header((CACHE_CONTROL, TAGGED))
            .insert_header(("Consistency-Token", self.done.token.to_string()))
            .json(effect)
    }
}
