//! A correct history, built command by command. Tests plant defects in it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Allowed, Violation, check};
use crate::{
    campaign::{
        evidence::{Closure, Event, Evidence, Kind, Reservation, Scheduled, Shown},
        operation::{Operation, Rules, people},
        record::{
            Attempt, Command, Done, OfClosure, OfSeries, Outcome, Query, Record, RoomLine, Stay, View,
            YEAR_BEGINS,
        },
    },
    kafka::MessageRow,
    mongo::{Documents, HistoryDoc, ReservationDoc},
};

pub(super) const A: Uuid = Uuid::from_u128(0xA);
pub(super) const B: Uuid = Uuid::from_u128(0xB);
/// Reservations: one that is moved from A to B, one that stays in A, one that is cancelled.
pub(super) const MOVED: Uuid = Uuid::from_u128(1);
pub(super) const STAYS: Uuid = Uuid::from_u128(2);
pub(super) const GONE: Uuid = Uuid::from_u128(3);
pub(super) const SERIES: Uuid = Uuid::from_u128(0x5E);
pub(super) const CLOSURE: Uuid = Uuid::from_u128(0xC);

pub(super) const fn hour(hour: i64) -> Stay {
    Stay { from: YEAR_BEGINS + hour * 60, to: YEAR_BEGINS + hour * 60 + 60 }
}

/// Record and evidence of a history.
pub(super) struct Trial {
    pub(super) record: Record,
    pub(super) evidence: Evidence,
    pub(super) now: u64,
    /// The rules of both rooms.
    pub(super) rules: Rules,
}

impl Trial {
    pub(super) fn time(&mut self) -> (u64, u64) {
        self.now += 10;
        (self.now - 9, self.now)
    }

    pub(super) fn event(
        &mut self,
        room: Uuid,
        kind: Kind,
        key: &str,
        about: Option<(Uuid, u64, Uuid, Stay)>,
    ) -> u64 {
        let rules = self.rules;
        let asked_for = matches!(kind, Kind::Made | Kind::Rescheduled);
        let (title, people) = about
            .and_then(|(id, ..)| self.latest(id))
            .filter(|_| !asked_for)
            .map_or_else(|| (key.to_owned(), people(key)), |was| (was.title.clone(), was.people));
        let stream = self.evidence.streams.entry(room).or_default();
        let version = u64::try_from(stream.len()).unwrap() + 1;
        let reservation = about.map(|(id, revision, room, stay)| Reservation {
            id,
            revision,
            room,
            stay,
            busy: rules.busy(stay),
            user: "ann".to_owned(),
            booker: None,
            series: None,
            title,
            people,
        });
        let event = Event {
            room,
            version,
            kind,
            key: key.to_owned(),
            command: format!("command of {key}"),
            actor: "ann".to_owned(),
            time: 0,
            reservation,
            closure: None,
            room_kind: (kind == Kind::Registered).then(|| "double".to_owned()),
            rules,
            payload: format!("{key} {kind:?}").into_bytes(),
        };
        self.evidence.topic.push(MessageRow {
            partition: 0,
            key: room.to_string().into_bytes(),
            id: event.id(),
            event_type: String::new(),
            payload: event.payload.clone(),
            headers: Vec::new(),
        });
        stream.push(event);
        version
    }

    /// The latest form of a reservation.
    fn latest(&self, id: Uuid) -> Option<&Reservation> {
        let all = self.evidence.streams.values().flatten().filter_map(|event| event.reservation.as_ref());
        all.filter(|about| about.id == id).max_by_key(|about| about.revision)
    }

    pub(super) fn command(&mut self, key: &str, operation: Operation, outcome: Outcome) {
        let (start, end) = self.time();
        let attempts = vec![Attempt { instance: 0, start, end, outcome }];
        let (key, user) = (key.to_owned(), "ann".to_owned());
        self.record.commands.push(Command { key, user, operation, attempts });
    }

    /// Sends a command again.
    pub(super) fn again(&mut self, key: &str, outcome: Outcome) {
        let (start, end) = self.time();
        self.of_key(key).attempts.push(Attempt { instance: 0, start, end, outcome });
    }

    pub(super) fn refused(&mut self, key: &str, operation: Operation, problem: Value) {
        self.command(key, operation, Outcome::Rejected { status: 409, problem });
    }

    pub(super) fn done(
        &mut self,
        key: &str,
        operation: Operation,
        room: Uuid,
        version: u64,
        reservation: Option<(Uuid, u64)>,
    ) {
        let done = Done {
            room,
            version,
            reservation: reservation.map(|(id, _)| id),
            revision: reservation.map_or(1, |(_, revision)| revision),
            token: String::new(),
            series: None,
            closure: None,
        };
        self.command(key, operation, Outcome::Done(done));
    }

    pub(super) fn made(&mut self, key: &str, room: Uuid, id: Uuid, stay: Stay) {
        let version = self.event(room, Kind::Made, key, Some((id, 1, room, stay)));
        self.done(key, reserve(room, stay), room, version, Some((id, 1)));
    }

    /// Two rooms that were registered.
    pub(super) fn rooms(rules: Rules) -> Self {
        let documents = Documents { reservations: Vec::new(), history: Vec::new() };
        let evidence = Evidence {
            streams: BTreeMap::new(),
            topic: Vec::new(),
            topic_emptied: None,
            documents,
            shown: Vec::new(),
        };
        let mut trial = Self { record: Record::default(), evidence, now: 0, rules };
        for (room, name) in [(A, "a"), (B, "b")] {
            let key = format!("register-{name}");
            trial.event(room, Kind::Registered, &key, None);
            trial.done(
                &key,
                Operation::Register { name: name.to_owned(), kind: "double".to_owned(), rules },
                room,
                1,
                None,
            );
        }
        trial
    }

    /// A correct history.
    pub(super) fn right() -> Self {
        let mut trial = Self::rooms(Rules::default());
        trial.made("moved", A, MOVED, hour(1));
        trial.made("stays", A, STAYS, hour(2));
        trial.made("gone", B, GONE, hour(1));
        trial.refused("refused", reserve(A, hour(2)), overlap(A, 3, STAYS, hour(2)));
        let full = json!({"type": "/problems/no-free-room",
            "rooms": [{"room": A, "version": 3}, {"room": B, "version": 2}]});
        trial.refused("full", Operation::ReserveKind { kind: "double".to_owned(), stay: hour(1) }, full);
        trial.event(B, Kind::Cancelled, "cancel", Some((GONE, 2, B, hour(1))));
        trial.done("cancel", cancel(B, GONE), B, 3, Some((GONE, 2)));
        trial.event(A, Kind::MovedOut, "move", Some((MOVED, 2, B, hour(1))));
        trial.event(B, Kind::MovedIn, "move", Some((MOVED, 2, B, hour(1))));
        trial.done(
            "move",
            Operation::Move { room: A, reservation: MOVED, to_room: B },
            B,
            4,
            Some((MOVED, 2)),
        );
        trial.event(A, Kind::Rescheduled, "reschedule", Some((STAYS, 2, A, hour(1))));
        let later = Operation::Reschedule { room: A, reservation: STAYS, stay: hour(1) };
        trial.done("reschedule", later, A, 5, Some((STAYS, 2)));
        trial.queried(A, 5, View::Schedule, 5);
        trial.queried(B, 4, View::Reservation { reservation: MOVED, revision: 2 }, 2);
        trial.shown();
        trial
    }

    pub(super) fn queried(&mut self, room: Uuid, version: u64, view: View, shown: u64) {
        let (start, end) = self.time();
        let (status, shown) = (Some(200), Some(shown));
        self.record.queries.push(Query { instance: 0, start, end, room, version, view, status, shown });
    }

    pub(super) fn shown(&mut self) {
        let document = |id, room, revision, live, version, stay: Stay| ReservationDoc {
            id,
            room,
            revision,
            live,
            version: Some(version),
            from: stay.from,
            to: stay.to,
            user: "ann".to_owned(),
        };
        self.evidence.documents.reservations = vec![
            document(MOVED, B, 2, true, 4, hour(1)),
            document(STAYS, A, 2, true, 5, hour(1)),
            document(GONE, B, 2, false, 3, hour(1)),
        ];
        let entry = |room, version, what: &str, reservation, revision| HistoryDoc {
            room,
            version,
            people: vec!["ann".to_owned()],
            what: what.to_owned(),
            reservation,
            revision,
        };
        self.evidence.documents.history = vec![
            entry(A, 2, "made", MOVED, 1),
            entry(A, 3, "made", STAYS, 1),
            entry(B, 2, "made", GONE, 1),
            entry(B, 3, "cancelled", GONE, 2),
            entry(B, 4, "moved", MOVED, 2),
            entry(A, 5, "changed", STAYS, 2),
        ];
        let [stays, moved] = ["reschedule", "moved"].map(people);
        // The first of January 2031 is a Wednesday.
        self.evidence.shown = vec![Shown {
            instance: 0,
            rooms: BTreeMap::from([(A, (5, "double".to_owned())), (B, (4, "double".to_owned()))]),
            schedules: BTreeMap::from([(A, vec![self.scheduled(STAYS)]), (B, vec![self.scheduled(MOVED)])]),
            closures: BTreeMap::from([(A, Vec::new()), (B, Vec::new())]),
            popular: BTreeMap::from([(A, [60, 1, stays]), (B, [60, 1, moved])]),
            busiest: BTreeMap::from([(("double".to_owned(), 3, 1), [120, 2, stays + moved])]),
        }];
    }

    fn scheduled(&self, id: Uuid) -> Scheduled {
        let Reservation { revision, stay, busy, user, booker, series, title, people, .. } =
            self.latest(id).unwrap().clone();
        Scheduled { id, revision, stay, busy, user, booker, series, title, people }
    }

    /// Adds or lifts a closure in a room. Its event names these hits.
    pub(super) fn closure(&mut self, kind: Kind, key: &str, room: Uuid, stay: Stay, hits: &[Uuid]) -> u64 {
        let version = self.event(room, kind, key, None);
        let closure = Closure { id: CLOSURE, stay, hits: (hits.to_vec(), 0) };
        self.stream(room).last_mut().unwrap().closure = Some(closure);
        version
    }

    /// A closure of a room, and its answer.
    pub(super) fn closes(&mut self, room: Uuid, stay: Stay, hits: &[Uuid]) {
        let version = self.closure(Kind::Closed, "close", room, stay, hits);
        let told = OfClosure {
            closure: Some(CLOSURE),
            rooms: vec![RoomLine { room, version, hits: (hits.to_vec(), 0) }],
        };
        let close = Operation::Close { kind: None, rooms: vec![room], stay };
        self.command("close", close, Outcome::Done(of_closure(told)));
    }

    /// A command about a series, with the events that it made of these reservations, and its answer.
    pub(super) fn of_series(
        &mut self,
        key: &str,
        operation: Operation,
        kind: Kind,
        of: &[(u128, u64, Stay)],
        skipped: &[Stay],
    ) {
        let mut version = 0;
        for (id, revision, stay) in of {
            version = self.event(A, kind, key, Some((Uuid::from_u128(*id), *revision, A, *stay)));
            self.last_reservation().series = Some(SERIES);
        }
        let told = OfSeries {
            series: SERIES,
            occurrences: of
                .iter()
                .map(|(id, revision, stay)| (Uuid::from_u128(*id), *revision, *stay))
                .collect(),
            skipped: skipped.to_vec(),
        };
        let token = String::new();
        let done = Done {
            room: A,
            version,
            reservation: None,
            revision: 0,
            token,
            series: Some(told),
            closure: None,
        };
        self.command(key, operation, Outcome::Done(done));
    }

    /// The reservation of room A's last event.
    pub(super) fn last_reservation(&mut self) -> &mut Reservation {
        self.stream(A).last_mut().unwrap().reservation.as_mut().unwrap()
    }

    pub(super) fn found(&self) -> Vec<Violation> {
        check(&self.record, &self.evidence, &Allowed::default())
    }

    /// Whether a rule is broken.
    pub(super) fn has_broken(&self, rule: &str) -> bool {
        self.found().iter().any(|violation| violation.rule == rule)
    }

    /// Asserts that rules are broken.
    #[track_caller]
    pub(super) fn breaks(&self, expected: &[&str]) {
        let found = self.found();
        let mut rules: Vec<&str> = found.iter().map(|violation| violation.rule).collect();
        rules.sort_unstable();
        rules.dedup();
        for rule in expected {
            assert!(rules.contains(rule), "{rule} was not found broken, but {found:#?}");
        }
    }

    pub(super) fn stream(&mut self, room: Uuid) -> &mut Vec<Event> {
        self.evidence.streams.get_mut(&room).unwrap()
    }

    pub(super) fn of_key(&mut self, key: &str) -> &mut Command {
        self.record.commands.iter_mut().find(|command| command.key == key).unwrap()
    }
}

pub(super) const fn reserve(room: Uuid, stay: Stay) -> Operation {
    Operation::Reserve { room, stay, owner: None }
}

pub(super) const fn cancel(room: Uuid, reservation: Uuid) -> Operation {
    Operation::Cancel { room, reservation, own: false }
}

pub(super) fn of_closure(closure: OfClosure) -> Done {
    let (room, version) = (Uuid::nil(), 0);
    let token = String::new();
    Done { room, version, reservation: None, revision: 0, token, series: None, closure: Some(closure) }
}

pub(super) fn overlap(room: Uuid, version: u64, id: Uuid, stay: Stay) -> Value {
    json!({"type": "/problems/overlap", "room": room, "version": version,
        "inTheWay": {"reservation": id, "from": stay.begins(), "to": stay.ends()}})
}
