//! The operators' commands. They work with the event store alone, beside running services.

mod debezium;
mod migrate;
mod outbox;
mod relay;
mod release_room;
mod writer_form;

use std::sync::Arc;

use anyhow::Context;
use secrecy::ExposeSecret;
use service_kit::{
    clock::Clock,
    config::{Secret, Settings},
    kit_settings::{LOG_FORMAT, LOG_LEVEL},
    report::{Format, Verdict},
    telemetry::start_logs,
};

pub use self::migrate::migrate;
use crate::{
    config::{kafka_options, mysql_url},
    event_store::mysql::MySqlStore,
    roll_back,
};

/// What operators can do beside `serve`.
#[derive(Debug, clap::Subcommand)]
pub enum Operate {
    /// Brings the event store's tables up to date. Waits for the database.
    ///
    /// Exit status: 0 when the tables are up to date, 2 on an error.
    Migrate(Format),
    /// Shows undelivered events, the instances that relay them, and held rooms.
    ///
    /// Use it when events are late. A bucket without a holder for longer than LEASE_SECONDS, or with a number of events that
    /// does not fall, is where to look. The relay holds a room when Kafka refuses one of its events for good;
    /// `release-room` releases it.
    ///
    /// Reads the database that MYSQL_URL names, and changes nothing. Exit status: 0 when the outbox was read, 2 on an error.
    Outbox(Format),
    /// Releases a held room, once the cause is gone.
    ///
    /// The relay then sends the room's events again, in order, from the refused one. If Kafka refuses it again, the room is
    /// held again. Needs no restart.
    ///
    /// Exit status: 0 when the room was released, 1 when it was not held, 2 on an error.
    ReleaseRoom(release_room::Arguments),
    /// Takes back what a user, an import or anyone in a room did since a time.
    ///
    /// Every change is taken back by a command, newest first, beside running services; no event is deleted. A change is left if
    /// somebody else has changed the reservation since, or if another reservation is in the way; the table says which. What
    /// roll-backs did is never taken back. The plan is kept before the first change: the same command is the same run, goes on
    /// where it was stopped, and shows the same outcomes.
    ///
    /// Exit status: 0 when everything is taken back, 1 when something is left, 2 on an error.
    RollBack(roll_back::Arguments),
    /// Shows the form of writing, or raises it after an upgrade.
    ///
    /// New types of events are written only in a form that every instance knows. Refused while an instance of an older build
    /// runs. It can't be lowered.
    ///
    /// Exit status: 0 when it was shown or raised, 1 when it was refused, 2 on an error.
    WriterForm(writer_form::Arguments),
    /// How committed events reach Kafka.
    #[command(subcommand)]
    Relay(relay::Relay),
}

impl Operate {
    /// Runs the command and prints its result.
    ///
    /// # Errors
    /// If a setting can't be used, or the database does not answer or has no tables.
    pub async fn run(self, mut settings: Settings) -> anyhow::Result<Verdict> {
        let (url, format, level) =
            (mysql_url(&mut settings), settings.read(&LOG_FORMAT), settings.read(&LOG_LEVEL));
        let kafka = match &self {
            Self::Relay(relay) if relay.needs_kafka() => kafka_options(&mut settings).map(Some),
            _ => Some(None),
        };
        let (url, format, level, kafka) = settings.finish(|| Some((url?, format?, level?, kafka?)))?;
        start_logs(format, &level);
        match self {
            Self::Migrate(format) => {
                migrate(url).await?;
                let done = serde_json::json!({"migrated": true});
                print!("{}", format.value(&done, "The tables are up to date.")?);
                Ok(Verdict::AsWanted)
            }
            Self::Outbox(format) => {
                with_store(&url, async |store| outbox::show(store, format, &Clock::system()).await).await
            }
            Self::Relay(relay) => {
                let run = async |store: &MySqlStore| {
                    relay.run(store, url.current().expose_secret(), kafka.as_ref()).await
                };
                with_store(&url, run).await
            }
            Self::RollBack(arguments) => {
                let run =
                    async |store: &MySqlStore| arguments.run(Arc::new(store.clone()), Clock::system()).await;
                with_store(&url, run).await
            }
            Self::WriterForm(arguments) => with_store(&url, async |store| arguments.run(store).await).await,
            Self::ReleaseRoom(arguments) => with_store(&url, async |store| arguments.run(store).await).await,
        }
    }
}

/// Runs a command on the store, which must answer and have its tables.
async fn with_store(
    url: &Secret,
    command: impl AsyncFnOnce(&MySqlStore) -> anyhow::Result<Verdict>,
) -> anyhow::Result<Verdict> {
    let store = MySqlStore::open(url.clone(), 1, None, None).context("MYSQL_URL can't be used")?;
    store.check().await.context("the database does not answer, or has no tables of this service")?;
    let outcome = command(&store).await;
    store.close().await;
    outcome
}
