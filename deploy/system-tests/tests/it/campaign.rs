//! A short campaign of faults, on servers of its own. Long ones: `cargo run --release -p system-tests -- campaign`.

use std::time::Duration;

use system_tests::campaign::{self, Options};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_minutes_of_faults_of_all_kinds_lose_double_and_reorder_nothing() {
    let lasts = Duration::from_mins(2);
    let report = campaign::run(Options { seed: 1, lasts, callers: 16, logs: None, verbose: false }).await;
    println!("{report}");
    assert!(report.violations.is_empty(), "{report}");
    // Under all the other tests recovery takes its time, so little is asked for.
    assert!(report.kills >= 3 && report.faults.len() >= 5 && report.acknowledged >= 500, "{report}");
}
