//! A query with a consistency token shows at least the token's version.

use super::{Findings, Span, within};
use crate::campaign::record::{Query, Record, View};

pub(super) fn check(record: &Record, stale: &[Span], findings: &mut Findings) {
    for query in &record.queries {
        let may_be_old = within(stale, query.start, query.end);
        findings.check(
            is_right(query, may_be_old),
            "a query shows at least the version of its token",
            || format!("query-service {}: {query:?}", query.instance),
        );
    }
}

/// A restored older copy excuses a lower version or 404, and no other answer.
fn is_right(query: &Query, may_be_old: bool) -> bool {
    let wanted = match query.view {
        View::Schedule => query.version,
        View::Reservation { revision, .. } => revision,
    };
    match query.status {
        // No answer, or not visible yet.
        None | Some(503) => true,
        Some(200) => query.shown.is_some_and(|shown| shown >= wanted || may_be_old),
        Some(404) => may_be_old,
        Some(_) => false,
    }
}
