//! What is left when the campaign is over: the event store, the topic, the read models, and what queries show.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use uuid::Uuid;

use super::record::Stay;
use crate::{kafka::MessageRow, mongo::Documents, mysql::EventRow};

/// What an event tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Registered,
    Made,
    Rescheduled,
    MovedOut,
    MovedIn,
    Cancelled,
}

/// A reservation after an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reservation {
    pub(crate) id: Uuid,
    pub(crate) revision: u64,
    pub(crate) room: Uuid,
    pub(crate) stay: Stay,
    pub(crate) user: String,
}

/// An event as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) room: Uuid,
    pub(crate) version: u64,
    pub(crate) kind: Kind,
    /// The key of the request, which clients send as correlation id too.
    pub(crate) key: String,
    /// The id of the command.
    pub(crate) command: String,
    pub(crate) actor: String,
    /// None for events of the room itself.
    pub(crate) reservation: Option<Reservation>,
    /// The kind of the room, where the event tells it.
    pub(crate) room_kind: Option<String>,
    pub(crate) payload: Vec<u8>,
}

impl Event {
    pub(crate) fn read(row: EventRow) -> Result<Self> {
        let about = || format!("{}:{} {}", row.room, row.version, row.event_type);
        let metadata: Value = serde_json::from_slice(&row.metadata).with_context(about)?;
        let payload: Value = serde_json::from_slice(&row.payload).with_context(about)?;
        let text = |name: &str| metadata[name].as_str().unwrap_or_default().to_owned();
        Ok(Self {
            room: row.room,
            version: row.version,
            kind: kind(&row.event_type).with_context(about)?,
            key: text("correlationid"),
            command: text("causationid"),
            actor: text("actor"),
            reservation: payload.get("reservation").map(reservation).transpose().with_context(about)?,
            room_kind: payload["room"]["settings"]["kind"].as_str().map(str::to_owned),
            payload: row.payload,
        })
    }

    pub(crate) fn id(&self) -> String {
        format!("{}:{}", self.room, self.version)
    }
}

fn kind(event_type: &str) -> Result<Kind> {
    Ok(match event_type {
        "reservations.room-registered.v1" => Kind::Registered,
        "reservations.reservation-made.v1" => Kind::Made,
        "reservations.reservation-rescheduled.v1" => Kind::Rescheduled,
        "reservations.reservation-moved-out.v1" => Kind::MovedOut,
        "reservations.reservation-moved-in.v1" => Kind::MovedIn,
        "reservations.reservation-cancelled.v1" => Kind::Cancelled,
        other => bail!("an event of type {other}, which nobody asked for"),
    })
}

fn reservation(value: &Value) -> Result<Reservation> {
    let id = |name: &str| -> Result<Uuid> { Ok(value[name].as_str().context("no id")?.parse()?) };
    Ok(Reservation {
        id: id("id")?,
        revision: value["revision"].as_u64().context("no revision")?,
        room: id("room")?,
        stay: Stay::read(&value["from"], &value["to"]).context("no stay")?,
        user: value["reservedBy"].as_str().context("nobody reserved")?.to_owned(),
    })
}

/// What one query service shows in the end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown {
    pub(crate) instance: usize,
    /// Version and kind of each room.
    pub(crate) rooms: BTreeMap<Uuid, (u64, String)>,
    /// Live reservations of each room: id, revision and stay, by id.
    pub(crate) schedules: BTreeMap<Uuid, Vec<(Uuid, u64, Stay)>>,
    /// Reserved minutes and number of reservations of each room that has any.
    pub(crate) popular: BTreeMap<Uuid, (i64, u64)>,
    /// Reserved minutes by kind, weekday (Monday = 1) and hour.
    pub(crate) busiest: BTreeMap<(String, i64, i64), i64>,
}

/// All of it.
#[derive(Debug, Clone)]
pub(crate) struct Evidence {
    /// Every stream, in the order of versions.
    pub(crate) streams: BTreeMap<Uuid, Vec<Event>>,
    pub(crate) topic: Vec<MessageRow>,
    /// When the last emptying of the topic ended, if there was one: of what was sent before, it need not have all.
    pub(crate) topic_emptied: Option<u64>,
    pub(crate) documents: Documents,
    pub(crate) shown: Vec<Shown>,
}

/// Events by room; they come in the order of rooms and versions.
pub(crate) fn streams(events: Vec<EventRow>) -> Result<BTreeMap<Uuid, Vec<Event>>> {
    let mut streams: BTreeMap<Uuid, Vec<Event>> = BTreeMap::new();
    for row in events {
        let event = Event::read(row)?;
        streams.entry(event.room).or_default().push(event);
    }
    Ok(streams)
}
