//! The answer to a command.

use actix_web::{
    HttpRequest, HttpResponse, Responder,
    body::BoxBody,
    http::header::{ETAG, LOCATION},
};
use serde::Serialize;
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

impl Responder for CommandAnswer {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let Done { room, version, reservation, revision, created, token } = self.done;
        let mut response = if created { HttpResponse::Created() } else { HttpResponse::Ok() };
        if created {
            let location = match reservation {
                Some(reservation) => format!("/v1/reservations/{reservation}"),
                None => format!("/v1/rooms/{room}"),
            };
            response.insert_header((LOCATION, location));
        }
        if self.repeated {
            response.insert_header(("Idempotency-Replayed", "true"));
        }
        response
            .insert_header((ETAG, format!("\"{revision}\"")))
            .insert_header(("Consistency-Token", token.to_string()))
            .json(Effect { room, version, reservation, revision })
    }
}
