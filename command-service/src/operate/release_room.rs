//! Lets a room go on that was held back.

use anyhow::ensure;
use clap::builder::NonEmptyStringValueParser;
use secrecy::SecretString;
use service_kit::audit::{Act, operator};
use shared_events::RoomId;

use super::open;

/// Arguments of the subcommand that releases a room.
#[derive(Clone, Debug, clap::Args)]
pub struct ReleaseRoomArgs {
    /// Id of the room, as `outbox` shows it.
    room: RoomId,
    /// What was done about the cause. It is logged.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    reason: String,
}

/// Lets a room go on: the relay sends its events again, from the one that was refused. Returns what to tell the operator.
///
/// # Errors
/// When the room is not held back; when the database can't be used, does not answer, or has no tables.
pub async fn release_room(url: &SecretString, arguments: ReleaseRoomArgs) -> anyhow::Result<String> {
    let ReleaseRoomArgs { room, reason } = arguments;
    let store = open(url).await?;
    let act = Act::begun(operator(), "release-room", format!("room {room}"), None);
    let released = store.release_room(room).await?;
    store.close().await;
    act.ended(if released { format!("released: {reason}") } else { "was not held back".to_owned() });
    ensure!(released, "room {room} is not held back");
    Ok(format!("Room {room} is released: its events go out in order, from the one that was refused.\n"))
}
