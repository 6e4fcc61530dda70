//! Files deliveries for the events that concern a subscription, and reminders for the stays.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use shared_events::{Event, RawEvent, Reservation, ReservationId, RoomId, Timestamp, UserId, Version};
use uuid::Uuid;

use super::{
    About, Carrier, Delivery, Notifications, Subscriber,
    delivery::{Told, later},
};
use crate::stores::{Queries, StoreError};

/// Counter: events that notify nobody, by `reason`.
const SKIPPED: &str = "notifications_skipped_total";
/// Counter: deliveries filed, those that were stored already too.
const FILED: &str = "notifications_filed_total";
/// An older event notifies nobody: what it tells is no news.
const NEWS_FOR: Duration = Duration::from_hours(24);
/// An event that was recorded later than this after its time is an imported one. Clocks of services differ by less.
const IMPORTED_AFTER: Duration = Duration::from_mins(5);
/// The correlation ids of a roll-back's commands begin so.
const ROLL_BACK: &str = "roll-back-";
/// The reason of an event that is too old.
const OLD: &str = "old";
/// Most rooms whose last own event is kept. The read models have the others.
const MOST_ROOMS: usize = 10_000;
/// Rooms that are read at a time.
const READS: usize = 16;

/// Files deliveries. Filing an event again changes nothing.
#[derive(Clone)]
pub struct Teller {
    notifications: Notifications,
    rooms: Arc<Mutex<Rooms>>,
}

/// Names and kinds of rooms. The read models may be behind the events that are told, so the rooms' own events count too.
#[derive(Default)]
struct Rooms {
    seen: HashMap<RoomId, Room>,
    models: Option<Arc<dyn Queries>>,
}

#[derive(Clone)]
struct Room {
    version: Version,
    name: String,
    kind: String,
}

impl Teller {
    /// A teller that wakes the courier of its process. It knows rooms by their events until it has read models.
    #[must_use]
    pub fn new(notifications: Notifications) -> Self {
        metrics::describe_counter!(SKIPPED, "Events that notify nobody, by reason.");
        metrics::describe_counter!(FILED, "Deliveries filed.");
        Self { notifications, rooms: Arc::default() }
    }

    /// Reads names and kinds of rooms from these read models.
    pub fn read_rooms_from(&self, models: Arc<dyn Queries>) {
        self.rooms().models = Some(models);
    }

    /// Files the deliveries of these events. Once it returns, they are stored.
    ///
    /// # Errors
    /// When the store can't be read or written. Some deliveries may be filed then: tell the events again.
    pub async fn tell(&self, events: &[RawEvent]) -> Result<(), StoreError> {
        let Notifications { store, wake, .. } = &self.notifications;
        let now = self.notifications.now();
        let happenings: Vec<Happening<'_>> =
            events.iter().filter_map(|event| self.happening(event, now)).collect();
        if happenings.is_empty() {
            return Ok(());
        }
        let owners: Vec<UserId> =
            distinct(happenings.iter().filter_map(|happening| happening.owner().cloned()));
        let rooms: Vec<RoomId> = distinct(happenings.iter().map(|happening| happening.event.room));
        let subscribers = store.concerned(&owners, &rooms).await?;
        let stays: Vec<ReservationId> = distinct(
            happenings
                .iter()
                .filter(|happening| happening.moves_reminders)
                .map(|happening| happening.reservation.id),
        );
        let mut reminded: HashSet<(Uuid, ReservationId)> = match stays.is_empty() {
            true => HashSet::new(),
            false => store.reminded(&stays).await?.into_iter().collect(),
        };
        let named = match subscribers.iter().any(needs_rooms) {
            true => self.named(&rooms).await?,
            false => HashMap::new(),
        };
        let mut series: HashMap<(RoomId, &str), Vec<&Reservation>> = HashMap::new();
        for happening in happenings.iter().filter(|happening| happening.is_of_series()) {
            series.entry(happening.command()).or_default().push(&happening.reservation);
        }
        let mut deliveries = Vec::new();
        for happening in &happenings {
            let of_series = series.get(&happening.command()).filter(|_| happening.is_of_series());
            let room = named.get(&happening.event.room);
            let told = Told {
                event: happening.event,
                reservation: &happening.reservation,
                room_name: room.map(|room| room.name.as_str()),
                of_series: of_series.map_or(&[], Vec::as_slice),
            };
            if happening.is_news {
                let concerned = subscribers.iter().filter(|subscriber| happening.concerns(subscriber, room));
                deliveries.extend(concerned.map(|subscriber| told.delivery(subscriber, now)));
            }
            deliveries.extend(reminders(happening, &told, &subscribers, &mut reminded, now));
        }
        if !deliveries.is_empty() {
            // Of a series the first one counts.
            let mut ids = HashSet::new();
            deliveries.retain(|delivery| ids.insert(delivery.id.clone()));
            store.file(&deliveries, now).await?;
            let reminded: Vec<_> = reminded.into_iter().collect();
            store.drop_older_reminders(&reminded).await?;
            metrics::counter!(FILED).increment(deliveries.len() as u64);
            wake.notify_one();
        }
        Ok(())
    }

    /// What an event tells somebody. A room's own event is kept for its name and kind.
    fn happening<'a>(&self, event: &'a RawEvent, now: Timestamp) -> Option<Happening<'a>> {
        let why_not = why_no_news(event, now);
        let decoded = match event.event() {
            Ok(decoded) => decoded,
            Err(why) => {
                tracing::warn!(event = event.id(), %why, "an event that can't be read notifies nobody");
                metrics::counter!(SKIPPED, "reason" => why_not.unwrap_or("unreadable")).increment(1);
                return None;
            }
        };
        self.see(event, &decoded);
        let reservation = decoded.reservation()?.clone();
        if let Some(reason) = why_not {
            metrics::counter!(SKIPPED, "reason" => reason).increment(1);
        }
        let is_moved_out = reservation.room != event.room;
        let happening = Happening {
            event,
            is_moved_out,
            is_cancelled: matches!(decoded, Event::ReservationCancelled(_)),
            is_news: why_not.is_none(),
            moves_reminders: !is_moved_out && (why_not != Some(OLD) || reservation.from.start() > now),
            reservation,
        };
        (happening.is_news || happening.moves_reminders).then_some(happening)
    }

    fn see(&self, event: &RawEvent, decoded: &Event) {
        let settings = match decoded {
            Event::RoomRegistered(registered) => &registered.room.settings,
            Event::RoomChanged(changed) => &changed.room.settings,
            _ => return,
        };
        let mut rooms = self.rooms();
        if rooms.seen.len() >= MOST_ROOMS {
            rooms.seen.clear();
        }
        let room = Room { version: event.version, name: settings.name.clone(), kind: settings.kind.clone() };
        rooms.seen.insert(event.room, room);
    }

    /// Names and kinds of these rooms, as far as they are known.
    async fn named(&self, rooms: &[RoomId]) -> Result<HashMap<RoomId, Room>, StoreError> {
        let (mut named, models) = {
            let known = self.rooms();
            let seen = rooms.iter().filter_map(|room| Some((*room, known.seen.get(room)?.clone())));
            (seen.collect::<HashMap<_, _>>(), known.models.clone())
        };
        let Some(models) = models else { return Ok(named) };
        let read: Vec<_> = stream::iter(rooms.iter().copied())
            .map(|room| models.room(room))
            .buffer_unordered(READS)
            .try_collect()
            .await?;
        for found in read.into_iter().flatten() {
            let is_older = |seen: &Room| seen.version < found.version;
            if named.get(&found.room).is_none_or(is_older) {
                let (name, kind) = (found.settings.name, found.settings.kind);
                named.insert(found.room, Room { version: found.version, name, kind });
            }
        }
        Ok(named)
    }

    fn rooms(&self) -> std::sync::MutexGuard<'_, Rooms> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An event that somebody may want to know.
struct Happening<'a> {
    event: &'a RawEvent,
    reservation: Reservation,
    /// Of a move or a restored reservation, the half in the former room. The owner is told of the other half.
    is_moved_out: bool,
    is_cancelled: bool,
    /// Else nobody is told, and only reminders follow it.
    is_news: bool,
    /// There may be reminders of its stay. Of an old event about a stay that is over, there are none.
    moves_reminders: bool,
}

impl Happening<'_> {
    /// Whether it is news about a reservation of a series.
    const fn is_of_series(&self) -> bool {
        self.is_news && !self.is_moved_out && self.reservation.series.is_some()
    }

    /// The command in its room. What it does to a series is told once.
    fn command(&self) -> (RoomId, &str) {
        (self.event.room, self.event.metadata.causation_id.as_str())
    }

    fn owner(&self) -> Option<&UserId> {
        (!self.is_moved_out).then_some(&self.reservation.reserved_by)
    }

    fn concerns(&self, subscriber: &Subscriber, room: Option<&Room>) -> bool {
        let is_about = match &subscriber.about {
            About::Mine => self.owner() == Some(&subscriber.user),
            About::Room(room) => self.event.room == *room,
            About::Kind(kind) => room.is_some_and(|room| room.kind == *kind),
        };
        is_about && self.event.recorded_at >= subscriber.created
    }
}

/// The reminders of a stay after an event. News make one; every other event changes those that are there.
fn reminders(
    happening: &Happening<'_>,
    told: &Told<'_>,
    subscribers: &[Subscriber],
    reminded: &mut HashSet<(Uuid, ReservationId)>,
    now: Timestamp,
) -> Vec<Delivery> {
    if !happening.moves_reminders {
        return Vec::new();
    }
    let id = happening.reservation.id;
    let mut missing: HashSet<Uuid> =
        reminded.iter().filter(|(_, of)| *of == id).map(|(subscription, _)| *subscription).collect();
    let mut reminders = Vec::new();
    let own = subscribers
        .iter()
        .filter(|subscriber| subscriber.about == About::Mine && happening.owner() == Some(&subscriber.user));
    for subscriber in own {
        let Some(lead) = subscriber.remind else { continue };
        let is_known = missing.remove(&subscriber.id);
        let is_new = happening.is_news && happening.concerns(subscriber, None);
        if is_known || is_new {
            reminded.insert((subscriber.id, id));
            reminders.push(match happening.is_cancelled {
                true => told.no_reminder(subscriber.id, now),
                false => told.reminder(lead, subscriber, now),
            });
        }
    }
    // Disabled subscriptions: enabled again, they must not remind of what is no longer so.
    reminders.extend(missing.into_iter().map(|subscription| told.no_reminder(subscription, now)));
    reminders
}

fn needs_rooms(subscriber: &Subscriber) -> bool {
    subscriber.carrier == Carrier::Mails || matches!(subscriber.about, About::Kind(_))
}

fn why_no_news(event: &RawEvent, now: Timestamp) -> Option<&'static str> {
    if later(event.recorded_at, NEWS_FOR) < now {
        return Some(OLD);
    }
    if later(event.metadata.time, IMPORTED_AFTER) < event.recorded_at {
        return Some("imported");
    }
    event.metadata.correlation_id.starts_with(ROLL_BACK).then_some("roll-back")
}

fn distinct<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.collect();
    items.sort_unstable();
    items.dedup();
    items
}
