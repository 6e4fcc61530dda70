//! A query with a token shows at least what the token stands for.

use super::{Findings, Span, within};
use crate::campaign::record::{Look, Query, Record};

pub(super) fn check(record: &Record, stale: &[Span], findings: &mut Findings) {
    for query in &record.queries {
        let may_be_old = within(stale, query.start, query.end);
        findings.check(is_right(query, may_be_old), "a query shows what its token stands for", || {
            format!("query-service {}: {query:?}", query.instance)
        });
    }
}

/// An older copy may show less, or nothing of what came after it; no other answer follows from it.
fn is_right(query: &Query, may_be_old: bool) -> bool {
    let asked = match query.look {
        Look::Schedule => query.version,
        Look::Reservation { revision, .. } => revision,
    };
    match query.status {
        // No answer, or not yet.
        None | Some(503) => true,
        Some(200) => query.shown.is_some_and(|shown| shown >= asked || may_be_old),
        Some(404) => may_be_old,
        Some(_) => false,
    }
}
