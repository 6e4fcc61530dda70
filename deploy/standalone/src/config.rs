//! The settings of the embedded default. All have defaults.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use service_kit::{
    config::{Key, Mistakes, Settings},
    kit_settings::{self, KitSettings, LISTEN, ServerSettings},
};

const KEYS: &[Key] = &[
    Key::with_default(
        LISTEN,
        "127.0.0.1:8081",
        "Address of the command service; COMMAND_LISTEN is the same.",
    ),
    Key::optional("COMMAND_LISTEN", "Address of the command service."),
    Key::with_default("QUERY_LISTEN", "127.0.0.1:8082", "Address of the query service."),
    Key::with_default("DATA_DIR", "./data", "Folder of the data; made where it is missing."),
    Key::with_default(
        "WATCHDOG_SECONDS",
        "30",
        "How often read models are compared with the store, 1 to 3600.",
    ),
    Key::with_default("IDEMPOTENCY_DAYS", "7", "Days for which idempotency keys are kept, 1 to 3650."),
];

/// The values of the settings.
pub(crate) struct Config {
    /// Settings that both services have. The server is the command service's.
    pub(crate) kit: KitSettings,
    /// HTTP server of the query service.
    pub(crate) query_server: ServerSettings,
    /// Folder of the data.
    pub(crate) data: PathBuf,
    /// Pause between comparisons of read models with the store.
    pub(crate) watchdog: Duration,
    /// Age at which idempotency keys are deleted.
    pub(crate) keys_kept: Duration,
}

impl Config {
    /// Reads environment and configuration file.
    ///
    /// # Errors
    /// All mistakes at once.
    pub(crate) fn load() -> Result<Self, Mistakes> {
        let keys: Vec<Key> = [KEYS, kit_settings::KEYS].concat().into_iter().map(own_default).collect();
        let mut settings = Settings::load(&keys);
        let kit = KitSettings::read(&mut settings);
        let command: Option<SocketAddr> = settings.optional("COMMAND_LISTEN");
        let query: Option<SocketAddr> = settings.get("QUERY_LISTEN");
        let data: Option<PathBuf> = settings.get("DATA_DIR");
        let watchdog = settings.within("WATCHDOG_SECONDS", 1, 3600);
        let days: Option<u64> = settings.within("IDEMPOTENCY_DAYS", 1, 3650);
        let outside =
            |address: Option<SocketAddr>| address.is_some_and(|address| !address.ip().is_loopback());
        for (name, address) in [("COMMAND_LISTEN", command), ("QUERY_LISTEN", query)] {
            if outside(address) {
                settings.mistake(name, "the embedded default listens on a loopback address only");
            }
        }
        settings.finish(|| {
            let mut kit = kit?;
            kit.server.listen = command.unwrap_or(kit.server.listen);
            // The metrics are the process's, so only one service has the listener for them.
            let query_server = ServerSettings { listen: query?, admin: None, ..kit.server.clone() };
            Some(Self {
                kit,
                query_server,
                data: data?,
                watchdog: Duration::from_secs(watchdog?),
                keys_kept: Duration::from_secs(days? * 24 * 60 * 60),
            })
        })
    }
}

/// Replaces the default of some settings.
fn own_default(key: Key) -> Key {
    match key.name {
        // Every user of this machine may act as any user.
        "DEV_HEADERS" => Key::with_default(key.name, "true", key.doc),
        // The terminal is for the text at start. Read models are always rebuilt then, which needs no log line.
        "LOG_LEVEL" => Key::with_default(key.name, "warn,service_kit::readiness=error", key.doc),
        _ => key,
    }
}
