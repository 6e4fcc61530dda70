//! Properties of every codec: it reads back what it writes, and no input makes it panic.

use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
    sample::select,
};
use serde_json::json;
use shared_events::{
    Closure, ClosureId, ConsistencyToken, DecodedEvent, Event, Interval, MaxAhead, Metadata, Minute, Offsets,
    OpenDay, OpeningHours, OpeningSpan, Place, RawEvent, Reservation, ReservationId, Room, RoomId,
    RoomSettings, SeriesId, TimeZone, Timestamp, UserId, Version,
    closure_events::{ClosureAdded, ClosureLifted, Hit},
    envelope::parse_id,
    event::EVENT_TYPES,
    feed::{FeedEvent, Page},
    reservation_events::{
        ReservationCancelled, ReservationMade, ReservationMovedIn, ReservationMovedOut,
        ReservationRescheduled, ReservationRestored,
    },
    room_events::{RoomChanged, RoomRegistered, RoomRetired},
    time_zone::{Database, UtcOffset},
    upcasting::decode,
};
use uuid::Uuid;

use crate::golden::Golden;

const HEADERS: [&str; 13] = [
    "ce_specversion",
    "ce_id",
    "ce_source",
    "ce_type",
    "ce_time",
    "ce_subject",
    "ce_sequence",
    "ce_actor",
    "ce_correlationid",
    "ce_causationid",
    "ce_recordedtime",
    "content-type",
    "traceparent",
];

fn room_id() -> impl Strategy<Value = RoomId> {
    any::<u128>().prop_map(|id| RoomId(Uuid::from_u128(id)))
}

fn user_id() -> impl Strategy<Value = UserId> {
    r"\PC{1,200}".prop_map(|text| UserId::new(text).unwrap())
}

fn time_zone() -> impl Strategy<Value = TimeZone> {
    select(Database::get().zones().collect::<Vec<_>>()).prop_map(TimeZone)
}

fn minute() -> impl Strategy<Value = Minute> {
    (Minute::EARLIEST.epoch_minutes()..=Minute::LATEST.epoch_minutes())
        .prop_map(|minutes| Minute::from_epoch_minutes(minutes).unwrap())
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp::from_epoch_millis)
}

fn interval() -> impl Strategy<Value = Interval> {
    (minute(), minute())
        .prop_filter("an interval has a minute", |(a, b)| a != b)
        .prop_map(|(a, b)| Interval { from: a.min(b), to: a.max(b) })
}

fn span() -> impl Strategy<Value = OpeningSpan> {
    (0..1440_u16, 1..=1440_u16).prop_filter_map("opens before it closes", |(opens, length)| {
        OpeningSpan::new(opens, opens + length).ok()
    })
}

fn day() -> impl Strategy<Value = OpenDay> {
    prop_oneof![
        1 => Just(OpenDay::default()),
        4 => (0..1440_u16).prop_flat_map(|opens| (Just(opens), opens + 1..=1440))
            .prop_map(|(opens, closes)| OpeningSpan::new(opens, closes).unwrap().into()),
        2 => proptest::collection::vec(span(), 0..4).prop_map(|mut spans| {
            spans.sort_by_key(|span| span.opens());
            OpenDay::new(spans).unwrap_or_default()
        }),
    ]
}

fn opening_hours() -> impl Strategy<Value = OpeningHours> {
    proptest::array::uniform7(day()).prop_map(
        |[monday, tuesday, wednesday, thursday, friday, saturday, sunday]| OpeningHours {
            monday,
            tuesday,
            wednesday,
            thursday,
            friday,
            saturday,
            sunday,
        },
    )
}

fn room() -> BoxedStrategy<Room> {
    let limits = proptest::array::uniform8(option::of(any::<u32>()));
    let names = (any::<String>(), any::<String>(), any::<u32>(), any::<u32>());
    let words = || vec(any::<String>(), 0..3);
    let found = (option::of(any::<String>()), option::of(any::<String>()), words(), words());
    (room_id(), names, time_zone(), option::of(opening_hours()), limits, found)
        .prop_map(|(id, (name, kind, capacity, revision), time_zone, opening_hours, limits, found)| {
            let (building, floor, attributes, bookable_by) = found;
            let [slot_minutes, min_minutes, max_minutes, max_days_ahead, ahead @ ..] = limits;
            let [reservations, minutes, buffer_before, buffer_after] = ahead;
            let max_ahead = MaxAhead { reservations, minutes };
            let settings = RoomSettings {
                name,
                kind,
                capacity,
                time_zone,
                opening_hours,
                slot_minutes,
                min_minutes,
                max_minutes,
                buffer_before,
                buffer_after,
                max_days_ahead,
                building,
                floor,
                attributes,
                bookable_by,
                max_ahead: Some(max_ahead).filter(|most| *most != MaxAhead::default()),
            };
            Room { id, revision, settings }
        })
        .boxed()
}

fn reservation() -> BoxedStrategy<Reservation> {
    let texts = (option::of(any::<String>()), option::of(any::<String>()), user_id());
    let later =
        (option::of(user_id()), option::of(any::<u128>()), option::of(interval()), option::of(offsets()));
    (any::<u128>(), room_id(), interval(), time_zone(), any::<(u32, u32)>(), texts, later)
        .prop_map(
            |(
                id,
                room,
                Interval { from, to },
                time_zone,
                (revision, people),
                texts,
                (booked_by, series, busy, offsets),
            )| {
                let (title, reserved_for, user) = texts;
                Reservation {
                    id: ReservationId(Uuid::from_u128(id)),
                    revision,
                    room,
                    time_zone,
                    from,
                    to,
                    offsets,
                    busy,
                    people,
                    title,
                    reserved_for,
                    reserved_by: user,
                    booked_by,
                    series: series.map(|id| SeriesId(Uuid::from_u128(id))),
                }
            },
        )
        .boxed()
}

fn offsets() -> impl Strategy<Value = Offsets> {
    let offset = || (-86_399..86_400).prop_map(|seconds| UtcOffset::from_seconds(seconds).unwrap());
    (offset(), offset()).prop_map(|(from, to)| Offsets { from, to })
}

fn place() -> impl Strategy<Value = Place> {
    reservation().prop_map(|reservation| reservation.place())
}

fn closure() -> impl Strategy<Value = Closure> {
    let scope = (option::of(any::<String>()), any::<bool>());
    (any::<u128>(), room_id(), interval(), any::<String>(), scope).prop_map(
        |(id, room, Interval { from, to }, reason, (kind, all))| {
            let id = ClosureId(Uuid::from_u128(id));
            Closure { id, room, from, to, reason, kind, all }
        },
    )
}

fn hit() -> impl Strategy<Value = Hit> {
    reservation().prop_map(|it| Hit { reservation: it.id, from: it.from, to: it.to })
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        room().prop_map(|room| RoomRegistered { room }.into()),
        room().prop_map(|room| RoomChanged { room }.into()),
        room().prop_map(|room| RoomRetired { room }.into()),
        reservation().prop_map(|reservation| ReservationMade { reservation }.into()),
        (reservation(), place()).prop_map(|(reservation, previous)| ReservationRescheduled {
            reservation,
            previous
        }
        .into()),
        (reservation(), place()).prop_map(|(reservation, previous)| ReservationMovedOut {
            reservation,
            previous
        }
        .into()),
        (reservation(), place()).prop_map(|(reservation, previous)| ReservationMovedIn {
            reservation,
            previous
        }
        .into()),
        reservation().prop_map(|reservation| ReservationCancelled { reservation }.into()),
        (reservation(), any::<u32>(), room_id()).prop_map(|(reservation, restores, cancelled_in)| {
            ReservationRestored { reservation, restores, cancelled_in }.into()
        }),
        (closure(), vec(hit(), 0..3), option::of(any::<u32>()))
            .prop_map(|(closure, hits, more_hits)| ClosureAdded { closure, hits, more_hits }.into()),
        closure().prop_map(|closure| ClosureLifted { closure }.into()),
    ]
}

fn decoded() -> impl Strategy<Value = DecodedEvent> {
    let texts = (user_id(), any::<String>(), any::<String>());
    (room_id(), 1..=u64::MAX, timestamp(), timestamp(), texts, option::of(any::<String>()), event()).prop_map(
        |(room, version, time, recorded_at, (actor, correlation_id, causation_id), traceparent, event)| {
            let subject = event.subject();
            let metadata = Metadata { time, subject, actor, correlation_id, causation_id, traceparent };
            DecodedEvent { room, version: version.into(), metadata, recorded_at, event }
        },
    )
}

/// Any bytes, and golden payloads with some bytes replaced.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let golden: Vec<Vec<u8>> =
        Golden::all().iter().map(|golden| golden.payload.get().as_bytes().to_vec()).collect();
    let damaged = (select(golden), vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)).prop_map(
        |(mut payload, changes)| {
            for (at, byte) in changes {
                let at = at.index(payload.len());
                payload[at] = byte;
            }
            payload
        },
    );
    prop_oneof![vec(any::<u8>(), 0..200), damaged]
}

proptest! {
    #[test]
    fn a_message_is_read_as_it_was_written(decoded in decoded()) {
        let record = decoded.encode().unwrap();
        let headers = record.headers();
        let reversed = headers.iter().rev().map(|(name, value)| (*name, value.as_bytes()));
        let read = RawEvent::from_message(reversed, &record.payload).unwrap();
        prop_assert_eq!(&read, &record);
        prop_assert_eq!(read.decode().unwrap(), decoded);
    }

    #[test]
    fn an_event_of_the_feed_is_read_as_it_was_written(decoded in decoded()) {
        let record = decoded.encode().unwrap();
        let page = Page { items: vec![FeedEvent::from_raw(record.clone()).unwrap()], next: None };
        let text = serde_json::to_string(&page).unwrap();
        let mut read: Page<FeedEvent> = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(read.items.remove(0).into_raw().unwrap(), record);
    }

    #[test]
    fn the_feed_has_the_attributes_of_the_message_under_their_own_names(decoded in decoded()) {
        let record = decoded.encode().unwrap();
        let feed = serde_json::to_value(FeedEvent::from_raw(record.clone()).unwrap()).unwrap();
        let headers = record.headers();
        for (name, value) in &headers {
            let name = name.strip_prefix("ce_").unwrap_or(name);
            let name = if name == "content-type" { "datacontenttype" } else { name };
            prop_assert_eq!(&feed[name], value.as_ref());
        }
        prop_assert_eq!(feed.as_object().unwrap().len(), headers.len() + 1, "all of them, and data");
    }

    #[test]
    fn stored_metadata_is_read_as_it_was_written(decoded in decoded()) {
        let stored = serde_json::to_vec(&decoded.metadata).unwrap();
        prop_assert_eq!(serde_json::from_slice::<Metadata>(&stored).unwrap(), decoded.metadata);
    }

    #[test]
    fn an_id_names_room_and_version(room in room_id(), version in 1..=u64::MAX) {
        prop_assert_eq!(parse_id(&format!("{room}:{version}")), Some((room, version.into())));
    }

    #[test]
    fn a_token_is_read_as_it_was_written(
        rooms in btree_map(room_id(), any::<u64>().prop_map(Version::from), 1..=ConsistencyToken::MAX_ROOMS),
    ) {
        let token = ConsistencyToken { rooms: rooms.into_iter().collect() };
        prop_assert_eq!(token.to_string().parse::<ConsistencyToken>().unwrap(), token.clone());
        prop_assert_eq!(ConsistencyToken::parse_header(&token.to_string()).unwrap(), token);
    }

    #[test]
    fn times_and_spans_are_read_as_they_were_written(minute in minute(), time in timestamp(), hours in opening_hours()) {
        prop_assert_eq!(minute.to_string().parse::<Minute>().unwrap(), minute);
        prop_assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
        prop_assert_eq!(Minute::from_utc(minute.to_utc()).unwrap(), minute);
        let text = serde_json::to_string(&hours).unwrap();
        prop_assert_eq!(serde_json::from_str::<OpeningHours>(&text).unwrap(), hours);
    }

    #[test]
    fn every_zone_is_read_as_it_was_written(zone in time_zone()) {
        prop_assert_eq!(zone.to_string().parse::<TimeZone>().unwrap(), zone);
    }

    #[test]
    fn no_message_makes_reading_panic(
        headers in vec((select(HEADERS.as_slice()), vec(any::<u8>(), 0..40)), 0..20),
        id in any::<String>(),
        payload in payload(),
    ) {
        let headers = headers.iter().map(|(name, value)| (*name, value.as_slice()));
        if let Ok(event) = RawEvent::from_message(headers, &payload) {
            drop(event.decode());
        }
        if let Some((_, version)) = parse_id(&id) {
            prop_assert_ne!(version, 0);
        }
    }

    #[test]
    fn one_damaged_header_never_makes_reading_panic(
        golden in select(Golden::all().iter().map(|golden| golden.file.clone()).collect::<Vec<_>>()),
        name in select(HEADERS.as_slice()),
        value in vec(any::<u8>(), 0..60),
    ) {
        let golden = Golden::all().into_iter().find(|one| one.file == golden).unwrap();
        let headers = golden.headers_as_bytes().map(|(known, old)| (known, if known == name { &value } else { old }));
        if let Ok(event) = RawEvent::from_message(headers, golden.payload.get().as_bytes()) {
            drop(event.decode());
        }
    }

    #[test]
    fn no_payload_makes_decoding_panic_and_what_is_read_can_be_written(
        event_type in select(EVENT_TYPES),
        payload in payload(),
    ) {
        if let Ok(event) = decode(event_type, &payload) {
            prop_assert_eq!(decode(event_type, &event.to_json().unwrap()).unwrap(), event);
        }
        drop(serde_json::from_slice::<FeedEvent>(&payload));
        drop(serde_json::from_slice::<Metadata>(&payload));
    }

    #[test]
    fn no_text_makes_parsing_panic(text in any::<String>(), header in "[A-Za-z0-9_, =-]{0,120}") {
        for text in [&text, &header] {
            if let Ok(token) = ConsistencyToken::parse_header(text) {
                prop_assert!((1..=ConsistencyToken::MAX_ROOMS).contains(&token.rooms.len()));
            }
            prop_assert!(text.parse::<Minute>().is_err());
            prop_assert!(text.parse::<Timestamp>().is_err());
            if let Ok(zone) = text.parse::<TimeZone>() {
                prop_assert_eq!(&zone.to_string(), text);
            }
            prop_assert_eq!(parse_id(text), None);
            let span = serde_json::from_value::<OpeningSpan>(json!({"opens": text, "closes": text}));
            prop_assert!(span.is_err());
        }
    }

    #[test]
    fn no_nearly_right_time_makes_parsing_panic(
        text in "[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:(0|5|6)[0-9](\\.[0-9]{0,12})?(Z|[+-][0-9]{2}:[0-9]{2})",
        opens in "[0-9+]{1,3}:[0-9+]{1,3}",
        closes in "[0-9]{2}:[0-9]{2}",
    ) {
        if let Ok(minute) = text.parse::<Minute>() {
            prop_assert!((Minute::EARLIEST..=Minute::LATEST).contains(&minute));
            prop_assert_eq!(minute.to_string().parse::<Minute>().unwrap(), minute);
        }
        if let Ok(time) = text.parse::<Timestamp>() {
            prop_assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
        }
        if let Ok(span) = serde_json::from_value::<OpeningSpan>(json!({"opens": opens, "closes": closes})) {
            prop_assert!(span.opens() < span.closes() && span.closes() <= span.opens() + 1440);
        }
    }
}
