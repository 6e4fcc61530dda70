//! A follower against a feed in memory.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::{Metadata, Timestamp, UserId, feed::FeedEvent};

fn room(number: u128) -> RoomId {
    RoomId(Uuid::from_u128(number))
}

/// A feed with so many events of each room, some of which it does not show yet.
#[derive(Default)]
struct Feed {
    heads: BTreeMap<RoomId, u64>,
    questions: usize,
}

impl Feed {
    fn answer(&mut self, question: &Question) -> Answer {
        self.questions += 1;
        assert!(question.items.len() <= Question::MOST_STREAMS);
        let parts = question.items.iter().map(|range| {
            let head = self.heads.get(&range.room).copied().unwrap_or_default();
            let problem = (head == 0).then(|| json!({"type": "/problems/unknown-room"}));
            let versions = range.after.get() + 1..=head.min(range.after.get() + 100);
            let events = versions.map(|version| event(range.room, version)).collect();
            let head = problem.is_none().then(|| head.into());
            Part { room: range.room, events, head, problem }
        });
        Answer { items: parts.collect() }
    }
}

fn event(room: RoomId, version: u64) -> FeedEvent {
    let at = Timestamp::from_epoch_millis(0);
    let metadata = Metadata {
        time: at,
        subject: String::new(),
        actor: UserId::new("ann").unwrap(),
        correlation_id: String::new(),
        causation_id: String::new(),
        traceparent: None,
    };
    let event_type = "reservations.reservation-made.v1".into();
    let raw = RawEvent {
        room,
        version: version.into(),
        event_type,
        payload: b"{}".to_vec(),
        metadata,
        recorded_at: at,
    };
    FeedEvent::from_raw(raw).unwrap()
}

/// A reader with its clock.
struct Reader {
    follower: Follower,
    now: Instant,
    applied: Vec<(RoomId, u64)>,
}

impl Reader {
    fn new(follower: Follower) -> Self {
        Self { follower, now: Instant::now(), applied: Vec::new() }
    }

    /// Takes steps until there is nothing to do, or for so many pauses.
    fn run(&mut self, feed: &mut Feed, most: usize) {
        for _ in 0..most {
            match self.follower.next(self.now) {
                Step::Ask(question) => {
                    let answer = feed.answer(&question);
                    let lists = self.follower.answered(&question, answer, self.now);
                    lists.into_iter().for_each(|events| self.apply(&events));
                }
                Step::CompareHeads => {
                    for (room, head) in &feed.heads {
                        self.follower.told(*room, (*head).into());
                    }
                }
                Step::Wait(until) => {
                    if until - self.now > MOST_REST {
                        return;
                    }
                    self.now = until;
                }
            }
        }
    }

    fn apply(&mut self, events: &[RawEvent]) {
        for event in events {
            self.applied.push((event.room, event.version.get()));
            self.follower.applied(event.room, event.version);
        }
    }

    fn of(&self, room: RoomId) -> Vec<u64> {
        self.applied.iter().filter(|(of, _)| *of == room).map(|(_, version)| *version).collect()
    }
}

#[test]
fn ten_thousand_notices_of_fifty_rooms_lead_to_few_questions_and_each_version_is_applied_once_in_order() {
    let (mut feed, mut reader) = (Feed::default(), Reader::new(Follower::of_all([])));
    reader.run(&mut feed, 100);
    for count in 0..10_000_u64 {
        let room = room(u128::from(count % 50));
        let head = feed.heads.entry(room).or_default();
        *head += 1;
        reader.follower.told(room, (*head).into());
        // A notice each millisecond: 10 s in all.
        reader.now += Duration::from_millis(1);
        while let Step::Ask(question) = reader.follower.next(reader.now) {
            let answer = feed.answer(&question);
            let lists = reader.follower.answered(&question, answer, reader.now);
            lists.into_iter().for_each(|events| reader.apply(&events));
        }
    }
    reader.run(&mut feed, 100);
    assert!(reader.follower.is_caught_up());
    assert!(feed.questions <= 201, "{}", feed.questions);
    for number in 0..50 {
        assert_eq!(reader.of(room(number)), (1..=200).collect::<Vec<_>>());
    }
}

#[test]
fn a_notice_before_the_row_is_visible_is_asked_for_again() {
    let (mut feed, mut reader) = (Feed::default(), Reader::new(Follower::of_all([])));
    reader.run(&mut feed, 10);
    reader.follower.told(room(1), 1.into());
    reader.run(&mut feed, 5);
    assert!(!reader.follower.is_caught_up());
    feed.heads.insert(room(1), 1);
    reader.run(&mut feed, 20);
    assert_eq!(reader.of(room(1)), [1]);
    // Told of an event that the feed does not show yet, though it shows the one before.
    reader.follower.told(room(1), 3.into());
    feed.heads.insert(room(1), 2);
    reader.run(&mut feed, 5);
    assert_eq!(reader.of(room(1)), [1, 2]);
    feed.heads.insert(room(1), 3);
    reader.run(&mut feed, 20);
    assert_eq!(reader.of(room(1)), [1, 2, 3]);
    assert!(reader.follower.is_caught_up());
}

#[test]
fn it_reads_to_the_head_and_not_to_what_it_was_told() {
    let (mut feed, mut reader) = (Feed::default(), Reader::new(Follower::of_all([])));
    reader.run(&mut feed, 10);
    feed.heads.insert(room(1), 250);
    reader.follower.told(room(1), 2.into());
    reader.run(&mut feed, 20);
    assert_eq!(reader.of(room(1)), (1..=250).collect::<Vec<_>>());
    assert_eq!(feed.questions, 3, "the feed answers with 100 at a time");
}

#[test]
fn what_no_notice_told_is_found_by_comparing_heads_also_for_chosen_rooms() {
    for follower in [Follower::of_all([(room(1), 2.into())]), Follower::of_rooms([(room(1), 2.into())])] {
        let all = follower.all;
        let (mut feed, mut reader) = (Feed::default(), Reader::new(follower));
        feed.heads.extend([(room(1), 3), (room(2), 1)]);
        reader.run(&mut feed, 20);
        assert_eq!((reader.of(room(1)), reader.of(room(2)).is_empty()), (vec![3], !all), "at the start");
        feed.heads.insert(room(1), 5);
        reader.run(&mut feed, 20);
        assert_eq!(reader.of(room(1)), [3]);
        reader.now += Follower::COMPARE_EVERY;
        reader.run(&mut feed, 20);
        assert_eq!(reader.of(room(1)), [3, 4, 5]);
        reader.follower.told(room(2), 9.into());
        assert_eq!(reader.follower.is_caught_up(), !all, "of other rooms it knows nothing");
    }
}

#[test]
fn a_room_has_one_question_at_a_time_and_others_go_on() {
    let (mut feed, mut reader) = (Feed::default(), Reader::new(Follower::of_all([])));
    reader.run(&mut feed, 10);
    feed.heads.extend([(room(1), 1), (room(2), 1)]);
    reader.follower.told(room(1), 1.into());
    let Step::Ask(first) = reader.follower.next(reader.now) else { panic!() };
    reader.follower.told(room(1), 2.into());
    reader.follower.told(room(2), 1.into());
    assert_eq!(reader.follower.next(reader.now), Step::Wait(reader.now + Follower::PAUSE));
    reader.now += Follower::PAUSE;
    let Step::Ask(second) = reader.follower.next(reader.now) else { panic!() };
    let rooms = |question: &Question| question.items.iter().map(|range| range.room).collect::<Vec<_>>();
    assert_eq!((rooms(&first), rooms(&second)), (vec![room(1)], vec![room(2)]));
    // While its events are applied, it is not asked about either.
    let answer = feed.answer(&first);
    let events = reader.follower.answered(&first, answer, reader.now);
    reader.now += Follower::PAUSE;
    assert!(matches!(reader.follower.next(reader.now), Step::Wait(_)));
    reader.apply(&events[0]);
    assert!(matches!(reader.follower.next(reader.now), Step::Ask(_)));
}

#[test]
fn events_that_are_no_continuation_are_refused_and_asked_for_again() {
    let mut reader = Reader::new(Follower::of_rooms([(room(1), 0.into())]));
    let part =
        |events| Answer { items: vec![Part { room: room(1), events, head: Some(9.into()), problem: None }] };
    let answers = [
        part(vec![event(room(1), 2)]),
        part(vec![event(room(1), 1), event(room(1), 3)]),
        part(vec![event(room(2), 1)]),
        part(vec![FeedEvent { id: "x".to_owned(), ..event(room(1), 1) }]),
        Answer { items: Vec::new() },
    ];
    for answer in answers {
        let Step::Ask(question) = reader.follower.next(reader.now) else { panic!() };
        assert!(reader.follower.answered(&question, answer, reader.now).is_empty());
        reader.now += MOST_REST;
    }
    assert_eq!(reader.follower.version(room(1)), Version::NONE);
}

proptest! {
    /// Notices get lost, come twice and in any order; the feed is away, or events can't be applied, now and then.
    #[test]
    fn each_version_is_applied_once_in_order_whatever_happens(
        steps in prop::collection::vec((0_u8..6, 0_u128..4, 0_u32..4), 1..200)
    ) {
        let (mut feed, mut reader) = (Feed::default(), Reader::new(Follower::of_all([])));
        for (kind, number, count) in steps {
            let room = room(number);
            let more = u64::from(count);
            let head = feed.heads.get(&room).copied().unwrap_or_default();
            match kind {
                0 => _ = feed.heads.insert(room, head + more),
                1 => reader.follower.told(room, (head + more).saturating_sub(1).into()),
                2 => reader.now += Duration::from_millis(more * 30),
                _ => {
                    let now = reader.now;
                    match reader.follower.next(now) {
                        Step::Ask(question) if kind == 3 => reader.follower.unanswered(&question, now),
                        Step::Ask(question) => {
                            let answer = feed.answer(&question);
                            for events in reader.follower.answered(&question, answer, now) {
                                // The rest can't be applied.
                                let good = if kind == 4 { events.len().min(count as usize) } else { events.len() };
                                reader.apply(&events[..good]);
                                if good < events.len() {
                                    reader.follower.failed(events[0].room, now);
                                }
                            }
                        }
                        Step::CompareHeads => reader.follower.not_compared(now),
                        Step::Wait(until) => reader.now = reader.now.max(until.min(now + MOST_REST)),
                    }
                }
            }
        }
        reader.now += Follower::COMPARE_EVERY;
        reader.run(&mut feed, 1_000);
        for (room, head) in &feed.heads {
            prop_assert_eq!(reader.of(*room), (1..=*head).collect::<Vec<_>>());
        }
    }
}
