//! Lines about series.

use chrono::NaiveDate;
use serde::{Deserialize, de::IgnoredAny};
use service_kit::http::problem::Problem;
use shared_events::{Minute, RoomId, SeriesId, Timestamp};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Common, Role, Wanted, changes, checked_key};
use crate::{
    commands::{Action, CancelSeries, ChangeReservation, ChangeSeries, Following, ReserveSeries},
    event_store::KeyId,
    http::{
        fields::{given, invalid, stay},
        idempotency::key_of_line,
        schemas::{cancel_series_command, change_series_command, reserve_series_command},
        series::{Conflict, recurrence},
    },
};

/// Placeholders for a series named by a line's key. The writer replaces them.
const NOT_YET_FOUND: (RoomId, SeriesId) = (RoomId(Uuid::nil()), SeriesId(Uuid::nil()));

line! {
    /// Reserves a room again and again. `reservationKey` with its key names the first reservation.
    SeriesLine as ImportReserveSeries for reserve_series_command {
        /// The room.
        #[schema(value_type = Uuid)]
        room: RoomId,
        /// First minute of the first occurrence.
        #[schema(value_type = chrono::DateTime<chrono::Utc>)]
        from: Minute,
        /// First minute after the first occurrence.
        #[schema(value_type = chrono::DateTime<chrono::Utc>)]
        to: Minute,
        /// The value of an `RRULE`, as in a request.
        #[schema(min_length = 10, max_length = 500)]
        recurrence: String,
        /// Local dates of occurrences that don't take place.
        #[serde(default)]
        #[schema(max_items = 400)]
        exceptions: Vec<NaiveDate>,
        /// What becomes of occurrences that overlap a reservation or break a rule of the room.
        #[serde(default)]
        on_conflict: Conflict,
        /// Number of people.
        #[schema(minimum = 1)]
        people: u32,
        /// Title.
        #[serde(default)]
        #[schema(max_length = 200)]
        title: Option<String>,
        /// Guest.
        #[serde(default)]
        #[schema(max_length = 200)]
        reserved_for: Option<String>,
        /// The owner, if not the user. For the roles `admin` and `delegate`.
        #[serde(default)]
        #[schema(min_length = 1, max_length = 200)]
        reserved_by: Option<String>,
    }
}

line! {
    /// Changes the reservations of a series that have not begun at `at`, all or none: of a `room` and a `series`, or of a
    /// `seriesKey`. `from` and `to` are the new times of the first of them; by the clock, the others move as far.
    ChangeSeriesLine as ImportChangeSeries for change_series_command {
        /// The room.
        #[serde(default)]
        #[schema(value_type = Option<Uuid>)]
        room: Option<RoomId>,
        /// The series.
        #[serde(default)]
        #[schema(value_type = Option<Uuid>)]
        series: Option<SeriesId>,
        /// Key of the line that made the series.
        #[serde(default)]
        #[schema(min_length = 1, max_length = 255)]
        series_key: Option<String>,
        /// Only the reservations that begin at this minute or later.
        #[serde(default)]
        #[schema(value_type = Option<chrono::DateTime<chrono::Utc>>)]
        since: Option<Minute>,
        /// First minute of the first reservation.
        #[serde(default, deserialize_with = "given")]
        #[schema(value_type = Option<chrono::DateTime<chrono::Utc>>, nullable = false)]
        from: Option<Minute>,
        /// First minute after it.
        #[serde(default, deserialize_with = "given")]
        #[schema(value_type = Option<chrono::DateTime<chrono::Utc>>, nullable = false)]
        to: Option<Minute>,
        /// Number of people.
        #[serde(default, deserialize_with = "given")]
        #[schema(minimum = 1, nullable = false)]
        people: Option<u32>,
        /// Title; null clears it.
        #[serde(default, deserialize_with = "given")]
        #[schema(value_type = Option<String>, max_length = 200)]
        title: Option<Option<String>>,
        /// Guest; null clears it.
        #[serde(default, deserialize_with = "given")]
        #[schema(value_type = Option<String>, max_length = 200)]
        reserved_for: Option<Option<String>>,
    }
}

line! {
    /// Cancels the reservations of a series that have not begun at `at`: of a `room` and a `series`, or of a `seriesKey`.
    CancelSeriesLine as ImportCancelSeries for cancel_series_command {
        /// The room.
        #[serde(default)]
        #[schema(value_type = Option<Uuid>)]
        room: Option<RoomId>,
        /// The series.
        #[serde(default)]
        #[schema(value_type = Option<Uuid>)]
        series: Option<SeriesId>,
        /// Key of the line that made the series.
        #[serde(default)]
        #[schema(min_length = 1, max_length = 255)]
        series_key: Option<String>,
        /// Only the reservations that begin at this minute or later.
        #[serde(default)]
        #[schema(value_type = Option<chrono::DateTime<chrono::Utc>>)]
        since: Option<Minute>,
    }
}

pub(super) fn reserve(line: SeriesLine) -> Result<Wanted, Problem> {
    let SeriesLine { room, from, to, exceptions, on_conflict, people, title, reserved_for, .. } = line;
    let stay = stay(from, to, people, title, reserved_for, line.reserved_by.as_deref())?;
    let (recurrence, exceptions) = recurrence(&line.recurrence, exceptions)?;
    let on_conflict = on_conflict.into();
    let series = ReserveSeries { room, stay, recurrence, exceptions, on_conflict, dry_run: false };
    Ok((Action::ReserveSeries(Box::new(series)), None))
}

pub(super) fn change(line: ChangeSeriesLine) -> Result<Wanted, Problem> {
    let ((room, series), made_by) = reference(line.room, line.series, line.series_key.as_deref())?;
    let following = line.since.map(Following::Since);
    let ChangeSeriesLine { from, to, people, title, reserved_for, .. } = line;
    let values: ChangeReservation = changes(from, to, people, title, reserved_for)?;
    Ok((Action::ChangeSeries(Box::new(ChangeSeries { room, series, following, values })), made_by))
}

pub(super) fn cancel(line: CancelSeriesLine) -> Result<Wanted, Problem> {
    let ((room, series), made_by) = reference(line.room, line.series, line.series_key.as_deref())?;
    let following = line.since.map(Following::Since);
    Ok((Action::CancelSeries(CancelSeries { room, series, following }), made_by))
}

/// The series of a line, or the placeholder and the line that made the series.
fn reference(
    room: Option<RoomId>,
    series: Option<SeriesId>,
    key: Option<&str>,
) -> Result<((RoomId, SeriesId), Option<KeyId>), Problem> {
    match (room, series, key) {
        (Some(room), Some(series), None) => Ok(((room, series), None)),
        (None, None, Some(key)) => Ok((NOT_YET_FOUND, Some(key_of_line(checked_key("/seriesKey", key)?)))),
        _ => Err(invalid("/series", "`room` and `series` must be given, or `seriesKey` alone")),
    }
}
