//! The commands of a campaign, as the API takes them.

use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::stay::Stay;

/// The capacity of the rooms.
const MOST_PEOPLE: i64 = 8;

/// The rules of a room that its callers meet.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Rules {
    /// Minutes that it is busy before and after each stay.
    pub(crate) buffers: [i64; 2],
    /// Most reservations, and most minutes, that one owner has ahead.
    pub(crate) most: [Option<i64>; 2],
}

impl Rules {
    /// Parses a room's settings.
    pub(crate) fn read(settings: &Value) -> Self {
        let minutes = |name: &str| settings[name].as_i64().unwrap_or_default();
        let most = |name: &str| settings["maxAhead"][name].as_i64();
        Self {
            buffers: [minutes("bufferBefore"), minutes("bufferAfter")],
            most: [most("reservations"), most("minutes")],
        }
    }

    /// What a stay keeps busy.
    pub(crate) const fn busy(self, stay: Stay) -> Stay {
        let [before, after] = self.buffers;
        Stay { from: stay.from - before, to: stay.to + after }
    }
}

/// A series that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Repeated {
    pub(crate) room: Uuid,
    /// The first occurrence.
    pub(crate) first: Stay,
    /// Days from one to the next.
    pub(crate) days: i64,
    pub(crate) count: i64,
    /// The number of the occurrence that is an exception.
    pub(crate) except: Option<i64>,
    /// Whether occurrences that don't fit are left out.
    pub(crate) skip: bool,
    /// The owner, if not the caller.
    pub(crate) owner: Option<String>,
}

impl Repeated {
    /// All occurrences, by time.
    pub(crate) fn occurrences(&self) -> impl Iterator<Item = Stay> + '_ {
        let wanted = (0..self.count).filter(|number| Some(*number) != self.except);
        wanted.map(|number| self.first.later(number * self.days * 24 * 60))
    }

    fn body(&self, key: &str) -> Value {
        let rule = match self.days {
            7 => format!("FREQ=WEEKLY;COUNT={}", self.count),
            days => format!("FREQ=DAILY;INTERVAL={days};COUNT={}", self.count),
        };
        let mut body = stay(&self.first, key);
        body["recurrence"] = json!(rule);
        let exceptions = self.except.map(|number| self.first.later(number * self.days * 24 * 60));
        let exceptions: Vec<String> = exceptions.iter().map(|stay| stay.begins()[..10].to_owned()).collect();
        body["exceptions"] = json!(exceptions);
        body["onConflict"] = json!(if self.skip { "skip" } else { "refuse" });
        if let Some(owner) = &self.owner {
            body["reservedBy"] = json!(owner);
        }
        body
    }
}

/// The operation of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "camelCase")]
pub(crate) enum Operation {
    Register {
        name: String,
        kind: String,
        rules: Rules,
    },
    Reserve {
        room: Uuid,
        stay: Stay,
        /// The owner, if not the caller.
        owner: Option<String>,
    },
    ReserveKind {
        kind: String,
        stay: Stay,
    },
    Reschedule {
        room: Uuid,
        reservation: Uuid,
        stay: Stay,
    },
    Move {
        room: Uuid,
        reservation: Uuid,
        to_room: Uuid,
    },
    /// Also ends a running stay.
    Cancel {
        room: Uuid,
        reservation: Uuid,
        /// Whether the caller owns it or made it for its owner, and needs no role.
        own: bool,
    },
    /// Of a cancelled reservation.
    Restore {
        room: Uuid,
        reservation: Uuid,
        revision: u64,
    },
    ReserveSeries(Repeated),
    /// A new time of the first of them. The others move as far.
    ChangeSeries {
        room: Uuid,
        series: Uuid,
        /// The first that changes, if not all.
        following: Option<Uuid>,
        stay: Stay,
    },
    CancelSeries {
        room: Uuid,
        series: Uuid,
        following: Option<Uuid>,
    },
    Close {
        /// The kind, if it was asked for.
        kind: Option<String>,
        /// All rooms, also those of the kind.
        rooms: Vec<Uuid>,
        stay: Stay,
    },
    Lift {
        closure: Uuid,
    },
}

impl Operation {
    /// Its name in reports.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Register { .. } => "register",
            Self::Reserve { owner: None, .. } => "reserve",
            Self::Reserve { owner: Some(_), .. } => "reserve for another",
            Self::ReserveKind { .. } => "reserve a kind",
            Self::Reschedule { .. } => "reschedule",
            Self::Move { .. } => "move",
            Self::Cancel { .. } => "cancel",
            Self::Restore { .. } => "restore",
            Self::ReserveSeries(Repeated { skip: false, .. }) => "reserve a series",
            Self::ReserveSeries(Repeated { skip: true, .. }) => "reserve what fits of a series",
            Self::ChangeSeries { following: None, .. } => "change a series",
            Self::ChangeSeries { following: Some(_), .. } => "change the rest of a series",
            Self::CancelSeries { following: None, .. } => "cancel a series",
            Self::CancelSeries { following: Some(_), .. } => "cancel the rest of a series",
            Self::Close { kind: None, .. } => "close rooms",
            Self::Close { kind: Some(_), .. } => "close a kind",
            Self::Lift { .. } => "lift a closure",
        }
    }

    /// The roles of the caller's token.
    pub(crate) const fn roles(&self) -> Option<&'static str> {
        match self {
            Self::Reserve { owner: Some(_), .. } | Self::ReserveSeries(Repeated { owner: Some(_), .. }) => {
                Some("delegate")
            }
            Self::Cancel { own: true, .. } => None,
            _ => Some("admin"),
        }
    }

    /// Whether the answer has a line for each room.
    pub(crate) const fn is_about_closure(&self) -> bool {
        matches!(self, Self::Close { .. } | Self::Lift { .. })
    }

    /// Method, path and body. The title is the key, so that every change changes something.
    pub(crate) fn request(&self, key: &str) -> (Method, String, Option<Value>) {
        match self {
            Self::Register { name, kind, rules } => {
                let mut body =
                    json!({"name": name, "kind": kind, "capacity": MOST_PEOPLE, "timeZone": "UTC"});
                let Rules { buffers: [before, after], most: [reservations, minutes] } = rules;
                for (setting, minutes) in [("bufferBefore", before), ("bufferAfter", after)] {
                    if *minutes > 0 {
                        body[setting] = json!(minutes);
                    }
                }
                for (setting, most) in [("reservations", reservations), ("minutes", minutes)] {
                    if let Some(most) = most {
                        body["maxAhead"][setting] = json!(most);
                    }
                }
                (Method::POST, "/v1/rooms".to_owned(), Some(body))
            }
            Self::Reserve { room, stay: wanted, owner } => {
                let mut body = stay(wanted, key);
                if let Some(owner) = owner {
                    body["reservedBy"] = json!(owner);
                }
                (Method::POST, format!("/v1/rooms/{room}/reservations"), Some(body))
            }
            Self::ReserveKind { kind, stay: wanted } => {
                (Method::POST, format!("/v1/kinds/{kind}/reservations"), Some(stay(wanted, key)))
            }
            Self::Reschedule { room, reservation, stay: wanted } => {
                let path = format!("/v1/rooms/{room}/reservations/{reservation}");
                (Method::PATCH, path, Some(stay(wanted, key)))
            }
            Self::Move { room, reservation, to_room } => {
                let path = format!("/v1/rooms/{room}/reservations/{reservation}/move");
                (Method::POST, path, Some(json!({"toRoom": to_room})))
            }
            Self::Cancel { room, reservation, .. } => {
                (Method::DELETE, format!("/v1/rooms/{room}/reservations/{reservation}"), None)
            }
            Self::Restore { room, reservation, revision } => {
                let path = format!("/v1/rooms/{room}/reservations/{reservation}/restore");
                (Method::POST, path, Some(json!({"revision": revision})))
            }
            Self::ReserveSeries(series) => {
                (Method::POST, format!("/v1/rooms/{}/series", series.room), Some(series.body(key)))
            }
            Self::ChangeSeries { room, series, following, stay: wanted } => {
                (Method::PATCH, of_series(*room, *series, *following), Some(stay(wanted, key)))
            }
            Self::CancelSeries { room, series, following } => {
                (Method::DELETE, of_series(*room, *series, *following), None)
            }
            Self::Close { kind, rooms, stay } => {
                let mut body = json!({"from": stay.begins(), "to": stay.ends(), "reason": key});
                match kind {
                    Some(kind) => body["kind"] = json!(kind),
                    None => body["rooms"] = json!(rooms),
                }
                (Method::POST, "/v1/closures".to_owned(), Some(body))
            }
            Self::Lift { closure } => (Method::DELETE, format!("/v1/closures/{closure}"), None),
        }
    }
}

fn stay(stay: &Stay, key: &str) -> Value {
    json!({"from": stay.begins(), "to": stay.ends(), "people": people(key), "title": key})
}

/// The people for whom a command with this key asks.
pub(crate) fn people(key: &str) -> i64 {
    1 + key.bytes().map(i64::from).sum::<i64>() % MOST_PEOPLE
}

fn of_series(room: Uuid, series: Uuid, following: Option<Uuid>) -> String {
    let series = format!("/v1/rooms/{room}/series/{series}");
    following.map_or_else(|| series.clone(), |first| format!("{series}/following/{first}"))
}
