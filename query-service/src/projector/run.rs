//! The loop of a pipeline: it takes work, and tries until the work is written.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use service_kit::{
    readiness::Component,
    retry::{Backoff, Stopped},
    telemetry::with_causes,
};
use shared_events::feed::Head;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{BEFORE_OFFSET, Limits, inbox::Inbox, message::Message, pipeline::Pipeline};
use crate::{read_models::Request, stores::StoreError};

/// The longest time of one attempt.
const LONGEST_ATTEMPT: Duration = Duration::from_mins(2);

pub(super) struct Run {
    pub(super) pipeline: Pipeline,
    pub(super) inbox: Arc<Inbox>,
    pub(super) compared: mpsc::Receiver<Vec<Head>>,
    pub(super) asked: mpsc::Receiver<Request>,
    pub(super) next_offset: Arc<AtomicI64>,
    pub(super) stop: CancellationToken,
    pub(super) limits: Limits,
    pub(super) store: Component,
}

enum Work {
    Batch(Vec<Message>),
    Compare(Vec<Head>),
    Operate(Request),
    FillThoseBehind,
}

/// Runs until it is stopped. It finishes a running batch, unless the store fails.
pub(super) async fn run(mut run: Run) {
    while let Some(work) = run.next().await {
        if run.until_written(&work).await.is_err() {
            return;
        }
        let Work::Batch(batch) = work else { continue };
        BEFORE_OFFSET.reached(run.limits.abort_at);
        if let Some(last) = batch.last() {
            run.next_offset.store(last.offset + 1, Ordering::Release);
        }
    }
}

impl Run {
    /// The next work, or `None` if it is stopped.
    async fn next(&mut self) -> Option<Work> {
        let retry_at = self.pipeline.retry_at();
        let retry = async {
            match retry_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            // Before the backlog: an operator waits.
            Some(request) = self.asked.recv() => Some(Work::Operate(request)),
            () = retry => Some(Work::FillThoseBehind),
            batch = self.inbox.take(self.limits.batch) => (!batch.is_empty()).then_some(Work::Batch(batch)),
            // Last: an event that seems to be missing may be among the waiting messages.
            Some(heads) = self.compared.recv() => Some(Work::Compare(heads)),
        }
    }

    /// Tries until it succeeds.
    async fn until_written(&mut self, work: &Work) -> Result<(), Stopped> {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
        while let Err(error) = self.bounded_attempt(work).await {
            let delay = backoff.next_delay();
            tracing::warn!(
                error = with_causes(&error),
                delay_ms = delay.as_millis(),
                "nothing is lost: the batch is tried again"
            );
            self.store.failing(error.to_string());
            self.stop.run_until_cancelled(tokio::time::sleep(delay)).await.ok_or(Stopped)?;
        }
        self.store.ok();
        Ok(())
    }

    /// One attempt. A lost connection, which never answers, must not stop the partition.
    async fn bounded_attempt(&mut self, work: &Work) -> Result<(), StoreError> {
        match tokio::time::timeout(LONGEST_ATTEMPT, self.attempt(work)).await {
            Ok(outcome) => outcome,
            Err(late) => {
                self.pipeline.forget_everything();
                Err(StoreError::Backend(late.into()))
            }
        }
    }

    async fn attempt(&mut self, work: &Work) -> Result<(), StoreError> {
        match work {
            Work::Batch(batch) => self.pipeline.step(batch).await,
            Work::Operate(request) => self.pipeline.operate(request).await,
            Work::Compare(heads) => {
                let found = self.pipeline.compare(heads).await?;
                if found > 0 {
                    tracing::warn!(
                        rooms = found,
                        "the comparison with the feed found rooms that miss events"
                    );
                }
                Ok(())
            }
            Work::FillThoseBehind => self.pipeline.fill_those_behind().await,
        }
    }
}
