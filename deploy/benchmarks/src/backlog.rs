//! A backlog of the relay: reservations, stored as commands store them.

use anyhow::Result;
use service_kit::ids::new_id;
use shared_events::{
    Event, Interval, Metadata, Minute, RawEvent, Reservation, ReservationId, RoomId, Timestamp, UserId,
    reservation_events::ReservationMade,
};

use system_tests::Namespace;

use crate::mysql;

/// Noon of 2026-01-01 in minutes since 1970.
const FIRST_MINUTE: i64 = 29_453_760;

/// A database whose events can be put into the outbox again and again.
#[derive(Debug)]
pub(crate) struct Backlog {
    rooms: Vec<RoomId>,
    events: u64,
    database_url: String,
}

impl Backlog {
    /// Writes events into a new database: the first of each room, then the second of each, and so on.
    pub(crate) async fn build(namespace: &Namespace, rooms: usize, events: u64) -> Result<Self> {
        let database_url = namespace.database_url();
        command_service::operate::migrate(database_url.as_str()).await?;
        let backlog = Self { rooms: (0..rooms).map(|_| RoomId(new_id())).collect(), events, database_url };
        mysql::backlog::insert(&backlog.database_url, backlog.events()).await?;
        Ok(backlog)
    }

    /// Fills the outbox with exactly the first events.
    pub(crate) async fn refill(&self, first: u64) -> Result<()> {
        mysql::backlog::refill(&self.database_url, first).await
    }

    pub(crate) const fn len(&self) -> u64 {
        self.events
    }

    pub(crate) const fn rooms(&self) -> usize {
        self.rooms.len()
    }

    /// The events in the order of their positions.
    pub(crate) fn events(&self) -> impl Iterator<Item = Result<RawEvent>> {
        (1..)
            .flat_map(|version| self.rooms.iter().map(move |room| event(*room, version)))
            .zip(0..self.events)
            .map(|(event, _)| event)
    }
}

/// The n-th reservation of a room: an hour each, one after the other, made when they begin.
fn event(room: RoomId, version: u64) -> Result<RawEvent> {
    let from = FIRST_MINUTE + 60 * i64::try_from(version).unwrap_or(0);
    reservation_made(room, version, [from, from + 60], [0, 0], from)
}

/// The event of a reservation, with the minutes of its buffers. All times are minutes since 1970.
pub(crate) fn reservation_made(
    room: RoomId,
    version: u64,
    stay: [i64; 2],
    buffers: [i64; 2],
    at: i64,
) -> Result<RawEvent> {
    let ([from, to], [before, after]) = (stay, buffers);
    let (stay, time_zone) = (interval(from, to), "Europe/Lisbon".parse()?);
    let user = UserId::new(format!("user-{}@example.com", version % 1000))?;
    let mut reservation = Reservation {
        id: ReservationId::made_in(room, new_id()),
        revision: 1,
        room,
        time_zone,
        from: stay.from,
        to: stay.to,
        offsets: None,
        busy: None,
        people: 4,
        title: Some("Planning of the quarter".to_owned()),
        reserved_for: Some("The whole team".to_owned()),
        reserved_by: user.clone(),
        booked_by: None,
        series: None,
    };
    reservation.set_interval(stay, interval(from - before, to + after), time_zone);
    stored(room, version, ReservationMade { reservation }.into(), user, at)
}

/// From and to in minutes since 1970.
pub(crate) fn interval(from: i64, to: i64) -> Interval {
    let minute = |minutes| {
        Minute::from_epoch_minutes(minutes).unwrap_or_else(|_| Timestamp::from_epoch_millis(0).minute())
    };
    Interval { from: minute(from), to: minute(to) }
}

/// An event as it is stored. `at` is the time of its command in minutes since 1970.
pub(crate) fn stored(room: RoomId, version: u64, event: Event, user: UserId, at: i64) -> Result<RawEvent> {
    let id = new_id();
    let time = Timestamp::from_epoch_millis(60_000 * at);
    Ok(RawEvent {
        room,
        version: version.into(),
        event_type: event.event_type().into(),
        payload: event.to_json()?,
        metadata: Metadata {
            time,
            subject: event.subject(),
            actor: user,
            correlation_id: id.to_string(),
            causation_id: id.to_string(),
            traceparent: None,
        },
        recorded_at: time,
    })
}
