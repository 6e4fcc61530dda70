//! The loop of a reader.

use std::time::Instant;

use anyhow::Result;
use shared_events::{
    RawEvent,
    changes::{Follower, Step},
    notice::Notice,
};
use tokio::{sync::mpsc::UnboundedReceiver, time::timeout_at};

use crate::Feed;

/// Follows rooms until no more notices can come. `apply` gets the next events of a room, in order; after an error they come
/// again.
pub async fn follow(
    mut follower: Follower,
    feed: &Feed,
    notices: &mut UnboundedReceiver<Notice>,
    mut apply: impl FnMut(&[RawEvent]) -> Result<()>,
) {
    loop {
        let now = Instant::now();
        match follower.next(now) {
            Step::Ask(question) => match feed.ask(&question).await {
                Ok(answer) => {
                    for events in follower.answered(&question, answer, Instant::now()) {
                        let Some(last) = events.last() else { continue };
                        match apply(&events) {
                            Ok(()) => follower.applied(last.room, last.version),
                            Err(error) => {
                                eprintln!("events of room {} wait: {error:#}", last.room);
                                follower.failed(last.room, Instant::now());
                            }
                        }
                    }
                }
                Err(error) => {
                    eprintln!("the feed is asked again: {error:#}");
                    follower.unanswered(&question, Instant::now());
                }
            },
            Step::CompareHeads => match feed.heads().await {
                Ok(heads) => heads.into_iter().for_each(|head| follower.told(head.room, head.version)),
                Err(error) => {
                    eprintln!("heads are compared later: {error:#}");
                    follower.not_compared(Instant::now());
                }
            },
            Step::Wait(until) => match timeout_at(until.into(), notices.recv()).await {
                Ok(Some(notice)) => follower.told(notice.room, notice.version),
                Ok(None) => return,
                Err(_) => {}
            },
        }
        // What has come meanwhile is one question.
        while let Ok(notice) = notices.try_recv() {
            follower.told(notice.room, notice.version);
        }
    }
}
