//! Where the server is and who uses it. A URL in a file is read again for each connection.

use std::{
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

use secrecy::{ExposeSecret, SecretString};
use service_kit::{
    config::Secret,
    telemetry::with_causes,
    tls::{is_this_machine, warn_of_open_way},
};
use sqlx::{
    ConnectOptions,
    mysql::{MySqlConnectOptions, MySqlSslMode},
};

use super::DEFAULT_DATABASE;
use crate::event_store::StoreError;

/// A URL in a setting. Clones share what was read.
#[derive(Clone)]
pub(super) struct Address {
    url: Secret,
    setting: &'static str,
    last: Arc<Mutex<Parsed>>,
}

/// A URL, and the options that it stands for.
#[derive(Clone)]
pub(super) struct Parsed {
    pub(super) url: SecretString,
    pub(super) options: MySqlConnectOptions,
}

impl Address {
    /// # Errors
    /// If the URL is malformed.
    pub(super) fn new(url: Secret, setting: &'static str) -> Result<Self, StoreError> {
        let last = Arc::new(Mutex::new(Parsed::new(url.current(), setting)?));
        Ok(Self { url, setting, last })
    }

    /// The options for a new connection. The last ones stay while the file has a malformed URL.
    pub(super) fn options(&self) -> MySqlConnectOptions {
        self.read().options
    }

    /// The same, with their URL.
    pub(super) fn read(&self) -> Parsed {
        let url = self.url.current();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if url.expose_secret() != last.url.expose_secret() {
            match Parsed::new(url, self.setting) {
                Ok(parsed) => *last = parsed,
                Err(error) => tracing::error!(
                    setting = self.setting,
                    error = with_causes(&error),
                    "the new URL can't be used, the last one stays"
                ),
            }
        }
        last.clone()
    }
}

impl Parsed {
    fn new(url: SecretString, setting: &str) -> Result<Self, StoreError> {
        let options = MySqlConnectOptions::from_str(url.expose_secret())
            .map_err(|source| StoreError::Failed { operation: "open", source: Box::new(source) })?
            // The adapter sets them itself, in one statement.
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .timezone(None)
            .statement_cache_capacity(256)
            // Statements hold personal data.
            .disable_statement_logging();
        let mut options = verified(options, setting);
        if options.get_database().is_none_or(str::is_empty) {
            options = options.database(DEFAULT_DATABASE);
        }
        Ok(Self { url, options })
    }
}

/// Options that verify a server on another machine, unless the URL says otherwise.
fn verified(options: MySqlConnectOptions, setting: &str) -> MySqlConnectOptions {
    if options.get_socket().is_some() || is_this_machine(options.get_host()) {
        return options;
    }
    let missing = match options.get_ssl_mode() {
        MySqlSslMode::Preferred => return options.ssl_mode(MySqlSslMode::VerifyIdentity),
        MySqlSslMode::VerifyIdentity => return options,
        MySqlSslMode::Disabled => "MySQL is reached without TLS",
        MySqlSslMode::Required => "MySQL's certificate is not verified",
        MySqlSslMode::VerifyCa => "MySQL's name is not verified",
    };
    warn_of_open_way(setting, missing);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_on_another_machine_is_verified_unless_its_url_says_otherwise() {
        let mode = |url: &str| {
            let options = verified(MySqlConnectOptions::from_str(url).unwrap(), "MYSQL_URL");
            format!("{:?}", options.get_ssl_mode())
        };
        assert_eq!(mode("mysql://u@db.example.org/d"), "VerifyIdentity");
        assert_eq!(mode("mysql://u@db.example.org/d?ssl-mode=PREFERRED"), "VerifyIdentity");
        assert_eq!(mode("mysql://u@db.example.org/d?ssl-mode=REQUIRED"), "Required");
        assert_eq!(mode("mysql://u@db.example.org/d?ssl-mode=DISABLED"), "Disabled");
        assert_eq!(mode("mysql://u@127.0.0.1/d"), "Preferred");
    }
}
