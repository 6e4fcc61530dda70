//! `lag`: shows how far the consumer group is behind the topic.

use service_kit::report::{Format, Verdict};

use crate::kafka::{KafkaSettings, groups};

/// Prints the lag of each partition. A lag is no reason for exit status 1.
pub(super) async fn show(settings: &KafkaSettings, format: Format) -> anyhow::Result<Verdict> {
    let settings = settings.clone();
    let rows = tokio::task::spawn_blocking(move || groups::lag(&settings)).await??;
    print!("{}", format.rows(&rows, &["partition", "committed", "end", "lag"])?);
    Ok(Verdict::AsWanted)
}
