//! What an error of the driver means for the caller.

use sqlx::mysql::MySqlDatabaseError;

use crate::event_store::StoreError;

/// What an error means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Meaning {
    /// A unique key was met.
    Duplicate,
    /// The statement had no effect; trying again may help. The connection is as good as before.
    Again,
    /// The connection is lost or in an unknown state; so is the effect of the statement.
    Lost,
    /// Trying again can't help.
    Refused,
}

pub(super) fn meaning(error: &sqlx::Error) -> Meaning {
    match error {
        sqlx::Error::Database(error) => error
            .try_downcast_ref::<MySqlDatabaseError>()
            .map_or(Meaning::Refused, |error| of_number(error.number())),
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => Meaning::Lost,
        _ => Meaning::Refused,
    }
}

/// The server's own error numbers.
fn of_number(number: u16) -> Meaning {
    match number {
        // Duplicate entry, with or without the key's name.
        1062 | 1586 => Meaning::Duplicate,
        // Deadlock; lock wait timed out; interrupted; statement timed out; NOWAIT; rolled back by certification.
        1213 | 1205 | 1317 | 3024 | 3572 | 3101
        // Too many connections, of all or of this user; no threads; out of resources, memory; sort aborted.
        | 1040 | 1203 | 1135 | 1041 | 1037 | 1038 | 1028
        // Disk full; table full; error of the storage engine or of a file.
        | 1021 | 1114 | 1030 | 1026
        // Read only: a primary that has just been demoted, or not yet promoted.
        | 1290 | 1792 | 1836 => Meaning::Again,
        // Shutdown in progress; this connection killed; idle for too long; aborted; network errors.
        1053 | 1927 | 4031 | 1080 | 1152 | 1158 | 1159 | 1160 | 1161 | 1184 => Meaning::Lost,
        _ => Meaning::Refused,
    }
}

/// Whether the server answered a COMMIT by saying that it rolled the transaction back: as the victim of a deadlock, or
/// because other members of its group refused it. After any other error it may have been committed.
pub(super) fn says_rolled_back(error: &sqlx::Error) -> bool {
    let error = error.as_database_error().and_then(|error| error.try_downcast_ref::<MySqlDatabaseError>());
    error.is_some_and(|error| matches!(error.number(), 1213 | 3101))
}

pub(super) fn store_error(operation: &'static str, error: sqlx::Error) -> StoreError {
    match meaning(&error) {
        Meaning::Again | Meaning::Lost => StoreError::Unavailable { operation, source: Box::new(error) },
        Meaning::Duplicate | Meaning::Refused => StoreError::Failed { operation, source: Box::new(error) },
    }
}
