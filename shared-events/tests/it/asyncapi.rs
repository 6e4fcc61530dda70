//! The AsyncAPI document agrees with the types.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared_events::{
    RawEvent,
    event::EVENT_TYPES,
    notice::{self, Notice},
    topics::{CHANGES_TOPIC, DEFAULT_PARTITIONS, EVENTS_TOPIC, PARTITIONER},
    upcasting::{UPCASTERS, decode},
};

use crate::{golden::Golden, schema::Schema};

fn document() -> Value {
    serde_yaml_ng::from_str(include_str!("../../asyncapi.yaml")).unwrap()
}

/// The message of a type.
fn message<'a>(document: &'a Value, event_type: &str) -> &'a Value {
    let messages = document["components"]["messages"].as_object().unwrap();
    messages
        .values()
        .find(|message| message["name"] == event_type)
        .unwrap_or_else(|| panic!("no message for {event_type}"))
}

fn payload_of<'a>(document: &'a Value, event_type: &str) -> Schema<'a> {
    Schema { document, schema: &message(document, event_type)["payload"] }
}

fn headers(document: &Value) -> Schema<'_> {
    Schema { document, schema: &document["components"]["schemas"]["Headers"] }
}

/// The member at the end of a path, if it exists.
fn member<'a>(value: &'a mut Value, path: &[String]) -> Option<&'a mut Value> {
    path.iter().try_fold(value, |value, name| value.get_mut(name))
}

#[test]
fn the_channel_is_the_topic() {
    let document = document();
    let channel = &document["channels"]["events"];
    assert_eq!(channel["address"], EVENTS_TOPIC);
    assert_eq!(channel["x-partitioner"], PARTITIONER);
    let kafka = &channel["bindings"]["kafka"];
    assert_eq!(kafka["topic"], EVENTS_TOPIC);
    assert_eq!(kafka["partitions"], DEFAULT_PARTITIONS);
    assert_eq!(kafka["topicConfiguration"], json!({"cleanup.policy": ["delete"]}));
}

#[test]
fn the_channel_of_notices_is_their_topic_and_has_the_headers_that_are_sent() {
    let document = document();
    let channel = &document["channels"]["changes"];
    assert_eq!(channel["address"], CHANGES_TOPIC);
    assert_eq!(channel["x-partitioner"], PARTITIONER);
    let kafka = &channel["bindings"]["kafka"];
    assert_eq!((&kafka["topic"], &kafka["partitions"]), (&json!(CHANGES_TOPIC), &json!(DEFAULT_PARTITIONS)));
    assert_eq!(kafka["topicConfiguration"], json!({"cleanup.policy": ["compact"]}));
    let message = &channel["messages"]["RoomHasEvents"];
    assert_eq!(message["name"], notice::TYPE);
    let room = "0198c4f2-6a10-7c3e-9b61-0f2d3a4b5c6d".parse().unwrap();
    let notice = Notice { room, version: 8.into() };
    let sent: serde_json::Map<_, _> = notice
        .headers("2026-06-20T10:15:30.125Z".parse().unwrap())
        .map(|(name, value)| (name.to_owned(), value.into()))
        .into_iter()
        .collect();
    let schema = Schema { document: &document, schema: &message["headers"] };
    assert!(schema.properties().iter().all(|(path, required)| *required && sent.contains_key(&path[0])));
    assert_eq!(schema.problems("headers", &sent.into()), Vec::<String>::new());
    assert_eq!(serde_json::from_slice::<Value>(notice::VALUE).unwrap(), json!({}));
}

#[test]
fn there_is_one_message_for_each_type_and_the_channel_has_them_all() {
    let document = document();
    let messages = document["components"]["messages"].as_object().unwrap();
    let names: BTreeSet<&str> = messages.values().map(|message| message["name"].as_str().unwrap()).collect();
    // Old versions stay in the document while their messages may exist.
    let types: BTreeSet<&str> =
        EVENT_TYPES.iter().copied().chain(UPCASTERS.iter().map(|step| step.from)).collect();
    assert_eq!(names, types);
    assert_eq!(names.len(), messages.len());
    for (name, reference) in document["channels"]["events"]["messages"].as_object().unwrap() {
        assert_eq!(*reference, json!({"$ref": format!("#/components/messages/{name}")}));
        assert!(messages.contains_key(name), "{name}");
    }
    assert_eq!(document["channels"]["events"]["messages"].as_object().unwrap().len(), messages.len());
    for message in messages.values() {
        let expected = json!({"allOf": [
            {"$ref": "#/components/schemas/Headers"},
            {"properties": {"ce_type": {"const": message["name"]}}},
        ]});
        assert_eq!(message["headers"], expected);
        assert_eq!(message["traits"], json!([{"$ref": "#/components/messageTraits/Event"}]));
    }
}

#[test]
fn every_reference_in_the_document_leads_somewhere() {
    fn walk(document: &Value, value: &Value) {
        match value {
            Value::Object(object) => {
                if let Some(target) = object.get("$ref") {
                    let pointer = target.as_str().unwrap().strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{pointer}");
                }
                object.values().for_each(|value| walk(document, value));
            }
            Value::Array(items) => items.iter().for_each(|value| walk(document, value)),
            _ => {}
        }
    }
    let document = document();
    walk(&document, &document);
}

#[test]
fn every_golden_file_has_the_form_that_the_document_gives() {
    let document = document();
    for golden in Golden::all() {
        let payload = serde_json::from_str(golden.payload.get()).unwrap();
        let mut problems = payload_of(&document, golden.event_type()).problems("payload", &payload);
        problems
            .extend(headers(&document).problems("headers", &serde_json::to_value(&golden.headers).unwrap()));
        assert_eq!(problems, Vec::<String>::new(), "{}", golden.file);
    }
}

#[test]
fn golden_files_have_all_of_the_documents_fields_and_minimal_ones_only_the_required() {
    let document = document();
    let mut missing: BTreeSet<(String, Vec<String>)> = BTreeSet::new();
    let mut present = missing.clone();
    for golden in Golden::all() {
        let mut check = |schema: Schema<'_>, mut value: Value| {
            for (path, required) in schema.properties() {
                let is_there = member(&mut value, &path).is_some();
                let seen = if is_there { &mut present } else { &mut missing };
                seen.insert((golden.event_type().to_owned(), path.clone()));
                // A required member of a missing object is missing too.
                let is_required = required && member(&mut value, path.split_last().unwrap().1).is_some();
                assert!(is_there || !is_required, "{}: {path:?}", golden.file);
                // Of the second version, something must be there that the first one can't say.
                let says_more =
                    golden.event_type().ends_with(".v2") && path.last().unwrap() == "openingHours";
                assert!(
                    !golden.is_minimal() || !is_there || is_required || says_more,
                    "{}: {path:?}",
                    golden.file
                );
            }
        };
        check(
            payload_of(&document, golden.event_type()),
            serde_json::from_str(golden.payload.get()).unwrap(),
        );
        check(headers(&document), serde_json::to_value(&golden.headers).unwrap());
    }
    let never: Vec<_> = missing.difference(&present).collect();
    assert!(never.is_empty(), "no golden file has {never:?}");
}

#[test]
fn what_the_document_requires_is_what_decoding_requires() {
    let document = document();
    for golden in Golden::all().iter().filter(|golden| !golden.is_minimal()) {
        let full: Value = serde_json::from_str(golden.payload.get()).unwrap();
        for (path, required) in payload_of(&document, golden.event_type()).properties() {
            let mut payload = full.clone();
            let (name, parent) = path.split_last().unwrap();
            let removed = member(&mut payload, parent).and_then(|it| it.as_object_mut()?.remove(name));
            if removed.is_none() {
                continue;
            }
            let decoded = decode(golden.event_type(), payload.to_string().as_bytes());
            // Without what the first version can't say, it is of the first version.
            let is_first = golden.event_type().ends_with(".v2")
                && decoded.as_ref().is_err_and(|error| error.to_string().contains("has the form of"));
            assert_eq!(
                decoded.is_err() && !is_first,
                required,
                "{} without {path:?}: {decoded:?}",
                golden.file
            );
        }
    }
}

#[test]
fn the_documents_headers_are_those_that_are_sent() {
    let document = document();
    for golden in Golden::all() {
        let record = golden.read().encode().unwrap();
        let sent: BTreeSet<&str> = record.headers().into_iter().map(|(name, _)| name).collect();
        let properties = headers(&document).properties();
        let documented: BTreeSet<&str> = properties
            .iter()
            .map(|(path, required)| (path[0].as_str(), *required))
            .filter(|(name, required)| *required || golden.headers.contains_key(*name))
            .map(|(name, _)| name)
            .collect();
        assert_eq!(sent, documented, "{}", golden.file);
    }
}

#[test]
fn a_message_without_an_attribute_that_is_needed_is_malformed_and_names_it() {
    // These repeat other headers, so a reader doesn't need them.
    const REDUNDANT: [&str; 5] =
        ["ce_specversion", "ce_source", "ce_sequence", "content-type", "traceparent"];
    for golden in Golden::all() {
        for missing in golden.headers.keys() {
            let rest = golden.headers_as_bytes().filter(|(name, _)| name != missing);
            let read = RawEvent::from_message(rest, golden.payload.get().as_bytes());
            match read {
                Ok(_) => assert!(REDUNDANT.contains(&missing.as_str()), "read without {missing}"),
                Err(error) => assert!(error.to_string().contains(missing.as_str()), "{missing}: {error}"),
            }
        }
    }
}
