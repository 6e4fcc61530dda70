//! What a line of an import asks for.

use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::Value;
use service_kit::{
    auth::Caller,
    http::{
        decode,
        problem::{Problem, ProblemType},
    },
    ids::new_id,
};
use shared_events::{Minute, ReservationId, RoomId, Timestamp, UserId};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    super::{
        fields::{ends, given, invalid, name, people, stay, text},
        idempotency::{MAX_CHARS, fingerprint_of_line, key_of_line},
    },
    lines::{Line, MAX_LINE_BYTES},
};
use crate::{
    commands::{
        Action, Actor, CancelReservation, ChangeReservation, Command, MoveReservation, Reserve, ReserveKind,
    },
    event_store::KeyId,
    writer::IdempotencyKey,
};

/// Stands in a command for the reservation until the writer has found it.
const NOT_YET_FOUND: ReservationId = ReservationId(Uuid::nil());

/// A line that was read.
#[derive(Debug)]
pub(super) struct Imported {
    /// Its key, as far as one can be read.
    pub(super) key: Option<String>,
    /// What is done with it.
    pub(super) request: Request,
}

/// What is done with a line.
#[derive(Debug)]
pub(super) enum Request {
    /// It is decided.
    Command {
        /// What it asks for.
        command: Box<Command>,
        /// The line that made the reservation, where that is named by it.
        made_by: Option<KeyId>,
        /// Under which its outcome is recorded.
        key: IdempotencyKey,
    },
    /// It is refused before anybody has to decide. Not recorded: sent again later it may be accepted.
    Rejected(Problem),
    /// It can't be read.
    Failed(Problem),
}

/// What all lines have. Read first, because the command tells which fields there are.
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
}

macro_rules! line {
    ($(#[$doc:meta])* $name:ident as $schema:ident { $($(#[$attribute:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Deserialize, ToSchema)]
        #[schema(as = $schema)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub(in super::super) struct $name {
            /// Unique to this line: sent again, the same line has no other effect.
            #[schema(min_length = 1, max_length = 255)]
            key: String,
            /// When it was done: RFC 3339 with an offset, not later than now. Rules about now use this time.
            #[schema(value_type = chrono::DateTime<chrono::Utc>)]
            at: Timestamp,
            /// Who did it.
            #[schema(min_length = 1, max_length = 200)]
            user: String,
            /// What was done.
            #[serde(rename = "command")]
            #[schema(value_type = String)]
            _command: IgnoredAny,
            $($(#[$attribute])* $field: $type,)*
        }

        impl Common for $name {
            fn common(&self) -> (&str, Timestamp, &str) {
                (&self.key, self.at, &self.user)
            }
        }
    };
}

trait Common {
    /// Key, time and user.
    fn common(&self) -> (&str, Timestamp, &str);
}

line! {
    /// Reserves a room, or any room of a kind: one of `room` and `kind` is given.
    ReserveLine as ImportReserve {
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
        /// How many came.
        #[schema(minimum = 1)]
        people: u32,
        /// What it was about.
        #[serde(default)]
        #[schema(max_length = 200)]
        title: Option<String>,
        /// For whom.
        #[serde(default)]
        #[schema(max_length = 200)]
        reserved_for: Option<String>,
    }
}

line! {
    /// Changes a reservation: one of `reservation` and `reservationKey` is given, and what changes.
    RescheduleLine as ImportReschedule {
        /// The reservation.
        #[serde(default)]
        #[schema(value_type = Option<Uuid>)]
        reservation: Option<ReservationId>,
        /// The key of the line that made it.
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
        /// How many came.
        #[serde(default, deserialize_with = "given")]
        #[schema(minimum = 1, nullable = false)]
        people: Option<u32>,
        /// What it was about; null takes it away.
        #[serde(default, deserialize_with = "given")]
        #[schema(value_type = Option<String>, max_length = 200)]
        title: Option<Option<String>>,
        /// For whom; null takes it away.
        #[serde(default, deserialize_with = "given")]
        #[schema(value_type = Option<String>, max_length = 200)]
        reserved_for: Option<Option<String>>,
    }
}

line! {
    /// Moves a reservation to another room: one of `reservation` and `reservationKey` is given.
    MoveLine as ImportMove {
        /// The reservation.
        #[serde(default)]
        #[schema(value_type = Option<Uuid>)]
        reservation: Option<ReservationId>,
        /// The key of the line that made it.
        #[serde(default)]
        #[schema(min_length = 1, max_length = 255)]
        reservation_key: Option<String>,
        /// The new room.
        #[schema(value_type = Uuid)]
        to_room: RoomId,
        /// First minute, where that changed too.
        #[serde(default, deserialize_with = "given")]
        #[schema(value_type = Option<chrono::DateTime<chrono::Utc>>, nullable = false)]
        from: Option<Minute>,
        /// First minute after the stay, where that changed too.
        #[serde(default, deserialize_with = "given")]
        #[schema(value_type = Option<chrono::DateTime<chrono::Utc>>, nullable = false)]
        to: Option<Minute>,
    }
}

line! {
    /// Cancels a reservation: one of `reservation` and `reservationKey` is given.
    CancelLine as ImportCancel {
        /// The reservation.
        #[serde(default)]
        #[schema(value_type = Option<Uuid>)]
        reservation: Option<ReservationId>,
        /// The key of the line that made it.
        #[serde(default)]
        #[schema(min_length = 1, max_length = 255)]
        reservation_key: Option<String>,
    }
}

impl Imported {
    /// Reads a line; `now` is the time that no line's own may exceed.
    pub(super) fn read(line: &Line, now: Timestamp) -> Self {
        let Line::Whole(bytes) = line else {
            let problem =
                Problem::new(ProblemType::TooLarge, format!("a line has at most {MAX_LINE_BYTES} bytes"));
            return Self { key: None, request: Request::Failed(problem.with("limit", MAX_LINE_BYTES)) };
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
        };
        let key = head.key.and_then(|key| key.as_str().map(str::to_owned));
        Self { key, request: request.unwrap_or_else(Request::Failed) }
    }
}

/// The key of a line that has nothing else that can be used.
fn key_at_least(bytes: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Key {
        key: String,
    }
    serde_json::from_slice::<Key>(bytes).ok().map(|line| line.key)
}

/// An action with the line that made the reservation that it is about, where that is named by it.
type Wanted = (Action, Option<KeyId>);

fn command<T: DeserializeOwned + Common>(
    bytes: &[u8],
    now: Timestamp,
    wanted: impl FnOnce(T) -> Result<Wanted, Problem>,
) -> Result<Request, Problem> {
    let line = decode::json::<T>(bytes)?;
    let (key, at, user) = line.common();
    let key = IdempotencyKey {
        id: key_of_line(checked_key("/key", key)?),
        fingerprint: fingerprint_of_line(bytes),
    };
    let user = Caller::new(user, []).map_err(|refusal| invalid("/user", &refusal.to_string()))?.user;
    let (action, made_by) = wanted(line)?;
    if at > now {
        return Ok(Request::Rejected(invalid("/at", "is later than now").with("now", now)));
    }
    let actor = Actor { user: UserId(user), admin: false };
    let command = Command { id: new_id(), actor, now: at, imported: true, if_match: None, action };
    Ok(Request::Command { command: Box::new(command), made_by, key })
}

fn checked_key<'a>(field: &str, key: &'a str) -> Result<&'a str, Problem> {
    let usable = (1..=MAX_CHARS).contains(&key.len()) && !key.chars().any(char::is_control);
    if usable { Ok(key) } else { Err(invalid(field, "a key has 1 to 255 bytes and no control characters")) }
}

/// The reservation that a line names, or what stands for it and the line that made it.
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
    let stay = stay(line.from, line.to, line.people, line.title, line.reserved_for)?;
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
    ends(line.from, line.to)?;
    let action = ChangeReservation {
        from: line.from,
        to: line.to,
        people: line.people.map(people).transpose()?,
        title: line.title.map(|title| text("/title", title)).transpose()?,
        reserved_for: line.reserved_for.map(|guest| text("/reservedFor", guest)).transpose()?,
        ..ChangeReservation::new(None, reservation)
    };
    Ok((Action::ChangeReservation(action), made_by))
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: &str = "2026-01-01T00:00:00Z";

    fn read(line: &Value) -> Imported {
        Imported::read(&Line::Whole(line.to_string().into_bytes().into()), NOW.parse().unwrap())
    }

    fn booking() -> Value {
        json!({
            "key": "1", "at": "2025-06-01T08:00:00.5Z", "user": "ann", "command": "reserve", "kind": "A",
            "from": "2025-07-01T15:00:00+01:00", "to": "2025-07-02T11:00:00+01:00", "people": 2
        })
    }

    fn changed(change: &Value) -> Value {
        let mut line = booking();
        for (name, value) in change.as_object().unwrap() {
            line[name] = value.clone();
        }
        line
    }

    #[test]
    fn a_line_becomes_a_command_of_its_user_at_its_time() {
        let Imported { key, request: Request::Command { command, made_by: None, .. } } = read(&booking())
        else {
            panic!("no command");
        };
        assert_eq!(key.as_deref(), Some("1"));
        assert_eq!(command.now.to_string(), "2025-06-01T08:00:00.500Z");
        assert_eq!(command.actor, Actor { user: "ann".into(), admin: false });
        assert!(
            command.imported && matches!(&command.action, Action::ReserveKind(action) if action.kind == "A")
        );
    }

    #[test]
    fn a_line_that_can_not_be_used_names_its_field_and_keeps_its_key() {
        let room = Uuid::from_u128(1);
        let cases = [
            (json!({"people": "two"}), Some("/people")),
            (json!({"people": 0}), Some("/people")),
            (json!({"poeple": 2}), Some("/poeple")),
            (json!({"at": "2025-06-01T08:00:00"}), Some("/at")),
            (json!({"command": "book"}), Some("/command")),
            (json!({"user": "a\nb"}), Some("/user")),
            (json!({"room": room}), Some("/room")),
            (json!({"kind": null}), Some("/room")),
            (json!({"title": "x".repeat(201)}), Some("/title")),
            (json!({"to": "2025-07-01T15:00:00+01:00"}), Some("/from")),
        ];
        for (change, field) in cases {
            let Imported { key, request: Request::Failed(problem) } = read(&changed(&change)) else {
                panic!("{change} was accepted");
            };
            assert_eq!((key.as_deref(), problem.named_field()), (Some("1"), field), "{change}");
        }
        let Request::Failed(problem) = read(&changed(&json!({"key": ""}))).request else {
            panic!("accepted")
        };
        assert_eq!(problem.named_field(), Some("/key"));
    }

    #[test]
    fn a_line_of_the_future_is_rejected() {
        let request = read(&changed(&json!({"at": "2026-01-01T00:00:00.001Z"}))).request;
        assert!(matches!(&request, Request::Rejected(problem) if problem.named_field() == Some("/at")));
        assert!(matches!(read(&changed(&json!({"at": NOW}))).request, Request::Command { .. }));
    }

    #[test]
    fn a_reservation_is_named_by_its_id_or_the_key_of_its_line() {
        let cancel = |name: &str, value: Value| {
            let mut line = json!({"key": "2", "at": NOW, "user": "ann", "command": "cancel"});
            line[name] = value;
            read(&line).request
        };
        let by_key = cancel("reservationKey", json!("1"));
        let made_by = key_of_line("1");
        assert!(matches!(by_key, Request::Command { made_by: Some(key), .. } if key == made_by));
        let by_id = cancel("reservation", json!(Uuid::from_u128(5)));
        assert!(matches!(by_id, Request::Command { made_by: None, .. }));
        assert!(matches!(cancel("reservation", Value::Null), Request::Failed(_)));
    }

    #[test]
    fn what_is_no_json_fails() {
        for bytes in [&b"{"[..], b"[]", b"\xff", b"{\"key\": \"1\"}"] {
            let imported = Imported::read(&Line::Whole(bytes.to_vec().into()), NOW.parse().unwrap());
            assert!(matches!(imported.request, Request::Failed(_)), "{bytes:?}");
        }
        let too_long = Imported::read(&Line::TooLong, NOW.parse().unwrap());
        assert!(
            matches!(too_long.request, Request::Failed(problem) if problem.kind() == ProblemType::TooLarge)
        );
    }
}
