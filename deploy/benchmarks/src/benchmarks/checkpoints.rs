//! What checkpoints cost that are written with their events: the same durable commands with and without them.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::sync::Mutex;

use super::visible::Ours;
use crate::{
    figures::{Finding, Series, Target, number},
    mongo::{bare_events::BareEvents, read_models},
    rig::Rig,
    rounds::alternate,
};

/// Events in a command.
const EVENTS: [u64; 2] = [6, 70];

pub(crate) async fn with_their_events(rig: &Rig) -> Result<Vec<Finding>> {
    let during = Duration::from_secs(rig.size(5, 2));
    let ours = Ours::start(rig).await?;
    let namespace = rig.namespace("checkpoints").await?;
    read_models(&rig.servers.mongodb, &namespace.name).await?;
    let like = &ours.target.namespace.name;
    let bare = BareEvents::like(&rig.servers.mongodb, like, &namespace.name).await?;
    // The writer, and the number of its next event.
    let bare = Mutex::new((bare, 0));
    let mut findings = Vec::new();
    for events in EVENTS {
        let rate = async |checkpoints: bool| {
            let (bare, next) = &mut *bare.lock().await;
            let (first, started) = (*next, Instant::now());
            while started.elapsed() < during {
                bare.write(*next..*next + events, checkpoints).await?;
                *next += events;
            }
            Ok(number(*next - first) / started.elapsed().as_secs_f64())
        };
        let (with_them, without) =
            alternate(rig.rounds, async |_| rate(true).await, async |_| rate(false).await).await?;
        let of = |name: &str| format!("bare commands of {events} events, {name}");
        findings.push(Finding::new(
            &format!("checkpoints-{events}"),
            "the same without checkpoints",
            Target::AtLeast(0.8),
            0.9,
            Series::new(&of("with checkpoints"), "events/s", with_them),
            Series::new(&of("without"), "events/s", without),
        ));
    }
    Ok(findings)
}
