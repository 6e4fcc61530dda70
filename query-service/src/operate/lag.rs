//! `lag`: shows how far the consumer group is behind the topic.

use serde::Serialize;
use service_kit::report::{Format, Verdict};

use crate::kafka::{KafkaSettings, groups};

#[derive(Serialize)]
struct Row {
    partition: i32,
    /// The offset from which the group goes on; `None` before its first commit.
    committed: Option<i64>,
    /// The offset of the next message in the topic.
    end: i64,
    lag: i64,
}

/// Prints the lag of each partition. A lag is no reason for exit status 1.
pub(super) async fn show(settings: &KafkaSettings, format: Format) -> anyhow::Result<Verdict> {
    let settings = settings.clone();
    let partitions = tokio::task::spawn_blocking(move || groups::lag(&settings)).await??;
    let rows: Vec<Row> = partitions
        .into_iter()
        .map(|place| Row {
            partition: place.partition,
            committed: place.committed,
            end: place.end,
            lag: place.end - place.committed.unwrap_or(place.start).max(place.start),
        })
        .collect();
    print!("{}", format.rows(&rows, &["partition", "committed", "end", "lag"])?);
    Ok(Verdict::AsWanted)
}
