use serde_json::json;
use service_kit::http::problem::ProblemType;

use super::*;

const NOW: &str = "2026-01-01T00:00:00Z";

fn read(line: &Value) -> Imported {
    Imported::read(&Line::Whole(line.to_string().into_bytes().into()), NOW.parse().unwrap())
}

fn booking() -> Value {
    json!({
        "key": "1", "at": "2025-06-01T08:00:00.5Z", "user": "ann", "command": "reserve", "kind": "A",
        "from": "2025-07-01T15:00:00+01:00", "to": "2025-07-02T11:00:00+01:00", "people": 2
    })
}

fn changed(change: &Value) -> Value {
    let mut line = booking();
    for (name, value) in change.as_object().unwrap() {
        line[name] = value.clone();
    }
    line
}

#[test]
fn a_line_becomes_a_command_of_its_user_at_its_time() {
    let Imported { key, request: Request::Command { command, made_by: None, .. } } = read(&booking()) else {
        panic!("no command");
    };
    assert_eq!(key.as_deref(), Some("1"));
    assert_eq!(command.now.to_string(), "2025-06-01T08:00:00.500Z");
    assert_eq!(
        command.actor,
        Actor { user: UserId::new("ann").unwrap(), admin: false, delegate: false, roles: Vec::new() }
    );
    assert!(
        command.origin == crate::commands::Origin::Import
            && matches!(&command.action, Action::ReserveKind(action) if action.kind == "A")
    );
}

#[test]
fn a_line_acts_as_an_administrator_only_if_it_says_so() {
    for (role, admin) in [(json!({}), false), (json!({"as": null}), false), (json!({"as": "admin"}), true)] {
        let Request::Command { command, .. } = read(&changed(&role)).request else { panic!("{role}") };
        assert_eq!(command.actor.admin, admin, "{role}");
    }
}

#[test]
fn a_line_that_cannot_be_used_names_its_field_and_keeps_its_key() {
    let room = Uuid::from_u128(1);
    let cases = [
        (json!({"people": "two"}), Some("/people")),
        (json!({"people": 0}), Some("/people")),
        (json!({"poeple": 2}), Some("/poeple")),
        (json!({"at": "2025-06-01T08:00:00"}), Some("/at")),
        (json!({"command": "book"}), Some("/command")),
        (json!({"user": "a\nb"}), Some("/user")),
        (json!({"as": "root"}), Some("/as")),
        (json!({"room": room}), Some("/room")),
        (json!({"kind": null}), Some("/room")),
        (json!({"title": "x".repeat(201)}), Some("/title")),
        (json!({"to": "2025-07-01T15:00:00+01:00"}), Some("/from")),
    ];
    for (change, field) in cases {
        let Imported { key, request: Request::Failed(problem) } = read(&changed(&change)) else {
            panic!("{change} was accepted");
        };
        assert_eq!((key.as_deref(), problem.named_field()), (Some("1"), field), "{change}");
    }
    let Request::Failed(problem) = read(&changed(&json!({"key": ""}))).request else { panic!("accepted") };
    assert_eq!(problem.named_field(), Some("/key"));
}

#[test]
fn a_line_of_the_future_is_rejected() {
    let request = read(&changed(&json!({"at": "2026-01-01T00:00:00.001Z"}))).request;
    assert!(matches!(&request, Request::Rejected(problem) if problem.named_field() == Some("/at")));
    assert!(matches!(read(&changed(&json!({"at": NOW}))).request, Request::Command { .. }));
}

#[test]
fn a_reservation_is_named_by_its_id_or_the_key_of_its_line() {
    let cancel = |name: &str, value: Value| {
        let mut line = json!({"key": "2", "at": NOW, "user": "ann", "command": "cancel"});
        line[name] = value;
        read(&line).request
    };
    let by_key = cancel("reservationKey", json!("1"));
    let made_by = key_of_line("1");
    assert!(matches!(by_key, Request::Command { made_by: Some(key), .. } if key == made_by));
    let by_id = cancel("reservation", json!(Uuid::from_u128(5)));
    assert!(matches!(by_id, Request::Command { made_by: None, .. }));
    assert!(matches!(cancel("reservation", Value::Null), Request::Failed(_)));
}

#[test]
fn what_is_no_json_fails() {
    for bytes in [&b"{"[..], b"[]", b"\xff", b"{\"key\": \"1\"}"] {
        let imported = Imported::read(&Line::Whole(bytes.to_vec().into()), NOW.parse().unwrap());
        assert!(matches!(imported.request, Request::Failed(_)), "{bytes:?}");
    }
    let too_long = Imported::read(&Line::TooLong, NOW.parse().unwrap());
    assert!(matches!(too_long.request, Request::Failed(problem) if problem.kind() == ProblemType::TooLarge));
}
