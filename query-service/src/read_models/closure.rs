//! Closures of rooms as queries see them.

use serde::{Deserialize, Serialize};
use shared_events::{Closure, Interval, Timestamp, Version};

/// A closure in one room, with the values of its latest event. Each event makes the whole document.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClosureDoc {
    /// Its values, as it was added.
    pub closure: Closure,
    /// When it was lifted: the time of the command. `None` if it was not.
    pub lifted_at: Option<Timestamp>,
    /// The version of the room's stream that gave it this form.
    pub version: Version,
}

impl ClosureDoc {
    /// Whether it was not lifted.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        self.lifted_at.is_none()
    }

    /// The time that it takes from the room's open time. One that was lifted closed the room until then, with the whole minute:
    /// `None` if that was before it began.
    #[must_use]
    pub fn closed(&self) -> Option<Interval> {
        let lifted = |at: Timestamp| {
            let minute = at.minute();
            if minute.start() < at { minute.plus(1).unwrap_or(minute) } else { minute }
        };
        let to = self.lifted_at.map_or(self.closure.to, lifted).min(self.closure.to);
        (self.closure.from < to).then_some(Interval { from: self.closure.from, to })
    }
}

#[cfg(test)]
mod tests {
    use shared_events::{ClosureId, Minute, RoomId};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_closure_that_was_lifted_closed_the_room_until_then() {
        let minute = |text: &str| text.parse::<Minute>().unwrap();
        let closed = |lifted_at: Option<&str>| {
            let closure = Closure {
                id: ClosureId(Uuid::nil()),
                room: RoomId(Uuid::nil()),
                from: minute("2026-07-01T08:00:00Z"),
                to: minute("2026-07-03T18:00:00Z"),
                reason: String::new(),
                kind: None,
                all: false,
            };
            let lifted_at = lifted_at.map(|at| at.parse().unwrap());
            let closed = ClosureDoc { closure, lifted_at, version: 1.into() }.closed();
            closed.map(|closed| (closed.from.to_string(), closed.to.to_string()))
        };
        let until = |to: &str| Some(("2026-07-01T08:00:00Z".to_owned(), to.to_owned()));
        assert_eq!(closed(None), until("2026-07-03T18:00:00Z"));
        assert_eq!(closed(Some("2026-07-02T12:00:00.001Z")), until("2026-07-02T12:01:00Z"));
        assert_eq!(closed(Some("2026-07-02T12:00:00.000Z")), until("2026-07-02T12:00:00Z"));
        assert_eq!(closed(Some("2026-07-04T00:00:00.000Z")), until("2026-07-03T18:00:00Z"));
        for before in ["2026-06-01T00:00:00.000Z", "2026-07-01T08:00:00.000Z"] {
            assert_eq!(closed(Some(before)), None, "{before}");
        }
    }
}
