//! Rules of time zones, as far as usage depends on them.

use std::{
    collections::HashMap,
    fmt::Write,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use shared_events::{Interval, TimeZone};

/// The lead of a zone's clocks over UTC within an interval: at first, and with the moment of each change. Two are equal exactly if
/// clocks show the same in all of it, whatever releases of the time zone database they are from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rules(Arc<str>);

/// Most that are kept. A few months of a few zones have usage.
const MOST_KEPT: usize = 20_000;

impl Rules {
    /// By the time zone database of this process, which never changes: each is computed once.
    #[must_use]
    pub fn of(zone: TimeZone, during: Interval) -> Self {
        static KEPT: OnceLock<Mutex<HashMap<(TimeZone, Interval), Rules>>> = OnceLock::new();
        let mut kept = KEPT.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        kept.entry((zone, during)).or_insert_with(|| Self::within(zone, during)).clone()
    }

    /// Those that were stored with a document; nothing, if it was stored before documents had them.
    #[must_use]
    pub fn stored(text: &str) -> Self {
        Self(text.into())
    }

    fn within(zone: TimeZone, during: Interval) -> Self {
        let mut text = zone.0.utc_offset(during.from.to_utc()).to_string();
        for (at, offset) in zone.0.changes(during.from.to_utc(), during.to.to_utc()) {
            // Writing to a string does not fail.
            let _ = write!(text, ", {} {offset}", at.format("%Y-%m-%dT%H:%M:%SZ"));
        }
        Self(text.into())
    }

    /// As text, such as `+00:00, 2026-03-29T01:00:00Z +01:00`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read_models::usage::Month;

    fn rules(zone: &str, month: i32) -> String {
        let rules = Rules::of(zone.parse().unwrap(), Month::of_code(month).unwrap().about());
        assert_eq!(rules, Rules::stored(rules.as_str()));
        rules.as_str().to_owned()
    }

    #[test]
    fn rules_are_those_of_the_month_and_a_few_days_around_it_alone() {
        assert_eq!(rules("UTC", 202_606), "+00:00");
        assert_eq!(rules("Europe/Lisbon", 202_602), "+00:00");
        assert_eq!(rules("Europe/Lisbon", 202_603), "+00:00, 2026-03-29T01:00:00Z +01:00");
        assert_eq!(rules("Europe/Lisbon", 202_604), "+01:00", "the change is four days before");
        assert_eq!(rules("Europe/Berlin", 202_604), "+02:00");
        // The change is in the first minutes of November.
        let back = "-02:30, 2009-11-01T02:31:00Z -03:30";
        assert_eq!(
            (rules("America/St_Johns", 200_910), rules("America/St_Johns", 200_911)),
            (back.into(), back.into())
        );
        // Vancouver stays at UTC-7 since 2026, and Phoenix always has.
        assert_eq!(rules("America/Vancouver", 202_611), rules("America/Phoenix", 202_611));
        assert_eq!(rules("America/Vancouver", 202_603), "-08:00, 2026-03-08T10:00:00Z -07:00");
        assert_eq!(rules("Africa/Monrovia", 197_112), "-00:44:30");
    }

    #[test]
    fn zones_whose_clocks_show_the_same_in_a_month_have_the_same_rules_and_no_others() {
        let zones: Vec<_> = shared_events::time_zone::Database::get().zones().map(TimeZone).collect();
        let about = Month::of_code(202_610).unwrap().about();
        // Clocks change on quarters of an hour.
        let shown = |zone: &TimeZone| {
            let minutes = (about.from.epoch_minutes()..about.to.epoch_minutes()).step_by(15);
            let offset =
                |at| zone.0.utc_offset(shared_events::Minute::from_epoch_minutes(at).unwrap().to_utc());
            minutes.map(offset).map(|offset| offset.seconds()).collect::<Vec<_>>()
        };
        let mut by_rules: HashMap<String, Vec<i32>> = HashMap::new();
        for zone in &zones {
            let rules = Rules::of(*zone, about).as_str().to_owned();
            let shown = shown(zone);
            assert_eq!(by_rules.entry(rules).or_insert_with(|| shown.clone()), &shown, "{zone}");
        }
        let mut different: Vec<_> = by_rules.into_values().collect();
        let count = different.len();
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), count);
    }
}
