//! The erasure of a person, in all places one after the other. Each step can be done again.

use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use service_kit::report::Format;
use shared_events::UserId;

use super::Servers;
use crate::{feed::Feed, projector::LIST_IS_GOOD_FOR};

/// How long is waited after the list was kept: then every service that writes has read it, and what it had begun to write
/// before is written. The largest batches take two seconds when four of them share two processors with their server.
const UNTIL_ALL_KNOW: Duration = LIST_IS_GOOD_FOR.saturating_mul(10);

/// Arguments of `erase`.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// The user, as tokens name them.
    #[arg(long)]
    user: String,
    /// Table or JSON.
    #[command(flatten)]
    format: Format,
}

/// What was done.
#[derive(Serialize)]
struct Report {
    /// Who stands in the person's place.
    pseudonym: String,
    /// Events that were looked at.
    examined: u64,
    /// Events that named the person.
    events: u64,
    /// Documents of all generations that did.
    documents: u64,
}

impl Arguments {
    /// Erases, and prints what was done. Always true: it ends with an error otherwise.
    ///
    /// # Errors
    /// When a server can't be reached, or refuses. It may be run again.
    pub(super) async fn run(&self, servers: &Servers) -> anyhow::Result<bool> {
        let user = UserId(self.user.clone());
        let mut report = Report { pseudonym: String::new(), examined: 0, events: 0, documents: 0 };
        loop {
            let step = servers.feed.erase(&user).await.context("the event store is not masked yet")?;
            report.examined += step.examined;
            report.events += step.masked;
            report.pseudonym = step.pseudonym;
            if step.done {
                break;
            }
            eprintln!("{} events examined, {} of them masked", report.examined, report.events);
        }
        let list = servers.feed.erasures().await.context("the read models are not masked yet")?;
        servers.generations.keep_erasures(&list).await.context("the read models are not masked yet")?;
        loop {
            tokio::time::sleep(UNTIL_ALL_KNOW).await;
            let masked = servers.generations.mask(&user, &list).await;
            match masked.context("the read models are not masked yet")? {
                // What was written while it was looked at is found by another look.
                0 => break,
                more => report.documents += more,
            }
        }
        let columns = ["pseudonym", "examined", "events", "documents"];
        print!("{}", self.format.rows(&[report], &columns)?);
        Ok(true)
    }
}
