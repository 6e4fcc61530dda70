//! The demo replays real bookings and a timetable, and compares the system with its own recount.

use system_tests::Stack;

const COMMANDS: &str = "25,855";

pub(crate) async fn replayed(stack: &Stack, arguments: &[&str]) -> String {
    let output = stack.demo().args(arguments).output().await.unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    println!("{printed}");
    printed
}

async fn real_bookings_come_through(stack: &Stack) {
    let first = replayed(stack, &["--verify"]).await;
    assert!(first.contains(&format!("{COMMANDS} commands: ")), "{first}");
    assert!(first.contains("verified in "), "{first}");
    assert!(!first.contains("earlier replay"), "{first}");
    let second = replayed(stack, &[]).await;
    assert!(second.contains(&format!("nothing changed: all {COMMANDS} outcomes")), "{second}");
}

async fn a_timetable_of_series_comes_through(stack: &Stack) {
    let first = replayed(stack, &["--timetable"]).await;
    assert!(first.contains("419 made, 36 refused, 0 repeated"), "{first}");
    assert!(first.contains("verified: 4476 occurrences in 24 schedules"), "{first}");
    let second = replayed(stack, &["--timetable"]).await;
    assert!(second.contains("419 made, 36 refused, 455 repeated"), "{second}");
    assert!(second.contains("verified: 4476 occurrences in 24 schedules"), "{second}");
}

#[tokio::test]
async fn a_timetable_of_series_comes_through_the_embedded_default_and_a_second_import_changes_nothing() {
    a_timetable_of_series_comes_through(&Stack::embedded().await).await;
}

#[tokio::test]
async fn a_timetable_of_series_comes_through_the_real_stack_and_a_second_import_changes_nothing() {
    a_timetable_of_series_comes_through(&Stack::real(1).await).await;
}

#[tokio::test]
async fn real_bookings_come_through_the_embedded_default_and_a_second_replay_changes_nothing() {
    real_bookings_come_through(&Stack::embedded().await).await;
}

#[tokio::test]
async fn real_bookings_come_through_the_real_stack_and_a_second_replay_changes_nothing() {
    real_bookings_come_through(&Stack::real(1).await).await;
}
