//! Properties of every sequence of commands, whatever the clock does between them.

mod checks;
mod run;

use std::collections::{BTreeMap, BTreeSet};

use proptest::{prelude::*, sample::Index};

use self::{
    checks::handle,
    run::{Run, steps},
};
use crate::domain::Room;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_commands_breaks_a_rule_at_any_version(steps in steps()) {
        let mut run = Run::new();
        for step in &steps {
            let command = run.next(step);
            handle(&mut run, &command);
        }
    }

    #[test]
    fn folding_the_events_gives_the_state_that_the_commands_left(steps in steps()) {
        let mut run = Run::new();
        for step in &steps {
            let command = run.next(step);
            handle(&mut run, &command);
        }
        for room in &run.rooms {
            let left = run.world.rooms.get(*room).unwrap();
            prop_assert_eq!(&run.world.fold(Room::new(*room)), left);
            let snapshot = serde_json::to_vec(left).unwrap();
            prop_assert_eq!(&serde_json::from_slice::<Room>(&snapshot).unwrap(), left);
            // A room has forgotten only live reservations that kept it busy until before its horizon.
            let whole = run.world.fold(Room::whole(*room));
            let live: Vec<_> = run.live.values().filter(|live| live.room == *room).collect();
            prop_assert_eq!(whole.reservations().count(), live.len());
            for reservation in live {
                prop_assert_eq!(whole.reservation(reservation.id), Some(reservation));
                let kept = left.reservation(reservation.id);
                prop_assert!(kept.is_some() || reservation.busy_interval().to.start() < left.horizon());
            }
        }
    }

    #[test]
    fn taking_events_back_leaves_no_trace(steps in steps(), kept in any::<Index>()) {
        let mut run = Run::new();
        let mut undos = Vec::new();
        let mut states = Vec::new();
        for step in &steps {
            let command = run.next(step);
            states.push(run.rooms.iter().map(|room| run.world.rooms.get(*room).unwrap().clone()).collect::<Vec<_>>());
            undos.push(handle(&mut run, &command));
        }
        let kept = kept.index(steps.len());
        for (room, undo) in undos.drain(kept..).flatten().rev() {
            run.world.rooms.get_mut(room).unwrap().undo(undo);
        }
        for before in &states[kept] {
            prop_assert_eq!(run.world.rooms.get(before.id()).unwrap(), before);
        }
    }

    #[test]
    fn a_room_that_forgets_decides_as_one_that_does_not(steps in steps()) {
        let mut run = Run::new();
        for step in &steps {
            let command = run.next(step);
            let whole = run.with_whole_rooms().decide(&command);
            prop_assert_eq!(run.world.decide(&command), whole, "{:?}", command);
            handle(&mut run, &command);
        }
    }
}

/// The properties prove little if no command is accepted, or no room forgets.
#[test]
fn the_sequences_of_these_tests_reach_every_kind_of_event_and_forget() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};

    let mut runner = TestRunner::deterministic();
    // The version of an event's form depends on the room's opening hours.
    let name = |event_type: &'static str| event_type.rsplit_once('.').map_or(event_type, |(name, _)| name);
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut whole_reads, mut recalls, mut forgetful) = (0, 0, 0);
    for _ in 0..100 {
        let mut run = Run::new();
        for step in steps().new_tree(&mut runner).unwrap().current() {
            let command = run.next(&step);
            handle(&mut run, &command);
        }
        for (_, event) in run.world.streams.values().flatten() {
            *seen.entry(name(event.event_type())).or_default() += 1;
        }
        whole_reads += run.world.whole_reads;
        recalls += run.world.recalls;
        forgetful +=
            run.rooms.iter().filter(|room| !run.world.rooms.get(**room).unwrap().remembers_all()).count();
    }
    let all: BTreeSet<_> =
        shared_events::event::EVENT_TYPES.iter().map(|event_type| name(event_type)).collect();
    assert_eq!(seen.len(), all.len(), "{seen:?}");
    assert!(seen.values().all(|count| *count >= 20), "{seen:?}");
    assert!(recalls >= 100 && forgetful >= 100, "{recalls} recalls, {forgetful} rooms");
    assert!(whole_reads >= 50, "{whole_reads}");
}
