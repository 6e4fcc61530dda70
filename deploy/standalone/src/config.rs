//! The settings of the embedded default. All have defaults.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use command_service::housekeeping::{self, KeysKept};
use query_service::{
    notifications::{MailServer, Post, Sender},
    page::{self, SignIn},
    projector::watchdog::{self, WATCHDOG_SECONDS},
};
use secrecy::{ExposeSecret, SecretString};
use service_kit::{
    config::{Declaration, Key, Mistakes, Need, Settings},
    declare,
    kit_settings::{self, KitSettings, ServerSettings, TIME_ZONES, TLS_CA_FILE},
    origins::Origins,
};

declare! {
    KEYS:
    /// Address of the command service; `LISTEN` is the same.
    COMMAND_LISTEN: SocketAddr = Key::optional();
    /// Address of the query service.
    QUERY_LISTEN: SocketAddr = Key::default("127.0.0.1:8082");
    /// Folder of the data; made where it is missing.
    DATA_DIR: PathBuf = Key::default("./data");
    /// The sender of mails: an address, or `Name <address>`.
    MAIL_FROM: Sender = Key::optional();
    /// The mail server: `smtps://USER:PASSWORD@HOST`, or `smtp://` with STARTTLS. One on this machine is used without TLS.
    /// Without sender and server, there are no subscriptions by e-mail.
    SMTP_URL: SecretString = Key::secret(Need::Optional);
}

/// The defaults that differ from those of the services.
const DEFAULTS: &[(&str, &str)] = &[
    ("LISTEN", "127.0.0.1:8081"),
    // Every user of this machine may act as any user.
    ("DEV_HEADERS", "true"),
    // The terminal is for the text at start. Read models are always rebuilt then, which needs no log line.
    ("LOG_LEVEL", "warn,service_kit::readiness=error"),
];

/// The values of the settings.
pub(crate) struct Config {
    /// Settings that both services have. The server is the command service's.
    pub(crate) kit: KitSettings,
    /// HTTP server of the query service.
    pub(crate) query_server: ServerSettings,
    /// Folder of the data.
    pub(crate) data: PathBuf,
    /// Folder of the system's time zone database, if it gives the rules.
    pub(crate) time_zones: Option<PathBuf>,
    /// Pause between comparisons of read models with the store.
    pub(crate) watchdog: Duration,
    /// How mails are sent, if they are.
    pub(crate) post: Option<Post>,
    /// How people sign in to the page.
    pub(crate) sign_in: SignIn,
    /// Ages at which idempotency keys are deleted.
    pub(crate) keys_kept: KeysKept,
}

impl Config {
    /// Reads environment and configuration file.
    ///
    /// # Errors
    /// All mistakes at once.
    pub(crate) fn load() -> Result<Self, Mistakes> {
        let groups: [&[Declaration]; 4] = [KEYS, housekeeping::KEYS, watchdog::KEYS, page::KEYS];
        let mut settings = Settings::load(kit_settings::all(&groups, DEFAULTS));
        let kit = KitSettings::read(&mut settings);
        let sign_in = kit.as_ref().and_then(|kit| SignIn::read(&mut settings, &kit.auth));
        let command = settings.read(&COMMAND_LISTEN);
        let query = settings.read(&QUERY_LISTEN);
        let data = settings.read(&DATA_DIR);
        let time_zones = settings.read(&TIME_ZONES);
        let watchdog = settings.read(&WATCHDOG_SECONDS);
        let keys_kept = KeysKept::read(&mut settings);
        let sender = settings.read(&MAIL_FROM);
        let authorities = settings.read(&TLS_CA_FILE);
        let server =
            settings.read(&SMTP_URL).map(|url| MailServer::read(url.expose_secret(), authorities.as_ref()));
        if let Some(Err(mistake)) = &server {
            settings.mistake(&SMTP_URL, mistake.to_string());
        }
        let post = server.and_then(Result::ok).zip(sender).map(|(server, sender)| Post { server, sender });
        let outside =
            |address: Option<SocketAddr>| address.is_some_and(|address| !address.ip().is_loopback());
        for (key, address) in [(&COMMAND_LISTEN, command), (&QUERY_LISTEN, query)] {
            if outside(address) {
                settings.mistake(key, "the embedded default listens on a loopback address only");
            }
        }
        settings.finish(|| {
            let mut kit = kit?;
            kit.server.listen = command.unwrap_or(kit.server.listen);
            // The metrics are the process's, so only one service has the listener for them.
            let query = query?;
            let query_server = ServerSettings { listen: query, admin: None, ..kit.server.clone() };
            // The page sends commands to the other port, which is another origin.
            kit.server.origins = kit.server.origins.and(Origins::of_this_machine(query));
            Some(Self {
                kit,
                query_server,
                data: data?,
                time_zones,
                watchdog: watchdog?,
                post,
                sign_in: sign_in?,
                keys_kept: keys_kept?,
            })
        })
    }
}
