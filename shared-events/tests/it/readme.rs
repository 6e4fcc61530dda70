//! The README agrees with the types.

use std::collections::BTreeSet;

use serde_json::Value;
use shared_events::{
    event::EVENT_TYPES,
    notice::Notice,
    topics::{CHANGES_TOPIC, DEFAULT_PARTITIONS, EVENTS_TOPIC, PARTITIONER},
};

use crate::golden::Golden;

const README: &str = include_str!("../../README.md");

#[test]
fn every_example_of_the_readme_is_the_payload_of_a_golden_file_of_its_type() {
    let examples: Vec<(&str, &str)> = README
        .split("\n### `")
        .skip(1)
        .map(|section| {
            let (event_type, rest) = section.split_once('`').unwrap();
            let example = rest.split_once("```json\n").unwrap().1.split_once("```").unwrap().0;
            (event_type, example)
        })
        .collect();
    let types: Vec<&str> = examples.iter().map(|(event_type, _)| *event_type).collect();
    assert_eq!(types, EVENT_TYPES);
    for (event_type, example) in examples {
        let example: Value = serde_json::from_str(example).unwrap_or_else(|e| panic!("{event_type}: {e}"));
        let is_golden = Golden::all().iter().any(|golden| {
            golden.event_type() == event_type
                && serde_json::from_str::<Value>(golden.payload.get()).unwrap() == example
        });
        assert!(is_golden, "{event_type}: no golden file has the example {example}");
    }
}

#[test]
fn the_readme_names_all_headers_with_the_values_of_a_golden_file() {
    let table = README.split_once("| Header |").unwrap().1.split_once("\n\n").unwrap().0;
    let rows: BTreeSet<(&str, &str)> = table
        .lines()
        .skip(2)
        .map(|row| {
            let mut cells = row.split(" | ").map(|cell| cell.trim_matches(['|', ' ', '`']));
            (cells.next().unwrap(), cells.next().unwrap())
        })
        .collect();
    let golden = Golden::all().into_iter().find(|golden| golden.file == "reservation-made.v1.json").unwrap();
    let headers: BTreeSet<(&str, &str)> =
        golden.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(rows, headers);
}

#[test]
fn the_readme_names_the_attributes_of_a_notice_as_they_are_sent() {
    let table = README.split_once("| Attribute of a notice |").unwrap().1.split_once("\n\n").unwrap().0;
    let rows = table.lines().skip(2).map(|row| {
        let mut cells = row.split(" | ").map(|cell| cell.trim_matches(['|', ' ', '`']).to_owned());
        (cells.next().unwrap(), cells.next().unwrap())
    });
    let notice = Notice { room: "0198c4f2-6a10-7c3e-9b61-0f2d3a4b5c6d".parse().unwrap(), version: 8.into() };
    let sent = notice.headers("2026-06-20T10:15:30.125Z".parse().unwrap());
    let sent = sent.into_iter().map(|(name, value)| (name.to_owned(), value));
    assert_eq!(rows.collect::<Vec<_>>(), sent.collect::<Vec<_>>());
    assert!(README.contains(&format!("| Topic | `{CHANGES_TOPIC}`, ")));
}

#[test]
fn the_readme_names_topic_and_partitioner() {
    let row = |name: &str, value: &str| README.contains(&format!("| {name} | {value}"));
    assert!(row("Topic", &format!("`{EVENTS_TOPIC}` |")));
    assert!(row("Partitioner", &format!("`{PARTITIONER}` ")));
    assert!(row("Partitions", &format!("{DEFAULT_PARTITIONS} by default")));
}
