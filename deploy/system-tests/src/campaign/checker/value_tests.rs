//! Titles and numbers of people: the checker finds each that nobody asked for, or that is shown or counted wrongly.

use super::trial::{A, B, Trial};
use crate::campaign::evidence::Scheduled;

const OF_ROOMS: &str = "a room's minutes, reservations and people are counted once";
const OF_HOURS: &str = "minutes, reservations and people of weekdays and hours are counted once";

#[test]
fn a_count_of_minutes_reservations_or_people_that_is_off_by_one_is_found() {
    for place in 0..3 {
        let mut trial = Trial::right();
        trial.evidence.shown[0].popular.get_mut(&A).unwrap()[place] += 1;
        assert!(trial.has_broken(OF_ROOMS) && !trial.has_broken(OF_HOURS));
        let mut trial = Trial::right();
        trial.evidence.shown[0].busiest.get_mut(&("double".to_owned(), 3, 1)).unwrap()[place] -= 1;
        assert!(trial.has_broken(OF_HOURS) && !trial.has_broken(OF_ROOMS));
    }
}

#[test]
fn a_title_or_number_of_people_that_was_not_asked_for_is_found() {
    let rule = "an effect matches its command";
    // Of a new reservation, a moved one, a cancelled one and a changed one.
    for (room, version) in [(A, 3), (B, 4), (B, 3), (A, 5)] {
        let mut trial = Trial::right();
        let about = |trial: &mut Trial| trial.stream(room)[version - 1].reservation.clone().unwrap();
        let right = about(&mut trial);
        let of_event = |trial: &mut Trial, title: &str, people: i64| {
            let event = trial.stream(room)[version - 1].reservation.as_mut().unwrap();
            (event.title, event.people) = (title.to_owned(), people);
            trial.has_broken(rule)
        };
        assert!(of_event(&mut trial, "another", right.people), "{right:?}");
        assert!(of_event(&mut trial, &right.title, right.people + 1), "{right:?}");
        assert!(!of_event(&mut trial, &right.title, right.people), "{right:?}");
    }
}

#[test]
fn a_schedule_with_another_title_or_number_of_people_is_found() {
    let changes: [fn(&mut Scheduled); 2] = [|shown| shown.title.push('!'), |shown| shown.people += 1];
    for change in changes {
        let mut trial = Trial::right();
        change(&mut trial.evidence.shown[0].schedules.get_mut(&A).unwrap()[0]);
        trial.breaks(&["a schedule shows every live reservation"]);
    }
}
