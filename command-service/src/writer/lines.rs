//! Commands that arrive as lines. They wait for room in the queue, and fill a part of it alone.

use std::sync::Arc;

use tokio::{
    sync::{Mutex, oneshot},
    time::Instant,
};

use super::{Failure, Pending, Reply, Sequence, Submission, Writer};

/// The lines of one request. Clones share it.
#[derive(Clone)]
pub struct Lines {
    writer: Writer,
    /// One recall at a time: a user may have few.
    turns: Arc<Mutex<()>>,
}

impl Writer {
    /// Queues a command of an import, and waits for room in the queue. Commands are decided in the order of their queueing. Of
    /// two with one key, the later one repeats the outcome of the earlier one.
    ///
    /// # Errors
    /// If the writer has ended.
    pub async fn enqueue(
        &self,
        submission: Submission,
        sequence: &Sequence,
    ) -> Result<oneshot::Receiver<Reply>, Failure> {
        self.queue_line(Arc::new(submission), Some(sequence.clone())).await.map(|(reply, _)| reply)
    }

    /// Makes a handle for the lines of one request.
    #[must_use]
    pub fn lines(&self) -> Lines {
        Lines { writer: self.clone(), turns: Arc::default() }
    }

    async fn queue_line(
        &self,
        submission: Arc<Submission>,
        sequence: Option<Sequence>,
    ) -> Result<(oneshot::Receiver<Reply>, Instant), Failure> {
        // Never closed.
        let line_place = Arc::clone(&self.line_places).acquire_owned().await.ok();
        let (reply, receiver) = oneshot::channel();
        let deadline = Instant::now() + self.deadline;
        let pending =
            Pending { submission, recalled: Vec::new(), reply, deadline, sequence, _line_place: line_place };
        self.queue.send(pending).await.map_err(|_| Failure::Unavailable)?;
        Ok((receiver, deadline))
    }
}

impl Lines {
    /// Queues a command, and waits for room in the queue. The result waits for its reply.
    ///
    /// Commands are decided in the order of their queueing. Of two with one key, the later one repeats the outcome of the
    /// earlier one. One about a reservation that its room has forgotten is decided later.
    ///
    /// # Errors
    /// If it can't be queued, see [`Failure`].
    pub async fn queue(
        &self,
        submission: Submission,
    ) -> Result<impl Future<Output = Reply> + use<>, Failure> {
        let until = Instant::now() + self.writer.deadline;
        let submission = Arc::new(self.writer.informed(submission, until).await?);
        let (reply, deadline) = self.writer.queue_line(Arc::clone(&submission), None).await?;
        let Self { writer, turns } = self.clone();
        Ok(async move { writer.recalling(submission, deadline, reply, &turns).await })
    }
}
