//! Idempotency keys with one index, by the hash of the key, against two: the order of insertion, and a unique one by the hash.
//!
//! One index is one entry less for each command. But its leaves are whole rows, so fewer of them fit into memory. Both
//! tables are four times as large as MySQL's buffer pool, because a key is looked for anywhere in them.

use std::time::Duration;

use anyhow::Result;
use system_tests::Namespace;

use crate::{
    figures::{Finding, Series, Target, number},
    mysql::{
        all_keys::{Indexes, fill},
        limit::{self, Sample},
    },
    rig::Rig,
    rounds::alternate,
};

/// Events in one transaction, as of a group of commands.
const GROUP: usize = 256;
/// Sizes of a table, as multiples of the buffer pool.
const MULTIPLE: f64 = 4.0;
const SHORT_MULTIPLE: f64 = 0.25;

pub(crate) async fn one_index(rig: &Rig) -> Result<Vec<Finding>> {
    let during = Duration::from_secs(rig.size(8, 3));
    let (one, two) = (rig.namespace("one_index").await?, rig.namespace("two_indexes").await?);
    let multiple = if rig.short { SHORT_MULTIPLE } else { MULTIPLE };
    fill(&one.database_url(), Indexes::One, multiple).await?;
    let pool = fill(&two.database_url(), Indexes::Two, multiple).await?;
    let sample = Sample { payload: vec![b'p'; 400], metadata: vec![b'm'; 150] };
    let insert = async |namespace: &Namespace| {
        Ok(limit::insert(&namespace.database_url(), 1, GROUP, during, &sample).await?.rate)
    };
    let (ours, theirs) =
        alternate(rig.rounds, async |_| insert(&one).await, async |_| insert(&two).await).await?;
    let of = |name: &str| format!("bare inserts of commands' rows, keys with {name}");
    Ok(vec![
        Finding::new(
            "keys",
            "two indexes",
            Target::AtLeast(1.0),
            1.05,
            Series::new(&of("one index"), "commands/s", ours),
            Series::new(&of("two indexes"), "commands/s", theirs),
        )
        .with(Series::new("MySQL's buffer pool", "MB", vec![number(pool / 1_000_000)])),
    ])
}
