//! Helpers of the writer's tests: writers with their own clocks, and commands for them.

use std::sync::Arc;

use command_service::{
    commands::{Action, Actor, CancelReservation, Command, IfMatch, Origin, RegisterRoom, Reserve, Stay},
    domain::Rejection,
    event_store::{FailPoints, KeyId},
    outbox::handoff,
    writer::{Done, IdempotencyKey, Options, Submission, Writer, writer},
};
use service_kit::{clock::Clock, ids};
use shared_events::{Interval, ReservationId, RoomId, RoomSettings, Timestamp, UserId, Version};

use crate::test_store::TestStore;

/// A writer on a store, with a clock of its own.
pub(crate) struct Instance {
    pub(crate) writer: Writer,
    pub(crate) clock: Clock,
    pub(crate) faults: Arc<FailPoints>,
}

pub(crate) const NOON: &str = "2030-01-01T12:00:00Z";

pub(crate) async fn instance(store: &TestStore) -> Instance {
    let faults = Arc::new(FailPoints::default());
    let clock = Clock::standing_at(NOON.parse().unwrap());
    let opened = store.open(Some(Arc::clone(&faults))).await;
    let (writer, task) = writer(opened.into(), clock.clone(), handoff().0, &Options::default());
    tokio::spawn(task);
    Instance { writer, clock, faults }
}

pub(crate) fn settings(name: &str, kind: &str) -> RoomSettings {
    RoomSettings {
        name: name.into(),
        kind: kind.into(),
        capacity: 4,
        time_zone: "Europe/Lisbon".parse().unwrap(),
        opening_hours: None,
        slot_minutes: None,
        min_minutes: None,
        max_minutes: None,
        buffer_before: None,
        buffer_after: None,
        max_days_ahead: None,
        building: None,
        floor: None,
        attributes: Vec::new(),
        bookable_by: Vec::new(),
        max_ahead: None,
    }
}

pub(crate) fn stay(from: &str, to: &str) -> Stay {
    let interval = Interval { from: from.parse().unwrap(), to: to.parse().unwrap() };
    Stay { interval, people: 2, title: None, reserved_for: None, reserved_by: None }
}

/// An hour of the second of January 2030.
pub(crate) fn hour(hour: u32) -> Stay {
    stay(&format!("2030-01-02T{hour:02}:00:00Z"), &format!("2030-01-02T{:02}:00:00Z", hour + 1))
}

pub(crate) fn by(user: &str, action: Action) -> Submission {
    let command = Command {
        id: ids::new_id(),
        actor: Actor {
            user: UserId::new(user).unwrap(),
            admin: user == "admin",
            delegate: user == "delegate",
            roles: Vec::new(),
        },
        now: Timestamp::from_epoch_millis(0),
        origin: Origin::Request,
        if_match: IfMatch::Any,
        action,
    };
    Submission { command, made_by: None, key: None, correlation_id: "test".into(), traceparent: None }
}

pub(crate) fn key(name: &str) -> IdempotencyKey {
    let mut id = [0; 16];
    for (slot, byte) in id.iter_mut().zip(name.bytes()) {
        *slot = byte;
    }
    IdempotencyKey { id: KeyId(id), fingerprint: [7; 16] }
}

impl Instance {
    pub(crate) async fn room(&self, name: &str, kind: &str) -> RoomId {
        let register = RegisterRoom::new(settings(name, kind));
        self.does(by("admin", Action::RegisterRoom(register))).await.room
    }

    pub(crate) async fn does(&self, submission: Submission) -> Done {
        self.writer.submit(submission).await.unwrap().result.unwrap()
    }

    pub(crate) async fn refuses(&self, submission: Submission) -> (Rejection, Vec<(RoomId, Version)>) {
        let decided = self.writer.submit(submission).await.unwrap();
        (decided.result.unwrap_err(), decided.rests_on)
    }
}

pub(crate) fn reserve(room: RoomId, stay: Stay) -> Action {
    Action::Reserve(Reserve { room, stay })
}

pub(crate) fn cancel(room: RoomId, reservation: ReservationId) -> Action {
    Action::CancelReservation(CancelReservation { room: Some(room), reservation })
}

/// Every stream of the store, its versions checked to be without gaps; fails when two live reservations overlap.
pub(crate) async fn events_of(store: &TestStore) -> Vec<(RoomId, u64, String)> {
    let opened = store.open(None).await;
    let mut all = Vec::new();
    for (room, head) in opened.all_heads(None, 1000).await.unwrap() {
        let stream = opened.stream(room, Version::NONE, 10_000).await.unwrap();
        let versions: Vec<u64> = stream.iter().map(|event| event.version.get()).collect();
        assert_eq!(versions, (1..=head.get()).collect::<Vec<_>>(), "room {room}");
        let mut state = command_service::domain::Room::whole(room);
        for event in stream {
            all.push((room, event.version.get(), event.event_type.clone()));
            let event = event.into_raw().unwrap().decode().unwrap();
            state.apply(event.version, event.metadata.time, &event.event).unwrap();
            let live: Vec<_> = state.reservations().map(shared_events::Reservation::interval).collect();
            for (at, one) in live.iter().enumerate() {
                assert!(live[at + 1..].iter().all(|other| !one.overlaps(*other)), "overlap in {room}");
            }
        }
    }
    all
}
