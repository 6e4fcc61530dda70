//! Each version of a wanted room is told at least once, or a reset covers it.

use super::{Findings, Span, within};
use crate::campaign::{evidence::Evidence, record::Record};

pub(super) fn check(record: &Record, evidence: &Evidence, stale: &[Span], findings: &mut Findings) {
    for listener in &record.listeners {
        for (room, known) in &listener.rooms {
            let head = evidence.streams.get(room).map_or(0, |events| u64::try_from(events.len()).unwrap());
            let (sent, answered) = known.read_at;
            let missing = if within(stale, sent, answered) {
                known.missing_after_old_copy(head)
            } else {
                known.missing(head)
            };
            findings.check(missing.is_none(), "a live stream tells every version", || {
                format!("{}: room {room}, version {missing:?} of {head}", listener.name)
            });
            let invented = known.told.range(head + 1..).next();
            findings.check(invented.is_none(), "a live stream tells what happened", || {
                format!("{}: room {room}, version {invented:?} after {head}", listener.name)
            });
        }
        for wrong in &listener.wrong {
            findings.add("a live stream tells what was asked for", format!("{}: {wrong}", listener.name));
        }
    }
}
