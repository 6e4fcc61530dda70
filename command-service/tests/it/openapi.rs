//! The committed description of the API equals the one that the handlers make.

use command_service::http::{OPENAPI, document};
use serde_json::Value;

#[test]
fn the_committed_description_is_current() {
    let current = document().unwrap();
    assert!(current == OPENAPI, "run `command-service openapi > command-service/openapi.json`");
}

#[test]
fn every_operation_says_what_can_go_wrong() {
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    let mut operations = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            operations += 1;
            let responses = operation["responses"].as_object().unwrap();
            if path.starts_with("/v1/") {
                for status in ["401", "403", "429", "500", "503"] {
                    let problem = responses.get(status).map(|is| &is["content"]["application/problem+json"]);
                    assert!(problem.is_some_and(Value::is_object), "{method} {path} {status}");
                }
            }
            let parameters = operation["parameters"].as_array().map_or(&[][..], Vec::as_slice);
            let keyed = parameters
                .iter()
                .any(|parameter| parameter["name"] == "Idempotency-Key" && parameter["required"] == true);
            // Lines have keys of their own; to erase somebody again is the same; a question changes nothing.
            let without = ["/v1/commands", "/v1/import", "/v1/erasures", "/v1/events/query"];
            let needs_key = method == "post" && !without.contains(&path.as_str());
            assert_eq!(keyed, needs_key, "{method} {path}");
        }
    }
    assert_eq!(operations, 35);
}

#[test]
fn attributes_and_roles_are_described_as_names_without_commas() {
    let schemas = schemas();
    let name = schemas["RegisterRoom"]["properties"]["name"]["pattern"].as_str().unwrap();
    for schema in ["RegisterRoom", "ChangeRoom"] {
        for list in ["attributes", "bookableBy"] {
            let word = &schemas[schema]["properties"][list]["items"];
            let lengths = (&word["minLength"], &word["maxLength"]);
            assert_eq!(lengths, (&Value::from(1), &Value::from(200)), "{schema} {list}");
            // All classes of characters are those that a name may not have: here with the comma.
            let pattern = word["pattern"].as_str().unwrap();
            assert_eq!(pattern.replace(',', ""), name, "{schema} {list}");
            assert_eq!(pattern.matches(',').count(), name.matches("[^").count(), "{schema} {list}");
        }
    }
}

#[test]
fn a_closure_is_described_with_at_least_one_room_and_a_day_as_closed_if_it_is_null() {
    let schemas = schemas();
    assert_eq!(schemas["NewClosure"]["properties"]["rooms"]["minItems"], 1);
    for schema in ["RegisterRoom", "ChangeRoom"] {
        let days = schemas[schema]["properties"]["openingHours"]["properties"].as_object().unwrap();
        assert_eq!(days.len(), 7, "{schema}");
        for (name, day) in days {
            let kinds = day["oneOf"].as_array().unwrap().iter().map(|kind| &kind["type"]);
            assert_eq!(kinds.collect::<Vec<_>>(), ["object", "array", "null"], "{schema} {name}");
        }
    }
}

/// The schemas that the handlers describe.
fn schemas() -> Value {
    let document: Value = serde_json::from_str(&document().unwrap()).unwrap();
    document["components"]["schemas"].clone()
}
