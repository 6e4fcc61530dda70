//! What an error of the driver means for the caller.

use sqlx::mysql::MySqlDatabaseError;

use crate::event_store::StoreError;

/// What an error means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Meaning {
    /// A unique key was met.
    Duplicate,
    /// The statement had no effect. Trying again may help, also on this connection.
    Again,
    /// Trying again may help, on a new connection alone. The statement may have had an effect.
    Reconnect,
    /// Trying again can't help.
    Refused,
}

use Meaning::{Again, Duplicate, Reconnect, Refused};

/// The server's error numbers. `docs/mysql-errors.md` has this table.
const NUMBERS: &[(Meaning, u16, &str)] = &[
    (Duplicate, 1062, "duplicate entry"),
    (Duplicate, 1586, "duplicate entry, with the key's name"),
    (Again, 1205, "lock wait timed out"),
    (Again, 1206, "table of locks full"),
    (Again, 1213, "deadlock"),
    (Again, 1317, "interrupted"),
    (Again, 3024, "statement timed out"),
    (Again, 3101, "rolled back by the group's certification"),
    (Again, 3572, "lock not free, NOWAIT"),
    (Again, 1021, "disk full"),
    (Again, 1026, "file not written"),
    (Again, 1028, "sort aborted"),
    (Again, 1030, "error of the storage engine"),
    (Again, 1037, "out of memory"),
    (Again, 1038, "out of memory for a sort"),
    (Again, 1041, "out of resources"),
    (Again, 1114, "table full"),
    (Again, 1637, "too many transactions"),
    (Reconnect, 1290, "read-only server"),
    (Reconnect, 1792, "read-only transaction"),
    (Reconnect, 1836, "read-only mode"),
    (Reconnect, 3100, "no member of the group any more"),
    (Reconnect, 1047, "node not ready"),
    (Reconnect, 1040, "too many connections"),
    (Reconnect, 1203, "too many connections of the user"),
    (Reconnect, 1226, "limit of the user reached"),
    (Reconnect, 1135, "no more threads"),
    (Reconnect, 1129, "this host is blocked"),
    (Reconnect, 1461, "too many prepared statements"),
    (Reconnect, 1243, "prepared statement unknown"),
    (Reconnect, 1615, "prepared statement out of date"),
    (Reconnect, 1053, "server shuts down"),
    (Reconnect, 1080, "forced to close"),
    (Reconnect, 1152, "connection aborted"),
    (Reconnect, 1158, "packet not read"),
    (Reconnect, 1159, "packet not read in time"),
    (Reconnect, 1160, "packet not written"),
    (Reconnect, 1161, "packet not written in time"),
    (Reconnect, 1184, "connection aborted"),
    (Reconnect, 1927, "connection killed"),
    (Reconnect, 3169, "session killed"),
    (Reconnect, 4031, "idle for too long"),
    (Refused, 1153, "packet too large"),
    (Refused, 1197, "transaction too large for the binary log"),
    (Refused, 1364, "column without a value"),
    (Refused, 1366, "value of another type"),
    (Refused, 3098, "table that the group can't replicate"),
    (Refused, 3819, "constraint violated"),
];

/// Of numbers beside [`NUMBERS`], the SQL states of errors that the statement itself causes: warnings, unsupported, number of
/// columns, data, constraints, syntax and rights. All others come from the state of a server or of a proxy, and pass.
const REFUSED_CLASSES: [&str; 6] = ["01", "0A", "21", "22", "23", "42"];

pub(super) fn meaning(error: &sqlx::Error) -> Meaning {
    match error {
        sqlx::Error::Database(error) => error
            .try_downcast_ref::<MySqlDatabaseError>()
            .map_or(Refused, |error| of_number(error.number(), error.code())),
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => Reconnect,
        _ => Refused,
    }
}

fn of_number(number: u16, state: Option<&str>) -> Meaning {
    let known = NUMBERS.iter().find(|(_, known, _)| *known == number);
    let class = state.and_then(|state| state.get(..2)).unwrap_or_default();
    match known {
        Some((meaning, ..)) => *meaning,
        None if REFUSED_CLASSES.contains(&class) => Refused,
        None => Reconnect,
    }
}

/// Whether the server answered a COMMIT by saying that it rolled the transaction back: as the victim of a deadlock, because
/// other members of its group refused it, or because it has become read-only. After any other error it may have been committed.
pub(super) fn says_rolled_back(error: &sqlx::Error) -> bool {
    let error = error.as_database_error().and_then(|error| error.try_downcast_ref::<MySqlDatabaseError>());
    error.is_some_and(|error| matches!(error.number(), 1213 | 3101 | 1290))
}

pub(super) fn store_error(operation: &'static str, error: sqlx::Error) -> StoreError {
    match meaning(&error) {
        Again | Reconnect => StoreError::Unavailable { operation, source: Box::new(error) },
        Duplicate | Refused => StoreError::Failed { operation, source: Box::new(error) },
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn a_number_has_one_meaning() {
        let mut numbers: Vec<u16> = NUMBERS.iter().map(|(_, number, _)| *number).collect();
        numbers.sort_unstable();
        assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    }

    #[test]
    fn errors_that_pass_are_told_from_those_that_do_not() {
        for number in [1205, 1206, 1213] {
            assert_eq!(of_number(number, None), Again, "{number}");
        }
        for number in [1040, 1047, 1053, 1129, 1226, 1290, 1461, 1792, 1836, 3100] {
            assert_eq!(of_number(number, Some("42000")), Reconnect, "{number}");
        }
    }

    #[test]
    fn an_unknown_number_passes_unless_its_state_says_that_the_statement_is_at_fault() {
        // No such table, data too long, no right, foreign key.
        for (number, state) in [(1146, "42S02"), (1406, "22001"), (1142, "42000"), (1452, "23000")] {
            assert_eq!(of_number(number, Some(state)), Refused, "{number}");
        }
        // Errors of proxies and of later servers, and one without a state.
        for (number, state) in
            [(9001, Some("HY000")), (1105, Some("HY000")), (7999, Some("08S01")), (1, None)]
        {
            assert_eq!(of_number(number, state), Reconnect, "{number}");
        }
    }

    #[test]
    fn the_documents_have_the_table_of_all_numbers() {
        let mut table = "| number | is | what the service does |\n| --- | --- | --- |\n".to_owned();
        for (meaning, number, is) in NUMBERS {
            let does = match meaning {
                Duplicate => "decides again",
                Again => "tries again",
                Reconnect => "tries again on a new connection",
                Refused => "answers 500",
            };
            writeln!(table, "| {number} | {is} | {does} |").unwrap();
        }
        assert!(
            include_str!("../../../docs/mysql-errors.md").contains(&table),
            "the document needs:\n{table}"
        );
    }
}
