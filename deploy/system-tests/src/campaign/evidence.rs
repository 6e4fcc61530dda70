//! The evidence after a campaign: the event store, the topic, the read models, and the answers of queries.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use uuid::Uuid;

use super::{operation::Rules, record::Stay};
use crate::{kafka::MessageRow, mongo::Documents, mysql::EventRow};

/// The type of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Registered,
    Made,
    Rescheduled,
    MovedOut,
    MovedIn,
    Cancelled,
    Restored,
    /// In the stream of the room in which the reservation was cancelled: it is in another one now.
    RestoredElsewhere,
    Closed,
    Lifted,
}

/// A reservation after an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reservation {
    pub(crate) id: Uuid,
    pub(crate) revision: u64,
    pub(crate) room: Uuid,
    pub(crate) stay: Stay,
    /// The stay with its buffers.
    pub(crate) busy: Stay,
    pub(crate) user: String,
    /// Who made it for the owner.
    pub(crate) booker: Option<String>,
    pub(crate) series: Option<Uuid>,
    pub(crate) title: String,
    pub(crate) people: i64,
}

/// A closure of a room, when it was added or lifted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Closure {
    pub(crate) id: Uuid,
    pub(crate) stay: Stay,
    /// The named reservations that it hits, and the number of others.
    pub(crate) hits: (Vec<Uuid>, u64),
}

/// A stored event.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) room: Uuid,
    pub(crate) version: u64,
    pub(crate) kind: Kind,
    /// The idempotency key of the command, which clients also send as the correlation id.
    pub(crate) key: String,
    /// The id of the command.
    pub(crate) command: String,
    pub(crate) actor: String,
    /// The time of the command, by the clock of the service, in milliseconds since 1970.
    pub(crate) time: i64,
    /// None for an event of the room itself.
    pub(crate) reservation: Option<Reservation>,
    pub(crate) closure: Option<Closure>,
    /// The kind of a registered room.
    pub(crate) room_kind: Option<String>,
    /// The rules of a registered room.
    pub(crate) rules: Rules,
    pub(crate) payload: Vec<u8>,
}

impl Event {
    /// Whether it is the event of a command in the room that the reservation is not in: its other event tells of the reservation.
    pub(crate) fn is_of_the_other_room(&self) -> bool {
        matches!(self.kind, Kind::MovedOut | Kind::RestoredElsewhere)
    }

    pub(crate) fn read(row: EventRow) -> Result<Self> {
        let about = || format!("{}:{} {}", row.room, row.version, row.event_type);
        let metadata: Value = serde_json::from_slice(&row.metadata).with_context(about)?;
        let payload: Value = serde_json::from_slice(&row.payload).with_context(about)?;
        let text = |name: &str| metadata[name].as_str().unwrap_or_default().to_owned();
        let reservation = payload.get("reservation").map(reservation).transpose().with_context(about)?;
        let kind = match kind(&row.event_type).with_context(about)? {
            Kind::Restored if reservation.as_ref().is_none_or(|restored| restored.room != row.room) => {
                Kind::RestoredElsewhere
            }
            kind => kind,
        };
        let closure = payload.get("closure").map(|_| closure(&payload)).transpose().with_context(about)?;
        let time = chrono::DateTime::parse_from_rfc3339(&text("time")).with_context(about)?;
        let settings = &payload["room"]["settings"];
        Ok(Self {
            room: row.room,
            version: row.version,
            kind,
            key: text("correlationid"),
            command: text("causationid"),
            actor: text("actor"),
            time: time.timestamp_millis(),
            reservation,
            closure,
            room_kind: settings["kind"].as_str().map(str::to_owned),
            rules: Rules::read(settings),
            payload: row.payload,
        })
    }

    pub(crate) fn id(&self) -> String {
        format!("{}:{}", self.room, self.version)
    }
}

fn kind(event_type: &str) -> Result<Kind> {
    Ok(match event_type {
        "reservations.room-registered.v1" | "reservations.room-registered.v2" => Kind::Registered,
        "reservations.reservation-made.v1" => Kind::Made,
        "reservations.reservation-rescheduled.v1" => Kind::Rescheduled,
        "reservations.reservation-moved-out.v1" => Kind::MovedOut,
        "reservations.reservation-moved-in.v1" => Kind::MovedIn,
        "reservations.reservation-cancelled.v1" => Kind::Cancelled,
        "reservations.reservation-restored.v1" => Kind::Restored,
        "reservations.closure-added.v1" => Kind::Closed,
        "reservations.closure-lifted.v1" => Kind::Lifted,
        other => bail!("an event of the unexpected type {other}"),
    })
}

fn id(value: &Value, name: &str) -> Result<Uuid> {
    Ok(value[name].as_str().with_context(|| format!("no {name}"))?.parse()?)
}

fn reservation(value: &Value) -> Result<Reservation> {
    let stay = Stay::read(&value["from"], &value["to"]).context("no stay")?;
    let busy = match value.get("busy") {
        Some(busy) => Stay::read(&busy["from"], &busy["to"]).context("no busy time")?,
        None => stay,
    };
    Ok(Reservation {
        id: id(value, "id")?,
        revision: value["revision"].as_u64().context("no revision")?,
        room: id(value, "room")?,
        stay,
        busy,
        user: value["reservedBy"].as_str().context("no user")?.to_owned(),
        booker: value["bookedBy"].as_str().map(str::to_owned),
        series: value.get("series").map(|_| id(value, "series")).transpose()?,
        title: value["title"].as_str().unwrap_or_default().to_owned(),
        people: value["people"].as_i64().context("no people")?,
    })
}

fn closure(payload: &Value) -> Result<Closure> {
    let hits = payload["hits"].as_array().map_or(&[][..], Vec::as_slice);
    let hits = hits.iter().map(|hit| id(hit, "reservation")).collect::<Result<_>>()?;
    Ok(Closure {
        id: id(payload, "closure")?,
        stay: Stay::read(&payload["from"], &payload["to"]).context("no time")?,
        hits: (hits, payload["moreHits"].as_u64().unwrap_or_default()),
    })
}

/// A live reservation as a schedule shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scheduled {
    pub(crate) id: Uuid,
    pub(crate) revision: u64,
    pub(crate) stay: Stay,
    pub(crate) busy: Stay,
    pub(crate) user: String,
    pub(crate) booker: Option<String>,
    pub(crate) series: Option<Uuid>,
    pub(crate) title: String,
    pub(crate) people: i64,
}

/// Reserved minutes, reservations, and their people.
pub(crate) type Counts = [i64; 3];

/// The answers of one query service.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown {
    pub(crate) instance: usize,
    /// Version and kind of each room.
    pub(crate) rooms: BTreeMap<Uuid, (u64, String)>,
    /// Live reservations of each room, by id.
    pub(crate) schedules: BTreeMap<Uuid, Vec<Scheduled>>,
    /// Live closures of each room, by id.
    pub(crate) closures: BTreeMap<Uuid, Vec<(Uuid, Stay)>>,
    /// By room.
    pub(crate) popular: BTreeMap<Uuid, Counts>,
    /// By kind, weekday (Monday = 1) and hour. A reservation and its people count once for each date and hour.
    pub(crate) busiest: BTreeMap<(String, i64, i64), Counts>,
}

/// All evidence.
#[derive(Debug, Clone)]
pub(crate) struct Evidence {
    /// Every stream, ordered by version.
    pub(crate) streams: BTreeMap<Uuid, Vec<Event>>,
    pub(crate) topic: Vec<MessageRow>,
    /// The end of the last emptying of the topic. The topic may lack events of earlier commands.
    pub(crate) topic_emptied: Option<u64>,
    pub(crate) documents: Documents,
    pub(crate) shown: Vec<Shown>,
}

/// Groups events by room. They come ordered by room and version.
pub(crate) fn streams(events: Vec<EventRow>) -> Result<BTreeMap<Uuid, Vec<Event>>> {
    let mut streams: BTreeMap<Uuid, Vec<Event>> = BTreeMap::new();
    for row in events {
        let event = Event::read(row)?;
        streams.entry(event.room).or_default().push(event);
    }
    Ok(streams)
}
