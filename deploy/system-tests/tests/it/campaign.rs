//! Short campaigns of faults, each on its own servers. Long ones: `cargo run --release -p system-tests -- campaign`.

use std::time::Duration;

use system_tests::campaign::{self, Options};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_short_campaigns_of_faults_of_all_kinds_lose_double_and_reorder_nothing() {
    let lasts = Duration::from_secs(90);
    let (mut kills, mut faults, mut acknowledged) = (0, 0, 0);
    for seed in [1, 2] {
        let report =
            campaign::run(Options { seed, lasts, callers: 16, older: None, logs: None, verbose: false })
                .await;
        println!("{report}");
        assert!(report.violations.is_empty(), "{report}");
        kills += report.kills;
        faults += report.faults.len();
        acknowledged += report.acknowledged;
    }
    // Other tests run at the same time and slow recovery down, so the bounds are low.
    let all = (kills, faults, acknowledged);
    assert!(kills >= 3 && faults >= 5 && acknowledged >= 500, "{all:?}");
}
