//! Stacks that tests share while one of them runs. Tests use unique names to stay apart.

use std::sync::{Arc, Weak};

use system_tests::Stack;
use tokio::sync::Mutex;

static EMBEDDED: Mutex<Weak<Stack>> = Mutex::const_new(Weak::new());
static REAL: Mutex<Weak<Stack>> = Mutex::const_new(Weak::new());

/// The embedded default: one process.
pub(crate) async fn embedded() -> Arc<Stack> {
    shared(&EMBEDDED, Stack::embedded()).await
}

/// Services on MySQL, Kafka and MongoDB.
pub(crate) async fn real() -> Arc<Stack> {
    shared(&REAL, Stack::real(1)).await
}

async fn shared(running: &Mutex<Weak<Stack>>, start: impl Future<Output = Stack>) -> Arc<Stack> {
    let mut running = running.lock().await;
    if let Some(stack) = running.upgrade() {
        return stack;
    }
    let stack = Arc::new(start.await);
    *running = Arc::downgrade(&stack);
    stack
}

/// Makes each scenario a test on the embedded default and a test on real servers.
macro_rules! on_both_stacks {
    ($($scenario:ident)+) => {
        mod embedded {
            $(#[tokio::test]
            async fn $scenario() {
                super::$scenario(&crate::stacks::embedded().await.client()).await;
            })+
        }
        mod real {
            $(#[tokio::test]
            async fn $scenario() {
                super::$scenario(&crate::stacks::real().await.client()).await;
            })+
        }
    };
}
pub(crate) use on_both_stacks;
