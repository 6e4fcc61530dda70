//! The meaning of an answer by the contract of the commands' API.

use reqwest::header::HeaderMap;
use serde_json::Value;
use uuid::Uuid;

use super::{
    operation::Operation,
    record::{Done, OfClosure, OfSeries, Outcome, RoomLine, Stay},
};

/// The outcome of an attempt that has this answer.
pub(crate) fn outcome(operation: &Operation, status: u16, headers: &HeaderMap, body: &[u8]) -> Outcome {
    if operation.is_about_closure() && status == 200 {
        return of_lines(operation, body);
    }
    let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let slug = slug(&body).to_owned();
    let wrong = |why: String| Outcome::Wrong { status, why };
    match (status, slug.as_str()) {
        (200 | 201, _) => match done(headers, &body) {
            Some(done) => Outcome::Done(done),
            None => wrong(format!("a success without room, version, revision or token: {body}")),
        },
        (503, _) if !headers.contains_key("retry-after") => wrong(format!("503 without Retry-After: {body}")),
        (503, "outcome-unknown") => Outcome::Unknown { why: slug },
        (503 | 429, _) | (409, "in-progress") => Outcome::NotTaken { status, problem: slug },
        // An earlier attempt has lifted it everywhere.
        (404, "unknown-closure") if matches!(operation, Operation::Lift { .. }) => {
            Outcome::Done(closed(None, Vec::new(), String::new()))
        }
        (409, "overlap" | "no-free-room" | "room-closed" | "series-conflict")
        | (404, "unknown-reservation" | "unknown-revision" | "unknown-series")
        | (422, "in-the-past" | "rule") => Outcome::Rejected { status, problem: body },
        _ => wrong(body.to_string()),
    }
}

fn slug(problem: &Value) -> &str {
    problem["type"].as_str().unwrap_or_default().trim_start_matches("/problems/")
}

/// A closure has its effect when every room has it. Rooms that can't be closed now are tried again.
fn of_lines(operation: &Operation, body: &[u8]) -> Outcome {
    let wrong = |why: String| Outcome::Wrong { status: 200, why };
    let text = String::from_utf8_lossy(body);
    let Ok(lines) = text.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>() else {
        return Outcome::Unknown { why: "the answer broke off".to_owned() };
    };
    let (mut rooms, mut tokens) = (Vec::new(), Vec::new());
    for line in &lines {
        match (line["status"].as_u64(), slug(&line["problem"])) {
            (Some(200 | 201), _) => {}
            (Some(503 | 429), _) | (Some(409), "in-progress") | (Some(422), "in-the-past") => {
                return Outcome::Unknown { why: line["problem"].to_string() };
            }
            _ => return wrong(line.to_string()),
        }
        let Some((closed, token)) = room_of(line) else { return wrong(line.to_string()) };
        rooms.push(closed);
        tokens.push(token);
    }
    if let Operation::Close { rooms: asked, .. } = operation
        && asked.len() != rooms.len()
    {
        return Outcome::Unknown { why: format!("{} lines for {} rooms", rooms.len(), asked.len()) };
    }
    let closure = lines.first().and_then(|line| id(line, "closure"));
    let same = lines.iter().all(|line| id(line, "closure") == closure);
    if same { Outcome::Done(closed(closure, rooms, tokens.join(", "))) } else { wrong(text.into_owned()) }
}

/// A line, and its token.
fn room_of(line: &Value) -> Option<(RoomLine, String)> {
    let hits = line["hits"].as_array().map_or(&[][..], Vec::as_slice);
    let hits = hits.iter().map(|hit| id(hit, "reservation")).collect::<Option<_>>()?;
    let more = line["moreHits"].as_u64().unwrap_or_default();
    let token = line["consistencyToken"].as_str()?.to_owned();
    let (room, version) = (id(line, "room")?, line["version"].as_u64()?);
    Some((RoomLine { room, version, hits: (hits, more) }, token))
}

fn closed(closure: Option<Uuid>, rooms: Vec<RoomLine>, token: String) -> Done {
    let (room, version) = rooms.first().map_or((Uuid::nil(), 0), |line| (line.room, line.version));
    let closure = Some(OfClosure { closure, rooms });
    Done { room, version, reservation: None, revision: 0, token, series: None, closure }
}

fn done(headers: &HeaderMap, body: &Value) -> Option<Done> {
    let series = match body.get("series") {
        Some(_) => Some(series(body)?),
        None => None,
    };
    // A series has no one revision.
    let revision = if series.is_some() { 0 } else { body["revision"].as_u64()? };
    Some(Done {
        room: id(body, "room")?,
        version: body["version"].as_u64()?,
        reservation: id(body, "reservation"),
        revision,
        token: headers.get("consistency-token")?.to_str().ok()?.to_owned(),
        series,
        closure: None,
    })
}

fn series(body: &Value) -> Option<OfSeries> {
    let stay = |value: &Value| Stay::read(&value["from"], &value["to"]);
    let occurrence =
        |value: &Value| Some((id(value, "reservation")?, value["revision"].as_u64()?, stay(value)?));
    Some(OfSeries {
        series: id(body, "series")?,
        occurrences: body["occurrences"].as_array()?.iter().map(occurrence).collect::<Option<_>>()?,
        skipped: body["skipped"].as_array()?.iter().map(stay).collect::<Option<_>>()?,
    })
}

fn id(value: &Value, name: &str) -> Option<Uuid> {
    value[name].as_str()?.parse().ok()
}
