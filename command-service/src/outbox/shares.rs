//! Shares of the buckets. Each instance plans for itself, from the same leases.

use std::collections::BTreeSet;

use crate::event_store::{BUCKETS, BucketLease, Buckets};

/// What an instance does with the buckets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Plan {
    /// Buckets that it keeps.
    pub(super) keep: Buckets,
    /// Buckets beyond its share.
    pub(super) give_back: Buckets,
    /// Buckets without a live holder that it takes.
    pub(super) take: Buckets,
    /// Whether it has exactly its share.
    pub(super) settled: bool,
}

/// The plan of `me`, one of the live instances. Shares differ by at most one bucket, which the first instances by name have.
/// Instances that see the same leases never take the same bucket.
pub(super) fn plan(me: &str, alive: &BTreeSet<String>, leases: &[BucketLease]) -> Plan {
    let held_by = |name: &str| -> Buckets {
        leases
            .iter()
            .filter(|lease| lease.holder.as_deref() == Some(name))
            .map(|lease| lease.bucket)
            .collect()
    };
    let abandoned = |lease: &&BucketLease| lease.holder.as_ref().is_none_or(|holder| !alive.contains(holder));
    let mut free = leases.iter().filter(abandoned).map(|lease| lease.bucket);
    let mine = held_by(me);
    let mut my_share = mine.len();
    let mut take = Buckets::NONE;
    for (name, share) in alive.iter().zip(shares(alive.len())) {
        let lacking = share.saturating_sub(held_by(name).len());
        // The instances before me take theirs first.
        let taken: Buckets = free.by_ref().take(usize::try_from(lacking).unwrap_or(0)).collect();
        if name == me {
            (my_share, take) = (share, taken);
        }
    }
    let keep: Buckets = mine.iter().take(usize::try_from(my_share).unwrap_or(0)).collect();
    Plan { keep, give_back: mine.without(keep), take, settled: mine.len() == my_share }
}

/// The number of buckets for each of these instances.
fn shares(instances: usize) -> impl Iterator<Item = u32> {
    let instances = u32::try_from(instances).unwrap_or(BUCKETS).max(1);
    (0..instances).map(move |place| BUCKETS / instances + u32::from(place < BUCKETS % instances))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn free() -> Vec<BucketLease> {
        (0..BUCKETS).map(|bucket| BucketLease { bucket, holder: None, epoch: 0 }).collect()
    }

    fn carry_out(me: &str, plan: Plan, leases: &mut [BucketLease]) {
        for lease in leases {
            if plan.give_back.contains(lease.bucket) {
                lease.holder = None;
            }
            if plan.take.contains(lease.bucket) {
                lease.holder = Some(me.to_owned());
            }
        }
    }

    fn alive(names: &[u8]) -> BTreeSet<String> {
        names.iter().map(|name| format!("instance-{name}")).collect()
    }

    #[test]
    fn one_instance_takes_everything_and_a_second_gets_half() {
        let mut leases = free();
        let first = plan("instance-1", &alive(&[1]), &leases);
        assert_eq!(first.take, Buckets::ALL);
        carry_out("instance-1", first, &mut leases);
        let both = alive(&[1, 2]);
        assert_eq!(plan("instance-2", &both, &leases).take, Buckets::NONE, "nothing is free yet");
        let first = plan("instance-1", &both, &leases);
        assert_eq!((first.keep.len(), first.give_back.len(), first.settled), (32, 32, false));
        carry_out("instance-1", first, &mut leases);
        assert_eq!(plan("instance-2", &both, &leases).take, first.give_back);
    }

    proptest! {
        /// Two rounds after the last change all shares are even, whatever was held before.
        #[test]
        fn instances_that_come_and_go_share_everything_evenly(
            turns in prop::collection::vec(prop::collection::btree_set(0_u8..9, 1..8), 1..6),
        ) {
            let mut leases = free();
            for names in turns {
                let names: Vec<u8> = names.into_iter().collect();
                let alive = alive(&names);
                for _round in 0..2 {
                    // All look at the same moment.
                    let plans: Vec<_> = alive.iter().map(|me| (me, plan(me, &alive, &leases))).collect();
                    let taken: u32 = plans.iter().map(|(_, plan)| plan.take.len()).sum();
                    let distinct: Buckets = plans.iter().flat_map(|(_, plan)| plan.take.iter()).collect();
                    prop_assert_eq!(taken, distinct.len(), "no two take the same bucket");
                    for (me, plan) in plans {
                        carry_out(me, plan, &mut leases);
                    }
                }
                for me in &alive {
                    let plan = plan(me, &alive, &leases);
                    prop_assert!(plan.settled && plan.take.is_empty() && plan.give_back.is_empty());
                    let least = BUCKETS / u32::try_from(alive.len()).unwrap();
                    prop_assert!(plan.keep.len() == least || plan.keep.len() == least + 1);
                }
            }
        }
    }
}
