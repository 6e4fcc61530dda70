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
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    let schemas = &document["components"]["schemas"];
    let pattern = schemas["RegisterRoom"]["properties"]["name"]["pattern"].as_str().unwrap();
    let without_commas = pattern.replace(r"\x00-\x1f", r",\x00-\x1f");
    for schema in ["RegisterRoom", "ChangeRoom"] {
        for list in ["attributes", "bookableBy"] {
            let word = &schemas[schema]["properties"][list]["items"];
            let lengths = (&word["minLength"], &word["maxLength"]);
            assert_eq!(lengths, (&Value::from(1), &Value::from(200)), "{schema} {list}");
            assert_eq!(word["pattern"], without_commas, "{schema} {list}");
        }
    }
    assert_eq!(schemas["NewClosure"]["properties"]["rooms"]["minItems"], 1);
}
