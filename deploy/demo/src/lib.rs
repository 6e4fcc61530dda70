//! Replays real hotel bookings through the system over HTTP, and verifies the result.

mod api;
mod bookings;
mod plan;
mod record;
mod recount;
mod replay;
mod timetable;
mod verify;

use std::time::Instant;

use clap::Args;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use crate::{api::Api, record::Record};

/// Arguments of the demo.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Read everything back through the query API and compare it with an independent recount.
    #[arg(long)]
    verify: bool,
    /// Import a university's timetable instead: series over changes of clocks, holidays and buffers. Every occurrence is compared
    /// with what another program expanded.
    #[arg(long, conflicts_with = "verify")]
    timetable: bool,
    /// The command service.
    #[arg(long, default_value = "http://127.0.0.1:8081")]
    command_url: String,
    /// The query service.
    #[arg(long, default_value = "http://127.0.0.1:8082")]
    query_url: String,
    /// A token of an administrator. Without it the demo sends development headers, which the embedded default accepts.
    #[arg(long, env = "TOKEN", hide_env_values = true)]
    token: Option<String>,
}

/// Replays 14,938 real hotel bookings, changes and cancellations in the order of time, and prints the outcomes. A second
/// replay changes nothing.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let api = Api::new(&arguments.command_url, &arguments.query_url, arguments.token.as_deref())?;
    if arguments.timetable {
        return timetable::replay(&api).await;
    }
    let bookings = bookings::read()?;
    let kinds = plan::kinds(&bookings)?;
    let commands = plan::commands(&bookings)?;

    let start = Instant::now();
    let rooms = replay::register_rooms(&api, &kinds).await?;
    println!(
        "{} rooms of {} kinds registered in {:.2?}",
        HumanCount(rooms.len() as u64),
        kinds.len(),
        start.elapsed()
    );

    let mut record = Record { rooms, ..Record::default() };
    let style =
        ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} commands, {per_sec}, {eta} to go")?;
    let progress = ProgressBar::new(commands.len() as u64).with_style(style);
    let import_start = Instant::now();
    replay::import(&api, &bookings, &commands, &mut record, &progress).await?;
    let answered = import_start.elapsed();
    progress.finish_and_clear();
    replay::until_visible(&api, &record).await?;
    let visible = import_start.elapsed();

    let counts = &record.counts;
    let sent = commands.len() as u64;
    println!(
        "{} commands: {} reservations made, {} turned away, {} changed, {} changes refused, {} cancelled, \
         {} about bookings that were turned away",
        HumanCount(sent),
        HumanCount(counts.made),
        HumanCount(counts.turned_away),
        HumanCount(counts.changed),
        HumanCount(counts.refused_changes),
        HumanCount(counts.cancelled),
        HumanCount(counts.pointless)
    );
    println!(
        "answered in {answered:.2?} ({:.0} commands/s), the last event visible {:.0?} later, {:.2?} in all",
        sent as f64 / answered.as_secs_f64(),
        visible.saturating_sub(answered),
        start.elapsed()
    );
    match counts.repeated {
        0 => {}
        // What is about a booking that was turned away is not recorded, and has no effect again.
        repeated if repeated + counts.pointless == sent => {
            println!("nothing changed: all {} outcomes are those of an earlier replay", HumanCount(sent));
        }
        repeated => println!("{} outcomes are those of an earlier replay", HumanCount(repeated)),
    }

    if arguments.verify {
        let start = Instant::now();
        // Statistics follow a moment later.
        api.until_counted(record.rooms.keys().map(String::as_str)).await?;
        let read_back = verify::verify(&api, &record).await?;
        println!("verified in {:.2?}: {read_back}", start.elapsed());
    }
    Ok(())
}
