//! `rebuild`: makes all read models again and shows them.

use service_kit::report::{Format, Verdict};
use shared_events::Timestamp;

use super::{differences::text_of, recorded};
use crate::{
    generations::servers::Servers,
    rebuild::{FrozenReport, Report, freeze, rebuild},
};

/// Arguments of `rebuild`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Shows the new generation although it differs from the live one, for example when the live one is known to be wrong.
    #[arg(long)]
    accept_differences: bool,
    /// Makes a frozen generation in place of a live one: the events recorded up to this moment, RFC 3339 with an offset.
    /// Administrators read it with `?generation=`, until it is dropped.
    #[arg(long, conflicts_with = "accept_differences")]
    until: Option<Timestamp>,
    #[command(flatten)]
    format: Format,
}

impl Arguments {
    /// Prints the report. As wanted is: queries read the new generation.
    pub(super) async fn run(&self, servers: &Servers) -> anyhow::Result<Verdict> {
        if let Some(until) = self.until {
            let on = format!("read models as of {until}");
            let report = recorded("rebuild", on, freeze(servers, until), |_| "done".to_owned()).await?;
            print!("{}", self.format.value(&report, frozen_table(&report))?);
            return Ok(Verdict::AsWanted);
        }
        let rebuilt = rebuild(servers, self.accept_differences);
        let outcome = |report: &Report| match &report.refused {
            Some(reason) => format!("refused: {reason}"),
            None if report.flipped => "done".to_owned(),
            None => format!("not shown: {} differences", report.differences.len()),
        };
        let report = recorded("rebuild", "all read models", rebuilt, outcome).await?;
        print!("{}", self.format.value(&report, table(&report))?);
        Ok(if report.flipped { Verdict::AsWanted } else { Verdict::NotAsWanted })
    }
}

fn frozen_table(report: &FrozenReport) -> String {
    let FrozenReport { generation, until, rooms, events, seconds } = report;
    format!(
        "generation   {generation}\nuntil        {until}\nrooms        {rooms}\nevents       {events}\nseconds      {seconds:.1}\n\
         administrators read it with ?generation={generation}\n"
    )
}

fn table(report: &Report) -> String {
    let Report { generation, rooms, events, events_per_second, compared, differences, .. } = report;
    let outcome = match (&report.refused, report.flipped, report.before) {
        (Some(reason), ..) => format!("not shown: {reason}"),
        (None, true, Some(before)) => {
            format!("queries read generation {generation}; {before} is fed for a rollback")
        }
        (None, true, None) => format!("queries read generation {generation}"),
        (None, false, _) => "not shown: `query-service verify ROOM` tells which one is right, and with \
                       --accept-differences the new one is shown"
            .to_owned(),
    };
    format!(
        "{}generation   {generation}\nrooms        {rooms}\nevents       {events}\nfilled at    {events_per_second} events/s\n\
         compared     {compared} rooms\ndifferences  {}\nseconds      {:.1}\n{outcome}\n",
        text_of(differences),
        differences.len(),
        report.seconds
    )
}
