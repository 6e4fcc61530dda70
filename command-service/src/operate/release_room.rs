//! Releases a held room.

use clap::builder::NonEmptyStringValueParser;
use serde_json::json;
use service_kit::{
    audit::{Act, operator},
    report::{Format, Verdict},
};
use shared_events::RoomId;

use crate::event_store::{Outbox as _, Release, mysql::MySqlStore};

/// Arguments of `release-room`.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// Id of the room, as `outbox` shows it.
    room: RoomId,
    /// What was done about the cause. It is logged.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    reason: String,
    #[command(flatten)]
    format: Format,
}

impl Arguments {
    pub(super) async fn run(self, store: &MySqlStore) -> anyhow::Result<Verdict> {
        let Self { room, reason, format } = self;
        let act = Act::begun(operator(), "release-room", format!("room {room}"), None);
        let released = store.release_room(room).await? == Release::Released;
        act.ended(if released { format!("released: {reason}") } else { "was not held".to_owned() });
        let (verdict, text) = if released {
            (Verdict::AsWanted, "is released: its events go out in order, from the refused one")
        } else {
            (Verdict::NotAsWanted, "is not held")
        };
        let result = json!({"room": room, "released": released});
        print!("{}", format.value(&result, format!("Room {room} {text}."))?);
        Ok(verdict)
    }
}
