//! From a line of an import to its command.

use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::Value;
use service_kit::{
    http::{decode, problem::Problem},
    ids::new_id,
};
use shared_events::{Minute, ReservationId, RoomId, Timestamp, UserId};
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::{
    fields::{ends, given, invalid, name, people, stay, text},
    idempotency::{MAX_CHARS, fingerprint_of_line, key_of_line},
    lines::{Line, key_at_least, whole},
    schemas::{cancel_command, move_command, reschedule_command, reserve_command},
};
use crate::{
    commands::{
        Action, Actor, CancelReservation, ChangeReservation, Command, IfMatch, MoveReservation, Origin,
        Reserve, ReserveKind,
    },
    event_store::KeyId,
    writer::IdempotencyKey,
};

/// Placeholder for a reservation named by a line's key. The writer replaces it.
const NOT_YET_FOUND: ReservationId = ReservationId(Uuid::nil());

pub(in crate::http) use series::{CancelSeriesLine, ChangeSeriesLine, SeriesLine};

/// A decoded line.
#[derive(Debug)]
pub(super) struct Imported {
    /// Its key, if it can be read.
    pub(super) key: Option<String>,
    /// Its command, or the reason against it.
    pub(super) request: Request,
}

/// The command of a line, or the reason against it.
#[derive(Debug)]
pub(super) enum Request {
    /// A command for the writer.
    Command {
        /// The command.
        command: Box<Command>,
        /// The line that made the reservation, if the reservation is named by that line's key.
        made_by: Option<KeyId>,
        /// The key under which the outcome is recorded.
        key: IdempotencyKey,
    },
    /// Rejected without a decision. Not recorded: it may be accepted later.
    Rejected(Problem),
    /// Invalid.
    Failed(Problem),
}

/// The common fields. Decoded first, because the command determines the other fields.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    key: Option<Value>,
    command: CommandName,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum CommandName {
    Reserve,
    Reschedule,
    Move,
    Cancel,
    ReserveSeries,
    ChangeSeries,
    CancelSeries,
}

macro_rules! line {
    ($(#[$doc:meta])* $name:ident as $schema:ident for $command:ident { $($(#[$attribute:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Deserialize, ToSchema)]
        #[schema(as = $schema)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub(in crate::http) struct $name {
            /// Unique key of the line. The same line, sent again, has no other effect.
            #[schema(min_length = 1, max_length = 255)]
            key: String,
            /// Time of the command: RFC 3339 with an offset, not later than now. Rules about now use this time.
            #[schema(value_type = chrono::DateTime<chrono::Utc>)]
            at: Timestamp,
            /// The user of the command.
            #[schema(min_length = 1, max_length = 200)]
            user: String,
            /// With `admin` the user acts as an administrator, who may change the reservations of others. With `delegate` the
            /// user may reserve for others.
            #[serde(rename = "as", default)]
            acting_as: Option<Role>,
            /// The command.
            #[serde(rename = "command")]
            #[schema(schema_with = $command)]
            _command: IgnoredAny,
            $($(#[$attribute])* $field: $type,)*
        }

        impl Common for $name {
            fn common(&self) -> (&str, Timestamp, &str, Option<Role>) {
                (&self.key, self.at, &self.user, self.acting_as)
            }
        }
    };
}

trait Common {
    /// Key, time, user, and the role in which the user acts.
    fn common(&self) -> (&str, Timestamp, &str, Option<Role>);
}

/// The role in which the user of a line acts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ImportRole)]
pub(super) enum Role {
    /// An administrator.
    Admin,
    /// Who may reserve for others.
    Delegate,
}

line! {
    /// Reserves a room, or any room of a kind: either `room` or `kind`.
    ReserveLine as ImportReserve for reserve_command {
        /// The room.
        #[serde(default)]
        #[schema(value_type = Option<Uuid>)]
        room: Option<RoomId>,
        /// The kind.
        #[serde(default)]
        #[schema(min_length = 1, max_length = 200)]
        kind: Option<String>,
        /// First minute.
        #[schema(value_type = chrono::DateTime<chrono::Utc>)]
        from: Minute,
        /// First minute after the stay.
        #[schema(value_type = chrono::DateTime<chrono::Utc>)]
        to: Minute,
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
    /// Changes a reservation: either `reservation` or `reservationKey`, and the changed values.
    RescheduleLine as ImportReschedule for reschedule_command {
        /// The reservation.
        #[serde(default)]
        #[schema(value_type = Option<Uuid>)]
        reservation: Option<ReservationId>,
        /// Key of the line that made the reservation.
        #[serde(default)]
        #[schema(min_length = 1, max_length = 255)]
        reservation_key: Option<String>,
        /// First minute.
        #[serde(default, deserialize_with = "given")]
        #[schema(value_type = Option<chrono::DateTime<chrono::Utc>>, nullable = false)]
        from: Option<Minute>,
        /// First minute after the stay.
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
    /// Moves a reservation to another room: either `reservation` or `reservationKey`.
    MoveLine as ImportMove for move_command {
        /// The reservation.
        #[serde(default)]
        #[schema(value_type = Option<Uuid>)]
        reservation: Option<ReservationId>,
        /// Key of the line that made the reservation.
        #[serde(default)]
        #[schema(min_length = 1, max_length = 255)]
        reservation_key: Option<String>,
        /// The new room.
        #[schema(value_type = Uuid)]
        to_room: RoomId,
        /// First minute, if it changed too.
        #[serde(default, deserialize_with = "given")]
        #[schema(value_type = Option<chrono::DateTime<chrono::Utc>>, nullable = false)]
        from: Option<Minute>,
        /// First minute after the stay, if it changed too.
        #[serde(default, deserialize_with = "given")]
        #[schema(value_type = Option<chrono::DateTime<chrono::Utc>>, nullable = false)]
        to: Option<Minute>,
    }
}

line! {
    /// Cancels a reservation: either `reservation` or `reservationKey`.
    CancelLine as ImportCancel for cancel_command {
        /// The reservation.
        #[serde(default)]
        #[schema(value_type = Option<Uuid>)]
        reservation: Option<ReservationId>,
        /// Key of the line that made the reservation.
        #[serde(default)]
        #[schema(min_length = 1, max_length = 255)]
        reservation_key: Option<String>,
    }
}

impl Imported {
    /// Decodes a line. Its own time must not be later than `now`.
    pub(super) fn read(line: &Line, now: Timestamp) -> Self {
        let bytes = match whole(line) {
            Ok(bytes) => bytes,
            Err(problem) => return Self { key: None, request: Request::Failed(problem) },
        };
        let head = match decode::json::<Head>(bytes) {
            Ok(head) => head,
            Err(problem) => return Self { key: key_at_least(bytes), request: Request::Failed(problem) },
        };
        let request = match head.command {
            CommandName::Reserve => command(bytes, now, reserve),
            CommandName::Reschedule => command(bytes, now, reschedule),
            CommandName::Move => command(bytes, now, move_to_room),
            CommandName::Cancel => command(bytes, now, cancel),
            CommandName::ReserveSeries => command(bytes, now, series::reserve),
            CommandName::ChangeSeries => command(bytes, now, series::change),
            CommandName::CancelSeries => command(bytes, now, series::cancel),
        };
        let key = head.key.and_then(|key| key.as_str().map(str::to_owned));
        Self { key, request: request.unwrap_or_else(Request::Failed) }
    }
}

/// An action, and the line that made its reservation, if the reservation is named by that line's key.
type Wanted = (Action, Option<KeyId>);

fn command<T: DeserializeOwned + Common>(
    bytes: &[u8],
    now: Timestamp,
    wanted: impl FnOnce(T) -> Result<Wanted, Problem>,
) -> Result<Request, Problem> {
    let line = decode::json::<T>(bytes)?;
    let (key, at, user, role) = line.common();
    let key = IdempotencyKey {
        id: key_of_line(checked_key("/key", key)?),
        fingerprint: fingerprint_of_line(bytes),
    };
    let user = UserId::new(user).map_err(|error| invalid("/user", &error.to_string()))?;
    let (action, made_by) = wanted(line)?;
    if at > now {
        return Ok(Request::Rejected(invalid("/at", "is later than now").with("now", now)));
    }
    let (admin, delegate) = (role == Some(Role::Admin), role == Some(Role::Delegate));
    let actor = Actor { user, admin, delegate, roles: Vec::new() };
    let command =
        Command { id: new_id(), actor, now: at, origin: Origin::Import, if_match: IfMatch::Any, action };
    Ok(Request::Command { command: Box::new(command), made_by, key })
}

fn checked_key<'a>(field: &str, key: &'a str) -> Result<&'a str, Problem> {
    let usable = (1..=MAX_CHARS).contains(&key.len()) && !key.chars().any(char::is_control);
    if usable { Ok(key) } else { Err(invalid(field, "a key has 1 to 255 bytes and no control characters")) }
}

/// The reservation of a line, or the placeholder and the line that made the reservation.
fn reference(
    reservation: Option<ReservationId>,
    key: Option<&str>,
) -> Result<(ReservationId, Option<KeyId>), Problem> {
    match (reservation, key) {
        (Some(reservation), None) => Ok((reservation, None)),
        (None, Some(key)) => Ok((NOT_YET_FOUND, Some(key_of_line(checked_key("/reservationKey", key)?)))),
        (Some(_), Some(_)) | (None, None) => {
            Err(invalid("/reservation", "one of `reservation` and `reservationKey` must be given"))
        }
    }
}

fn reserve(line: ReserveLine) -> Result<Wanted, Problem> {
    let ReserveLine { from, to, people, title, reserved_for, reserved_by, .. } = line;
    let stay = stay(from, to, people, title, reserved_for, reserved_by.as_deref())?;
    let action = match (line.room, line.kind) {
        (Some(room), None) => Action::Reserve(Reserve { room, stay }),
        (None, Some(kind)) => Action::ReserveKind(ReserveKind { kind: name("/kind", &kind)?, stay }),
        (Some(_), Some(_)) | (None, None) => {
            return Err(invalid("/room", "one of `room` and `kind` must be given"));
        }
    };
    Ok((action, None))
}

fn reschedule(line: RescheduleLine) -> Result<Wanted, Problem> {
    let (reservation, made_by) = reference(line.reservation, line.reservation_key.as_deref())?;
    let RescheduleLine { from, to, people, title, reserved_for, .. } = line;
    let values = changes(from, to, people, title, reserved_for)?;
    Ok((Action::ChangeReservation(ChangeReservation { reservation, ..values }), made_by))
}

fn move_to_room(line: MoveLine) -> Result<Wanted, Problem> {
    let (reservation, made_by) = reference(line.reservation, line.reservation_key.as_deref())?;
    ends(line.from, line.to)?;
    let MoveLine { to_room, from, to, .. } = line;
    let action = MoveReservation { room: None, reservation, to_room, from, to };
    Ok((Action::MoveReservation(action), made_by))
}

fn cancel(line: CancelLine) -> Result<Wanted, Problem> {
    let (reservation, made_by) = reference(line.reservation, line.reservation_key.as_deref())?;
    let action = CancelReservation { room: None, reservation };
    Ok((Action::CancelReservation(action), made_by))
}

/// The changes of a line.
fn changes(
    from: Option<Minute>,
    to: Option<Minute>,
    count: Option<u32>,
    title: Option<Option<String>>,
    guest: Option<Option<String>>,
) -> Result<ChangeReservation, Problem> {
    ends(from, to)?;
    Ok(ChangeReservation {
        from,
        to,
        people: count.map(people).transpose()?,
        title: title.map(|title| text("/title", title)).transpose()?,
        reserved_for: guest.map(|guest| text("/reservedFor", guest)).transpose()?,
        ..ChangeReservation::new(None, NOT_YET_FOUND)
    })
}

mod series;

#[cfg(test)]
mod tests;
