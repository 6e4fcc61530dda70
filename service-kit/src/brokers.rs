//! Settings for the connection to Kafka's brokers, as properties of its client.

use secrecy::{ExposeSecret, SecretString};

use crate::config::{Key, Need, Secret, Settings};
use crate::declare;
use crate::kit_settings::TLS_CA_FILE;
use crate::tls::{Authorities, is_this_machine, warn_of_open_way};

declare! {
    /// The settings.
    pub KEYS:
    /// `host:port` of brokers, separated by commas.
    KAFKA_BROKERS: String = Key::required();
    /// `true` or `false`: TLS to the brokers. By default, unless all are on this machine.
    KAFKA_TLS: bool = Key::optional();
    /// The service's user name at the brokers (SASL).
    KAFKA_USERNAME: String = Key::optional();
    /// The password of that user.
    KAFKA_PASSWORD: SecretString = Key::secret(Need::Optional);
    /// SASL mechanism: `SCRAM-SHA-512`, `SCRAM-SHA-256` or `PLAIN`.
    KAFKA_SASL_MECHANISM: String = Key::default("SCRAM-SHA-512");
}

const MECHANISMS: [&str; 3] = ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"];

/// The brokers, with TLS and login.
#[derive(Debug, Clone)]
pub struct Brokers {
    /// `host:port`, several separated by commas.
    pub addresses: String,
    tls: bool,
    authorities: Option<Authorities>,
    login: Option<Login>,
}

#[derive(Debug, Clone)]
struct Login {
    mechanism: String,
    username: String,
    password: Secret,
}

impl Brokers {
    /// Brokers without TLS and login.
    #[must_use]
    pub fn open(addresses: impl Into<String>) -> Self {
        Self { addresses: addresses.into(), tls: false, authorities: None, login: None }
    }

    /// Reads [`KEYS`]; `None` means that `settings` holds mistakes.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let addresses = settings.read(&KAFKA_BROKERS);
        let tls = settings.read(&KAFKA_TLS);
        let authorities = settings.read(&TLS_CA_FILE);
        let login = Login::read(settings);
        let addresses = addresses?;
        let tls = tls.unwrap_or_else(|| !all_on_this_machine(&addresses));
        Some(Self { tls, authorities, login: login?, addresses })
    }

    /// Logs a warning if the connection to another machine has no TLS.
    pub fn warn_if_open(&self) {
        if !self.tls && !all_on_this_machine(&self.addresses) {
            warn_of_open_way("KAFKA_TLS", "Kafka is reached without TLS");
        }
    }

    /// The properties for a new client. Values may be secret. The password is the one that its file holds now.
    #[must_use]
    pub fn properties(&self) -> Vec<(String, String)> {
        let protocol = match (self.tls, &self.login) {
            (false, None) => "plaintext",
            (true, None) => "ssl",
            (false, Some(_)) => "sasl_plaintext",
            (true, Some(_)) => "sasl_ssl",
        };
        let mut properties = vec![("bootstrap.servers", &*self.addresses), ("security.protocol", protocol)];
        if self.tls {
            // The client's own OpenSSL finds the system's public authorities by probing only.
            let authorities = self.authorities.as_ref().map_or("probe", Authorities::path);
            properties.push(("ssl.ca.location", authorities));
        }
        let password = self.login.as_ref().map(|login| login.password.current());
        if let (Some(login), Some(password)) = (&self.login, &password) {
            properties.push(("sasl.mechanism", &login.mechanism));
            properties.push(("sasl.username", &login.username));
            properties.push(("sasl.password", password.expose_secret()));
        }
        properties.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

impl Login {
    /// The login, if the settings have one. The outer `None` means that `settings` holds mistakes.
    fn read(settings: &mut Settings) -> Option<Option<Self>> {
        let username = settings.read(&KAFKA_USERNAME);
        let password = settings.read_secret(&KAFKA_PASSWORD);
        let mechanism = settings.read(&KAFKA_SASL_MECHANISM)?;
        if !MECHANISMS.contains(&&*mechanism) {
            settings.mistake(&KAFKA_SASL_MECHANISM, format!("must be one of {}", MECHANISMS.join(", ")));
            return None;
        }
        match (username, password) {
            (None, None) => return Some(None),
            (Some(username), Some(password)) => return Some(Some(Self { mechanism, username, password })),
            (None, Some(_)) => settings.mistake(&KAFKA_USERNAME, "is needed with KAFKA_PASSWORD"),
            (Some(_), None) => settings.mistake(&KAFKA_PASSWORD, "is needed with KAFKA_USERNAME"),
        }
        None
    }
}

fn all_on_this_machine(addresses: &str) -> bool {
    addresses.split(',').all(|address| {
        let host = address.trim().rsplit_once(':').map_or(address, |(host, _)| host);
        is_this_machine(host)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::Mistakes;
    use crate::kit_settings::all;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        Settings::from_variables(all(&[KEYS], &[]), pairs.iter().copied())
    }

    fn read(pairs: &[(&str, &str)]) -> Result<BTreeMap<String, String>, Mistakes> {
        let mut settings = settings(pairs);
        let brokers = Brokers::read(&mut settings);
        settings.finish(|| brokers).map(|brokers| brokers.properties().into_iter().collect())
    }

    #[test]
    fn brokers_on_other_machines_are_reached_by_tls_unless_it_is_switched_off() {
        let protocol = |pairs: &[(&str, &str)]| read(pairs).unwrap()["security.protocol"].clone();
        assert_eq!(protocol(&[("KAFKA_BROKERS", "127.0.0.1:1,localhost:2")]), "plaintext");
        assert_eq!(protocol(&[("KAFKA_BROKERS", "127.0.0.1:1, kafka:2")]), "ssl");
        assert_eq!(protocol(&[("KAFKA_BROKERS", "kafka:2"), ("KAFKA_TLS", "false")]), "plaintext");
        assert_eq!(protocol(&[("KAFKA_BROKERS", "127.0.0.1:1"), ("KAFKA_TLS", "true")]), "ssl");
    }

    #[test]
    fn a_login_is_shown_to_brokers_and_nowhere_else() {
        let login = [("KAFKA_BROKERS", "kafka:1"), ("KAFKA_USERNAME", "u"), ("KAFKA_PASSWORD", "hunter2")];
        let properties = read(&login).unwrap();
        assert_eq!(properties["security.protocol"], "sasl_ssl");
        assert_eq!(properties["sasl.mechanism"], "SCRAM-SHA-512");
        assert_eq!(properties["sasl.password"], "hunter2");
        assert!(!format!("{:?}", Brokers::read(&mut settings(&login))).contains("hunter2"));
    }

    #[test]
    fn a_password_that_is_replaced_in_its_file_is_that_of_the_next_client() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "old\n").unwrap();
        let login = [
            ("KAFKA_BROKERS", "kafka:1"),
            ("KAFKA_USERNAME", "u"),
            ("KAFKA_PASSWORD_FILE", file.to_str().unwrap()),
        ];
        let brokers = Brokers::read(&mut settings(&login)).unwrap();
        let password =
            || brokers.properties().into_iter().find(|(name, _)| name == "sasl.password").unwrap().1;
        assert_eq!(password(), "old");
        std::fs::write(&file, "new\n").unwrap();
        assert_eq!(password(), "new");
    }

    #[test]
    fn half_a_login_is_a_mistake() {
        let mistakes = |pair| read(&[("KAFKA_BROKERS", "h:1"), pair]).unwrap_err().0.remove(0).key;
        assert_eq!(mistakes(("KAFKA_USERNAME", "u")), "KAFKA_PASSWORD");
        assert_eq!(mistakes(("KAFKA_PASSWORD", "p")), "KAFKA_USERNAME");
        assert_eq!(mistakes(("KAFKA_SASL_MECHANISM", "GSSAPI")), "KAFKA_SASL_MECHANISM");
    }
}
