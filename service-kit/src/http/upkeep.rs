//! What is done now and then for something, as long as it lives.

use std::sync::Arc;
use std::time::Duration;

/// Does `work` at once and after each `pause`, until nobody else holds `thing` any more. Must be called within a tokio
/// runtime.
pub(super) fn while_it_lives<T: Send + Sync + 'static>(thing: &Arc<T>, pause: Duration, work: fn(&T)) {
    let weak = Arc::downgrade(thing);
    tokio::spawn(async move {
        while let Some(thing) = weak.upgrade() {
            work(&thing);
            drop(thing);
            tokio::time::sleep(pause).await;
        }
    });
}
