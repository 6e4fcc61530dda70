//! What a stream is told, step by step: messages and read models are given by hand.

use futures_util::FutureExt;
use shared_events::{ReservationId, Version};
use uuid::Uuid;

use super::*;

mod losses;

fn room(number: u128) -> RoomId {
    RoomId(Uuid::from_u128(number))
}

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn of(number: u128, version: u64, owner: &str) -> Notice {
    let about = About::Reservation {
        name: "reservation-made",
        reservation: ReservationId(Uuid::from_u128(9)),
        revision: 1,
        owner: user(owner),
    };
    Notice { room: room(number), version: version.into(), recorded_at: None, about }
}

fn named(number: u128, version: u64, kind: &str) -> Notice {
    let about = About::Room { name: "room-changed", kind: Some(kind.to_owned()) };
    Notice { room: room(number), version: version.into(), recorded_at: None, about }
}

fn rooms(numbers: &[u128]) -> Wants {
    Wants { rooms: numbers.iter().copied().map(room).collect(), ..Wants::default() }
}

/// A hub with two partitions, and the next offset of each.
struct Topic {
    hub: Arc<Hub>,
    next: [i64; 2],
}

impl Topic {
    fn new() -> Self {
        let hub = Arc::new(Hub::new(8));
        hub.begin(1, &[0, 0]);
        hub.filled();
        Self { hub, next: [0; 2] }
    }

    fn push(&mut self, partition: usize, notice: Notice) {
        self.hub.push(partition, self.next[partition], Some(notice));
        self.next[partition] += 1;
    }

    fn show(&self, number: u128, version: u64) {
        self.seen(number, version, false);
    }

    fn seen(&self, number: u128, version: u64, parked: bool) {
        let seen = Seen { version: version.into(), parked };
        self.hub.show(&HashMap::from([(room(number), seen)]), |_| {});
    }

    fn compare(&self, number: u128, version: u64) {
        let seen = Seen { version: version.into(), parked: false };
        self.hub.compare(&HashMap::from([(room(number), seen)]));
    }

    fn stream(&self, name: &str, wants: Wants, last: Option<&str>) -> Stream {
        self.hub.enter(&user(name), wants).unwrap().begin(last, &HashMap::new())
    }
}

/// What a stream has to tell: versions, or resets with their rooms; and its id.
fn told(stream: &Stream) -> (Vec<String>, Option<String>) {
    let text = stream.next().now_or_never().flatten().unwrap_or_default();
    let mut told = Vec::new();
    let mut is_reset = false;
    for line in text.lines() {
        if line == "event: reset" {
            is_reset = true;
        } else if let Some(data) = line.strip_prefix("data: ") {
            let data: serde_json::Value = serde_json::from_str(data).unwrap();
            told.push(match is_reset {
                true => format!("reset {}", data["room"].as_str().map_or("all", |id| &id[35..])),
                false => format!("{}:{}", &data["room"].as_str().unwrap()[35..], data["version"]),
            });
            is_reset = false;
        }
    }
    let id = text.lines().find_map(|line| line.strip_prefix("id: "));
    (told, id.map(str::to_owned))
}

#[test]
fn an_event_is_told_when_the_read_models_show_it_and_a_repeat_is_not() {
    let mut topic = Topic::new();
    let stream = topic.stream("ann", rooms(&[1]), None);
    topic.push(0, of(1, 1, "bob"));
    topic.push(0, of(2, 1, "bob"));
    assert_eq!(told(&stream).0, Vec::<String>::new(), "not visible yet");
    assert_eq!(topic.hub.waiting(), [room(1)], "nobody wants the other room");
    topic.show(1, 1);
    assert_eq!(told(&stream).0, ["1:1"]);
    topic.push(0, of(1, 1, "bob"));
    topic.push(0, of(1, 2, "bob"));
    topic.push(0, of(1, 1, "bob"));
    topic.show(1, 2);
    assert_eq!(told(&stream).0, ["1:2"]);
}

#[test]
fn an_id_never_passes_a_room_that_waits() {
    let mut topic = Topic::new();
    let stream = topic.stream("ann", rooms(&[1, 2, 3]), None);
    topic.push(0, of(1, 1, "bob"));
    topic.push(0, of(2, 1, "bob"));
    topic.push(1, of(3, 1, "bob"));
    topic.show(2, 1);
    topic.show(3, 1);
    let (seen, id) = told(&stream);
    assert_eq!(seen, ["2:1", "3:1"]);
    drop(stream);
    topic.show(1, 1);
    let again = topic.stream("ann", rooms(&[1, 2, 3]), id.as_deref());
    topic.show(1, 1);
    let mut seen = told(&again).0;
    seen.sort();
    assert_eq!(
        seen,
        ["1:1", "2:1"],
        "room 1 was not told; room 2 comes again; room 3 is in another partition"
    );
}

#[test]
fn a_place_is_found_by_another_hub_of_the_same_topic_and_not_by_one_of_another() {
    let (mut one, mut other, mut later) = (Topic::new(), Topic::new(), Topic::new());
    // The other one began to read later, after the first message.
    let stream = one.stream("ann", rooms(&[1]), None);
    for topic in [&mut one, &mut other] {
        topic.push(0, of(1, 1, "bob"));
        topic.push(0, of(1, 2, "bob"));
    }
    // Another topic of the same name.
    later.push(0, of(7, 1, "bob"));
    later.push(0, of(7, 2, "bob"));
    one.show(1, 1);
    let id = told(&stream).1;
    other.show(1, 1);
    let resumed = other.stream("ann", rooms(&[1]), id.as_deref());
    other.show(1, 2);
    assert_eq!(told(&resumed).0, ["1:2"]);
    for id in [id.as_deref(), Some("AQ"), Some("")] {
        let reset = later.stream("ann", rooms(&[1]), id);
        assert_eq!(told(&reset).0, ["reset all"], "{id:?}");
    }
    later.hub.begin(2, &[0, 0]);
    later.hub.filled();
    assert_eq!(told(&later.stream("ann", rooms(&[1]), id.as_deref())).0, ["reset all"], "another cluster");
}

#[test]
fn what_came_before_a_stream_and_is_not_visible_yet_is_told() {
    let mut topic = Topic::new();
    topic.push(0, of(1, 1, "bob"));
    topic.push(0, of(1, 2, "bob"));
    let entrance = topic.hub.enter(&user("ann"), rooms(&[1])).unwrap();
    assert_eq!(entrance.unverified(), [room(1)]);
    let seen = Seen { version: Version::FIRST, parked: false };
    let stream = entrance.begin(None, &HashMap::from([(room(1), seen)]));
    topic.show(1, 2);
    assert_eq!(told(&stream).0, ["1:2"]);
}

#[test]
fn a_parked_room_is_a_reset_holds_nobody_up_and_is_another_reset_when_it_goes_on() {
    let mut topic = Topic::new();
    let stream = topic.stream("ann", rooms(&[1, 2]), None);
    let mine = topic.stream("bob", Wants { owner: Some(user("bob")), ..Wants::default() }, None);
    topic.push(0, of(1, 1, "bob"));
    topic.push(0, of(2, 1, "eve"));
    topic.seen(1, 0, true);
    assert_eq!(told(&stream).0, ["reset 1"]);
    topic.show(2, 1);
    let (seen, id) = told(&stream);
    assert_eq!(seen, ["2:1"]);
    assert_eq!(told(&mine).0, ["reset 1"]);
    topic.push(0, of(1, 2, "bob"));
    topic.seen(1, 0, true);
    assert_eq!(told(&stream).0, Vec::<String>::new(), "it was told");
    assert_eq!(told(&topic.stream("eve", rooms(&[1]), id.as_deref())).0, ["reset 1"], "a new stream was not");
    topic.compare(1, 2);
    assert_eq!((told(&stream).0, told(&mine).0), (vec!["reset 1".to_owned()], vec!["reset 1".to_owned()]));
    topic.push(0, of(1, 3, "bob"));
    topic.show(1, 3);
    assert_eq!((told(&stream).0, told(&mine).0), (vec!["1:3".to_owned()], vec!["1:3".to_owned()]));
}

#[test]
fn a_client_that_reads_too_slowly_and_a_room_that_waits_too_long_are_resets() {
    let mut topic = Topic::new();
    let slow = topic.stream("ann", rooms(&[1]), None);
    for version in 1..=600 {
        topic.push(0, of(1, version, "bob"));
        topic.show(1, version);
    }
    assert_eq!(told(&slow).0, ["reset all"]);
    for version in 601..=800 {
        topic.push(0, of(1, version, "bob"));
    }
    topic.show(1, 700);
    assert_eq!(told(&slow).0, Vec::<String>::new(), "701 was left out, and is not visible yet");
    topic.show(1, 702);
    let (seen, id) = told(&slow);
    assert_eq!(seen[0], "reset 1");
    topic.show(1, 800);
    assert_eq!(told(&slow).0.last().unwrap(), "1:800");
    assert!(told(&topic.stream("ann", rooms(&[1]), id.as_deref())).0.len() >= 98, "the place is known");
}

#[test]
fn a_kind_has_the_rooms_that_enter_it_and_the_one_that_leaves_it_is_told_once_more() {
    let mut topic = Topic::new();
    let wants = Wants { kind: Some("lab".to_owned()), ..Wants::default() };
    let entrance = topic.hub.enter(&user("ann"), wants).unwrap();
    topic.push(1, named(3, 1, "lab"));
    entrance.learn_kind([room(1)]);
    let stream = entrance.begin(None, &HashMap::new());
    topic.push(0, of(1, 2, "bob"));
    topic.push(0, of(2, 2, "bob"));
    topic.push(0, named(2, 3, "lab"));
    topic.push(0, named(1, 3, "hall"));
    topic.push(0, of(1, 4, "bob"));
    for (number, version) in [(3, 1), (2, 3), (1, 4)] {
        topic.show(number, version);
    }
    assert_eq!(
        told(&stream).0,
        ["3:1", "2:3", "1:3"],
        "what leaves the kind is told by the event that takes it out"
    );
    drop(stream);
    let state = topic.hub.state();
    assert!(
        state.kinds.is_empty() && state.clients.is_empty(),
        "nothing is kept of a kind that nobody wants"
    );
}

#[test]
fn a_kind_has_the_rooms_that_messages_gave_it_before_anybody_asked_and_queries_do_not_show_yet() {
    let mut topic = Topic::new();
    topic.push(0, named(1, 1, "lab"));
    topic.push(0, named(2, 1, "lab"));
    topic.push(0, named(2, 2, "hall"));
    let wants = Wants { kind: Some("lab".to_owned()), ..Wants::default() };
    let entrance = topic.hub.enter(&user("ann"), wants).unwrap();
    entrance.learn_kind([room(2)]);
    let stream = entrance.begin(None, &HashMap::new());
    topic.push(0, of(1, 2, "bob"));
    topic.push(0, of(2, 3, "bob"));
    topic.show(1, 2);
    topic.show(2, 3);
    assert_eq!(told(&stream).0, ["1:1", "1:2"], "the queries don't know yet that room 2 has left");
}

#[test]
fn a_user_learns_of_others_reservations_that_the_busy_times_changed_and_no_more() {
    let mut topic = Topic::new();
    let streams = ["ann", "bob"].map(|name| topic.stream(name, rooms(&[1]), None));
    topic.push(0, of(1, 1, "ann"));
    topic.push(0, Notice::unreadable(room(1), 2.into()));
    topic.show(1, 2);
    let [of_ann, of_bob] = streams.map(|stream| stream.next().now_or_never().flatten().unwrap());
    assert!(of_ann.starts_with("data: {\"type\":\"reservation-made\","), "{of_ann}");
    assert!(
        of_ann.contains("\"reservation\":\"00000000-0000-0000-0000-000000000009\",\"revision\":1}"),
        "{of_ann}"
    );
    let of_bob: Vec<_> = of_bob.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    let id = room(1);
    let expected =
        [1, 2].map(|version| format!(r#"{{"type":"busy-changed","room":"{id}","version":{version}}}"#));
    assert_eq!(of_bob, expected);
}

#[test]
fn other_read_models_are_a_reset_and_what_they_do_not_show_yet_is_told() {
    let mut topic = Topic::new();
    let stream = topic.stream("ann", rooms(&[1]), None);
    topic.push(0, of(1, 1, "bob"));
    topic.push(0, of(1, 2, "bob"));
    topic.show(1, 2);
    assert_eq!(told(&stream).0, ["1:1", "1:2"]);
    topic.hub.show_others();
    topic.show(1, 1);
    assert_eq!(told(&stream).0, ["reset all"], "and what is told meanwhile is part of it");
    topic.show(1, 2);
    assert_eq!(told(&stream).0, ["1:2"]);
}

#[test]
fn streams_have_a_bound_for_each_user_and_for_all_and_end_when_the_topic_begins_anew() {
    let hub = Arc::new(Hub::new(MOST_STREAMS_OF_USER + 1));
    hub.begin(1, &[0]);
    hub.filled();
    let enter = |name: &str| hub.enter(&user(name), rooms(&[1]));
    let mut of_ann: Vec<_> = (0..MOST_STREAMS_OF_USER).map(|_| enter("ann").unwrap()).collect();
    assert_eq!(enter("ann").err(), Some(NoStream::TooManyOfUser));
    let of_bob = enter("bob").unwrap();
    assert_eq!(enter("eve").err(), Some(NoStream::Overloaded));
    drop(of_ann.pop());
    let stream = enter("eve").unwrap().begin(None, &HashMap::new());
    hub.begin(2, &[0]);
    assert_eq!(stream.next().now_or_never(), Some(None));
    drop((of_ann, of_bob, stream));
    let state = hub.state();
    assert!(state.streams == 0 && state.streams_of.is_empty() && state.by_room.is_empty());
}

#[test]
fn what_is_remembered_is_bounded_and_an_older_place_is_a_reset() {
    let hub = Arc::new(Hub::new(1));
    hub.begin(1, &[0, 0]);
    hub.filled();
    let push = |offset: i64| {
        hub.push(
            0,
            offset,
            Some(of(u128::try_from(offset % 100).unwrap(), 1 + u64::try_from(offset / 100).unwrap(), "bob")),
        )
    };
    push(0);
    let id = hub.enter(&user("ann"), rooms(&[1])).unwrap().begin(None, &HashMap::new()).place().unwrap();
    let most = i64::try_from(REMEMBERED / 2).unwrap();
    (1..=most).for_each(push);
    let told_after =
        |id: &str| told(&hub.enter(&user("ann"), rooms(&[1])).unwrap().begin(Some(id), &HashMap::new())).0;
    assert_eq!(told_after(&id), Vec::<String>::new(), "all after the first one is remembered");
    push(most + 1);
    assert_eq!(told_after(&id), ["reset all"]);
    assert!(hub.state().ring.rooms.values().map(|log| log.messages.len()).sum::<usize>() <= REMEMBERED / 2);
}
