//! The text of a calendar (RFC 5545), made from the read models.
//!
//! It says the same as long as nothing changes, so that a client's copy stays good.

use std::collections::{HashMap, HashSet};

use icalendar::{Calendar as Text, Property};
use sha2::{Digest, Sha256};
use shared_events::{Interval, Minute, ReservationId, RoomId, Timestamp, UserId};
use uuid::Uuid;

use super::Calendar;
use crate::{
    ics::{Entry, calendar, printable},
    read_models::ReservationDoc,
    stores::{Queries, StoreError},
};

/// Most live reservations of a calendar, the earliest first.
const MOST_LIVE: usize = 1_000;
/// Most cancelled reservations of a calendar, those with the earliest ends first.
const MOST_CANCELLED: usize = 500;
/// How long an ended reservation and a cancelled one stay in their user's calendar.
const KEPT_MINUTES: i64 = 30 * MINUTES_OF_DAY;
/// How far ahead a room's calendar reaches.
const AHEAD_MINUTES: i64 = 366 * MINUTES_OF_DAY;
const MINUTES_OF_DAY: i64 = 24 * 60;
/// The pause between two requests that clients are asked for.
const REFRESH: &str = "PT15M";

/// The text of a calendar. `None`: its room is unknown.
///
/// # Errors
/// When the read models can't be read.
pub(crate) async fn text_of(
    calendar: &Calendar,
    models: &dyn Queries,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    let today = today(now);
    let text = match calendar.room {
        None => Some(of_user(&calendar.user, models, today).await?),
        Some(room) => of_room(room, calendar.id, models, today).await?,
    };
    Ok(text.map(|text| text.to_string()))
}

/// A user's live reservations, and the lately cancelled ones as such.
async fn of_user(user: &UserId, models: &dyn Queries, today: Minute) -> Result<Text, StoreError> {
    let since = later(today, -KEPT_MINUTES);
    let mut docs = models.live_of_user(user, Some(since), None, None, MOST_LIVE).await?;
    docs.extend(models.cancelled_of_user(user, since, MOST_CANCELLED).await?);
    let events: Vec<_> = docs.iter().filter_map(|doc| Some((doc.reservation.room, doc.version?))).collect();
    let entries = models.entries_of(&events).await?;
    let changed: HashMap<_, _> =
        entries.iter().map(|entry| ((entry.room, entry.version), entry.recorded_at)).collect();
    let rooms: HashSet<RoomId> = docs.iter().map(|doc| doc.reservation.room).collect();
    let rooms = models.rooms(&rooms.into_iter().collect::<Vec<_>>()).await?;
    let names: HashMap<_, _> = rooms.iter().map(|room| (room.room, room.settings.name.as_str())).collect();
    let mut text = empty("Reservations");
    for doc in &docs {
        let ReservationDoc { reservation, version, .. } = doc;
        let changed = version.and_then(|version| changed.get(&(reservation.room, version)).copied());
        if !doc.is_live() && changed.is_none_or(|changed| changed < since.start()) {
            continue;
        }
        let entry = Entry {
            // Of a move, the event of the other room may not be here yet.
            changed: changed.unwrap_or(today.start()),
            is_cancelled: !doc.is_live(),
            summary: reservation.title.as_deref().unwrap_or("Reservation"),
            location: names.get(&reservation.room).copied(),
            ..busy(doc, today)
        };
        text.push(entry.event());
    }
    Ok(text)
}

/// A room's busy times from today on. Nothing in it tells of a person, not even the times of changes.
async fn of_room(
    room: RoomId,
    calendar: Uuid,
    models: &dyn Queries,
    today: Minute,
) -> Result<Option<Text>, StoreError> {
    let Some(found) = models.rooms(&[room]).await?.pop() else { return Ok(None) };
    let during = Interval { from: today, to: later(today, AHEAD_MINUTES) };
    let docs = models.live_in_room(room, during, None, MOST_LIVE).await?;
    let mut text = empty(&found.settings.name);
    for doc in &docs {
        text.push(Entry { id: pseudonym(calendar, doc.reservation.id), ..busy(doc, today) }.event());
    }
    Ok(Some(text))
}

fn empty(name: &str) -> Text {
    let mut text = calendar();
    text.name(&printable(name));
    let mut refresh = Property::new("REFRESH-INTERVAL", REFRESH);
    refresh.add_parameter("VALUE", "DURATION");
    text.append_property(refresh).append_property(Property::new("X-PUBLISHED-TTL", REFRESH));
    text
}

fn busy(doc: &ReservationDoc, today: Minute) -> Entry<'static> {
    Entry {
        id: doc.reservation.id,
        revision: doc.reservation.revision,
        from: doc.reservation.from,
        to: doc.reservation.to,
        is_cancelled: false,
        changed: today.start(),
        summary: "Busy",
        location: None,
    }
}

/// The id of a reservation in one calendar. Its own id is its owner's alone.
fn pseudonym(calendar: Uuid, reservation: ReservationId) -> ReservationId {
    let hash = Sha256::new().chain_update(calendar).chain_update(reservation.0).finalize();
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(hash).for_each(|(byte, hashed)| *byte = hashed);
    ReservationId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

/// The beginning of the day, in UTC.
fn today(now: Timestamp) -> Minute {
    let minute = now.minute();
    later(minute, -minute.epoch_minutes().rem_euclid(MINUTES_OF_DAY))
}

fn later(minute: Minute, minutes: i64) -> Minute {
    minute.plus(minutes).unwrap_or(if minutes < 0 { Minute::EARLIEST } else { Minute::LATEST })
}
