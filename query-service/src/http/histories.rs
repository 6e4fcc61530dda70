//! What was done to reservations, in the form of the API.

use serde::Serialize;
use shared_events::{Minute, Place, ReservationId, RoomId, SeriesId, Timestamp, UserId, Version};
use utoipa::ToSchema;

use super::answers::Reservation;
use crate::{
    queries::Revision,
    read_models::{Change, HistoryDoc, HistoryKind},
};

/// Something that a user did.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct HistoryEntry {
    #[schema(value_type = HistoryAction)]
    what: HistoryKind,
    /// Who did it, if it was somebody else: an administrator, or who made it for its owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    by: Option<UserId>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    time: Timestamp,
    /// The room; for a move the one that was entered.
    #[schema(value_type = Uuid)]
    room: RoomId,
    /// The version of the room's stream that this is.
    #[schema(value_type = u64)]
    version: Version,
    #[schema(value_type = Uuid)]
    reservation: ReservationId,
    /// The reservation's revision afterwards.
    revision: u32,
    /// First minute, afterwards.
    #[schema(value_type = String, format = DateTime)]
    from: Minute,
    /// First minute after it, afterwards.
    #[schema(value_type = String, format = DateTime)]
    to: Minute,
    /// How many come.
    people: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reserved_for: Option<String>,
    /// Whose reservation it is.
    #[schema(value_type = String)]
    reserved_by: UserId,
    /// Who made it for its owner; absent where that is the owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    booked_by: Option<UserId>,
    /// The series with which it was made; absent where it was made alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>, nullable = false)]
    series: Option<SeriesId>,
    /// Where and when it was before, where it was changed or moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<Before>,
}

/// What one can do with a reservation.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "describes another type")]
pub(super) enum HistoryAction {
    Made,
    Changed,
    Moved,
    Cancelled,
    Restored,
}

/// Where and when a reservation was before.
#[derive(Serialize, ToSchema)]
pub(super) struct Before {
    #[schema(value_type = Uuid)]
    room: RoomId,
    /// First minute.
    #[schema(value_type = String, format = DateTime)]
    from: Minute,
    /// First minute after it.
    #[schema(value_type = String, format = DateTime)]
    to: Minute,
}

impl HistoryEntry {
    /// The entry in a user's history.
    pub(super) fn of(doc: HistoryDoc, user: &UserId) -> Option<Self> {
        let Change::Reservation { what, reservation: values, previous } = doc.change else { return None };
        let before = |Place { room, from, to, .. }: Place| Before { room, from, to };
        Some(Self {
            what,
            by: Some(doc.by).filter(|by| by != user),
            time: doc.at,
            room: doc.room,
            version: doc.version,
            reservation: values.id,
            revision: values.revision,
            from: values.from,
            to: values.to,
            people: values.people,
            title: values.title,
            reserved_for: values.reserved_for,
            reserved_by: values.reserved_by,
            booked_by: values.booked_by,
            series: values.series,
            previous: previous.map(before),
        })
    }
}

/// One revision of a reservation.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RevisionEntry {
    #[schema(value_type = HistoryAction)]
    what: HistoryKind,
    /// When it was done.
    #[schema(value_type = String, format = DateTime)]
    time: Timestamp,
    /// When it was recorded: from then on, `asOf` shows it.
    #[schema(value_type = String, format = DateTime)]
    recorded_at: Timestamp,
    /// Who did it.
    #[schema(value_type = String)]
    by: UserId,
    /// The fields that differ from the revision before; none for the first one.
    changed: Vec<&'static str>,
    /// The reservation afterwards.
    after: Reservation,
}

impl From<Revision> for RevisionEntry {
    fn from(revision: Revision) -> Self {
        Self {
            what: revision.what,
            time: revision.at,
            recorded_at: revision.recorded_at,
            by: revision.by,
            changed: revision.changed,
            after: revision.after.into(),
        }
    }
}
