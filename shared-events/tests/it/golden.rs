//! Golden files: events on the wire. They are never edited; a new version of an event adds files.
//!
//! `NAME.vN.json` has every optional field of the version's first form, `NAME.vN.minimal.json` none. A later optional field adds
//! `NAME.vN.FIELD.json`. Files of an old version stay, with the current payload in `upcast`.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;
use serde_json::value::RawValue;
use shared_events::{DecodedEvent, RawEvent, event::EVENT_TYPES};

/// One message.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Golden {
    /// Name of the file.
    #[serde(skip)]
    pub(crate) file: String,
    /// The message's key.
    pub(crate) key: String,
    /// The message's headers.
    pub(crate) headers: BTreeMap<String, String>,
    /// The message's value, byte for byte.
    pub(crate) payload: Box<RawValue>,
    /// Payload of the current version, if the file has an older one.
    upcast: Option<Box<RawValue>>,
}

impl Golden {
    /// All golden files.
    pub(crate) fn all() -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let mut all: Vec<Self> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| {
                let path = entry.unwrap().path();
                let golden: Self = serde_json::from_slice(&fs::read(&path).unwrap())
                    .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                Self { file: path.file_name().unwrap().to_str().unwrap().to_owned(), ..golden }
            })
            .collect();
        all.sort_by(|a, b| a.file.cmp(&b.file));
        all
    }

    pub(crate) fn event_type(&self) -> &str {
        &self.headers["ce_type"]
    }

    pub(crate) fn is_minimal(&self) -> bool {
        self.file.ends_with(".minimal.json")
    }

    pub(crate) fn headers_as_bytes(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
    }

    pub(crate) fn read(&self) -> DecodedEvent {
        RawEvent::from_message(self.headers_as_bytes(), self.payload.get().as_bytes())
            .and_then(RawEvent::decode)
            .unwrap_or_else(|error| panic!("{}: {error}", self.file))
    }
}

#[test]
fn every_golden_file_is_read_and_written_byte_for_byte() {
    for golden in Golden::all() {
        let decoded = golden.read();
        let written = decoded.encode().unwrap();
        let expected = golden.upcast.as_ref().unwrap_or(&golden.payload).get();
        assert_eq!(std::str::from_utf8(&written.payload).unwrap(), expected, "{}", golden.file);
        assert_eq!(golden.key, decoded.room.to_string(), "{}", golden.file);
        assert_eq!(golden.headers["ce_subject"], decoded.event.subject(), "{}", golden.file);
        if golden.upcast.is_none() {
            let headers: BTreeMap<String, String> = written
                .headers()
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.into_owned()))
                .collect();
            assert_eq!(headers, golden.headers, "{}", golden.file);
        }
    }
}

#[test]
fn every_event_type_has_a_full_and_a_minimal_golden_file_of_its_name() {
    let files: Vec<String> = Golden::all().into_iter().map(|golden| golden.file).collect();
    for event_type in EVENT_TYPES {
        let name = event_type.strip_prefix("reservations.").unwrap();
        for file in [format!("{name}.json"), format!("{name}.minimal.json")] {
            assert!(files.contains(&file), "{event_type} has no tests/golden/{file}");
        }
    }
    for golden in Golden::all() {
        let name = golden.event_type().strip_prefix("reservations.").unwrap();
        assert!(golden.file.starts_with(&format!("{name}.")), "{} holds a {name}", golden.file);
    }
}

#[test]
fn an_event_of_a_reservation_is_in_the_stream_of_the_room_that_it_touches() {
    for golden in Golden::all() {
        let payload: serde_json::Value = serde_json::from_str(golden.payload.get()).unwrap();
        let room = match golden.event_type() {
            name if name.contains(".room-") => &payload["room"]["id"],
            name if name.contains(".closure-") => &payload["room"],
            name if name.contains("-moved-out.") => &payload["previous"]["room"],
            _ => &payload["reservation"]["room"],
        };
        assert_eq!(room, golden.key.as_str(), "{}", golden.file);
    }
}
