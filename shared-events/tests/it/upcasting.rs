//! The chain of upcasters, with invented old versions.

use serde_json::{Value, json};
use shared_events::{
    Event, Unreadable,
    event::EVENT_TYPES,
    upcasting::{UPCASTERS, Upcaster, decode, decode_with},
};

use crate::golden::Golden;

const MADE: &str = "reservations.reservation-made.v1";
const BEFORE: &str = "reservations.reservation-made.v0";
const LONG_BEFORE: &str = "reservations.reservation-made.draft";

/// Two steps: a draft had hours; v0 had minutes, and called people guests.
const CHAIN: &[Upcaster] = &[
    Upcaster { from: BEFORE, to: MADE, upcast: rename_guests },
    Upcaster { from: LONG_BEFORE, to: BEFORE, upcast: from_hours },
];

fn from_hours(mut event: Value) -> Result<Value, String> {
    let reservation = event.get_mut("reservation").and_then(Value::as_object_mut).ok_or("no reservation")?;
    for name in ["from", "to"] {
        let hour = reservation.get(name).and_then(Value::as_str).ok_or_else(|| format!("no {name}"))?;
        let minute = format!("{hour}:00:00Z");
        reservation.insert(name.to_owned(), minute.into());
    }
    Ok(event)
}

fn rename_guests(mut event: Value) -> Result<Value, String> {
    let reservation = event.get_mut("reservation").and_then(Value::as_object_mut).ok_or("no reservation")?;
    let guests = reservation.remove("guests").ok_or("no guests")?;
    reservation.insert("people".to_owned(), guests);
    Ok(event)
}

fn golden(file: &str) -> Golden {
    Golden::all().into_iter().find(|golden| golden.file == file).unwrap()
}

/// The payload of the golden event in an older form.
fn older(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut payload: Value =
        serde_json::from_str(golden("reservation-made.v1.minimal.json").payload.get()).unwrap();
    let reservation = payload["reservation"].as_object_mut().unwrap();
    let people = reservation.remove("people").unwrap();
    reservation.insert("guests".to_owned(), people);
    change(&mut payload["reservation"]);
    payload.to_string().into_bytes()
}

fn in_hours(reservation: &mut Value) {
    reservation["from"] = json!("2026-07-01T09");
    reservation["to"] = json!("2026-07-01T10");
}

#[test]
fn an_old_version_is_brought_up_to_date_in_as_many_steps_as_it_needs() {
    let Event::ReservationMade(current) = golden("reservation-made.v1.minimal.json").read().event else {
        panic!("another event")
    };
    assert_eq!(decode_with(CHAIN, BEFORE, &older(|_| {})), Ok(current.clone().into()));
    let Ok(Event::ReservationMade(from_draft)) = decode_with(CHAIN, LONG_BEFORE, &older(in_hours)) else {
        panic!("the draft was not read")
    };
    assert_eq!(from_draft.reservation.people, current.reservation.people);
    assert_eq!(from_draft.reservation.to.to_string(), "2026-07-01T10:00:00Z");
}

#[test]
fn a_current_version_goes_through_no_step() {
    let golden = golden("reservation-made.v1.json");
    let decoded = decode_with(CHAIN, MADE, golden.payload.get().as_bytes());
    assert_eq!(decoded, Ok(golden.read().event));
}

#[test]
fn whatever_step_fails_the_error_names_the_type_of_the_message() {
    let not_json = b"{".to_vec();
    let no_guests = older(|reservation| {
        in_hours(reservation);
        reservation.as_object_mut().unwrap().remove("guests");
    });
    let bad_minute = older(|reservation| {
        in_hours(reservation);
        reservation["from"] = json!("some day");
    });
    let cases: [(&[u8], &str); 5] = [
        (&not_json, "EOF"),
        (b"[]", "no reservation"),
        (&older(|reservation| reservation["from"] = json!(7)), "no from"),
        (&no_guests, "no guests"),
        (&bad_minute, "RFC 3339"),
    ];
    for (payload, expected) in cases {
        match decode_with(CHAIN, LONG_BEFORE, payload) {
            Err(Unreadable::Malformed { event_type, reason }) => {
                assert_eq!(event_type, LONG_BEFORE);
                assert!(reason.contains(expected), "{reason} does not say {expected}");
            }
            other => panic!("{expected}: {other:?}"),
        }
    }
}

#[test]
fn an_unknown_type_is_told_from_a_known_one_that_is_malformed() {
    for unknown in
        ["", "reservations.reservation-made.v999", "reservations.room-painted.v1", MADE_IN_CAPITALS]
    {
        for payload in [b"{}".as_slice(), b"not JSON"] {
            assert_eq!(decode(unknown, payload), Err(Unreadable::UnknownType(unknown.to_owned())));
        }
    }
    for event_type in EVENT_TYPES {
        for payload in [b"".as_slice(), b"{}", b"null", b"[]", b"not JSON", b"\xff"] {
            match decode(event_type, payload) {
                Err(Unreadable::Malformed { event_type: named, .. }) => assert_eq!(named, *event_type),
                other => panic!("{event_type}: {other:?}"),
            }
        }
    }
}

const MADE_IN_CAPITALS: &str = "reservations.Reservation-Made.v1";

#[test]
fn unknown_fields_are_accepted_in_every_object_of_every_event() {
    fn add_to_each_object(value: &mut Value) -> usize {
        if let Value::Array(items) = value {
            return items.iter_mut().map(add_to_each_object).sum();
        }
        let Value::Object(object) = value else { return 0 };
        let below: usize = object.values_mut().map(add_to_each_object).sum();
        object.insert("addedLater".to_owned(), json!({"a": [1, null]}));
        below + 1
    }
    for golden in Golden::all() {
        let mut payload: Value = serde_json::from_str(golden.payload.get()).unwrap();
        assert!(add_to_each_object(&mut payload) >= 1);
        let decoded = decode(golden.event_type(), payload.to_string().as_bytes());
        assert_eq!(decoded, Ok(golden.read().event), "{}", golden.file);
    }
}

#[test]
fn every_chain_ends_at_a_current_type_and_begins_at_one_that_is_not() {
    for upcasters in [UPCASTERS, CHAIN] {
        for step in upcasters {
            assert!(!EVENT_TYPES.contains(&step.from), "{} is current", step.from);
            assert_eq!(upcasters.iter().filter(|other| other.from == step.from).count(), 1, "{}", step.from);
            let mut at = step;
            for _ in 0..upcasters.len() {
                at = upcasters.iter().find(|next| next.from == at.to).unwrap_or(at);
            }
            assert!(EVENT_TYPES.contains(&at.to), "{} ends at {}", step.from, at.to);
        }
    }
}

#[test]
fn a_room_event_has_the_version_that_its_opening_hours_need() {
    for name in ["room-registered", "room-changed", "room-retired"] {
        let (first, second) = (golden(&format!("{name}.v1.json")), golden(&format!("{name}.v2.json")));
        for (payload, other) in [(&first, &second), (&second, &first)] {
            match decode(other.event_type(), payload.payload.get().as_bytes()) {
                Err(Unreadable::Malformed { event_type, reason }) => {
                    assert_eq!(event_type, other.event_type());
                    assert!(reason.contains(payload.event_type()), "{reason}");
                }
                decoded => panic!("{decoded:?}"),
            }
        }
    }
}
