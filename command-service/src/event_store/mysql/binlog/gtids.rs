//! Sets of transactions, as MySQL writes them: `uuid:1-5:7,uuid:tag:1-3`.

use std::{collections::BTreeMap, fmt, str::FromStr};

use mysql_async::Sid;

/// A set of transactions.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Gtids(BTreeMap<Source, Vec<(u64, u64)>>);

/// Where transactions come from: a server's UUID, and a tag if it has one (`uuid` or `uuid:tag`).
pub(super) type Source = String;

impl Gtids {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a transaction.
    pub(super) fn add(&mut self, source: &str, number: u64) {
        match self.0.get_mut(source) {
            Some(ranges) => insert(ranges, number, number),
            None => drop(self.0.insert(source.to_owned(), vec![(number, number)])),
        }
    }

    /// Adds the transactions of another set.
    pub(super) fn add_all(&mut self, others: &Self) {
        for (source, ranges) in &others.0 {
            let own = self.0.entry(source.clone()).or_default();
            for (first, last) in ranges {
                insert(own, *first, *last);
            }
        }
    }

    /// The set in the form of the protocol.
    pub(super) fn sids(&self) -> Result<Vec<Sid<'static>>, String> {
        let sid = |part: &str| Sid::from_str(part).map_err(|error| error.to_string());
        self.to_string().split(',').filter(|part| !part.is_empty()).map(sid).collect()
    }
}

/// Ranges are in order and never touch.
fn insert(ranges: &mut Vec<(u64, u64)>, first: u64, last: u64) {
    // Nearly always the next number.
    if let Some(end) = ranges.last_mut()
        && first == end.1 + 1
    {
        end.1 = last;
        return;
    }
    let begin = ranges.partition_point(|range| range.1.saturating_add(1) < first);
    let end = ranges.partition_point(|range| range.0 <= last.saturating_add(1));
    let met = ranges.get(begin..end).unwrap_or_default();
    let first = met.first().map_or(first, |range| range.0.min(first));
    let last = met.last().map_or(last, |range| range.1.max(last));
    drop(ranges.splice(begin..end.max(begin), [(first, last)]));
}

impl fmt::Display for Gtids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (source, ranges)) in self.0.iter().enumerate() {
            write!(f, "{}{source}", if at == 0 { "" } else { "," })?;
            for (first, last) in ranges {
                if first == last { write!(f, ":{first}")? } else { write!(f, ":{first}-{last}")? }
            }
        }
        Ok(())
    }
}

impl FromStr for Gtids {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut gtids = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let mut pieces = part.split(':');
            let uuid = pieces.next().unwrap_or_default().to_lowercase();
            let mut source = uuid.clone();
            for piece in pieces {
                let piece = piece.trim();
                if !piece.starts_with(|first: char| first.is_ascii_digit()) {
                    source = format!("{uuid}:{piece}");
                    continue;
                }
                let (first, last) = piece.split_once('-').unwrap_or((piece, piece));
                let number =
                    |text: &str| text.parse().map_err(|_| format!("{part:?} is no set of transactions"));
                let ranges = gtids.0.entry(source.clone()).or_default();
                insert(ranges, number(first)?, number(last)?);
            }
        }
        Ok(gtids)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    #[test]
    fn sets_are_read_and_written_as_the_server_writes_them() {
        let text = format!("{UUID}:1-5:7,{UUID}:tag:1-3");
        let mut gtids: Gtids = format!("{}:1-5:7:tag:1-3", UUID.to_uppercase()).parse().unwrap();
        assert_eq!(gtids.to_string(), text);
        assert_eq!(gtids.sids().unwrap().len(), 2);
        gtids.add(UUID, 6);
        assert_eq!(gtids.to_string(), format!("{UUID}:1-7,{UUID}:tag:1-3"));
        assert!("".parse::<Gtids>().unwrap().is_empty());
        assert!("x:1-".parse::<Gtids>().is_err());
    }

    proptest! {
        #[test]
        fn a_set_holds_exactly_what_was_added(numbers in prop::collection::vec(1_u64..60, 0..80)) {
            let mut gtids = Gtids::default();
            for number in &numbers {
                gtids.add(UUID, *number);
            }
            let held = gtids.0.get(UUID).cloned().unwrap_or_default();
            let mut all: Vec<u64> = held.iter().flat_map(|(first, last)| *first..=*last).collect();
            let mut expected = numbers;
            expected.sort_unstable();
            expected.dedup();
            prop_assert_eq!(&all, &expected);
            all.dedup();
            prop_assert!(held.windows(2).all(|two| two[0].1 + 1 < two[1].0));
            prop_assert_eq!(gtids.to_string().parse::<Gtids>().unwrap(), gtids);
        }
    }
}
