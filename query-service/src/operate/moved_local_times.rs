//! `moved-local-times`: stays whose local time changed with the rules of their zone.

use std::fmt::Write;

use anyhow::Context;
use serde::Serialize;
use service_kit::report::{Format, Verdict};
use shared_events::{TimeZone, Timestamp, time_zone::Database};

use super::LiveGeneration;
use crate::queries::{
    MovedLocalTimes,
    moved_local_times::{LocalTimes, MovedStay, Shown},
};

/// Arguments of `moved-local-times`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The zone of the reservations, such as America/Vancouver.
    // Read later: arguments are parsed before the database of time zones is chosen.
    #[arg(long)]
    zone: String,
    #[command(flatten)]
    format: Format,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    /// The release of the rules.
    time_zones: &'static str,
    #[serde(flatten)]
    times: LocalTimes,
}

impl Arguments {
    /// Prints the stays. As wanted is: none has moved.
    pub(super) async fn run(self, live: &LiveGeneration) -> anyhow::Result<Verdict> {
        let zone: TimeZone = self.zone.parse().with_context(|| format!("--zone {}", self.zone))?;
        let times = MovedLocalTimes { zone }
            .run(&live.models, Timestamp::from_epoch_millis(live.clock.now_ms()))
            .await?;
        let report = Report { time_zones: Database::get().version(), times };
        print!("{}", self.format.value(&report, report.text())?);
        Ok(if report.times.moved.is_empty() { Verdict::AsWanted } else { Verdict::NotAsWanted })
    }
}

impl Report {
    fn text(&self) -> String {
        let LocalTimes { zone, moved, kept, unknown } = &self.times;
        let mut text = String::new();
        // Writing to a string does not fail.
        for MovedStay { reservation, room, meant, shown } in moved {
            let _ = writeln!(text, "{reservation} in room {room}");
            for (what, Shown { from, to }) in [("meant", meant), ("shown", shown)] {
                let _ = writeln!(text, "    {what} {from} to {to}");
            }
        }
        let (moved, release) = (moved.len(), self.time_zones);
        let _ =
            writeln!(text, "{zone} by {release}: {moved} moved, {kept} as they were set, {unknown} unknown");
        text
    }
}
