//! `rollback`: shows the generation that was live before.

use service_kit::report::{Format, Verdict};

use super::{Ending, recorded};
use crate::generations::servers::{Flip, Servers};

pub(super) async fn run(servers: &Servers, format: Format) -> anyhow::Result<Verdict> {
    recorded("rollback", "all read models", roll_back(servers), Ending::to_string).await?.print(format)
}

async fn roll_back(servers: &Servers) -> anyhow::Result<Ending> {
    let registry = servers.generations.read().await?;
    let Some(live) = registry.live else { return Ok(Ending::Refused("no generation is live".to_owned())) };
    let Some(before) = registry.before else {
        return Ok(Ending::Refused("no generation was live before this one".to_owned()));
    };
    if !registry.is_fed(before) {
        let reason = format!("generation {before} was dropped: there is nothing to go back to");
        return Ok(Ending::Refused(reason));
    }
    Ok(match servers.flip(Some(live), before).await? {
        Flip::Done => {
            Ending::Done(format!("queries read generation {before} again; {live} is fed as before"))
        }
        Flip::Refused(reason) => Ending::Refused(reason),
    })
}
