//! `generations`: lists all generations.

use serde::Serialize;
use service_kit::report::{Format, Verdict};

use crate::{generations::servers::Servers, read_models::generation::Totals};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    number: u32,
    form: u32,
    state: &'static str,
    rooms: u64,
    events: u64,
    made_at: String,
    /// The moment of a frozen one.
    until: Option<String>,
}

pub(super) async fn list(servers: &Servers, format: Format) -> anyhow::Result<Verdict> {
    let registry = servers.generations.read().await?;
    let mut rows = Vec::new();
    for generation in &registry.generations {
        let readable = generation.form == registry.form;
        let totals =
            if readable { servers.generations.totals(generation.number).await? } else { Totals::default() };
        rows.push(Row {
            number: generation.number,
            form: generation.form,
            state: registry.word_of(generation),
            rooms: totals.rooms,
            events: totals.events,
            made_at: generation.made_at.to_string(),
            until: generation.until.map(|until| until.to_string()),
        });
    }
    print!("{}", format.rows(&rows, &["number", "form", "state", "rooms", "events", "madeAt", "until"])?);
    Ok(Verdict::AsWanted)
}
