//! The text at start: addresses, the folder of the data, and commands to try.

use std::{net::SocketAddr, path::Path};

use chrono::{DateTime, Days, Utc};

/// The text. Its three commands work when pasted in their order, on any day.
pub(crate) fn text(command: SocketAddr, query: SocketAddr, data: &Path, now: DateTime<Utc>) -> String {
    let tomorrow = now.date_naive().checked_add_days(Days::new(1)).unwrap_or_default();
    let (from, to) = (format!("{tomorrow}T09:00:00Z"), format!("{tomorrow}T10:00:00Z"));
    let stamp = now.timestamp();
    let data = data.display();
    format!(
        r#"
Room reservations, the embedded default: for trying and developing, on this machine only.
  page      http://{query}   (open it in a browser)
  commands  http://{command}   (described at /openapi.json)
  queries   http://{query}   (described at /openapi.json)
  data      {data}

Or try it in another terminal: register a room, reserve any room of its kind, and list my reservations.

curl -sS http://{command}/v1/rooms -H 'X-User: ann' -H 'X-Roles: admin' -H 'Content-Type: application/json' -H 'Idempotency-Key: room-{stamp}' -d '{{"name":"Room {stamp}","kind":"meeting","capacity":8,"timeZone":"Europe/Lisbon"}}'
curl -sS http://{command}/v1/kinds/meeting/reservations -H 'X-User: ann' -H 'Content-Type: application/json' -H 'Idempotency-Key: stay-{stamp}' -d '{{"from":"{from}","to":"{to}","people":3,"title":"Planning"}}'
curl -sS 'http://{query}/v1/me/reservations?from={from}&to={to}' -H 'X-User: ann'

Ctrl-C stops it. Everything that was answered is on disk.
"#
    )
}
