//! Whose changes are taken back.

use shared_events::{Erasures, RawEvent, RoomId, Timestamp, UserId};
use uuid::Uuid;

use crate::digest::digest;

/// The changes to take back: exactly one is given.
#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Whose {
    /// The changes of this user.
    #[arg(long, value_name = "USER", value_parser = |name: &str| UserId::new(name))]
    pub actor: Option<UserId>,
    /// The changes of requests or of an import with this correlation id.
    #[arg(long, value_name = "ID")]
    pub correlation: Option<String>,
    /// The changes in this room.
    #[arg(long)]
    pub room: Option<RoomId>,
}

impl Whose {
    pub(super) fn includes(&self, event: &RawEvent) -> bool {
        let is = |actor: &UserId| event.metadata.actor == *actor;
        self.actor.as_ref().is_none_or(is)
            && self.correlation.as_ref().is_none_or(|id| event.metadata.correlation_id == *id)
            && self.room.is_none_or(|room| event.room == room)
    }

    /// A name of the selection that is the same for the same one, and names nobody.
    pub(super) fn run(&self, since: Timestamp, erasures: &Erasures) -> Uuid {
        let actor = self.actor.as_ref().map(|actor| erasures.fingerprint(actor).0);
        let actor = actor.as_ref().map_or(&[][..], |hash| hash.as_slice());
        let correlation = self.correlation.as_ref().map_or(&[][..], |id| id.as_bytes());
        let room = self.room.as_ref().map_or(&[][..], |room| room.0.as_bytes());
        Uuid::from_bytes(digest(&[actor, correlation, room, &since.epoch_millis().to_be_bytes()]))
    }
}
