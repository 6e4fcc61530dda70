//! Pipelines and messages for tests, and waiting.

use std::{sync::Arc, time::Duration};

use query_service::{
    progress::Progress,
    projector::{Dependencies, Message, Pipeline},
    stores::ProjectionStore,
};
use service_kit::clock::Clock;
use shared_events::RawEvent;

use crate::feed_double::FeedDouble;

pub(crate) fn dependencies(store: Arc<dyn ProjectionStore>, feed: &Arc<FeedDouble>) -> Dependencies {
    let progress = Arc::new(Progress::default());
    progress.set_owned(Box::new(|_| true));
    Dependencies { store, feed: feed.clone(), progress, clock: Clock::system() }
}

/// The pipeline of a new owner.
pub(crate) fn new_pipeline(store: Arc<dyn ProjectionStore>, feed: &Arc<FeedDouble>) -> Pipeline {
    Pipeline::new(dependencies(store, feed))
}

/// The messages of these events, in this order.
pub(crate) fn messages<'a>(events: impl IntoIterator<Item = &'a RawEvent>) -> Vec<Message> {
    (0..).zip(events).map(|(offset, event)| Message::event(offset, event.clone())).collect()
}

/// Longer than any effect takes on a busy machine. Only a failing test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// Waits until a condition holds. It looks again and again: servers and other processes tell the test nothing.
pub(crate) async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let waited = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waited).await.is_ok(), "{what} in {PATIENCE:?}");
}

/// Waits in a thread of its own: a drop can't wait in the test's runtime.
pub(crate) fn wait_apart(done: impl Future<Output = ()> + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let waited = std::thread::spawn(move || runtime.block_on(done)).join();
    assert!(waited.is_ok() || std::thread::panicking(), "what the test leaves could not be removed");
}
