//! A query with a token shows at least what the token stands for.

use super::{Findings, Span, within};
use crate::campaign::record::{Look, Query, Record};

pub(super) fn check(record: &Record, stale: &[Span], findings: &mut Findings) {
    for query in &record.queries {
        if !within(stale, query.start, query.end) {
            findings.check(is_right(query), "a query shows what its token stands for", || {
                format!("query-service {}: {query:?}", query.instance)
            });
        }
    }
}

fn is_right(query: &Query) -> bool {
    match (query.status, query.look) {
        // No answer, or not yet.
        (None | Some(503), _) => true,
        (Some(200), Look::Schedule) => query.shown.is_some_and(|version| version >= query.version),
        (Some(200), Look::Reservation { revision, .. }) => query.shown.is_some_and(|shown| shown >= revision),
        _ => false,
    }
}
