//! What the contract reads: consistency tokens, cursors, times, Kafka messages, stored events, the feed.

use std::{fs, path::Path};

use hostile_input::{Witness, cases, hostile};
use query_service::{
    projector::message::{Content, Message},
    queries::cursor,
};
use serde_json::Value;
use shared_events::{
    ConsistencyToken, Event, Minute, RawEvent, ReservationId, RoomId, TimeZone, Timestamp,
    envelope::parse_id, event::EVENT_TYPES, feed::FeedEvent, upcasting::decode,
};
use uuid::Uuid;

const ROOM: RoomId = RoomId(Uuid::from_u128(0x0190_a5b0_0000_7000_8000_0000_0000_0001));

/// Gives each hostile input to a decoder, with its number.
fn each(decoder: &str, good: &[&[u8]], mut read: impl FnMut(&[u8], u64)) {
    for number in 0..cases() {
        let input = hostile(good, number);
        let _witness = Witness { decoder, number, input: &input };
        read(&input, number);
    }
}

/// The same for what reads texts.
fn each_text(decoder: &str, good: &[&str], mut read: impl FnMut(&str)) {
    let good: Vec<&[u8]> = good.iter().map(|text| text.as_bytes()).collect();
    each(decoder, &good, |input, _| read(&String::from_utf8_lossy(input)));
}

#[test]
fn any_consistency_token_is_refused_or_reads_back_as_the_same() {
    let token = |pairs: usize| {
        let rooms = (0..pairs).map(|n| (RoomId(Uuid::from_u128(n as u128)), (n as u64).into())).collect();
        ConsistencyToken { rooms }.to_string()
    };
    let good =
        [token(1), token(2), token(ConsistencyToken::MAX_ROOMS), format!("{}, {}", token(1), token(3))];
    each_text("a consistency token", &good.each_ref().map(String::as_str), |text| {
        let Ok(read) = ConsistencyToken::parse_header(text) else { return };
        assert!((1..=ConsistencyToken::MAX_ROOMS).contains(&read.rooms.len()));
        assert_eq!(ConsistencyToken::parse_header(&read.to_string()), Ok(read));
    });
}

#[test]
fn any_cursor_is_refused_or_leads_to_the_place_that_it_was_made_of() {
    type Place = (Minute, RoomId, String);
    let query = "a query";
    let minute = |text: &str| text.parse::<Minute>().unwrap();
    let places = [
        (minute("2030-01-01T10:00:00Z"), ROOM, String::new()),
        (Minute::LATEST, ROOM, "Blå $x.y".to_owned()),
    ];
    let good = places.map(|place: Place| cursor::seal(&query, &place));
    each_text("a cursor", &good.each_ref().map(String::as_str), |text| {
        let Ok(place) = cursor::open::<_, Place>(&query, text) else { return };
        assert_eq!(cursor::seal(&query, &place), text);
        assert!(good.iter().any(|good| good == text), "another cursor passed: {text}");
    });
}

#[test]
fn any_time_zone_and_id_is_refused_or_reads_back_as_the_same() {
    let good = [
        "2026-07-01T10:00:00+01:00",
        "2026-07-01T10:00:00.123Z",
        "1970-01-01T00:00:00Z",
        "9999-12-31T23:59:00Z",
        "Europe/Lisbon",
        "0190a5b0-0000-7000-8000-000000000001",
        "0190a5b0-0000-7000-8000-000000000001:7",
    ];
    each_text("a time, zone or id", &good, |text| {
        if let Ok(minute) = text.parse::<Minute>() {
            assert_eq!(minute.to_string().parse(), Ok(minute));
        }
        if let Ok(time) = text.parse::<Timestamp>() {
            assert_eq!(time.to_string().parse(), Ok(time));
        }
        if let Ok(zone) = text.parse::<TimeZone>() {
            assert_eq!(zone.to_string().parse(), Ok(zone));
        }
        if let Ok(room) = text.parse::<RoomId>() {
            assert_eq!(room.to_string().parse(), Ok(room));
        }
        let _ = text.parse::<ReservationId>();
        if let Some((room, version)) = parse_id(text) {
            assert_eq!(parse_id(&format!("{room}:{version}")), Some((room, version)));
        }
    });
}

/// Payloads of all events, with their types, from the golden files.
fn payloads() -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let mut payloads = Vec::new();
    for entry in fs::read_dir(root.join("shared-events/tests/golden")).unwrap() {
        let golden: Value = serde_json::from_slice(&fs::read(entry.unwrap().path()).unwrap()).unwrap();
        let event_type = EVENT_TYPES.iter().find(|name| golden.to_string().contains(*name)).unwrap();
        let payload = golden.get("data").or(golden.get("payload")).unwrap_or(&golden);
        let payload = payload.as_str().map_or_else(|| payload.to_string(), str::to_owned);
        payloads.push(((*event_type).to_owned(), payload.into_bytes()));
    }
    assert!(payloads.len() >= EVENT_TYPES.len());
    payloads
}

fn recorded() -> RawEvent {
    let (event_type, payload) = payloads().remove(0);
    let headers = [
        ("ce_id", format!("{ROOM}:7")),
        ("ce_type", event_type),
        ("ce_time", "2026-07-01T10:00:00Z".to_owned()),
        ("ce_subject", ROOM.to_string()),
        ("ce_actor", "ann".to_owned()),
        ("ce_correlationid", "c-1".to_owned()),
        ("ce_causationid", "0190a5b0-0000-7000-8000-000000000002".to_owned()),
        ("ce_recordedtime", "2026-07-01T10:00:00.123Z".to_owned()),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
    ];
    RawEvent::from_message(headers.iter().map(|(name, value)| (*name, value.as_bytes())), &payload).unwrap()
}

#[test]
fn any_stored_event_is_unreadable_or_reads_back_as_the_same() {
    let payloads = payloads();
    let good: Vec<&[u8]> = payloads.iter().map(|(_, payload)| payload.as_slice()).collect();
    let mut read = 0;
    each("a stored event", &good, |payload, number| {
        // Of each type, its own payloads and those of others.
        let event_type = EVENT_TYPES[usize::try_from(number).unwrap() % EVENT_TYPES.len()];
        if let Ok(event) = decode(event_type, payload) {
            read += 1;
            assert_eq!(event.event_type(), event_type);
            let again: Event = decode(event_type, &event.to_json().unwrap()).unwrap();
            assert_eq!(again, event);
        }
    });
    assert!(read > 0, "the good ones are read");
}

#[test]
fn any_message_is_an_event_or_kept_byte_for_byte() {
    let event = recorded();
    let headers = event.headers();
    let payload = event.payload.clone();
    let values: Vec<&[u8]> =
        headers.iter().map(|(_, value)| value.as_bytes()).chain([&payload[..]]).collect();
    let mut events = 0;
    each("a message", &values, |input, number| {
        // One header, the key or the payload is hostile.
        let place = usize::try_from(number).unwrap() % (headers.len() + 2);
        let mut sent: Vec<(&str, &[u8])> =
            headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        let (mut key, mut body) = (ROOM.to_string().into_bytes(), &payload[..]);
        match sent.get_mut(place) {
            Some((_, value)) => *value = input,
            None if place == headers.len() => key = input.to_vec(),
            None => body = input,
        }
        let message = Message::read(7, Some(&key), &sent, body);
        match message.content {
            Content::Event(event) => {
                events += 1;
                let _ = event.event();
                let again = event.headers();
                let again = again.iter().map(|(name, value)| (*name, value.as_bytes()));
                assert_eq!(RawEvent::from_message(again, &event.payload).unwrap(), event);
                if let Ok(fed) = FeedEvent::from_raw(event.clone()) {
                    // JSON of another form is another text, of the same values.
                    let back = fed.into_raw().unwrap();
                    assert_eq!((back.room, back.version), (event.room, event.version));
                }
            }
            Content::Unreadable(kept) => {
                assert_eq!(kept.payload, body);
                let kept = kept.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
                assert!(kept.eq(sent.iter().copied()));
            }
        }
    });
    assert!(events > 0, "the good ones are read");
}

#[test]
fn any_page_of_the_feed_is_refused_or_holds_events() {
    let fed = FeedEvent::from_raw(recorded()).unwrap();
    let good = serde_json::to_vec(&fed).unwrap();
    each("an event of the feed", &[&good], |input, _| {
        if let Ok(event) = serde_json::from_slice::<FeedEvent>(input)
            && let Ok(event) = event.into_raw()
        {
            let _ = event.event();
        }
    });
}
