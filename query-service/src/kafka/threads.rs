//! Threads of their own, for calls of the client that block.

use std::{thread, time::Duration};

use tokio::{runtime::Handle, sync::oneshot};
use tokio_util::sync::CancellationToken;

use super::ConsumerError;

/// Runs `work` on a thread with this name and waits for its end.
///
/// # Errors
/// When the thread can't be started, or ends by itself.
pub(super) async fn on_a_thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce(&Handle) -> T + Send + 'static,
) -> Result<T, ConsumerError> {
    let (ended, end) = oneshot::channel();
    let runtime = Handle::current();
    let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
        // Nobody waits for it if the process ends.
        let _ = ended.send(work(&runtime));
    });
    thread.map_err(|_| ConsumerError::Thread)?;
    end.await.map_err(|_| ConsumerError::Thread)
}

/// Waits on such a thread, until a stop at the longest.
pub(super) fn pause(runtime: &Handle, stop: &CancellationToken, delay: Duration) {
    // A timer can only be made within the runtime.
    let timer = async { tokio::time::sleep(delay).await };
    runtime.block_on(stop.run_until_cancelled(timer));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_thread_pauses_without_a_runtime_of_its_own() {
        let stop = CancellationToken::new();
        let paused =
            on_a_thread("a test", move |runtime| pause(runtime, &stop, Duration::from_millis(1))).await;
        assert!(paused.is_ok());
    }
}
