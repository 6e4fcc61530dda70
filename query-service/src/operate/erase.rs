//! `erase`: erases a person in one place after the other. Each step can be done again.

use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use service_kit::report::{Format, Verdict};
use shared_events::UserId;

use super::recorded;
use crate::{
    calendars::{Calendars, mongo::MongoCalendars},
    erasures::learn,
    generations::servers::Servers,
    notifications::{Subscriptions, mongo::MongoNotifications},
    projector::LIST_IS_GOOD_FOR,
};

/// The wait after the list is kept. By then every service has read the list, and has written what it began before.
/// The largest batches take two seconds when four of them share two processors with their server.
const UNTIL_ALL_KNOW: Duration = LIST_IS_GOOD_FOR.saturating_mul(10);

/// Arguments of `erase`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The user, as tokens name them.
    #[arg(long, value_parser = |user: &str| UserId::new(user))]
    user: UserId,
    #[command(flatten)]
    format: Format,
}

/// The result.
#[derive(Serialize)]
struct Report {
    /// The name in the person's place.
    pseudonym: String,
    /// Events examined.
    examined: u64,
    /// Events that named the person.
    events: u64,
    /// Documents of all generations that named the person, and those of the person's subscriptions and calendars.
    documents: u64,
}

impl Arguments {
    pub(super) async fn run(
        &self,
        servers: &Servers,
        notifications: &MongoNotifications,
        calendars: &MongoCalendars,
    ) -> anyhow::Result<Verdict> {
        // The name must not outlive the person in a log.
        let report = recorded("erase", "a person", self.erase(servers, notifications, calendars), |_| {
            "done".to_owned()
        })
        .await?;
        print!("{}", self.format.rows(&[report], &["pseudonym", "examined", "events", "documents"])?);
        Ok(Verdict::AsWanted)
    }

    async fn erase(
        &self,
        servers: &Servers,
        notifications: &MongoNotifications,
        calendars: &MongoCalendars,
    ) -> anyhow::Result<Report> {
        let mut report = Report { pseudonym: String::new(), examined: 0, events: 0, documents: 0 };
        loop {
            let step = servers.feed.erase(&self.user).await.context("the event store is not masked yet")?;
            report.examined += step.examined;
            report.events += step.masked;
            report.pseudonym = step.pseudonym;
            if step.done {
                break;
            }
            eprintln!("{} events examined, {} of them masked", report.examined, report.events);
        }
        let kept = "the subscriptions are not erased yet";
        report.documents += notifications.erase(&self.user).await.context(kept)?;
        let kept = "the calendars are not erased yet";
        report.documents += calendars.erase(&self.user).await.context(kept)?;
        let not_yet = "the read models are not masked yet";
        let list = learn(&*servers.feed, &servers.generations).await.context(not_yet)?;
        loop {
            tokio::time::sleep(UNTIL_ALL_KNOW).await;
            // A mail may have been filed meanwhile.
            report.documents += notifications.erase(&self.user).await.context(kept)?;
            match servers.generations.mask(&self.user, &list).await.context(not_yet)? {
                // Another look finds what was written during this one.
                0 => return Ok(report),
                more => report.documents += more,
            }
        }
    }
}
