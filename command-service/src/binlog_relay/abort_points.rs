//! Places at which the process aborts, in tests.

use service_kit::abort_point::AbortPoint;

use crate::event_store::Phase;

/// The names of the abort points of the relay of the binary log.
pub const ABORT_POINTS: [&str; 14] = [
    "log-before-send",
    "log-sent",
    "log-acknowledged",
    "log-place-stored",
    "before-to-log",
    "after-to-log",
    "before-log",
    "after-log",
    "before-draining",
    "after-draining",
    "before-refilling",
    "after-refilling",
    "before-table",
    "after-table",
];

/// An event was read, and is not sent.
pub(super) const BEFORE_SEND: AbortPoint = AbortPoint::named("log-before-send");
/// An event was sent, and is not acknowledged.
pub(super) const SENT: AbortPoint = AbortPoint::named("log-sent");
/// Events are acknowledged, and the place after them is not stored.
pub(super) const ACKNOWLEDGED: AbortPoint = AbortPoint::named("log-acknowledged");
/// The place is stored, and the last event is not noted beside the topic.
pub(super) const STORED: AbortPoint = AbortPoint::named("log-place-stored");

/// The points before and after a change to this phase.
pub(super) const fn around(to: Phase) -> Option<(AbortPoint, AbortPoint)> {
    let (before, after) = match to {
        Phase::ToLog => ("before-to-log", "after-to-log"),
        Phase::Log => ("before-log", "after-log"),
        Phase::Draining => ("before-draining", "after-draining"),
        Phase::Refilling => ("before-refilling", "after-refilling"),
        Phase::Table => ("before-table", "after-table"),
        Phase::ToDebezium | Phase::Debezium | Phase::FromDebezium => return None,
    };
    Some((AbortPoint::named(before), AbortPoint::named(after)))
}
